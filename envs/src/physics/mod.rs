//! Rigid bodies in the plane: a small physics engine for the worlds that Gymnasium builds on Box2D.
//!
//! It follows the algorithm of [Box2D](https://box2d.org) 2.3 by Erin Catto (zlib licence) in f32 and in
//! Box2D's order of operations, so that a world moves as it does there; the code is its own. Features that
//! these worlds do not need are left out:
//!
//! * A body has one convex polygon and collides with the ground alone, never with another body. The ground is
//!   made of edges and polygons in the world's coordinates and never moves. So half of every contact falls
//!   away.
//! * Joints are revolute, with a motor and limits. Bodies that joints hold together are an island: they sleep
//!   and wake together.
//! * There is no tree of boxes: contacts come in the order in which Box2D's tree returns them, pieces of the
//!   ground by age and bodies by age, independent of the search.
//!
//! Bodies, joints and contacts refer to one another by number, so that a world can be sent, saved and
//! compared. A step allocates nothing.

mod body;
mod collide;
mod contact;
mod continuous;
mod distance;
mod ground;
mod impact;
mod island;
mod joint;
mod manifold;
mod math;
mod shape;
mod solver;
#[cfg(test)]
mod tests;
mod world;

pub use body::{Body, Material};
pub use contact::Touch;
pub use ground::{Ground, PieceShape};
pub use joint::Joint;
pub use math::Vec2;
pub use shape::{Edge, Polygon};
pub use world::{Pace, World};

/// Corners that a polygon can have.
const MAX_VERTICES: usize = 8;
/// A length that is numerically significant and invisible, in metres.
const LINEAR_SLOP: f32 = 0.005;
/// The same for angles: 2 degrees, in radians.
const ANGULAR_SLOP: f32 = 2.0 / 180.0 * std::f32::consts::PI;
/// The thickness of the skin around every shape, within which shapes touch.
const SKIN: f32 = 2.0 * LINEAR_SLOP;
/// The distance that a body may move before its contacts are searched again.
const MARGIN: f32 = 0.1;
/// The largest correction in a step, and the largest translation and rotation of a body.
const MAX_LINEAR_CORRECTION: f32 = 0.2;
const MAX_ANGULAR_CORRECTION: f32 = 8.0 / 180.0 * std::f32::consts::PI;
const MAX_TRANSLATION: f32 = 2.0;
const MAX_ROTATION: f32 = 0.5 * std::f32::consts::PI;
/// Bodies that approach more slowly than this do not bounce, in metres per second.
const VELOCITY_THRESHOLD: f32 = 1.0;
/// The share of an overlap that an iteration corrects: in a step, and where continuous collision has stopped
/// a body.
const CORRECTED: f32 = 0.2;
const CORRECTED_AT_IMPACT: f32 = 0.75;
/// A body that moves and turns more slowly than this rests, and one that rests this many seconds sleeps.
const SLOW: f32 = 0.01;
const SLOW_SPIN: f32 = 2.0 / 180.0 * std::f32::consts::PI;
const TIME_TO_SLEEP: f32 = 0.5;
