//! The wrapper that ends the agent's episode with each lost life.

use super::Wrapper;
use crate::{Action, End, Env, EnvError, ObsBatch, ObsMut, Step};

/// Ends the agent's episode with each lost life, so that the agent learns to avoid that; the world goes on
/// until its own end (Mnih et al. 2015). The next episode starts with the last observation, so that no step
/// of the world passes unseen.
pub(super) struct EpisodicLife {
    lives: u32,
    /// True while the world's own episode is under way.
    alive: bool,
    /// True if the agent's episode has ended with a life.
    lost: bool,
    last: ObsBatch,
}

impl EpisodicLife {
    pub fn new(inner: &dyn Env) -> Self {
        let last = ObsBatch::new(inner.observation_space(), 1);
        Self { lives: 0, alive: false, lost: false, last }
    }
}

/// The lives of a world in an episode, which it must count.
pub(super) fn check_lives(world: &dyn Env) -> Result<u32, EnvError> {
    world.lives().ok_or_else(|| {
        EnvError::Contract("episodic_life needs a world that counts lives: this one does not".into())
    })
}

impl Wrapper for EpisodicLife {
    type State = (u32, bool, bool, Vec<f32>, Vec<u8>);

    fn reset(
        &mut self,
        inner: &mut dyn Env,
        seed: Option<u64>,
        mut observation: ObsMut<'_>,
    ) -> Result<(), EnvError> {
        if seed.is_none() && self.alive && self.lost {
            observation.copy_from(self.last.row(0));
        } else {
            inner.reset(seed, observation)?;
            self.lives = check_lives(inner)?;
        }
        (self.alive, self.lost) = (true, false);
        Ok(())
    }

    fn step(
        &mut self,
        inner: &mut dyn Env,
        action: Action<'_>,
        observation: ObsMut<'_>,
    ) -> Result<Step, EnvError> {
        if self.lost || !self.alive {
            return Err(EnvError::NeedsReset);
        }
        let mut observation = observation;
        let mut step = inner.step(action, observation.reborrow())?;
        let lives = inner.lives().unwrap_or_default();
        self.alive = !step.end.is_over();
        // Some games report no lives for a while before they are over; the world itself reports that end.
        if self.alive && (1..self.lives).contains(&lives) {
            self.lost = true;
            step.end = End::Terminated;
            self.last.copy_row(0, observation.as_ref());
        }
        self.lives = lives;
        Ok(step)
    }

    fn state(&self) -> Self::State {
        (self.lives, self.alive, self.lost, self.last.floats().to_vec(), self.last.bytes().to_vec())
    }

    fn set_state(&mut self, (lives, alive, lost, floats, bytes): Self::State) -> Result<(), EnvError> {
        if floats.len() != self.last.floats().len() || bytes.len() != self.last.bytes().len() {
            return Err(EnvError::State("the saved observation is that of another environment".into()));
        }
        (self.lives, self.alive, self.lost) = (lives, alive, lost);
        self.last.row_mut(0).copy_from(crate::ObsRef { floats: &floats, bytes: &bytes });
        Ok(())
    }
}
