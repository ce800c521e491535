//! BipedalWalker: walk across rough ground on two legs with four motors.
//!
//! After Oleg Klimov's environment of 2016, with the constants and the oddities of Gymnasium's
//! `BipedalWalker-v3`: physics in f32, the arithmetic of terrain and observations in f64, the reward in f32.
//! As there, an observation may leave the bounds of the observation space when the walker is thrown about.

use serde::{Deserialize, Serialize};

use super::bounded;
use super::terrain::{GRASS, HEIGHT, LENGTH, START, STEP, Terrain};
use crate::physics::{self, Body, Joint, Material, Pace, Polygon, Touch, Vec2};
use crate::render::Picture;
use crate::{Action, End, Env, EnvError, EnvState, ObsMut, SeededRng, Space, Step};

/// Steps per second.
const FPS: f64 = 50.0;
/// Pixels of the original's picture per metre, and the picture's width and height in metres.
const SCALE: f64 = 30.0;
const VIEW: (f64, f64) = (600.0 / SCALE, 400.0 / SCALE);
const MOTOR_TORQUE: f32 = 80.0;
/// Radians per second at full speed.
const SPEED_HIP: f64 = 4.0;
const SPEED_KNEE: f64 = 6.0;
const LIDAR_RANGE: f64 = 160.0 / SCALE;
const RAYS: usize = 10;
/// The first push is up to this many newtons, to the left or to the right.
const FIRST_PUSH: f64 = 5.0;
/// The hull's corners, in pixels from its origin.
const HULL_CORNERS: [(f64, f64); 5] = [(-30.0, 9.0), (6.0, 9.0), (34.0, 1.0), (34.0, -8.0), (-30.0, -8.0)];
const LEG_DOWN: f64 = -8.0 / SCALE;
const LEG: (f64, f64) = (8.0 / SCALE, 34.0 / SCALE);
/// The cost of full torque of one motor in a step.
const PRICE: f64 = 0.00035 * 80.0;
/// The original's value.
#[expect(clippy::approx_constant, reason = "another value would draw other clouds")]
const ROUGHLY_PI: f64 = 3.14;
const PACE: Pace = Pace { dt: 1.0 / FPS as f32, velocity_iterations: 180, position_iterations: 60 };
/// The numbers of the bodies; the legs follow, each with its upper part first.
pub(super) const HULL: u8 = 0;
const PARTS: usize = 5;
/// The lower parts.
const FEET: [u8; 2] = [2, 4];

