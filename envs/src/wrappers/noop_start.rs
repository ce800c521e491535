//! The wrapper that begins episodes at different moments.

use rand::RngExt;

use super::{Wrapper, check_steps};
use crate::{Action, Env, EnvError, ObsMut, SeededRng, Space, Step, derive_seed};

/// Begins each episode with 1 to `max_noops` steps of an action that does nothing (Mnih et al. 2015).
pub(super) struct NoopStart {
    max_noops: u32,
    action: i64,
    rng: SeededRng,
    /// The rewards of the world during these steps; the agent's first step reports them.
    raw_reward: f64,
}

impl NoopStart {
    pub fn new(inner: &dyn Env, max_noops: u32, action: i64) -> Result<Self, EnvError> {
        check_steps("max_noops", max_noops)?;
        match inner.action_space() {
            Space::Discrete(n) if (0..*n).contains(&action) => {
                Ok(Self { max_noops, action, rng: SeededRng::default(), raw_reward: 0.0 })
            }
            space => {
                Err(EnvError::Option(format!("the action {action} that is to do nothing is none of {space}")))
            }
        }
    }
}

impl Wrapper for NoopStart {
    type State = (SeededRng, f64);

    fn reset(
        &mut self,
        inner: &mut dyn Env,
        seed: Option<u64>,
        mut observation: ObsMut<'_>,
    ) -> Result<(), EnvError> {
        self.rng.reseed(seed.map(|seed| derive_seed(seed, "noop start", 0)));
        inner.reset(seed, observation.reborrow())?;
        self.raw_reward = 0.0;
        for _ in 0..self.rng.random_range(1..=self.max_noops) {
            let step = inner.step(Action::Discrete(self.action), observation.reborrow())?;
            self.raw_reward += step.raw_reward;
            if step.end.is_over() {
                inner.reset(None, observation.reborrow())?;
                self.raw_reward = 0.0;
            }
        }
        Ok(())
    }

    fn step(
        &mut self,
        inner: &mut dyn Env,
        action: Action<'_>,
        observation: ObsMut<'_>,
    ) -> Result<Step, EnvError> {
        let step = inner.step(action, observation)?;
        Ok(Step { raw_reward: step.raw_reward + std::mem::take(&mut self.raw_reward), ..step })
    }

    fn state(&self) -> (SeededRng, f64) {
        (self.rng.clone(), self.raw_reward)
    }

    fn set_state(&mut self, (rng, raw_reward): (SeededRng, f64)) -> Result<(), EnvError> {
        (self.rng, self.raw_reward) = (rng, raw_reward);
        Ok(())
    }
}
