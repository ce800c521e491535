//! Cuts episodes off after a number of steps.

use crate::render::Picture;
use crate::{Action, Env, EnvError, EnvState, ObsMut, Space, Step};

/// Truncates an episode after `max_episode_steps` steps. A step that reaches the limit and terminates counts as
/// terminated.
pub struct TimeLimit {
    inner: Box<dyn Env>,
    max_episode_steps: u32,
    steps: u32,
    over: bool,
}

impl TimeLimit {
    /// `inner` with a limit on its episodes.
    ///
    /// # Errors
    /// [`EnvError::Option`] for a limit of 0.
    pub fn new(inner: Box<dyn Env>, max_episode_steps: u32) -> Result<Self, EnvError> {
        if max_episode_steps == 0 {
            return Err(EnvError::Option("max_episode_steps is 0: give at least 1".into()));
        }
        Ok(Self { inner, max_episode_steps, steps: 0, over: true })
    }
}

impl Env for TimeLimit {
    fn observation_space(&self) -> &Space {
        self.inner.observation_space()
    }

    fn action_space(&self) -> &Space {
        self.inner.action_space()
    }

    fn reset(&mut self, seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        self.inner.reset(seed, observation)?;
        (self.steps, self.over) = (0, false);
        Ok(())
    }

    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        if self.over {
            return Err(EnvError::NeedsReset);
        }
        let mut step = self.inner.step(action, observation)?;
        self.steps = self.steps.saturating_add(1);
        if self.steps >= self.max_episode_steps {
            step = step.truncated();
        }
        self.over = step.end.is_over();
        Ok(step)
    }

    fn render(&self) -> Option<Picture> {
        self.inner.render()
    }

    fn save_state(&self) -> Option<EnvState> {
        EnvState::pack(&(self.inner.save_state()?, self.steps, self.over))
    }

    fn load_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let (inner, steps, over): (EnvState, u32, bool) = state.unpack()?;
        self.inner.load_state(&inner)?;
        (self.steps, self.over) = (steps, over);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{End, ObsBatch, Registry};

    #[test]
    fn a_limit_long_passed_truncates() {
        let mut env = Registry::bundled().make("CartPole-v1").unwrap();
        let mut observation = ObsBatch::new(env.observation_space(), 1);
        env.reset(Some(1), observation.row_mut(0)).unwrap();
        let (inner, ..): (EnvState, u32, bool) = env.save_state().unwrap().unpack().unwrap();
        env.load_state(&EnvState::pack(&(inner, u32::MAX, false)).unwrap()).unwrap();
        let step = env.step(Action::Discrete(0), observation.row_mut(0)).unwrap();
        assert_eq!(step.end, End::Truncated);
    }
}