/// A walker at the left end of its way. Observation: the hull's angle and motion, angle and speed of each hip
/// and knee with whether the foot touches the ground, and how far ten rays get. Actions: the torque of each
/// hip and knee from -1 to 1. Going forward pays 300 in all, torque costs, a fall costs 100.
#[derive(Clone, Debug)]
pub struct BipedalWalker {
    pub(super) world: World,
    hardcore: bool,
    observations: Space,
    actions: Space,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct World {
    pub(super) physics: physics::World,
    pub(super) terrain: Terrain,
    /// Corners in metres; they drift by half as fast as the ground.
    pub(super) clouds: Vec<[(f32, f32); 5]>,
    fallen: bool,
    /// True for each foot that touches the ground.
    feet: [bool; 2],
    /// The distance that each ray gets, as a fraction of its range.
    pub(super) lidar: [f32; RAYS],
    shaping: Option<f64>,
    running: bool,
    rng: SeededRng,
}

impl BipedalWalker {
    /// The environment; `hardcore` puts stumps, pits and stairs into the way.
    pub fn new(hardcore: bool) -> Result<Self, EnvError> {
        let pi = std::f32::consts::PI;
        let leg = [pi, 5.0, pi, 5.0, 5.0];
        let high: Vec<f32> =
            [pi, 5.0, 5.0, 5.0].into_iter().chain(leg).chain(leg).chain([1.0; RAYS]).collect();
        // The contact of a foot is 0 or 1, so its lower bound is 0.
        let low: Vec<f32> =
            high.iter().enumerate().map(|(i, &x)| if i == 8 || i == 13 { 0.0 } else { -x }).collect();
        let actions = Space::symmetric(&[1.0; 4])?;
        Ok(Self { world: World::default(), hardcore, observations: bounded(&low, &high), actions })
    }
}

/// The direction of a ray at its full length.
pub(super) fn ray(index: usize) -> (f64, f64) {
    let angle = 1.5 * index as f64 / 10.0;
    (angle.sin() * LIDAR_RANGE, -(angle.cos() * LIDAR_RANGE))
}

impl World {
    fn build(&mut self, hardcore: bool) {
        self.terrain.draw(&mut self.rng, hardcore);
        self.draw_clouds();
        (self.fallen, self.feet, self.shaping, self.running) = (false, [false; 2], None, true);
        self.physics.clear(Vec2::rounded((0.0, -10.0)));
        self.terrain.build(&mut self.physics.ground);
        let (x, y) = (STEP * START as f64 / 2.0, HEIGHT + 2.0 * LEG.1);
        let corners = HULL_CORNERS.map(|(x, y)| Vec2::rounded((x / SCALE, y / SCALE)));
        let material = Material { density: 5.0, friction: 0.1, restitution: 0.0 };
        let mut hull = Body::new(Polygon::hull(&corners), material, Vec2::rounded((x, y)), 0.0);
        hull.apply_force(Vec2::rounded((self.rng.uniform(-FIRST_PUSH, FIRST_PUSH), 0.0)));
        self.physics.add_body(hull);
        self.add_leg((x, y), -1.0);
        self.add_leg((x, y), 1.0);
        self.physics.prepare();
    }

    /// A leg of two parts with its hip and its knee.
    fn add_leg(&mut self, (x, y): (f64, f64), side: f64) {
        let (width, height) = LEG;
        let material = Material { density: 1.0, friction: 0.2, restitution: 0.0 };
        let angle = (side * 0.05) as f32;
        let mut part = |width: f64, y: f64| {
            let shape = Polygon::from_half_extents((width / 2.0) as f32, (height / 2.0) as f32);
            self.physics.add_body(Body::new(shape, material, Vec2::rounded((x, y)), angle))
        };
        let upper = part(width, y - height / 2.0 - LEG_DOWN);
        let lower = part(0.8 * width, y - height * 3.0 / 2.0 - LEG_DOWN);
        let joint = |bodies, anchors: [f64; 2], turned, limits| {
            Joint::new(bodies, anchors.map(|y| Vec2::rounded((0.0, y))), turned, limits)
        };
        let hip = joint([HULL, upper], [LEG_DOWN, height / 2.0], angle, [-0.8, 1.1]);
        let knee = joint([upper, lower], [-height / 2.0, height / 2.0], 0.0, [-1.6, -0.1]);
        self.physics.joints.push(hip.with_motor(side as f32, MOTOR_TORQUE));
        self.physics.joints.push(knee.with_motor(1.0, MOTOR_TORQUE));
    }

    /// Clouds for the picture. They are drawn at random before the first push, as in the original.
    fn draw_clouds(&mut self) {
        self.clouds.clear();
        for _ in 0..LENGTH / 20 {
            let x = self.rng.uniform(0.0, LENGTH as f64) * STEP;
            self.clouds.push(std::array::from_fn(|corner| {
                let angle = ROUGHLY_PI * 2.0 * corner as f64 / 5.0;
                let mut off = || self.rng.uniform(0.0, 5.0 * STEP);
                let right = x + 15.0 * STEP * angle.sin() + off();
                (right as f32, (VIEW.1 * 3.0 / 4.0 + 5.0 * STEP * angle.cos() + off()) as f32)
            }));
        }
    }

