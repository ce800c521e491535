//! Wrappers that change rewards. The world's own reward stays in `raw_reward`.

use super::Wrapper;
use crate::{Action, Env, EnvError, ObsMut, Step};

/// A function of the reward.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum MapReward {
    /// Within these bounds.
    Clip { low: f64, high: f64 },
    /// Its sign: -1, 0 or 1.
    Sign,
    /// Times the factor, and then plus the shift.
    Scale { factor: f64, shift: f64 },
}

impl MapReward {
    pub fn clip(low: f64, high: f64) -> Result<Self, EnvError> {
        if low.is_nan() || high.is_nan() || low > high {
            let message = format!("rewards cannot be clipped to {low}..{high}: give the lower bound first");
            return Err(EnvError::Option(message));
        }
        Ok(Self::Clip { low, high })
    }

    pub fn scale(factor: f64, shift: f64) -> Result<Self, EnvError> {
        if factor.is_finite() && shift.is_finite() {
            return Ok(Self::Scale { factor, shift });
        }
        let message =
            format!("rewards cannot be scaled by {factor} and shifted by {shift}: give finite numbers");
        Err(EnvError::Option(message))
    }

    fn of(self, reward: f64) -> f64 {
        match self {
            Self::Clip { low, high } => reward.clamp(low, high),
            Self::Sign if reward == 0.0 => 0.0,
            Self::Sign => reward.signum(),
            Self::Scale { factor, shift } => reward * factor + shift,
        }
    }
}

impl Wrapper for MapReward {
    type State = ();

    fn step(
        &mut self,
        inner: &mut dyn Env,
        action: Action<'_>,
        observation: ObsMut<'_>,
    ) -> Result<Step, EnvError> {
        let step = inner.step(action, observation)?;
        Ok(Step { reward: self.of(step.reward), ..step })
    }

    fn state(&self) {}

    fn set_state(&mut self, (): ()) -> Result<(), EnvError> {
        Ok(())
    }
}
