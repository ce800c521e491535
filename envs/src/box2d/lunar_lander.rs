//! LunarLander: bring a rocket down softly on a pad, with little fuel.
//!
//! After Oleg Klimov's environment of 2016, with the constants and the oddities of Gymnasium's
//! `LunarLander-v3`: physics in f32, all else in f64, observations f32. As there, an observation may leave
//! the bounds of the observation space when the lander is thrown about.

use serde::{Deserialize, Serialize};

use super::bounded;
use crate::physics::{self, Body, Edge, Joint, Material, Pace, PieceShape, Polygon, Touch, Vec2};
use crate::render::Picture;
use crate::{Action, End, Env, EnvError, EnvState, ObsMut, SeededRng, Space, Step};

/// Steps per second.
const FPS: f64 = 50.0;
/// Pixels of the original's picture per metre.
const SCALE: f64 = 30.0;
/// Width and height of the visible part of the world, in metres.
pub(super) const WIDTH: f64 = 600.0 / SCALE;
pub(super) const HEIGHT: f64 = 400.0 / SCALE;
/// The height of the pad.
pub(super) const PAD: f64 = HEIGHT / 4.0;
/// The lander's corners, in pixels from its origin.
const LANDER: [(f64, f64); 6] =
    [(-14.0, 17.0), (-17.0, 0.0), (-17.0, -10.0), (17.0, -10.0), (17.0, 0.0), (14.0, 17.0)];
/// The point at which a leg is held, in pixels from the leg's middle.
const LEG_AWAY: f64 = 20.0;
const LEG_DOWN: f64 = 18.0;
/// Half of a leg's width and height, in pixels.
const LEG: (f64, f64) = (2.0, 8.0);
const LEG_SPRING_TORQUE: f32 = 40.0;
const MAIN_ENGINE_POWER: f64 = 13.0;
const MAIN_ENGINE_Y: f64 = 4.0;
const SIDE_ENGINE_POWER: f64 = 0.6;
const SIDE_ENGINE_AWAY: f64 = 12.0;
const SIDE_ENGINE_HEIGHT: f64 = 14.0;
/// The original has 17 here where 14 is meant, so that the side engines turn the lander a little differently
/// at different angles.
const SIDE_ENGINE_SHIFT: f64 = 17.0;
/// The first push is up to this many newtons in each direction.
const FIRST_PUSH: f64 = 1000.0;
/// Pieces of terrain from the left border to the right.
const CHUNKS: usize = 11;
const PACE: Pace = Pace { dt: 1.0 / FPS as f32, velocity_iterations: 180, position_iterations: 60 };
/// The numbers of the bodies.
pub(super) const HULL: u8 = 0;

/// The options of the world.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LunarLanderOptions {
    /// Two throttles instead of four choices.
    pub continuous: bool,
    /// Vertical, in metres per second squared: between -12 and 0.
    pub gravity: f64,
    /// True for wind that pushes and turns the lander while no leg touches the ground.
    pub enable_wind: bool,
    /// The strongest push of the wind, in newtons.
    pub wind_power: f64,
    /// The strongest torque of the wind.
    pub turbulence_power: f64,
}

impl Default for LunarLanderOptions {
    fn default() -> Self {
        Self {
            continuous: false,
            gravity: -10.0,
            enable_wind: false,
            wind_power: 15.0,
            turbulence_power: 1.5,
        }
    }
}

/// A lander above its pad. Observation: position, velocity, angle and angular velocity, each scaled, and
/// whether each leg touches the ground. Actions: 0 does nothing, 1 fires the left engine, 2 the main engine,
/// 3 the right engine; or two throttles from -1 to 1, the main engine's (off below 0) and the side engines'
/// (off between -0.5 and 0.5). Coming nearer, slowing down and standing upright pays, fuel costs, a crash
/// costs 100 and coming to rest pays 100.
#[derive(Clone, Debug)]
pub struct LunarLander {
    pub(super) world: World,
    options: LunarLanderOptions,
    observations: Space,
    actions: Space,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct World {
    pub(super) physics: physics::World,
    /// The terrain's heights from the left border to the right.
    pub(super) terrain: [f64; CHUNKS],
    /// True once the hull has touched the ground.
    crashed: bool,
    /// True for each leg that touches the ground.
    legs: [bool; 2],
    /// The positions in the patterns of wind and turbulence.
    wind: [i64; 2],
    shaping: f64,
    pub(super) thrust: Thrust,
    running: bool,
    rng: SeededRng,
}

/// The random draws of an episode's start.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub(super) struct Start {
    /// The heights of the terrain, before it is smoothed and the pad is put in.
    pub heights: [f64; CHUNKS + 1],
    pub push: [f64; 2],
    pub wind: [i64; 2],
}

