//! Dropout (Srivastava et al. 2014).

use rand::RngExt;
use tch::{Device, Tensor};

use crate::shim::{Draw, random};
use crate::{NnError, Pass};

/// In training silences each number with chance `share` and divides the others by `1 - share`; else gives `x`
/// back.
pub(crate) fn dropout(pass: &mut Pass<'_>, x: &Tensor, share: f64) -> Result<Tensor, NnError> {
    match dropout_mask(pass, &x.size(), x.device(), share)? {
        Some(mask) => Ok(x.f_mul(&mask)?),
        None => Ok(x.shallow_clone()),
    }
}

/// What dropout multiplies numbers of this shape by, f32, drawn from the pass's generator: 0 with chance
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
