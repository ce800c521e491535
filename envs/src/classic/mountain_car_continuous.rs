//! MountainCarContinuous: the car too weak for the hill, with a throttle instead of three gears.
//!
//! The constants and the reward of Gymnasium's `MountainCarContinuous-v0`. It draws an episode's first state in f64 and
//! keeps f32 from the first step on; so does this, because the rounding grows visible within an episode.

use serde::{Deserialize, Serialize};

use super::bounded;
use super::hill::{self, GRAVITY, LEFTMOST, MAX_SPEED, RIGHTMOST};
use crate::render::Picture;
use crate::{Action, End, Env, EnvError, EnvRng, EnvState, ObsMut, Space, Step};

/// What a full throttle adds to the velocity in a step.
const POWER: f64 = 0.0015;
/// Where the flag stands.
const GOAL: f64 = 0.45;
/// The reward for reaching it.
const PRIZE: f64 = 100.0;
/// What a full throttle costs for each step.
const FUEL: f64 = 0.1;

/// The car in its valley. Observation: position, velocity; the action is the throttle, clipped to -1 (left) to 1
/// (right). Each step costs 0.1 times the square of the throttle as it was given; reaching the flag earns 100.
#[derive(Clone, Debug)]
pub struct MountainCarContinuous {
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
    /// Whether this is the first state of an episode, the only one that is more exact than f32.
    first: bool,
    running: bool,
    rng: EnvRng,
}

impl MountainCarContinuous {
    /// The environment. The flag must be reached with `goal_velocity` at least, 0 in Gymnasium.
    pub fn new(goal_velocity: f64) -> Self {
        Self {
            world: World::new([-0.5, 0.0], false, EnvRng::default()),
            goal_velocity,
            observations: hill::observations(),
            actions: bounded(&[-1.0], &[1.0]),
        }
    }

    /// Starts an episode from this position and velocity.
    pub fn start_from(&mut self, state: [f64; 2]) {
        self.world = World::new(state, true, self.world.rng.clone());
    }
}

impl World {
    fn new([position, velocity]: [f64; 2], running: bool, rng: EnvRng) -> Self {
        Self { position, velocity, first: true, running, rng }
    }

    fn observe(&self, observation: ObsMut<'_>) {
        let state = [self.position, self.velocity];
        observation.floats.iter_mut().zip(state).for_each(|(out, number)| *out = number as f32);
    }

    fn advance(&mut self, throttle: f32) {
        let phase = if self.first { 3.0 * self.position } else { f64::from(3.0 * self.position as f32) };
        let pull = GRAVITY * phase.cos();
        let acceleration = if throttle.abs() <= 1.0 {
            throttle * POWER as f32 - pull as f32
        } else {
            // What the original clips is no f32 any more.
            (f64::from(throttle.signum()) * POWER - pull) as f32
        };
        let speed = (self.velocity as f32 + acceleration).clamp(-MAX_SPEED as f32, MAX_SPEED as f32);
        let position = (self.position + f64::from(speed)) as f32;
        let position = position.clamp(LEFTMOST as f32, RIGHTMOST as f32);
        let stopped = position == LEFTMOST as f32 && speed < 0.0;
        self.position = position.into();
        self.velocity = if stopped { 0.0 } else { speed.into() };
        self.first = false;
    }

    fn arrived(&self, goal_velocity: f64) -> bool {
        // In f32, in which 0.45 is a little less.
        self.position as f32 >= GOAL as f32 && self.velocity as f32 >= goal_velocity as f32
    }
}

impl Env for MountainCarContinuous {
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
        let throttle = action.point(1)?[0];
        if !self.world.running {
            return Err(EnvError::NeedsReset);
        }
        self.world.advance(throttle);
        self.world.observe(observation);
        let arrived = self.world.arrived(self.goal_velocity);
        self.world.running = !arrived;
        let prize = if arrived { PRIZE } else { 0.0 };
        Ok(Step::new(prize - FUEL * f64::from(throttle).powi(2), End::terminated_if(arrived)))
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