/// The thrust of the engines in a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Thrust {
    /// The main engine: 0, or 0.5 to 1.
    pub main: f64,
    /// A side engine: 0, or 0.5 to 1.
    pub side: f64,
    /// The side engine that fires: -1 for the left, 1 for the right.
    pub direction: f64,
}

impl Start {
    /// Draws in the original's order.
    fn draw(rng: &mut SeededRng, windy: bool) -> Self {
        let heights = std::array::from_fn(|_| rng.uniform(0.0, HEIGHT / 2.0));
        let push = std::array::from_fn(|_| rng.uniform(-FIRST_PUSH, FIRST_PUSH));
        let wind = if windy { std::array::from_fn(|_| super::integer(rng, -9999, 9999)) } else { [0; 2] };
        Self { heights, push, wind }
    }

    /// The mean of each height and its neighbours (a hundredth less, as in the original), with the pad in the
    /// middle.
    fn terrain(mut self) -> [f64; CHUNKS] {
        self.heights[CHUNKS / 2 - 2..=CHUNKS / 2 + 2].fill(PAD);
        let height = |index: usize| self.heights[index % self.heights.len()];
        // The leftmost height has the last one as its neighbour, which is drawn for nothing else.
        std::array::from_fn(|i| 0.33 * (height(i + CHUNKS) + height(i) + height(i + 1)))
    }
}

impl Thrust {
    fn choice(choice: usize) -> Self {
        match choice {
            2 => Self { main: 1.0, ..Self::default() },
            1 => Self { side: 1.0, direction: -1.0, ..Self::default() },
            3 => Self { side: 1.0, direction: 1.0, ..Self::default() },
            _ => Self::default(),
        }
    }

    fn throttles(point: &[f32]) -> Self {
        let [main, side] = [0, 1].map(|index| f64::from(point[index].clamp(-1.0, 1.0)));
        Self {
            main: if main > 0.0 { (main + 1.0) * 0.5 } else { 0.0 },
            side: if side.abs() > 0.5 { side.abs() } else { 0.0 },
            direction: side.signum(),
        }
    }
}

impl LunarLander {
    /// The environment.
    ///
    /// # Errors
    /// [`EnvError::Option`] for a gravity that is not between -12 and 0.
    pub fn new(options: LunarLanderOptions) -> Result<Self, EnvError> {
        let gravity = options.gravity;
        if !(-12.0 < gravity && gravity < 0.0) {
            let message = format!("`gravity` is {gravity}: give a number between -12 and 0");
            return Err(EnvError::Option(message));
        }
        let turn = std::f32::consts::TAU;
        let high = [2.5, 2.5, 10.0, 10.0, turn, 10.0, 1.0, 1.0];
        let low = [-2.5, -2.5, -10.0, -10.0, -turn, -10.0, 0.0, 0.0];
        let actions = if options.continuous { Space::symmetric(&[1.0; 2])? } else { Space::Discrete(4) };
        Ok(Self { world: World::default(), options, observations: bounded(&low, &high), actions })
    }

    /// Starts an episode. Its first step, without thrust, is part of the start.
    pub(super) fn start_from(&mut self, start: Start, dispersion: [f64; 2]) {
        self.world.build(start, self.options.gravity);
        self.advance(Thrust::default(), dispersion);
    }

    /// One step. `dispersion` are two draws from -1 to 1 for the scatter of the engines.
    pub(super) fn advance(&mut self, thrust: Thrust, dispersion: [f64; 2]) -> Step {
        let world = &mut self.world;
        if self.options.enable_wind && world.legs == [false; 2] {
            world.blow(self.options.wind_power, self.options.turbulence_power);
        }
        world.fire(thrust, dispersion.map(|draw| draw / SCALE));
        let World { physics, crashed, legs, .. } = world;
        physics.step(PACE, &mut |body, touch| match body {
            HULL => *crashed |= touch == Touch::Begins,
            leg => legs[usize::from(leg - 1)] = touch == Touch::Begins,
        });
        world.judge(thrust)
    }
}

