//! Noise on a deterministic policy's actions, without which it would try nothing.

use pavlov_common::SeededRng;
use pavlov_envs::StepBatch;
use pavlov_nn::{StateDict, StateView};
use rand::RngExt;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use crate::core::AgentError;

/// The noise on actions between -1 and 1. Whatever leaves that range is clipped to it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum NoiseConfig {
    /// Independent Gaussian noise.
    Normal {
        /// Its standard deviation.
        deviation: f64,
    },
    /// Noise that is drawn back to zero and lasts over steps (Uhlenbeck and Ornstein 1930; Lillicrap et al.
    /// 2016): `x <- x - theta x dt + deviation sqrt(dt) N(0, 1)`. Begins anew at 0 with each episode.
    OrnsteinUhlenbeck {
        /// The strength of the noise: over long times its standard deviation is `deviation / sqrt(2 theta)`.
        deviation: f64,
        /// The speed at which it returns to zero.
        #[serde(default = "usual_theta")]
        theta: f64,
        /// The time that one step takes.
        #[serde(default = "usual_dt")]
        dt: f64,
    },
}

fn usual_theta() -> f64 {
    0.15
}

fn usual_dt() -> f64 {
    0.01
}

impl NoiseConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`AgentError::Config`] naming the field that makes no sense.
    pub fn validate(&self) -> Result<(), AgentError> {
        use crate::core::checks::not_negative;
        match *self {
            Self::Normal { deviation } => not_negative("exploration.deviation", deviation),
            Self::OrnsteinUhlenbeck { deviation, theta, dt } => {
                not_negative("exploration.deviation", deviation)?;
                not_negative("exploration.theta", theta)?;
                not_negative("exploration.dt", dt)
            }
        }
    }
}

/// The noise of each environment.
#[derive(Clone, Debug)]
pub struct ActionNoise {
    config: NoiseConfig,
    width: usize,
    /// Where the lasting noise stands, `[environments, width]`.
    lasting: Vec<f32>,
}

impl ActionNoise {
    /// Noise for actions of `width` numbers.
    pub fn new(config: NoiseConfig, width: usize) -> Self {
        Self { config, width, lasting: Vec::new() }
    }

    /// The same noise, which has not begun yet.
    pub fn fresh(&self) -> Self {
        Self::new(self.config, self.width)
    }

    /// Adds the noise of environment `row` to its action, which stays between -1 and 1.
    pub fn disturb(&mut self, row: usize, action: &mut [f32], rng: &mut SeededRng) {
        let end = (row + 1) * self.width;
        if self.lasting.len() < end {
            self.lasting.resize(end, 0.0);
        }
        let lasting = &mut self.lasting[end - self.width..end];
        for (number, lasting) in action.iter_mut().zip(lasting) {
            let normal: f32 = rng.sample(StandardNormal);
            let noise = match self.config {
                NoiseConfig::Normal { deviation } => deviation as f32 * normal,
                NoiseConfig::OrnsteinUhlenbeck { deviation, theta, dt } => {
                    *lasting += (deviation * dt.sqrt()) as f32 * normal - (theta * dt) as f32 * *lasting;
                    *lasting
                }
            };
            *number = (*number + noise).clamp(-1.0, 1.0);
        }
    }

    /// Begins anew where an episode ended with this step.
    pub fn observe(&mut self, step: &StepBatch) {
        for (row, lasting) in self.lasting.chunks_exact_mut(self.width.max(1)).enumerate() {
            if step.ends[row].is_over() {
                lasting.fill(0.0);
            }
        }
    }

    /// Everything to continue from.
    ///
    /// # Errors
    /// [`AgentError`] when a value cannot be expressed.
    pub fn state(&self) -> Result<StateDict<'_>, AgentError> {
        let mut state = StateDict::new();
        state.put_slice("lasting", &[self.lasting.len()], &self.lasting);
        Ok(state)
    }

    /// Continues from a saved state.
    ///
    /// # Errors
    /// [`AgentError`] when it does not fit.
    pub fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        self.lasting = state.vec("lasting")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(config: NoiseConfig) -> (f64, f64) {
        let (mut noise, mut rng) = (ActionNoise::new(config, 1), SeededRng::seeded(3));
        let (mut squares, mut products, mut last) = (0.0, 0.0, 0.0);
        let count = 200_000;
        for _ in 0..count {
            let mut action = [0.0];
            noise.disturb(0, &mut action, &mut rng);
            let now = f64::from(action[0]);
            squares += now * now;
            products += now * last;
            last = now;
        }
        ((squares / f64::from(count)).sqrt(), products / squares)
    }

    #[test]
    fn deviation_and_memory_are_those_asked_for() {
        let (deviation, memory) = spread(NoiseConfig::Normal { deviation: 0.1 });
        assert!((deviation - 0.1).abs() < 0.002 && memory.abs() < 0.01, "{deviation} {memory}");
        let lasting = NoiseConfig::OrnsteinUhlenbeck { deviation: 0.1, theta: 0.5, dt: 0.2 };
        let (deviation, memory) = spread(lasting);
        assert!((deviation - 0.1026).abs() < 0.004 && (memory - 0.9).abs() < 0.01, "{deviation} {memory}");
    }

    #[test]
    fn actions_stay_in_their_range() {
        let mut noise = ActionNoise::new(NoiseConfig::Normal { deviation: 5.0 }, 3);
        let mut action = [0.9, -0.9, 0.0];
        noise.disturb(1, &mut action, &mut SeededRng::seeded(1));
        assert!(action.iter().all(|number| number.abs() <= 1.0));
    }
}
