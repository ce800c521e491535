//! One step of each optimiser: its numbers, and its moments beside the parameters.

use tch::{Device, Kind, Tensor};

use super::config::{AdamConfig, OptimizerConfig, RmspropConfig, SgdConfig};
use super::groups::Pace;
use crate::NnError;
use crate::shim::optim::{
    AdamNumbers, Arena, Decay, RmspropNumbers, SgdNumbers, adam_step, rmsprop_step, sgd_step,
};

/// An optimiser's numbers and its moments, flat like the arena.
#[derive(Debug)]
pub(super) enum Rule {
    Adam {
        config: AdamConfig,
        first_moment: Tensor,
        second_moment: Tensor,
    },
    Rmsprop {
        config: RmspropConfig,
        square_average: Tensor,
        gradient_average: Option<Tensor>,
        momentum: Option<Tensor>,
    },
    Sgd {
        config: SgdConfig,
        momentum: Option<Tensor>,
    },
}

impl Rule {
    /// The rule with its moments at their start.
    pub fn new(config: &OptimizerConfig, len: i64, device: Device) -> Result<Self, NnError> {
        let zeros = || Ok::<_, NnError>(Tensor::f_zeros([len], (Kind::Float, device))?);
        let zeros_if = |needed: bool| needed.then(zeros).transpose();
        let adam =
            |config| Ok::<_, NnError>(Self::Adam { config, first_moment: zeros()?, second_moment: zeros()? });
        match config.clone() {
            OptimizerConfig::Adam(config) => adam(config),
            OptimizerConfig::Adamw(config) => adam(config.into()),
            OptimizerConfig::Rmsprop(config) => Ok(Self::Rmsprop {
                square_average: Tensor::f_full([len], config.square_average_start, (Kind::Float, device))?,
                gradient_average: zeros_if(config.centered)?,
                momentum: zeros_if(config.momentum > 0.0)?,
                config,
            }),
            OptimizerConfig::Sgd(config) => {
                Ok(Self::Sgd { momentum: zeros_if(config.momentum > 0.0)?, config })
            }
        }
    }

    /// The optimiser's step number `step` (the first is 1) over a part of the arena that has this pace.
    pub fn step(&self, arena: Arena<'_>, learning_rate: f64, step: u64, pace: Pace) -> Result<(), NnError> {
        let learning_rate = learning_rate * pace.learning_rate_factor;
        let step = step - pace.taken_on_after;
        let decay = |l2, decoupled, l1| match pace.decays {
            true => Decay { l2, decoupled, l1 },
            false => Decay { l2: 0.0, decoupled: 0.0, l1: 0.0 },
        };
        match self {
            Self::Adam { config: c, first_moment, second_moment } => {
                let numbers = AdamNumbers {
                    learning_rate,
                    beta1: c.beta1,
                    beta2: c.beta2,
                    eps: c.eps,
                    decay: decay(c.weight_decay_l2, c.weight_decay_decoupled, c.weight_decay_l1),
                    step: i64::try_from(step).unwrap_or(i64::MAX),
                };
                adam_step(&numbers, arena, first_moment, second_moment)
            }
            Self::Rmsprop { config: c, square_average, gradient_average, momentum } => {
                let numbers = RmspropNumbers {
                    learning_rate,
                    alpha: c.alpha,
                    eps: c.eps,
                    momentum: c.momentum,
                    decay: decay(c.weight_decay_l2, c.weight_decay_decoupled, c.weight_decay_l1),
                    eps_inside_root: c.eps_inside_root,
                };
                rmsprop_step(&numbers, arena, square_average, gradient_average.as_ref(), momentum.as_ref())
            }
            Self::Sgd { config: c, momentum } => {
                let numbers = SgdNumbers {
                    learning_rate,
                    momentum: c.momentum,
                    dampening: c.dampening,
                    decay: decay(c.weight_decay_l2, c.weight_decay_decoupled, c.weight_decay_l1),
                    nesterov: c.nesterov,
                    first_step: step == 1,
                };
                sgd_step(&numbers, arena, momentum.as_ref())
            }
        }
    }

    /// The moments under the names that they are saved by.
    pub fn moments(&self) -> Vec<(&'static str, &Tensor)> {
        let named = match self {
            Self::Adam { first_moment, second_moment, .. } => {
                [Some(("first_moment", first_moment)), Some(("second_moment", second_moment)), None]
            }
            Self::Rmsprop { square_average, gradient_average, momentum, .. } => [
                Some(("square_average", square_average)),
                gradient_average.as_ref().map(|tensor| ("gradient_average", tensor)),
                momentum.as_ref().map(|tensor| ("momentum", tensor)),
            ],
            Self::Sgd { momentum, .. } => [momentum.as_ref().map(|tensor| ("momentum", tensor)), None, None],
        };
        named.into_iter().flatten().collect()
    }
}