impl World {
    fn build(&mut self, start: Start, gravity: f64) {
        self.terrain = start.terrain();
        (self.crashed, self.legs, self.running) = (false, [false; 2], true);
        (self.wind, self.shaping) = (start.wind, 0.0);
        self.physics.clear(Vec2::rounded((0.0, gravity)));
        self.add_terrain();
        let corners = LANDER.map(|(x, y)| Vec2::rounded((x / SCALE, y / SCALE)));
        let material = Material { density: 5.0, friction: 0.1, restitution: 0.0 };
        let middle = (WIDTH / 2.0, HEIGHT);
        let mut hull = Body::new(Polygon::hull(&corners), material, Vec2::rounded(middle), 0.0);
        hull.apply_force(Vec2::rounded((start.push[0], start.push[1])));
        self.physics.add_body(hull);
        self.add_leg(middle, -1.0, [0.9 - 0.5, 0.9]);
        self.add_leg(middle, 1.0, [-0.9, -0.9 + 0.5]);
        self.physics.prepare();
    }

    fn add_terrain(&mut self) {
        let mut add = |from, to, friction| {
            let edge = Edge::new(Vec2::rounded(from), Vec2::rounded(to));
            self.physics.ground.add(PieceShape::Edge(edge), friction, 0);
        };
        add((0.0, 0.0), (WIDTH, 0.0), 0.2);
        for index in 0..CHUNKS - 1 {
            let point = |index| (chunk_x(index), self.terrain[index]);
            add(point(index), point(index + 1), 0.1);
        }
    }

    /// A leg on the left (`side` is 1) or on the right (-1), with a motor that spreads it.
    fn add_leg(&mut self, (x, y): (f64, f64), side: f64, limits: [f64; 2]) {
        let shape = Polygon::from_half_extents((LEG.0 / SCALE) as f32, (LEG.1 / SCALE) as f32);
        let material = Material { density: 1.0, friction: 0.2, restitution: 0.0 };
        let place = Vec2::rounded((x - side * LEG_AWAY / SCALE, y));
        let angle = (side * 0.05) as f32;
        let leg = self.physics.add_body(Body::new(shape, material, place, angle));
        let anchor = Vec2::rounded((side * LEG_AWAY / SCALE, LEG_DOWN / SCALE));
        let joint = Joint::new([HULL, leg], [Vec2::ZERO, anchor], angle, limits.map(|limit| limit as f32));
        self.physics.joints.push(joint.with_motor((0.3 * side) as f32, LEG_SPRING_TORQUE));
    }

    /// Wind whose pattern never repeats.
    fn blow(&mut self, wind_power: f64, turbulence_power: f64) {
        let [wind, turbulence] = self.wind.map(|index| {
            let index = index as f64;
            ((0.02 * index).sin() + (std::f64::consts::PI * 0.01 * index).sin()).tanh()
        });
        self.wind = self.wind.map(|index| index.wrapping_add(1));
        let hull = &mut self.physics.bodies[usize::from(HULL)];
        hull.apply_force(Vec2::rounded((wind * wind_power, 0.0)));
        hull.apply_torque((turbulence * turbulence_power) as f32);
    }

    fn fire(&mut self, thrust: Thrust, dispersion: [f64; 2]) {
        self.thrust = thrust;
        let hull = &mut self.physics.bodies[usize::from(HULL)];
        let (sin, cos) = f64::from(hull.angle()).sin_cos();
        let (x, y) = (f64::from(hull.position().x), f64::from(hull.position().y));
        if thrust.main > 0.0 {
            let down = MAIN_ENGINE_Y / SCALE + 2.0 * dispersion[0];
            let (ox, oy) = (sin * down + -cos * dispersion[1], -cos * down - sin * dispersion[1]);
            let impulse = (-ox * MAIN_ENGINE_POWER * thrust.main, -oy * MAIN_ENGINE_POWER * thrust.main);
            hull.apply_impulse(Vec2::rounded(impulse), Vec2::rounded((x + ox, y + oy)));
        }
        if thrust.side > 0.0 {
            let away = 3.0 * dispersion[1] + thrust.direction * SIDE_ENGINE_AWAY / SCALE;
            let (ox, oy) = (sin * dispersion[0] + -cos * away, -cos * dispersion[0] - sin * away);
            let impulse = (-ox * SIDE_ENGINE_POWER * thrust.side, -oy * SIDE_ENGINE_POWER * thrust.side);
            let place = (x + ox - sin * SIDE_ENGINE_SHIFT / SCALE, y + oy + cos * SIDE_ENGINE_HEIGHT / SCALE);
            hull.apply_impulse(Vec2::rounded(impulse), Vec2::rounded(place));
        }
    }

