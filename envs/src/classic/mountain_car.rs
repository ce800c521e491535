//! MountainCar: a car too weak for the hill has to swing itself up.
//!
//! After Moore (1990), with the constants of Gymnasium's `MountainCar-v0`: the state is kept in f64,
//! observations are f32.

use super::hill::{self, GRAVITY, LEFTMOST, MAX_SPEED, RIGHTMOST};
use super::trig::sin_cos;
use crate::dynamics::{Dynamics, Outcome, World};
use crate::render::Picture;
use crate::vector::BatchVectorEnv;
use crate::{Action, Env, EnvError, EnvState, ObsMut, SeededRng, Space, Step, VectorEnv, VectorOptions};

/// The engine's change of the velocity in a step.
const FORCE: f64 = 0.001;
/// The place of the flag.
const GOAL: f64 = 0.5;

/// The car in its valley. Observation: position, velocity; actions: 0 accelerates to the left, 1 lets the car
/// roll, 2 accelerates to the right. Every step costs 1; the episode ends at the flag.
#[derive(Clone, Debug)]
pub struct MountainCar {
    /// Position and velocity.
    world: World<[f64; 2]>,
    equations: Equations,
    observations: Space,
    actions: Space,
}

/// Moore's equations of motion.
#[derive(Clone, Debug)]
pub(super) struct Equations {
    /// The goal counts only at this velocity or a greater one.
    pub goal_velocity: f64,
}

impl MountainCar {
    /// The environment. The flag must be reached with `goal_velocity` at least, 0 in Gymnasium.
    pub fn new(goal_velocity: f64) -> Self {
        Self {
            world: World::idle([-0.5, 0.0]),
            equations: Equations { goal_velocity },
            observations: hill::observations(),
            actions: Space::Discrete(3),
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
    pub fn start_from(&mut self, state: [f64; 2]) {
        self.world.start_from(state);
    }
}

impl Dynamics<2, 2> for Equations {
    /// 0 accelerates to the left, 1 lets the car roll, 2 accelerates to the right.
    type Input = i64;

    fn action(action: Action<'_>) -> Result<i64, EnvError> {
        action.discrete(3).map(|choice| choice as i64)
    }

    #[inline(always)]
    fn accepts(choice: i64) -> bool {
        (0..3).contains(&choice)
    }

    fn start(&self, rng: &mut SeededRng) -> [f64; 2] {
        [rng.uniform(hill::START.0, hill::START.1), 0.0]
    }

    #[inline(always)]
    fn advance(&self, [position, velocity]: [f64; 2], choice: i64) -> Outcome<2> {
        let push = f64::from(choice as i32) - 1.0;
        let (_, cos) = sin_cos(3.0 * position);
        let velocity = (velocity + (push * FORCE - cos * GRAVITY)).clamp(-MAX_SPEED, MAX_SPEED);
        let position = (position + velocity).clamp(LEFTMOST, RIGHTMOST);
        let stopped = (position == LEFTMOST) & (velocity < 0.0);
        let velocity = if stopped { 0.0 } else { velocity };
        let arrived = (position >= GOAL) & (velocity >= self.goal_velocity);
        Outcome { state: [position, velocity], reward: -1.0, terminated: arrived }
    }

    #[inline(always)]
    fn observe(state: [f64; 2]) -> [f32; 2] {
        state.map(|number| number as f32)
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
