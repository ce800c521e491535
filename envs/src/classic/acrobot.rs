//! Acrobot: swing a chain of two links up with a torque at the joint between them.
//!
//! After Sutton (1996) and Sutton and Barto's book, with the constants and the Runge-Kutta integration of
//! Gymnasium's `Acrobot-v1`: the state is kept in f64, observations are f32.

use std::f64::consts::{FRAC_PI_2, PI};

use super::bounded;
use super::sketch::{BLACK, WHITE, placed, rectangle};
use super::trig::{sin_cos, wrapped};
use crate::dynamics::{Dynamics, Outcome, World};
use crate::render::{Canvas, Color, Picture};
use crate::vector::BatchVectorEnv;
use crate::{Action, Env, EnvError, EnvState, ObsMut, SeededRng, Space, Step, VectorEnv, VectorOptions};

const GRAVITY: f64 = 9.8;
/// The mass of each link, in kilograms.
const MASS: f64 = 1.0;
/// The length of each link, in metres.
const LENGTH: f64 = 1.0;
/// The distance from a link's upper end to its centre of mass, in metres.
const CENTER: f64 = 0.5;
/// The moment of inertia of each link.
const INERTIA: f64 = 1.0;
/// The greatest angular velocity of each joint, in radians per second.
const MAX_SPEEDS: [f64; 2] = [4.0 * PI, 9.0 * PI];
/// The number of torques: -1, 0 and 1 newton metre.
const TORQUES: i64 = 3;
/// Seconds from one step to the next.
const DT: f64 = 0.2;
/// Each number of the first state lies within this.
const START: f64 = 0.1;
/// The height above the fixed joint that the free end must reach, in metres.
const GOAL: f64 = 1.0;
const LINK_COLOR: Color = [0, 204, 204];
const JOINT_COLOR: Color = [204, 204, 0];

/// The choice of the equations of motion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AcrobotEquations {
    /// Those of Sutton and Barto's book, with which the paper's results were made too.
    #[default]
    Book,
    /// Those printed in Sutton's paper of 1996, which lack a term.
    Nips,
}

/// The chain of two links. Observation: cosine and sine of the first joint's angle (0 hangs down), the same
/// of the second joint's (relative to the first link), both angular velocities; actions: torque -1, 0 or 1 on
/// the second joint. Every step costs 1 but for the one with which the free end rises above the goal.
#[derive(Clone, Debug)]
pub struct Acrobot {
    world: World<State>,
    equations: AcrobotEquations,
    observations: Space,
    actions: Space,
}

/// Both angles, then both angular velocities.
type State = [f64; 4];

