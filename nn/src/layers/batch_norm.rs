//! Normalisation over the batch.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::item::{Built, Item, Short, Site};
use super::{EPS, at_least, is_eps, is_yes, unfit, wrong_input};
use crate::{Init, Layout, Module, NnError, ParameterId, Pass};

/// Batch norm, as PyTorch's `nn.BatchNorm1d` and `nn.BatchNorm2d`. In a list of layers: `"batch_norm"`, or
/// `{ batch_norm = { momentum = 0.01 } }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchNormConfig {
    /// Added to the variance.
    #[serde(skip_serializing_if = "is_eps")]
    pub eps: f64,
    /// The share of the batch's statistics in the running ones after a pass in training, `0 <= momentum <=
    /// 1`.
    #[serde(skip_serializing_if = "is_momentum")]
    pub momentum: f64,
    /// Scale and shift each channel afterwards by a learned weight and bias.
    #[serde(skip_serializing_if = "is_yes")]
    pub affine: bool,
}

const MOMENTUM: f64 = 0.1;

// serde asks by reference.
fn is_momentum(value: &f64) -> bool {
    *value == MOMENTUM
}

impl Default for BatchNormConfig {
    fn default() -> Self {
        Self { eps: EPS, momentum: MOMENTUM, affine: true }
    }
}

/// Batch norm (Ioffe and Szegedy 2015): in training each channel is normalised by mean and variance of the
/// batch, in use by the running ones. One layer serves rows, sequences and images.
///
/// Parameters: `weight` and `bias` (`[channels]`). Buffers: `running_mean` and `running_var` (`[channels]`),
/// and `num_batches_tracked` (`[]`); a pass in training writes them, also one through frozen weights.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    name: String,
    channels: i64,
    config: BatchNormConfig,
    affine: Option<(ParameterId, ParameterId)>,
    mean: ParameterId,
    variance: ParameterId,
    batches: ParameterId,
}

impl BatchNorm {
    /// Describes a layer for this many channels and adds its parameters and buffers, named `prefix` +
    /// `weight` and so on, to the layout.
    ///
    /// # Errors
    /// [`NnError::Config`] for no channels, a field that makes no sense, or a name that is taken.
    pub fn new(
        layout: &mut Layout,
        prefix: &str,
        channels: i64,
        config: &BatchNormConfig,
    ) -> Result<Self, NnError> {
        at_least("channels", channels, 1)?;
        let BatchNormConfig { eps, momentum, affine } = *config;
        if !(eps.is_finite() && eps >= 0.0) {
            return Err(NnError::Config(format!("eps is {eps}: give 0 or more")));
        }
        if !(0.0..=1.0).contains(&momentum) {
            return Err(NnError::Config(format!("momentum is {momentum}: give 0 to 1")));
        }
        let (one, zero) = (Init::Constant { value: 1.0 }, Init::Constant { value: 0.0 });
        let shape = [channels];
        let affine = match affine {
            true => Some((
                layout.add(format!("{prefix}weight"), &shape, one)?,
                layout.add(format!("{prefix}bias"), &shape, zero)?,
            )),
            false => None,
        };
        Ok(Self {
            name: prefix.trim_end_matches('.').to_string(),
            channels,
            config: *config,
            affine,
            mean: layout.add_buffer(format!("{prefix}running_mean"), &shape, zero)?,
            variance: layout.add_buffer(format!("{prefix}running_var"), &shape, one)?,
            batches: layout.add_counter(format!("{prefix}num_batches_tracked"))?,
        })
    }

    fn check(&self, pass: &Pass<'_>, x: &Tensor) -> Result<(), NnError> {
        if x.dim() < 2 || x.size()[1] != self.channels || x.kind() != Kind::Float {
            return Err(wrong_input("batch norm", format!("f32 [batch, {}, ...]", self.channels), x));
        }
        let rows = x.numel() as i64 / self.channels;
        if pass.is_training() && rows < 2 {
            return Err(NnError::Shape(format!(
                "the batch norm `{}` has {rows} number for each channel in training, and one number has no \
                 variance: give batches of at least two samples, the last of an epoch too (leave it out if it is smaller), or use \
                 layer norm",
                self.name
            )));
        }
        Ok(())
    }
}

impl Module for BatchNorm {
    /// From f32 `[batch, channels, ...]` to the same shape. In training the batch has at least two numbers
    /// for each channel.
    fn forward(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        self.check(pass, x)?;
        let (weight, bias) = self.affine.unzip();
        let (weight, bias) = (pass.get_if(weight)?, pass.get_if(bias)?);
        let (mean, variance) = (Some(pass.get(self.mean)?), Some(pass.get(self.variance)?));
        let BatchNormConfig { eps, momentum, .. } = self.config;
        if pass.is_training() {
            let _guard = tch::no_grad_guard();
            let _ = pass.get(self.batches)?.shallow_clone().f_add_scalar_(1.0)?;
        }
        Ok(x.f_batch_norm(weight, bias, mean, variance, pass.is_training(), momentum, eps, true)?)
    }
}

impl Item for BatchNormConfig {
    fn from_short(short: Short) -> Option<Self> {
        short.word().map(|()| Self::default())
    }

    fn to_short(&self) -> Option<Short> {
        (*self == Self::default()).then_some(Short::Word)
    }

    fn build(&self, site: &mut Site<'_>, shape: &[i64]) -> Result<Built, NnError> {
        let Some(&channels) = shape.first() else { return Err(unfit("channels first", shape)) };
        Ok(Built::new(BatchNorm::new(site.layout, site.prefix, channels, self)?, shape.to_vec()))
    }
}
