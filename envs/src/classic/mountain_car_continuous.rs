//! MountainCarContinuous: the car too weak for the hill, with a throttle instead of three gears.
//!
//! The constants and the reward of Gymnasium's `MountainCarContinuous-v0`. It draws an episode's first state
//! in f64 and keeps f32 from the first step on. This world does the same, because the rounding becomes
//! visible within an episode.

use super::bounded;
use super::hill::{self, GRAVITY, LEFTMOST, MAX_SPEED, RIGHTMOST};
use super::trig::sin_cos;
use crate::dynamics::{Dynamics, Outcome, World};
use crate::render::Picture;
use crate::vector::BatchVectorEnv;
use crate::{Action, Env, EnvError, EnvState, ObsMut, SeededRng, Space, Step, VectorEnv, VectorOptions};

/// The change of the velocity by a full throttle in a step.
const POWER: f64 = 0.0015;
/// The place of the flag.
const GOAL: f64 = 0.45;
/// The reward for reaching it.
const PRIZE: f64 = 100.0;
/// The cost of a full throttle in a step.
const FUEL: f64 = 0.1;

/// The car in its valley. Observation: position, velocity; the action is the throttle, clipped to -1 (left)
/// to 1 (right). Each step costs 0.1 times the square of the throttle as it was given; reaching the flag
/// earns 100.
#[derive(Clone, Debug)]
pub struct MountainCarContinuous {
    /// Position, velocity, and 1 for the first state of an episode, the only one that is more exact than f32.
    world: World<[f64; 3]>,
    equations: Equations,
    observations: Space,
    actions: Space,
}

/// The equations of motion, rounded as the original rounds.
#[derive(Clone, Debug)]
pub(super) struct Equations {
    /// The goal counts only at this velocity or a greater one.
    pub goal_velocity: f64,
}

impl MountainCarContinuous {
    /// The environment. The flag must be reached with `goal_velocity` at least, 0 in Gymnasium.
    pub fn new(goal_velocity: f64) -> Self {
        Self {
            world: World::idle([-0.5, 0.0, 1.0]),
            equations: Equations { goal_velocity },
            observations: hill::observations(),
            actions: bounded(&[-1.0], &[1.0]),
        }
    }

    /// Many copies of it at once.
    pub(super) fn vector(
        self,
        limit: Option<u32>,
        options: &VectorOptions,
    ) -> Result<Box<dyn VectorEnv>, EnvError> {
        let spaces = (self.observations, self.actions);
        Ok(Box::new(BatchVectorEnv::new(self.equations, spaces, limit, options)?))
    }

    /// Starts an episode from this position and velocity.
    pub fn start_from(&mut self, [position, velocity]: [f64; 2]) {
        self.world.start_from([position, velocity, 1.0]);
    }
}

impl Dynamics<3, 2> for Equations {
    /// The throttle.
    type Input = f32;

    fn action(action: Action<'_>) -> Result<f32, EnvError> {
        action.point(1).map(|point| point[0])
    }

    #[inline(always)]
    fn accepts(throttle: f32) -> bool {
        throttle.is_finite()
    }

    fn start(&self, rng: &mut SeededRng) -> [f64; 3] {
        [rng.uniform(hill::START.0, hill::START.1), 0.0, 1.0]
    }

    #[inline(always)]
    fn advance(&self, [position, velocity, first]: [f64; 3], throttle: f32) -> Outcome<3> {
        let phase = if first == 1.0 { 3.0 * position } else { f64::from(3.0 * position as f32) };
        let (_, cos) = sin_cos(phase);
        let pull = GRAVITY * cos;
        let within = throttle * POWER as f32 - pull as f32;
        // The original's clipped throttle is f64, not f32.
        let clipped = (f64::from(1_f32.copysign(throttle)) * POWER - pull) as f32;
        let acceleration = if throttle.abs() <= 1.0 { within } else { clipped };
        let speed = (velocity as f32 + acceleration).clamp(-MAX_SPEED as f32, MAX_SPEED as f32);
        let position = (position + f64::from(speed)) as f32;
        let position = position.clamp(LEFTMOST as f32, RIGHTMOST as f32);
        let stopped = (position == LEFTMOST as f32) & (speed < 0.0);
        let speed = if stopped { 0.0 } else { speed };
        // The comparison is in f32, in which 0.45 is a little less.
        let arrived = (position >= GOAL as f32) & (speed >= self.goal_velocity as f32);
        let prize = if arrived { PRIZE } else { 0.0 };
        Outcome {
            state: [position.into(), speed.into(), 0.0],
            reward: prize - FUEL * f64::from(throttle).powi(2),
            terminated: arrived,
        }
    }

    #[inline(always)]
    fn observe([position, velocity, _]: [f64; 3]) -> [f32; 2] {
        [position as f32, velocity as f32]
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
        self.world.reset(&self.equations, seed, observation);
        Ok(())
    }

    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        self.world.step(&self.equations, action, observation)
    }

    fn render(&self) -> Option<Picture> {
        Some(hill::picture(self.world.state[0], GOAL))
    }

    fn save_state(&self) -> Option<EnvState> {
        EnvState::pack(&self.world)
    }

    fn load_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.world = state.unpack()?;
        Ok(())
    }
}
