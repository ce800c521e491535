//! A random walk: the world of this folder's tests.

use std::thread;
use std::time::Duration;

use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::{Action, End, Env, EnvError, EnvState, ObsMut, SeededRng, Space, Step};

/// Observes the episode's number, its step and the sum of its actions; lengths and kinds of ends are drawn.
pub struct Walk {
    longest: u32,
    /// The duration of a step.
    delay: Duration,
    /// The step of an episode at which it panics.
    stumbles_at: u32,
    observations: Space,
    actions: Space,
    world: World,
}

#[derive(Clone, Serialize, Deserialize)]
struct World {
    /// The observation: episode, step, sum of actions.
    seen: [u32; 3],
    length: u32,
    end: End,
    rng: SeededRng,
}

impl Walk {
    pub fn boxed(longest: u32) -> Result<Box<dyn Env>, EnvError> {
        Ok(Box::new(Self::new(longest)))
    }

    pub fn new(longest: u32) -> Self {
        let (observations, actions) = (Space::unbounded(&[3]), Space::Discrete(3));
        let world = World { seen: [0; 3], length: 0, end: End::No, rng: SeededRng::seeded(0) };
        Self { longest, delay: Duration::ZERO, stumbles_at: u32::MAX, observations, actions, world }
    }

    pub fn slow(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    pub fn stumbling(self, stumbles_at: u32) -> Self {
        Self { stumbles_at, ..self }
    }

    fn observe(&self, observation: ObsMut<'_>) {
        observation.floats.iter_mut().zip(self.world.seen).for_each(|(out, number)| *out = number as f32);
    }
}

impl Env for Walk {
    fn observation_space(&self) -> &Space {
        &self.observations
    }

    fn action_space(&self) -> &Space {
        &self.actions
    }

    fn reset(&mut self, seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        let world = &mut self.world;
        world.rng.reseed(seed);
        world.seen = [world.seen[0] + 1, 0, 0];
        world.length = world.rng.random_range(1..=self.longest);
        world.end = if world.rng.random() { End::Terminated } else { End::Truncated };
        self.observe(observation);
        Ok(())
    }

    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        let choice = action.discrete(3)? as u32;
        let world = &mut self.world;
        if world.seen[1] == world.length {
            return Err(EnvError::NeedsReset);
        }
        world.seen[1] += 1;
        assert!(world.seen[1] < self.stumbles_at, "it stumbled");
        thread::sleep(self.delay);
        world.seen[2] += choice;
        let end = if world.seen[1] == world.length { world.end } else { End::No };
        let reward = f64::from(world.seen[2]);
        self.observe(observation);
        Ok(Step::new(reward, end))
    }

    fn save_state(&self) -> Option<EnvState> {
        EnvState::pack(&self.world)
    }

    fn load_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.world = state.unpack()?;
        Ok(())
    }
}