    fn state(&self) -> [f64; 8] {
        let hull = &self.physics.bodies[usize::from(HULL)];
        let (position, velocity) = (hull.position(), hull.velocity.linear);
        [
            (f64::from(position.x) - WIDTH / 2.0) / (WIDTH / 2.0),
            (f64::from(position.y) - (PAD + LEG_DOWN / SCALE)) / (HEIGHT / 2.0),
            f64::from(velocity.x) * (WIDTH / 2.0) / FPS,
            f64::from(velocity.y) * (HEIGHT / 2.0) / FPS,
            f64::from(hull.angle()),
            20.0 * f64::from(hull.velocity.spin) / FPS,
            f64::from(u8::from(self.legs[0])),
            f64::from(u8::from(self.legs[1])),
        ]
    }

    /// The reward and the end of the step.
    fn judge(&mut self, thrust: Thrust) -> Step {
        let [x, y, x_speed, y_speed, angle, _, left, right] = self.state();
        let shaping = -100.0 * (x * x + y * y).sqrt()
            - 100.0 * (x_speed * x_speed + y_speed * y_speed).sqrt()
            - 100.0 * angle.abs()
            + 10.0 * left
            + 10.0 * right;
        let reward = shaping - self.shaping - thrust.main * 0.30 - thrust.side * 0.03;
        self.shaping = shaping;
        let step = if !self.physics.bodies[usize::from(HULL)].awake {
            Step::new(100.0, End::Terminated)
        } else if self.crashed || x.abs() >= 1.0 {
            Step::new(-100.0, End::Terminated)
        } else {
            Step::new(reward, End::No)
        };
        self.running = step.end == End::No;
        step
    }

    fn observe(&self, observation: ObsMut<'_>) {
        observation.floats.iter_mut().zip(self.state()).for_each(|(out, number)| *out = number as f32);
    }

    /// Draws the scatter of the engines in a step.
    fn disperse(&mut self) -> [f64; 2] {
        std::array::from_fn(|_| self.rng.uniform(-1.0, 1.0))
    }
}

/// The left end of the piece of terrain with this number.
pub(super) fn chunk_x(index: usize) -> f64 {
    WIDTH / (CHUNKS - 1) as f64 * index as f64
}

impl Env for LunarLander {
    fn observation_space(&self) -> &Space {
        &self.observations
    }

    fn action_space(&self) -> &Space {
        &self.actions
    }

    fn reset(&mut self, seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        self.world.rng.reseed(seed);
        let start = Start::draw(&mut self.world.rng, self.options.enable_wind);
        let dispersion = self.world.disperse();
        self.start_from(start, dispersion);
        self.world.observe(observation);
        Ok(())
    }

    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        let thrust = if self.options.continuous {
            Thrust::throttles(action.point(2)?)
        } else {
            Thrust::choice(action.discrete(4)?)
        };
        if !self.world.running {
            return Err(EnvError::NeedsReset);
        }
        let dispersion = self.world.disperse();
        let step = self.advance(thrust, dispersion);
        self.world.observe(observation);
        Ok(step)
    }

    fn render(&self) -> Option<Picture> {
        super::picture::lander(&self.world)
    }

    fn save_state(&self) -> Option<EnvState> {
        EnvState::pack(&self.world)
    }

    fn load_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let mut world: World = state.unpack()?;
        world.physics.restore()?;
        if world.running && world.physics.bodies.len() != 3 {
            return Err(EnvError::State("the saved lander has lost its parts".into()));
        }
        self.world = world;
        Ok(())
    }
}
