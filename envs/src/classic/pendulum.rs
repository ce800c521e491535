//! Pendulum: swing a pendulum up and hold it there, with a torque at its axis.
//!
//! The constants, the reward and the semi-implicit Euler integration of Gymnasium's `Pendulum-v1`: the state
//! is kept in f64, torques and observations are f32.

use std::f64::consts::{FRAC_PI_2, PI};

use super::bounded;
use super::sketch::{BLACK, Point, WHITE, placed, rectangle};
use super::trig::{sin_cos, wrapped};
use crate::dynamics::{Dynamics, Outcome, World};
use crate::render::{Canvas, Color, Picture};
use crate::vector::BatchVectorEnv;
use crate::{Action, Env, EnvError, EnvState, ObsMut, SeededRng, Space, Step, VectorEnv, VectorOptions};

/// The greatest angular velocity, in radians per second.
const MAX_SPEED: f64 = 8.0;
/// The greatest torque, in newton metres.
const MAX_TORQUE: f32 = 2.0;
/// Seconds from one step to the next.
const DT: f64 = 0.05;
/// The pendulum's mass, in kilograms.
const MASS: f64 = 1.0;
/// The pendulum's length, in metres.
const LENGTH: f64 = 1.0;
/// The first angular velocity lies within this; the first angle is drawn from the whole circle.
const START_SPEED: f64 = 1.0;
const ROD_COLOR: Color = [204, 77, 77];

/// The pendulum. Observation: cosine and sine of its angle (0 is upright, counter-clockwise is positive),
/// angular velocity; the action is the torque, clipped to -2 to 2. A step costs the square of the angle from
/// upright, with smaller shares of speed and torque. Episodes have no end of their own.
#[derive(Clone, Debug)]
pub struct Pendulum {
    /// Angle, angular velocity, and the last torque, for the picture.
    world: World<[f64; 3]>,
    equations: Equations,
    observations: Space,
    actions: Space,
}

/// The equations of motion.
#[derive(Clone, Debug)]
pub(super) struct Equations {
    /// The acceleration of gravity, in metres per square second.
    pub gravity: f64,
}

impl Pendulum {
    /// The environment, with this acceleration of gravity in metres per square second: 10 in Gymnasium.
    pub fn new(gravity: f64) -> Self {
        let limits = [1.0, 1.0, MAX_SPEED as f32];
        Self {
            world: World::idle([PI, 0.0, 0.0]),
            equations: Equations { gravity },
            observations: bounded(&limits.map(|limit| -limit), &limits),
            actions: bounded(&[-MAX_TORQUE], &[MAX_TORQUE]),
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

    /// Starts an episode from this angle and angular velocity.
    pub fn start_from(&mut self, [theta, theta_dot]: [f64; 2]) {
        self.world.start_from([theta, theta_dot, 0.0]);
    }
}

impl Dynamics<3, 3> for Equations {
    /// The torque.
    type Input = f32;

    fn action(action: Action<'_>) -> Result<f32, EnvError> {
        action.point(1).map(|point| point[0])
    }

    #[inline(always)]
    fn accepts(torque: f32) -> bool {
        torque.is_finite()
    }

    fn start(&self, rng: &mut SeededRng) -> [f64; 3] {
        [rng.uniform(-PI, PI), rng.uniform(-START_SPEED, START_SPEED), 0.0]
    }

    #[inline(always)]
    fn advance(&self, [theta, theta_dot, _]: [f64; 3], torque: f32) -> Outcome<3> {
        let torque = torque.clamp(-MAX_TORQUE, MAX_TORQUE);
        let cost = wrapped(theta).powi(2) + 0.1 * theta_dot.powi(2) + f64::from(0.001 * (torque * torque));
        let (sin, _) = sin_cos(theta);
        let pull = 3.0 * self.gravity / (2.0 * LENGTH) * sin;
        let twist = f64::from((3.0 / (MASS * LENGTH.powi(2))) as f32 * torque);
        let theta_dot = (theta_dot + (pull + twist) * DT).clamp(-MAX_SPEED, MAX_SPEED);
        Outcome {
            state: [theta + theta_dot * DT, theta_dot, torque.into()],
            reward: -cost,
            terminated: false,
        }
    }

    #[inline(always)]
    fn observe([theta, theta_dot, _]: [f64; 3]) -> [f32; 3] {
        let (sin, cos) = sin_cos(theta);
        [cos as f32, sin as f32, theta_dot as f32]
    }
}

impl Pendulum {
    fn picture(&self) -> Picture {
        let [theta, _, torque] = self.world.state;
        let mut canvas = Canvas::new(500, 500, WHITE, 500.0 / 4.4, (250.0, 250.0));
        let (center, angle) = ((0.0, 0.0), (theta + FRAC_PI_2) as f32);
        let (length, radius) = (LENGTH as f32, 0.1);
        rectangle(&mut canvas, (0.0, -radius), (length, radius), angle, center, ROD_COLOR);
        canvas.circle(center, radius, ROD_COLOR);
        canvas.circle(placed((length, 0.0), angle, center), radius, ROD_COLOR);
        draw_torque(&mut canvas, torque as f32 / MAX_TORQUE);
        canvas.circle(center, 0.05, BLACK);
        Picture::Frame(canvas.finish())
    }
}

/// An arrow around the axis, in the direction of the torque and as large as its `share` of the greatest one.
fn draw_torque(canvas: &mut Canvas, share: f32) {
    // Below this share the arrow would be smaller than the axis.
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
