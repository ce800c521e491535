//! Bodies that move: one polygon each, its motion and what acts on it.

use serde::{Deserialize, Serialize};

use super::math::{Sweep, Transform, Vec2};
use super::shape::{Aabb, Polygon};
use super::{MARGIN, MAX_ROTATION, MAX_TRANSLATION, SLOW, SLOW_SPIN};

/// The material of a body.
#[derive(Clone, Copy, Debug)]
pub struct Material {
    /// Mass per area.
    pub density: f32,
    pub friction: f32,
    /// The share of its speed towards the ground that comes back: 0 for none, 1 for all.
    pub restitution: f32,
}

/// The velocity of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Velocity {
    /// The velocity of the centre of mass.
    pub linear: Vec2,
    /// The angular velocity, in radians per second.
    pub spin: f32,
}

/// One over a body's mass and over its moment of inertia about the centre of mass.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct InverseMass {
    pub mass: f32,
    pub inertia: f32,
}

impl Velocity {
    /// The velocity at the end of this lever, which starts at the centre of mass.
    #[inline]
    pub fn at(self, lever: Vec2) -> Vec2 {
        self.linear + lever.swept(self.spin)
    }

    /// Changes the velocity by an impulse at the end of a lever.
    #[inline]
    pub fn push(&mut self, inverse: InverseMass, impulse: Vec2, lever: Vec2) {
        self.linear += inverse.mass * impulse;
        self.spin += inverse.inertia * lever.cross(impulse);
    }
}

/// A body. It collides with the ground, never with another body.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Body {
    pub shape: Polygon,
    pub friction: f32,
    pub restitution: f32,
    pub inverse: InverseMass,
    pub sweep: Sweep,
    pub transform: Transform,
    pub velocity: Velocity,
    pub awake: bool,
    /// The seconds for which the body has hardly moved.
    pub still: f32,
    /// The box, with a margin, within which the body may move before new contacts are searched.
    pub roam: Aabb,
    /// True if the roam has changed since contacts were searched.
    pub moved: bool,
    force: Vec2,
    torque: f32,
}

impl Body {
    pub fn new(shape: Polygon, material: Material, position: Vec2, angle: f32) -> Self {
        let placed = Transform::about(position, angle, Vec2::ZERO);
        let mass = shape.mass(material.density);
        let inverse_mass = 1.0 / mass.mass;
        let local_center = inverse_mass * (mass.mass * mass.center);
        let inertia = mass.inertia - mass.mass * local_center.length_squared();
        let center = placed.apply(local_center);
        Self {
            shape,
            friction: material.friction,
            restitution: material.restitution,
            inverse: InverseMass { mass: inverse_mass, inertia: 1.0 / inertia },
            sweep: Sweep { local_center, start: center, center, start_angle: angle, angle, advanced: 0.0 },
            transform: placed,
            velocity: Velocity::default(),
            awake: true,
            still: 0.0,
            roam: shape.aabb(placed).widened(MARGIN),
            moved: true,
            force: Vec2::ZERO,
            torque: 0.0,
        }
    }

    /// The world position of the origin of the body's own coordinates.
    pub fn position(&self) -> Vec2 {
        self.transform.position
    }

    /// The angle in radians, counted on over whole turns.
    pub fn angle(&self) -> f32 {
        self.sweep.angle
    }

    /// Applies a force at the centre of mass until the next step is over.
    pub fn apply_force(&mut self, force: Vec2) {
        self.wake();
        self.force += force;
    }

    /// Applies a torque until the next step is over.
    pub fn apply_torque(&mut self, torque: f32) {
        self.wake();
        self.torque += torque;
    }

    /// Applies an impulse at this point of the world, as a hit does.
    pub fn apply_impulse(&mut self, impulse: Vec2, point: Vec2) {
        self.wake();
        self.velocity.push(self.inverse, impulse, point - self.sweep.center);
    }

    pub fn wake(&mut self) {
        if !self.awake {
            (self.awake, self.still) = (true, 0.0);
        }
    }

    pub fn sleep(&mut self) {
        (self.awake, self.still) = (false, 0.0);
        self.velocity = Velocity::default();
        self.clear_forces();
    }

    pub fn clear_forces(&mut self) {
        (self.force, self.torque) = (Vec2::ZERO, 0.0);
    }

    /// Corrects the position as [`Velocity::push`] changes the velocity.
    #[inline]
    pub fn shift(&mut self, impulse: Vec2, lever: Vec2) {
        self.sweep.center += self.inverse.mass * impulse;
        self.sweep.angle += self.inverse.inertia * lever.cross(impulse);
    }

    /// The opposite of [`Body::shift`].
    #[inline]
    pub fn shift_back(&mut self, impulse: Vec2, lever: Vec2) {
        self.sweep.center -= self.inverse.mass * impulse;
        self.sweep.angle -= self.inverse.inertia * lever.cross(impulse);
    }

    /// Begins a step: gravity and forces change the velocity.
    pub fn accelerate(&mut self, dt: f32, gravity: Vec2) {
        (self.sweep.start, self.sweep.start_angle) = (self.sweep.center, self.sweep.angle);
        self.velocity.linear += dt * (gravity + self.inverse.mass * self.force);
        self.velocity.spin += dt * self.inverse.inertia * self.torque;
    }

    /// Moves the body by its velocity; both translation and rotation are limited.
    pub fn advance(&mut self, dt: f32) {
        let Velocity { linear, spin } = &mut self.velocity;
        let translation = dt * *linear;
        if translation.length_squared() > MAX_TRANSLATION * MAX_TRANSLATION {
            *linear = (MAX_TRANSLATION / translation.length()) * *linear;
        }
        let rotation = dt * *spin;
        if rotation * rotation > MAX_ROTATION * MAX_ROTATION {
            *spin *= MAX_ROTATION / rotation.abs();
        }
        self.sweep.center += dt * *linear;
        self.sweep.angle += dt * *spin;
    }

    /// Goes back to this fraction of the step.
    pub fn rewind(&mut self, to: f32) {
        self.sweep.advance(to);
        (self.sweep.center, self.sweep.angle) = (self.sweep.start, self.sweep.start_angle);
        self.settle();
    }

    /// Brings the transform up to date with the sweep.
    pub fn settle(&mut self) {
        self.transform = self.sweep.transform();
    }

    /// Moves the roam to the body where the body has left it, with more room in the direction of the motion.
    pub fn follow(&mut self) {
        let before = Transform::about(self.sweep.start, self.sweep.start_angle, self.sweep.local_center);
        let swept = self.shape.aabb(before).union(self.shape.aabb(self.transform));
        if self.roam.contains(&swept) {
            return;
        }
        const AHEAD: f32 = 2.0;
        let ahead = AHEAD * (self.transform.position - before.position);
        let mut roam = swept.widened(MARGIN);
        roam.lower += ahead.min(Vec2::ZERO);
        roam.upper += ahead.max(Vec2::ZERO);
        (self.roam, self.moved) = (roam, true);
    }

    /// Updates the seconds for which the body has been still, and returns them.
    pub fn rest(&mut self, dt: f32) -> f32 {
        let Velocity { linear, spin } = self.velocity;
        let slow = spin * spin <= SLOW_SPIN * SLOW_SPIN && linear.length_squared() <= SLOW * SLOW;
        self.still = if slow { self.still + dt } else { 0.0 };
        self.still
    }
}
