//! MountainCar: a car too weak for the hill has to swing itself up.
//!
//! After Moore (1990), with the constants of Gymnasium's `MountainCar-v0`: the state is kept in f64, observations are
//! f32.

use serde::{Deserialize, Serialize};

use super::hill::{self, GRAVITY, LEFTMOST, MAX_SPEED, RIGHTMOST};
use crate::render::Picture;
use crate::{Action, End, Env, EnvError, EnvRng, EnvState, ObsMut, Space, Step};

/// What the engine adds to the velocity in a step.
const FORCE: f64 = 0.001;
/// Where the flag stands.
const GOAL: f64 = 0.5;

/// The car in its valley. Observation: position, velocity; actions: 0 accelerates to the left, 1 lets the car roll, 2
/// accelerates to the right. Every step costs 1; the episode ends where the flag stands.
#[derive(Clone, Debug)]
pub struct MountainCar {
    world: World,
    /// The goal counts only at this velocity or a greater one.
    goal_velocity: f64,
    observations: Space,
    actions: Space,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct World {
    position: f64,
    velocity: f64,
    running: bool,
    rng: EnvRng,
}

impl MountainCar {
    /// The environment. The flag must be reached with `goal_velocity` at least, 0 in Gymnasium.
    pub fn new(goal_velocity: f64) -> Self {
        Self {
            world: World { position: -0.5, velocity: 0.0, running: false, rng: EnvRng::default() },
            goal_velocity,
            observations: hill::observations(),
            actions: Space::Discrete(3),
        }
    }

    /// Starts an episode from this position and velocity.
    pub fn start_from(&mut self, [position, velocity]: [f64; 2]) {
        self.world = World { position, velocity, running: true, rng: self.world.rng.clone() };
    }
}

impl World {
    fn observe(&self, observation: ObsMut<'_>) {
        let state = [self.position, self.velocity];
        observation.floats.iter_mut().zip(state).for_each(|(out, number)| *out = number as f32);
    }

    fn advance(&mut self, push: f64) {
        self.velocity += push * FORCE - (3.0 * self.position).cos() * GRAVITY;
        self.velocity = self.velocity.clamp(-MAX_SPEED, MAX_SPEED);
        self.position = (self.position + self.velocity).clamp(LEFTMOST, RIGHTMOST);
        if self.position == LEFTMOST && self.velocity < 0.0 {
            self.velocity = 0.0;
        }
    }
}

impl Env for MountainCar {
    fn observation_space(&self) -> &Space {
        &self.observations
    }

    fn action_space(&self) -> &Space {
        &self.actions
    }

    fn reset(&mut self, seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        self.world.rng.reseed(seed);
        let position = self.world.rng.uniform(hill::START.0, hill::START.1);
        self.start_from([position, 0.0]);
        self.world.observe(observation);
        Ok(())
    }

    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        let choice = action.discrete(3)?;
        if !self.world.running {
            return Err(EnvError::NeedsReset);
        }
        self.world.advance(choice as f64 - 1.0);
        self.world.observe(observation);
        let arrived = self.world.position >= GOAL && self.world.velocity >= self.goal_velocity;
        self.world.running = !arrived;
        Ok(Step::new(-1.0, End::terminated_if(arrived)))
    }

    fn render(&self) -> Option<Picture> {
        Some(hill::picture(self.world.position, GOAL))
    }

    fn save_state(&self) -> Option<EnvState> {
        EnvState::pack(&self.world)
    }

    fn load_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.world = state.unpack()?;
        Ok(())
    }
}
