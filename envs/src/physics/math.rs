//! Vectors, rotations and motions in the plane, in f32 and in Box2D's order of operations.

use std::ops::{Add, AddAssign, Mul, Neg, Sub, SubAssign};

use serde::{Deserialize, Serialize};

/// A point or a direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Vec2 {
    pub x: f32,
    pub y: f32,
}

impl Vec2 {
    pub const ZERO: Self = Self::new(0.0, 0.0);

    pub const fn new(x: f32, y: f32) -> Self {
        Self { x, y }
    }

    /// A point of a world that computes in f64, rounded for the physics.
    pub fn rounded((x, y): (f64, f64)) -> Self {
        Self::new(x as f32, y as f32)
    }

    pub fn dot(self, other: Self) -> f32 {
        self.x * other.x + self.y * other.y
    }

    /// The third component of the cross product with another vector of the plane.
    pub fn cross(self, other: Self) -> f32 {
        self.x * other.y - self.y * other.x
    }

    /// The vector turned by a right angle, clockwise.
    pub fn right(self) -> Self {
        Self::new(self.y, -self.x)
    }

    /// The velocity of this lever when it turns about its foot at `spin` radians per second.
    pub fn swept(self, spin: f32) -> Self {
        Self::new(-spin * self.y, spin * self.x)
    }

    pub fn length_squared(self) -> f32 {
        self.dot(self)
    }

    pub fn length(self) -> f32 {
        self.length_squared().sqrt()
    }

    /// The direction and the length; a vector that is too short for a direction stays as it is, with length
    /// 0.
    pub fn normalized(self) -> (Self, f32) {
        let length = self.length();
        if length < f32::EPSILON {
            return (self, 0.0);
        }
        let inverse = 1.0 / length;
        (Self::new(self.x * inverse, self.y * inverse), length)
    }

    pub fn min(self, other: Self) -> Self {
        Self::new(min(self.x, other.x), min(self.y, other.y))
    }

    pub fn max(self, other: Self) -> Self {
        Self::new(max(self.x, other.x), max(self.y, other.y))
    }
}

impl Add for Vec2 {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self::new(self.x + other.x, self.y + other.y)
    }
}

impl Sub for Vec2 {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self::new(self.x - other.x, self.y - other.y)
    }
}

impl Neg for Vec2 {
    type Output = Self;

    fn neg(self) -> Self {
        Self::new(-self.x, -self.y)
    }
}

impl Mul<Vec2> for f32 {
    type Output = Vec2;

    fn mul(self, vector: Vec2) -> Vec2 {
        Vec2::new(self * vector.x, self * vector.y)
    }
}

impl AddAssign for Vec2 {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Vec2 {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

/// The lesser of two numbers. Unlike `f32::min` it costs one instruction, and it may return a NaN of either.
pub fn min(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

/// The greater of two numbers, as [`min`] is the lesser.
pub fn max(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// The number, or the bound that it exceeds. Never panics, whatever the bounds.
pub fn clamp(x: f32, low: f32, high: f32) -> f32 {
    max(low, min(x, high))
}

/// A rotation, as the sine and the cosine of its angle.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rotation {
    pub sin: f32,
    pub cos: f32,
}

impl Rotation {
    pub const NONE: Self = Self { sin: 0.0, cos: 1.0 };

    pub fn new(angle: f32) -> Self {
        let (sin, cos) = angle.sin_cos();
        Self { sin, cos }
    }

    pub fn apply(self, v: Vec2) -> Vec2 {
        Vec2::new(self.cos * v.x - self.sin * v.y, self.sin * v.x + self.cos * v.y)
    }

    pub fn undo(self, v: Vec2) -> Vec2 {
        Vec2::new(self.cos * v.x + self.sin * v.y, -self.sin * v.x + self.cos * v.y)
    }
}

/// The place of a body's own coordinates in the world.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transform {
    pub position: Vec2,
    pub rotation: Rotation,
}

impl Transform {
    /// The ground's transform: its coordinates are those of the world.
    pub const IDENTITY: Self = Self { position: Vec2::ZERO, rotation: Rotation::NONE };

    /// The transform that puts a body's centre of mass, at `local_center` in its own coordinates, at
    /// `center`.
    pub fn about(center: Vec2, angle: f32, local_center: Vec2) -> Self {
        let rotation = Rotation::new(angle);
        Self { position: center - rotation.apply(local_center), rotation }
    }

    pub fn apply(self, v: Vec2) -> Vec2 {
        let Rotation { sin, cos } = self.rotation;
        Vec2::new((cos * v.x - sin * v.y) + self.position.x, (sin * v.x + cos * v.y) + self.position.y)
    }