    fn advance(&mut self, torques: [f32; 4]) -> Step {
        for (joint, torque) in torques.into_iter().enumerate() {
            let speed = if joint % 2 == 0 { SPEED_HIP } else { SPEED_KNEE };
            let sign = if torque == 0.0 { 0.0 } else { f64::from(torque.signum()) };
            self.physics.set_motor(joint, (speed * sign) as f32, MOTOR_TORQUE * torque.abs().min(1.0));
        }
        let Self { physics, fallen, feet, .. } = self;
        physics.step(PACE, &mut |body, touch| {
            *fallen |= body == HULL && touch == Touch::Begins;
            if let Some(foot) = FEET.iter().position(|foot| *foot == body) {
                feet[foot] = touch == Touch::Begins;
            }
        });
        self.look();
        self.judge(torques)
    }

    fn look(&mut self) {
        let from = self.hull().position();
        for (index, fraction) in self.lidar.iter_mut().enumerate() {
            let (x, y) = ray(index);
            let to = Vec2::rounded((f64::from(from.x) + x, f64::from(from.y) + y));
            *fraction = self.physics.ground.cast(from, to);
        }
    }

    pub(super) fn hull(&self) -> &Body {
        &self.physics.bodies[usize::from(HULL)]
    }

    /// The reward and the end of the step.
    fn judge(&mut self, torques: [f32; 4]) -> Step {
        let x = f64::from(self.hull().position().x);
        let shaping = 130.0 * x / SCALE - 5.0 * f64::from(self.hull().angle()).abs();
        let progress = self.shaping.map_or(0.0, |before| shaping - before);
        self.shaping = Some(shaping);
        let price = |torque: f32| PRICE as f32 * torque.abs().min(1.0);
        let reward = torques.into_iter().fold(progress as f32, |reward, torque| reward - price(torque));
        let step = if self.fallen || x < 0.0 {
            Step::new(-100.0, End::Terminated)
        } else {
            let arrived = x > (LENGTH - GRASS) as f64 * STEP;
            Step::new(reward.into(), End::terminated_if(arrived))
        };
        self.running = step.end == End::No;
        step
    }

    fn observe(&self, observation: ObsMut<'_>) {
        let (hull, velocity) = (self.hull(), self.hull().velocity);
        let body = [
            f64::from(hull.angle()),
            2.0 * f64::from(velocity.spin) / FPS,
            0.3 * f64::from(velocity.linear.x) * VIEW.0 / FPS,
            0.3 * f64::from(velocity.linear.y) * VIEW.1 / FPS,
        ];
        let leg = |leg: usize| {
            let [hip, knee] = [2 * leg, 2 * leg + 1].map(|joint| self.physics.joint_motion(joint));
            [
                f64::from(hip.0),
                f64::from(hip.1) / SPEED_HIP,
                f64::from(knee.0) + 1.0,
                f64::from(knee.1) / SPEED_KNEE,
                f64::from(u8::from(self.feet[leg])),
            ]
        };
        let numbers = body.into_iter().chain(leg(0)).chain(leg(1)).map(|number| number as f32);
        observation.floats.iter_mut().zip(numbers.chain(self.lidar)).for_each(|(out, number)| *out = number);
    }
}

impl Env for BipedalWalker {
    fn observation_space(&self) -> &Space {
        &self.observations
    }

    fn action_space(&self) -> &Space {
        &self.actions
    }

    fn reset(&mut self, seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        self.world.rng.reseed(seed);
        self.world.build(self.hardcore);
        self.world.advance([0.0; 4]);
        self.world.observe(observation);
        Ok(())
    }

    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        let point = action.point(4)?;
        if !self.world.running {
            return Err(EnvError::NeedsReset);
        }
        let step = self.world.advance([point[0], point[1], point[2], point[3]]);
        self.world.observe(observation);
        Ok(step)
    }

    fn render(&self) -> Option<Picture> {
        super::picture::walker(&self.world)
    }

    fn save_state(&self) -> Option<EnvState> {
        EnvState::pack(&self.world)
    }

    fn load_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let mut world: World = state.unpack()?;
        world.physics.restore()?;
        if world.running && (world.physics.bodies.len() != PARTS || world.physics.joints.len() != PARTS - 1) {
            return Err(EnvError::State("the saved walker has lost its parts".into()));
        }
        self.world = world;
        Ok(())
    }
}
