//! The wrapper that truncates episodes after a number of steps.

use super::Wrapper;
use crate::{Action, Env, EnvError, ObsMut, Step};

/// Truncates an episode after `max_episode_steps` steps. A step that reaches the limit and terminates counts
/// as terminated.
pub struct TimeLimit {
    max_episode_steps: u32,
    steps: u32,
    over: bool,
}

impl TimeLimit {
    /// A limit on episodes.
    ///
    /// # Errors
    /// [`EnvError::Option`] for a limit of 0.
    pub fn new(max_episode_steps: u32) -> Result<Self, EnvError> {
        if max_episode_steps == 0 {
            return Err(EnvError::Option("max_episode_steps is 0: give at least 1".into()));
        }
        Ok(Self { max_episode_steps, steps: 0, over: true })
    }
}

impl Wrapper for TimeLimit {
    type State = (u32, bool);

    fn reset(
        &mut self,
        inner: &mut dyn Env,
        seed: Option<u64>,
        observation: ObsMut<'_>,
    ) -> Result<(), EnvError> {
        inner.reset(seed, observation)?;
        (self.steps, self.over) = (0, false);
        Ok(())
    }

    fn step(
        &mut self,
        inner: &mut dyn Env,
        action: Action<'_>,
        observation: ObsMut<'_>,
    ) -> Result<Step, EnvError> {
        if self.over {
            return Err(EnvError::NeedsReset);
        }
        let mut step = inner.step(action, observation)?;
        self.steps = self.steps.saturating_add(1);
        if self.steps >= self.max_episode_steps {
            step = step.truncated();
        }
        self.over = step.end.is_over();
        Ok(step)
    }

    fn state(&self) -> (u32, bool) {
        (self.steps, self.over)
    }

    fn set_state(&mut self, (steps, over): (u32, bool)) -> Result<(), EnvError> {
        (self.steps, self.over) = (steps, over);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{End, EnvState, ObsBatch, Registry};

    #[test]
    fn a_limit_long_passed_truncates() {
        let mut env = Registry::bundled().make("CartPole-v1").unwrap();
        let mut observation = ObsBatch::new(env.observation_space(), 1);
        env.reset(Some(1), observation.row_mut(0)).unwrap();
        let (inner, _): (EnvState, (u32, bool)) = env.save_state().unwrap().unpack().unwrap();
        env.load_state(&EnvState::pack(&(inner, (u32::MAX, false))).unwrap()).unwrap();
        let step = env.step(Action::Discrete(0), observation.row_mut(0)).unwrap();
        assert_eq!(step.end, End::Truncated);
    }
}
