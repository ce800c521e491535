//! CartPole: balance a pole on a cart by pushing the cart left or right.
//!
//! After Barto, Sutton and Anderson (1983), with the constants and the Euler integration of Gymnasium's
//! `CartPole-v1`: the state is kept in f64, observations are f32.

use super::bounded;
use super::sketch::{BLACK, WHITE, placed, rectangle};
use super::trig::sin_cos;
use crate::dynamics::{Dynamics, Outcome, World};
use crate::render::{Canvas, Color, Picture};
use crate::vector::BatchVectorEnv;
use crate::{Action, Env, EnvError, EnvState, ObsMut, SeededRng, Space, Step, VectorEnv, VectorOptions};

const GRAVITY: f64 = 9.8;
const CART_MASS: f64 = 1.0;
const POLE_MASS: f64 = 0.1;
const TOTAL_MASS: f64 = CART_MASS + POLE_MASS;
/// Half of the pole's length, in metres.
const HALF_LENGTH: f64 = 0.5;
const POLE_MASS_LENGTH: f64 = POLE_MASS * HALF_LENGTH;
/// The push on the cart, in newtons.
const FORCE: f64 = 10.0;
/// Seconds from one step to the next.
const TAU: f64 = 0.02;
/// The pole has fallen beyond this angle from the vertical: 12 degrees, in radians.
const ANGLE_LIMIT: f64 = 12.0 * 2.0 * std::f64::consts::PI / 360.0;
/// The cart has left the track beyond this distance from its middle.
const POSITION_LIMIT: f64 = 2.4;
/// Each number of the first state lies within this.
const START: f64 = 0.05;

const POLE_COLOR: Color = [202, 152, 101];
const AXLE_COLOR: Color = [129, 132, 203];

/// The cart and its pole. Observation: position, velocity, angle, angular velocity; actions: 0 pushes to the
/// left, 1 to the right. Every step is worth 1, the one with which the pole falls included.
#[derive(Clone, Debug)]
pub struct CartPole {
    /// Position, velocity, angle, angular velocity.
    world: World<[f64; 4]>,
    equations: Equations,
    observations: Space,
    actions: Space,
}

/// Barto, Sutton and Anderson's equations of motion.
#[derive(Clone, Debug)]
pub(super) struct Equations {
    /// Sutton and Barto's reward instead: 0 for each step, -1 for the fall.
    pub sutton_barto_reward: bool,
}

impl CartPole {
    /// The environment, with Gymnasium's reward or with Sutton and Barto's (0 for each step, -1 for the
    /// fall).
    pub fn new(sutton_barto_reward: bool) -> Self {
        // Twice the limits, so that the observation of the fall lies within.
        let bounds = [2.0 * POSITION_LIMIT as f32, f32::INFINITY, 2.0 * ANGLE_LIMIT as f32, f32::INFINITY];
        Self {
            world: World::idle([0.0; 4]),
            equations: Equations { sutton_barto_reward },
            observations: bounded(&bounds.map(|bound| -bound), &bounds),
            actions: Space::Discrete(2),
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

    /// Starts an episode from this state: position, velocity, angle, angular velocity.
    pub fn start_from(&mut self, state: [f64; 4]) {
        self.world.start_from(state);
    }
}

impl Dynamics<4, 4> for Equations {
    /// 0 pushes to the left, 1 to the right.
    type Input = i64;

    fn action(action: Action<'_>) -> Result<i64, EnvError> {
        action.discrete(2).map(|push| push as i64)
    }

    #[inline(always)]
    fn accepts(push: i64) -> bool {
        (0..2).contains(&push)
    }

    fn start(&self, rng: &mut SeededRng) -> [f64; 4] {
        std::array::from_fn(|_| rng.uniform(-START, START))
    }

    /// One Euler step.
    #[inline(always)]
    fn advance(&self, [x, x_dot, theta, theta_dot]: [f64; 4], push: i64) -> Outcome<4> {
        let force = if push == 1 { FORCE } else { -FORCE };
        let (sin, cos) = sin_cos(theta);
        let push = (force + POLE_MASS_LENGTH * theta_dot.powi(2) * sin) / TOTAL_MASS;
        let theta_acc =
            (GRAVITY * sin - cos * push) / (HALF_LENGTH * (4.0 / 3.0 - POLE_MASS * cos.powi(2) / TOTAL_MASS));
        let x_acc = push - POLE_MASS_LENGTH * theta_acc * cos / TOTAL_MASS;
        let (x, theta) = (x + TAU * x_dot, theta + TAU * theta_dot);
        let fallen = (x.abs() > POSITION_LIMIT) | (theta.abs() > ANGLE_LIMIT);
        let fall = if fallen { -1.0 } else { 0.0 };
        Outcome {
            state: [x, x_dot + TAU * x_acc, theta, theta_dot + TAU * theta_acc],
            reward: if self.sutton_barto_reward { fall } else { 1.0 },
            terminated: fallen,
        }
    }

    #[inline(always)]
    fn observe(state: [f64; 4]) -> [f32; 4] {
        state.map(|number| number as f32)
    }
}

impl CartPole {
    fn picture(&self) -> Picture {
        let scale = 600.0 / (2.0 * POSITION_LIMIT as f32);
        let mut canvas = Canvas::new(600, 400, WHITE, scale, (300.0, 100.0));
        let [x, _, theta, _] = self.world.state.map(|number| number as f32);
        let (cart, angle) = ((x, 0.0), -theta);
        canvas.line(&[(-POSITION_LIMIT as f32, 0.0), (POSITION_LIMIT as f32, 0.0)], 1.0, BLACK);
        rectangle(&mut canvas, (-0.2, -0.12), (0.2, 0.12), 0.0, cart, BLACK);
        let axle = placed((0.0, 0.06), 0.0, cart);
        rectangle(&mut canvas, (-0.04, -0.04), (0.04, 2.0 * HALF_LENGTH as f32), angle, axle, POLE_COLOR);
        canvas.circle(axle, 0.04, AXLE_COLOR);
        Picture::Frame(canvas.finish())
    }
}

impl Env for CartPole {
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
        Some(self.picture())
    }

    fn save_state(&self) -> Option<EnvState> {
        EnvState::pack(&self.world)
    }

    fn load_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.world = state.unpack()?;
        Ok(())
    }
}
