//! From the draws of a distribution to the actions of an environment.

use pavlov_envs::{ACTION_MASK, ActionBatch, Space};
use pavlov_nn::Distribution;

use crate::core::AgentError;
use crate::networks::Encoder;

/// The distribution that an action space asks for, and the way from its draws to actions.
#[derive(Clone, Debug)]
pub struct ActionHead {
    distribution: Distribution,
    /// The bounds of a box, to which actions are clipped for the environment alone.
    bounds: Option<(Vec<f32>, Vec<f32>)>,
}

impl ActionHead {
    /// The head for these actions, masked as the observations say.
    ///
    /// # Errors
    /// [`AgentError::Unsupported`] for a space that no action can have, or a mask of another width.
    pub fn new(actions: &Space, encoder: &Encoder) -> Result<Self, AgentError> {
        ActionBatch::new(actions, 1)?;
        let mut bounds = None;
        let distribution = match actions {
            Space::Discrete(n) => Distribution::Categorical(*n as usize),
            Space::MultiDiscrete(counts) => {
                Distribution::MultiCategorical(counts.iter().map(|&count| count as usize).collect())
            }
            Space::MultiBinary(n) => Distribution::Bernoulli(*n),
            Space::Box(space) => {
                bounds = Some((space.low.clone(), space.high.clone()));
                Distribution::Gaussian(space.len())
            }
            Space::Dict(_) => return Err(AgentError::Unsupported("actions cannot be a dict".into())),
        };
        let (width, choices) = (encoder.mask_width(), distribution.parameters());
        let masked = matches!(distribution, Distribution::Categorical(_) | Distribution::MultiCategorical(_));
        if width > 0 && !(masked && width == choices) {
            return Err(AgentError::Unsupported(format!(
                "the environment's `{ACTION_MASK}` has {width} bits, its actions are {actions}: give one bit for each \
                 choice of discrete actions"
            )));
        }
        Ok(Self { distribution, bounds })
    }

    /// The distribution of the actions.
    pub fn distribution(&self) -> &Distribution {
        &self.distribution
    }

    /// Makes the draw the action of environment `row`. A point outside of its box is clipped; the draw, from
    /// which the policy learns, stays as it is.
    pub fn write(&self, draw: &[f32], row: usize, actions: &mut ActionBatch) {
        match actions {
            ActionBatch::Discrete(choices) => choices[row] = draw[0] as i64,
            ActionBatch::MultiDiscrete { choices, width } => {
                let row = &mut choices[row * *width..(row + 1) * *width];
                row.iter_mut().zip(draw).for_each(|(choice, &draw)| *choice = draw as i64);
            }
            ActionBatch::Box { points, width } => {
                let row = &mut points[row * *width..(row + 1) * *width];
                row.copy_from_slice(draw);
                let Some((low, high)) = &self.bounds else { return };
                for (point, (low, high)) in row.iter_mut().zip(low.iter().zip(high)) {
                    *point = point.max(*low).min(*high);
                }
            }
        }
    }
}