impl Acrobot {
    /// The environment, hanging still.
    pub fn new(equations: AcrobotEquations) -> Self {
        let limits = [1.0, 1.0, 1.0, 1.0, MAX_SPEEDS[0] as f32, MAX_SPEEDS[1] as f32];
        Self {
            world: World::idle([0.0; 4]),
            equations,
            observations: bounded(&limits.map(|limit| -limit), &limits),
            actions: Space::Discrete(TORQUES),
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

    /// Starts an episode from this state: both angles, then both angular velocities.
    pub fn start_from(&mut self, state: [f64; 4]) {
        self.world.start_from(state);
    }
}

impl Dynamics<4, 6> for AcrobotEquations {
    /// The torque's index.
    type Input = i64;

    fn action(action: Action<'_>) -> Result<i64, EnvError> {
        action.discrete(TORQUES).map(|choice| choice as i64)
    }

    #[inline(always)]
    fn accepts(choice: i64) -> bool {
        (0..TORQUES).contains(&choice)
    }

    fn start(&self, rng: &mut SeededRng) -> State {
        std::array::from_fn(|_| rng.uniform(-START, START))
    }

    #[inline(always)]
    fn advance(&self, state: State, choice: i64) -> Outcome<4> {
        let torque = f64::from(choice as i32) - 1.0;
        let [theta1, theta2, speed1, speed2] = runge_kutta(state, |state| derivative(state, torque, *self));
        let [max1, max2] = MAX_SPEEDS;
        let (theta1, theta2) = (wrapped(theta1), wrapped(theta2));
        let ((sin1, cos1), (sin2, cos2)) = (sin_cos(theta1), sin_cos(theta2));
        let risen = -cos1 - (cos1 * cos2 - sin1 * sin2) > GOAL;
        Outcome {
            state: [theta1, theta2, speed1.clamp(-max1, max1), speed2.clamp(-max2, max2)],
            reward: if risen { 0.0 } else { -1.0 },
            terminated: risen,
        }
    }

    #[inline(always)]
    fn observe([theta1, theta2, speed1, speed2]: State) -> [f32; 6] {
        let ((sin1, cos1), (sin2, cos2)) = (sin_cos(theta1), sin_cos(theta2));
        [cos1, sin1, cos2, sin2, speed1, speed2].map(|number| number as f32)
    }
}

impl Acrobot {
    fn picture(&self) -> Picture {
        let mut canvas = Canvas::new(500, 500, WHITE, 500.0 / 4.4, (250.0, 250.0));
        canvas.line(&[(-2.2, GOAL as f32), (2.2, GOAL as f32)], 1.0, BLACK);
        let [theta1, theta2, ..] = self.world.state;
        let length = LENGTH as f32;
        let mut joint = (0.0, 0.0);
        for angle in [theta1 - FRAC_PI_2, theta1 + theta2 - FRAC_PI_2].map(|angle| angle as f32) {
            rectangle(&mut canvas, (0.0, -0.1), (length, 0.1), angle, joint, LINK_COLOR);
            canvas.circle(joint, 0.1, JOINT_COLOR);
            joint = placed((length, 0.0), angle, joint);
        }
        Picture::Frame(canvas.finish())
    }
}

/// The equations of motion. An angle's sine stands for the cosine of the same angle less a quarter turn.
#[inline(always)]
fn derivative([theta1, theta2, speed1, speed2]: State, torque: f64, equations: AcrobotEquations) -> State {
    let ((sin1, cos1), (sin2, cos2)) = (sin_cos(theta1), sin_cos(theta2));
    let coupling = MASS * LENGTH * CENTER;
    let d1 = MASS * CENTER.powi(2)
        + MASS * (LENGTH.powi(2) + CENTER.powi(2) + 2.0 * LENGTH * CENTER * cos2)
        + 2.0 * INERTIA;
    let d2 = MASS * (CENTER.powi(2) + LENGTH * CENTER * cos2) + INERTIA;
    let phi2 = MASS * CENTER * GRAVITY * (sin1 * cos2 + cos1 * sin2);
    let phi1 = -coupling * speed2.powi(2) * sin2 - 2.0 * coupling * speed2 * speed1 * sin2
        + (MASS * CENTER + MASS * LENGTH) * GRAVITY * sin1
        + phi2;
    let centrifugal = match equations {
        AcrobotEquations::Book => coupling * speed1.powi(2) * sin2,
        AcrobotEquations::Nips => 0.0,
    };
    let acceleration2 =
        (torque + d2 / d1 * phi1 - centrifugal - phi2) / (MASS * CENTER.powi(2) + INERTIA - d2.powi(2) / d1);
    let acceleration1 = -(d2 * acceleration2 + phi1) / d1;
    [speed1, speed2, acceleration1, acceleration2]
}

/// One step of the classical Runge-Kutta method of fourth order.
#[inline(always)]
fn runge_kutta(state: State, derivative: impl Fn(State) -> State) -> State {
    let ahead = |dt: f64, slope: State| std::array::from_fn(|i| state[i] + dt * slope[i]);
    let k1 = derivative(state);
    let k2 = derivative(ahead(DT / 2.0, k1));
    let k3 = derivative(ahead(DT / 2.0, k2));
    let k4 = derivative(ahead(DT, k3));
    std::array::from_fn(|i| state[i] + DT / 6.0 * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]))
}

impl Env for Acrobot {
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
