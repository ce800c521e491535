//! CartPole: balance a pole on a cart by pushing the cart left or right.
//!
//! After Barto, Sutton and Anderson (1983), with the constants and the Euler integration of Gymnasium's
//! `CartPole-v1`: the state is kept in f64, observations are f32.

use serde::{Deserialize, Serialize};

use super::bounded;
use super::sketch::{BLACK, WHITE, placed, rectangle};
use crate::render::{Canvas, Color, Picture};
use crate::{Action, End, Env, EnvError, EnvRng, EnvState, ObsMut, Space, Step};

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

/// The cart and its pole. Observation: position, velocity, angle, angular velocity; actions: 0 pushes to the left,
/// 1 to the right. Every step is worth 1, the one with which the pole falls included.
#[derive(Clone, Debug)]
pub struct CartPole {
    world: World,
    /// Sutton and Barto's reward instead: 0 for each step, -1 for the fall.
    sutton_barto_reward: bool,
    observations: Space,
    actions: Space,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct World {
    x: f64,
    x_dot: f64,
    theta: f64,
    theta_dot: f64,
    running: bool,
    rng: EnvRng,
}

impl CartPole {
    /// The environment, with Gymnasium's reward or with Sutton and Barto's (0 for each step, -1 for the fall).
    pub fn new(sutton_barto_reward: bool) -> Self {
        // Twice the limits, so that the observation of the fall lies within.
        let bounds = [2.0 * POSITION_LIMIT as f32, f32::INFINITY, 2.0 * ANGLE_LIMIT as f32, f32::INFINITY];
        Self {
            world: World {
                x: 0.0,
                x_dot: 0.0,
                theta: 0.0,
                theta_dot: 0.0,
                running: false,
                rng: EnvRng::default(),
            },
            sutton_barto_reward,
            observations: bounded(&bounds.map(|bound| -bound), &bounds),
            actions: Space::Discrete(2),
        }
    }

    /// Starts an episode from this state: position, velocity, angle, angular velocity.
    pub fn start_from(&mut self, [x, x_dot, theta, theta_dot]: [f64; 4]) {
        self.world = World { x, x_dot, theta, theta_dot, running: true, rng: self.world.rng.clone() };
    }
}

impl World {
    fn observe(&self, observation: ObsMut<'_>) {
        let state = [self.x, self.x_dot, self.theta, self.theta_dot];
        observation.floats.iter_mut().zip(state).for_each(|(out, number)| *out = number as f32);
    }

    /// Barto, Sutton and Anderson's equations of motion, one Euler step.
    fn advance(&mut self, force: f64) {
        let (sin, cos) = self.theta.sin_cos();
        let push = (force + POLE_MASS_LENGTH * self.theta_dot.powi(2) * sin) / TOTAL_MASS;
        let theta_acc =
            (GRAVITY * sin - cos * push) / (HALF_LENGTH * (4.0 / 3.0 - POLE_MASS * cos.powi(2) / TOTAL_MASS));
        let x_acc = push - POLE_MASS_LENGTH * theta_acc * cos / TOTAL_MASS;
        self.x += TAU * self.x_dot;
        self.x_dot += TAU * x_acc;
        self.theta += TAU * self.theta_dot;
        self.theta_dot += TAU * theta_acc;
    }

    fn picture(&self) -> Picture {
        let scale = 600.0 / (2.0 * POSITION_LIMIT as f32);
        let mut canvas = Canvas::new(600, 400, WHITE, scale, (300.0, 100.0));
        let (cart, angle) = ((self.x as f32, 0.0), -self.theta as f32);
        canvas.line(&[(-POSITION_LIMIT as f32, 0.0), (POSITION_LIMIT as f32, 0.0)], 1.0, BLACK);
        rectangle(&mut canvas, (-0.2, -0.12), (0.2, 0.12), 0.0, cart, BLACK);
        let axle = placed((0.0, 0.06), 0.0, cart);
        rectangle(&mut canvas, (-0.04, -0.04), (0.04, 2.0 * HALF_LENGTH as f32), angle, axle, POLE_COLOR);
        canvas.circle(axle, 0.04, AXLE_COLOR);
        Picture::Frame(canvas.finish())
    }

    fn fallen(&self) -> bool {
        self.x.abs() > POSITION_LIMIT || self.theta.abs() > ANGLE_LIMIT
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
        self.world.rng.reseed(seed);
        let state = std::array::from_fn(|_| self.world.rng.uniform(-START, START));
        self.start_from(state);
        self.world.observe(observation);
        Ok(())
    }

    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        let push = action.discrete(2)?;
        if !self.world.running {
            return Err(EnvError::NeedsReset);
        }
        self.world.advance(if push == 1 { FORCE } else { -FORCE });
        self.world.observe(observation);
        let fallen = self.world.fallen();
        self.world.running = !fallen;
        let reward = match (self.sutton_barto_reward, fallen) {
            (false, _) => 1.0,
            (true, false) => 0.0,
            (true, true) => -1.0,
        };
        Ok(Step::new(reward, End::terminated_if(fallen)))
    }

    fn render(&self) -> Option<Picture> {
        Some(self.world.picture())
    }

    fn save_state(&self) -> Option<EnvState> {
        EnvState::pack(&self.world)
    }

    fn load_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.world = state.unpack()?;
        Ok(())
    }
}
