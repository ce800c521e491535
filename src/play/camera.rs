//! The layer between a world and its wrappers that keeps what the world showed within one step of the agent.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pavlov_envs::render::Picture;
use pavlov_envs::{Action, Env, EnvError, EnvState, ObsMut, Space, Step};

/// The steps of the world since the last look.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The world before each of its steps but the first, and the sum of raw rewards until then.
    pub between: Vec<(Option<Picture>, f64)>,
    /// Steps of the world.
    pub steps: u64,
    reward: f64,
}

/// The place where a camera puts what it sees.
#[derive(Clone, Debug, Default)]
pub(super) struct Roll(Arc<Mutex<Seen>>);

impl Roll {
    /// Takes what was seen since the last call.
    pub fn take(&self) -> Seen {
        std::mem::take(&mut self.lock())
    }

    /// The world with a camera around it.
    pub fn watch(&self, world: Box<dyn Env>) -> Box<dyn Env> {
        Box::new(Camera { world, roll: self.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The world itself, watched.
struct Camera {
    world: Box<dyn Env>,
    roll: Roll,
}

impl Env for Camera {
    fn observation_space(&self) -> &Space {
        self.world.observation_space()
    }

    fn action_space(&self) -> &Space {
        self.world.action_space()
    }

    fn reset(&mut self, seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        self.world.reset(seed, observation)
    }

    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        let mut seen = self.roll.lock();
        // The state after the last step is shown by whoever looks.
        if seen.steps > 0 {
            let shot = (self.world.render(), seen.reward);
            seen.between.push(shot);
        }
        let step = self.world.step(action, observation)?;
        seen.steps += 1;
        seen.reward += step.raw_reward;
        Ok(step)
    }

    fn render(&self) -> Option<Picture> {
        self.world.render()
    }

    fn max_episode_steps(&self) -> Option<u32> {
        self.world.max_episode_steps()
    }

    fn lives(&self) -> Option<u32> {
        self.world.lives()
    }

    fn visit_info(&self, visit: &mut dyn FnMut(&str, f64)) {
        self.world.visit_info(visit);
    }

    fn save_state(&self) -> Option<EnvState> {
        self.world.save_state()
    }

    fn load_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.world.load_state(state)
    }
}
