//! Dropout (Srivastava et al. 2014).

use rand::RngExt;
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use super::fusion::Fusible;
use super::item::{Built, Item, Short, Site};
use crate::shim::{Draw, random};
use crate::{Module, NnError, Pass};

/// Dropout, as PyTorch's `nn.Dropout`. In a list of layers: `{ dropout = 0.1 }`, or `"dropout"` for PyTorch's
/// 0.5.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DropoutConfig {
    /// The share of numbers that is silenced, `0 <= share < 1`.
    pub share: f64,
}

impl Default for DropoutConfig {
    fn default() -> Self {
        Self { share: 0.5 }
    }
}

/// In training silences each number with chance `share` and divides the others by `1 - share`; else the
/// identity. The mask comes from the pass's generator.
#[derive(Clone, Copy, Debug)]
pub struct Dropout {
    share: f64,
}

impl Dropout {
    /// Dropout of this share.
    ///
    /// # Errors
    /// [`NnError::Config`] unless `0 <= share < 1`.
    pub fn new(share: f64) -> Result<Self, NnError> {
        if (0.0..1.0).contains(&share) {
            return Ok(Self { share });
        }
        Err(NnError::Config(format!("dropout is {share}: give 0 or more, and less than 1")))
    }
}

impl Module for Dropout {
    /// From f32 `[batch, ...]` to the same shape.
    fn forward(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        dropout(pass, x, self.share)
    }

    fn fusible(&self) -> Option<Fusible> {
        Some(Fusible::Dropout { share: self.share })
    }
}

impl Item for DropoutConfig {
    fn from_short(short: Short) -> Option<Self> {
        match short {
            Short::Word => Some(Self::default()),
            number => number.real().map(|share| Self { share }),
        }
    }

    fn to_short(&self) -> Option<Short> {
        Some(if *self == Self::default() { Short::Word } else { Short::Real(self.share) })
    }

    fn build(&self, _: &mut Site<'_>, shape: &[i64]) -> Result<Built, NnError> {
        Ok(Built::new(Dropout::new(self.share)?, shape.to_vec()))
    }
}

/// In training silences each number with chance `share` and divides the others by `1 - share`; else gives `x`
/// back.
pub(crate) fn dropout(pass: &mut Pass<'_>, x: &Tensor, share: f64) -> Result<Tensor, NnError> {
    match dropout_mask(pass, &x.size(), x.device(), share)? {
        Some(mask) => Ok(x.f_mul(&mask)?),
        None => Ok(x.shallow_clone()),
    }
}

/// The mask of dropout for numbers of this shape, f32, drawn from the pass's generator: 0 with chance
/// `share`, else `1 / (1 - share)`. `None` where nothing is silenced.
pub(crate) fn dropout_mask(
    pass: &mut Pass<'_>,
    shape: &[i64],
    device: Device,
    share: f64,
) -> Result<Option<Tensor>, NnError> {
    if share == 0.0 || !pass.is_training() {
        return Ok(None);
    }
    let Some(rng) = pass.rng() else { return Ok(None) };
    let mask = random(shape, device, Draw::Bernoulli(1.0 - share), rng.random())?;
    Ok(Some(mask.f_div_scalar(1.0 - share)?))
}
