//! Pendulum: swing a pendulum up and hold it there, with a torque at its axis.
//!
//! The constants, the reward and the semi-implicit Euler integration of Gymnasium's `Pendulum-v1`: the state is kept
//! in f64, torques are f32, observations too.

use std::f64::consts::{FRAC_PI_2, PI, TAU};

use serde::{Deserialize, Serialize};

use super::bounded;
use super::sketch::{BLACK, Point, WHITE, placed, rectangle};
use crate::render::{Canvas, Color, Picture};
use crate::{Action, End, Env, EnvError, EnvRng, EnvState, ObsMut, Space, Step};

/// In radians per second.
const MAX_SPEED: f64 = 8.0;
/// In newton metres.
const MAX_TORQUE: f32 = 2.0;
/// Seconds from one step to the next.
const DT: f64 = 0.05;
/// In kilograms.
const MASS: f64 = 1.0;
/// In metres.
const LENGTH: f64 = 1.0;
/// The first angular velocity lies within this; the first angle is any.
const START_SPEED: f64 = 1.0;
const ROD_COLOR: Color = [204, 77, 77];

/// The pendulum. Observation: cosine and sine of its angle (0 is upright, counter-clockwise is positive), angular
/// velocity; the action is the torque, clipped to -2 to 2. A step costs the square of the angle from upright, with
/// smaller shares of speed and torque. No end of its own.
#[derive(Clone, Debug)]
pub struct Pendulum {
    world: World,
    gravity: f64,
    observations: Space,
    actions: Space,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct World {
    theta: f64,
    theta_dot: f64,
    /// The last torque, for the picture.
    torque: f32,
    running: bool,
    rng: EnvRng,
}

impl Pendulum {
    /// The environment, with this acceleration of gravity in metres per square second: 10 in Gymnasium.
    pub fn new(gravity: f64) -> Self {
        let limits = [1.0, 1.0, MAX_SPEED as f32];
        Self {
            world: World { theta: PI, theta_dot: 0.0, torque: 0.0, running: false, rng: EnvRng::default() },
            gravity,
            observations: bounded(&limits.map(|limit| -limit), &limits),
            actions: bounded(&[-MAX_TORQUE], &[MAX_TORQUE]),
        }
    }

    /// Starts an episode from this angle and angular velocity.
    pub fn start_from(&mut self, [theta, theta_dot]: [f64; 2]) {
        self.world = World { theta, theta_dot, torque: 0.0, running: true, rng: self.world.rng.clone() };
    }
}

impl World {
    fn observe(&self, observation: ObsMut<'_>) {
        let (sin, cos) = self.theta.sin_cos();
        let numbers = [cos, sin, self.theta_dot];
        observation.floats.iter_mut().zip(numbers).for_each(|(out, number)| *out = number as f32);
    }

    /// What the present state and this torque cost.
    fn cost(&self, torque: f32) -> f64 {
        let from_upright = (self.theta + PI).rem_euclid(TAU) - PI;
        from_upright.powi(2) + 0.1 * self.theta_dot.powi(2) + f64::from(0.001 * (torque * torque))
    }

    fn advance(&mut self, torque: f32, gravity: f64) {
        let pull = 3.0 * gravity / (2.0 * LENGTH) * self.theta.sin();
        let twist = f64::from((3.0 / (MASS * LENGTH.powi(2))) as f32 * torque);
        self.theta_dot = (self.theta_dot + (pull + twist) * DT).clamp(-MAX_SPEED, MAX_SPEED);
        self.theta += self.theta_dot * DT;
        self.torque = torque;
    }

    fn picture(&self) -> Picture {
        let mut canvas = Canvas::new(500, 500, WHITE, 500.0 / 4.4, (250.0, 250.0));
        let (center, angle) = ((0.0, 0.0), (self.theta + FRAC_PI_2) as f32);
        let (length, radius) = (LENGTH as f32, 0.1);
        rectangle(&mut canvas, (0.0, -radius), (length, radius), angle, center, ROD_COLOR);
        canvas.circle(center, radius, ROD_COLOR);
        canvas.circle(placed((length, 0.0), angle, center), radius, ROD_COLOR);
        draw_torque(&mut canvas, self.torque / MAX_TORQUE);
        canvas.circle(center, 0.05, BLACK);
        Picture::Frame(canvas.finish())
    }
}

/// An arrow around the axis, in the direction of the torque and as large as its `share` of the greatest one.
fn draw_torque(canvas: &mut Canvas, share: f32) {
    // Smaller than the axis there is nothing to see.
    if share.abs() < 0.1 {
        return;
    }
    let radius = 0.5 * share.abs();
    let at = |degrees: f32| placed((radius, 0.0), degrees.to_radians() * share.signum(), (0.0, 0.0));
    let arc: Vec<Point> = (-90..=150).step_by(10).map(|degrees| at(degrees as f32)).collect();
    canvas.line(&arc, 3.0, BLACK);
    let head = [(0.15, 0.0), (-0.1, -0.1), (-0.1, 0.1)].map(|(x, y)| (x * radius * 2.0, y * radius * 2.0));
    let forward = (150_f32 + 90.0).to_radians() * share.signum();
    canvas.polygon(&head.map(|point| placed(point, forward, at(150.0))), BLACK);
}

impl Env for Pendulum {
    fn observation_space(&self) -> &Space {
        &self.observations
    }

    fn action_space(&self) -> &Space {
        &self.actions
    }

    fn reset(&mut self, seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        self.world.rng.reseed(seed);
        let state = [PI, START_SPEED].map(|limit| self.world.rng.uniform(-limit, limit));
        self.start_from(state);
        self.world.observe(observation);
        Ok(())
    }

    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        let torque = action.point(1)?[0].clamp(-MAX_TORQUE, MAX_TORQUE);
        if !self.world.running {
            return Err(EnvError::NeedsReset);
        }
        let cost = self.world.cost(torque);
        self.world.advance(torque, self.gravity);
        self.world.observe(observation);
        Ok(Step::new(-cost, End::No))
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