    pub fn undo(self, v: Vec2) -> Vec2 {
        self.rotation.undo(v - self.position)
    }
}

/// A body's motion within a step, from the old place of its centre of mass to the new one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    /// The centre of mass in the body's own coordinates.
    pub local_center: Vec2,
    /// The centre of mass at `advanced`.
    pub start: Vec2,
    /// The centre of mass at the end.
    pub center: Vec2,
    /// The angle at `advanced`, in radians.
    pub start_angle: f32,
    /// The angle at the end, in radians.
    pub angle: f32,
    /// The fraction of the step, from 0 to 1, up to which the body has safely moved.
    pub advanced: f32,
}

impl Sweep {
    /// The transform at this fraction of the rest of the step.
    pub fn transform_at(&self, fraction: f32) -> Transform {
        let (center, angle) = self.between(fraction);
        Transform::about(center, angle, self.local_center)
    }

    /// The transform at the sweep's end.
    pub fn transform(&self) -> Transform {
        Transform::about(self.center, self.angle, self.local_center)
    }

    /// Moves the sweep's start to this fraction of the step.
    pub fn advance(&mut self, to: f32) {
        let fraction = (to - self.advanced) / (1.0 - self.advanced);
        (self.start, self.start_angle) = self.between(fraction);
        self.advanced = to;
    }

    /// The same sweep with its angles shifted by whole turns, so that it starts between 0 and one turn.
    pub fn normalized(mut self) -> Self {
        const TURN: f32 = 2.0 * std::f32::consts::PI;
        let turns = TURN * (self.start_angle / TURN).floor();
        self.start_angle -= turns;
        self.angle -= turns;
        self
    }

    fn between(&self, fraction: f32) -> (Vec2, f32) {
        let rest = 1.0 - fraction;
        (rest * self.start + fraction * self.center, rest * self.start_angle + fraction * self.angle)
    }
}

/// A symmetric matrix of two rows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Symmetric2 {
    pub xx: f32,
    pub xy: f32,
    pub yy: f32,
}

impl Symmetric2 {
    pub fn apply(self, v: Vec2) -> Vec2 {
        Vec2::new(self.xx * v.x + self.xy * v.y, self.xy * v.x + self.yy * v.y)
    }

    pub fn inverse(self) -> Self {
        let det = self.inverse_determinant();
        Self { xx: det * self.yy, xy: -det * self.xy, yy: det * self.xx }
    }

    /// One over the determinant, or 0 for a singular matrix.
    pub fn inverse_determinant(self) -> f32 {
        reciprocal(self.xx * self.yy - self.xy * self.xy)
    }

    /// The vector that the matrix maps to `b`, by Cramer's rule.
    pub fn solve(self, b: Vec2) -> Vec2 {
        self.solve_with(self.inverse_determinant(), b)
    }

    /// As [`Symmetric2::solve`] with an inverse determinant that is known.
    pub fn solve_with(self, det: f32, b: Vec2) -> Vec2 {
        Vec2::new(det * (self.yy * b.x - self.xy * b.y), det * (self.xx * b.y - self.xy * b.x))
    }
}

/// One over the number; 0 for 0.
pub fn reciprocal(x: f32) -> f32 {
    if x == 0.0 { 0.0 } else { 1.0 / x }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transform_and_its_inverse_cancel() {
        let transform = Transform::about(Vec2::new(1.0, -2.0), 0.7, Vec2::new(0.3, 0.1));
        let there = transform.apply(Vec2::new(0.3, 0.1));
        assert!((there - Vec2::new(1.0, -2.0)).length() < 1e-6);
        assert!((transform.undo(there) - Vec2::new(0.3, 0.1)).length() < 1e-6);
    }

    #[test]
    fn a_sweep_leads_from_its_start_to_its_end() {
        let mut sweep = Sweep {
            local_center: Vec2::ZERO,
            start: Vec2::ZERO,
            center: Vec2::new(4.0, 0.0),
            start_angle: 7.0,
            angle: 8.0,
            advanced: 0.0,
        };
        sweep.advance(0.5);
        assert_eq!((sweep.start, sweep.start_angle), (Vec2::new(2.0, 0.0), 7.5));
        assert_eq!(sweep.transform_at(0.5).position, Vec2::new(3.0, 0.0));
        let normalized = sweep.normalized();
        assert!((0.0..std::f32::consts::TAU).contains(&normalized.start_angle));
        assert!((normalized.angle - normalized.start_angle - 0.5).abs() < 1e-6);
    }

    #[test]
    fn a_solution_is_mapped_back_to_the_right_side() {
        let matrix = Symmetric2 { xx: 2.0, xy: 0.5, yy: 1.0 };
        let x = Vec2::new(3.0, -1.0);
        assert!((matrix.solve(matrix.apply(x)) - x).length() < 1e-6);
        assert!((matrix.inverse().apply(matrix.apply(x)) - x).length() < 1e-6);
        assert_eq!(Symmetric2 { xx: 1.0, xy: 1.0, yy: 1.0 }.solve(x), Vec2::ZERO);
    }
}
