//! Bodies that move: one polygon each, its motion and what acts on it.

use serde::{Deserialize, Serialize};

use super::math::{Sweep, Transform, Vec2};
use super::shape::{Aabb, Polygon};
use super::{MARGIN, MAX_ROTATION, MAX_TRANSLATION, SLOW, SLOW_SPIN};

/// What a body is made of.
#[derive(Clone, Copy, Debug)]
pub struct Material {
    /// Mass per area.
    pub density: f32,
    pub friction: f32,
    /// How much of its speed towards the ground comes back: 0 for nothing, 1 for all.
    pub restitution: f32,
}

/// A body. It collides with the ground, never with another body.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Body {
    pub shape: Polygon,
    pub friction: f32,
    pub restitution: f32,
    pub inverse_mass: f32,
    pub inverse_inertia: f32,
    pub sweep: Sweep,
    pub transform: Transform,
    /// Of the centre of mass.
    pub velocity: Vec2,
    /// The angular velocity, in radians per second.
    pub spin: f32,
    pub awake: bool,
    /// For how many seconds the body has hardly moved.
    pub still: f32,
    /// The box with a margin within which the body may move before new contacts are looked for.
    pub roam: Aabb,
    /// Whether the roam has changed since contacts were looked for.
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
            inverse_mass,
            inverse_inertia: 1.0 / inertia,
            sweep: Sweep { local_center, start: center, center, start_angle: angle, angle, advanced: 0.0 },
            transform: placed,
            velocity: Vec2::ZERO,
            spin: 0.0,
            awake: true,
            still: 0.0,
            roam: shape.aabb(placed).widened(MARGIN),
            moved: true,
            force: Vec2::ZERO,
            torque: 0.0,
        }
    }

    /// Where the origin of the body's own coordinates is.
    pub fn position(&self) -> Vec2 {
        self.transform.position
    }

    /// In radians, counted on over whole turns.
    pub fn angle(&self) -> f32 {
        self.sweep.angle
    }

    /// Pushes at the centre of mass until the next step is over.
    pub fn apply_force(&mut self, force: Vec2) {
        self.wake();
        self.force += force;
    }

    /// Turns the body until the next step is over.
    pub fn apply_torque(&mut self, torque: f32) {
        self.wake();
        self.torque += torque;
    }

    /// Changes the momentum at once, as a hit at this point of the world does.
    pub fn apply_impulse(&mut self, impulse: Vec2, point: Vec2) {
        self.wake();
        self.push(impulse, point - self.sweep.center);
    }

    pub fn wake(&mut self) {
        if !self.awake {
            (self.awake, self.still) = (true, 0.0);
        }
    }

    pub fn sleep(&mut self) {
        (self.awake, self.still) = (false, 0.0);
        (self.velocity, self.spin) = (Vec2::ZERO, 0.0);
        self.clear_forces();
    }

    pub fn clear_forces(&mut self) {
        (self.force, self.torque) = (Vec2::ZERO, 0.0);
    }

    /// An impulse at the end of this lever, whose foot is the centre of mass.
    #[inline]
    pub fn push(&mut self, impulse: Vec2, lever: Vec2) {
        self.velocity += self.inverse_mass * impulse;
        self.spin += self.inverse_inertia * lever.cross(impulse);
    }

    /// Corrects the position as [`Body::push`] changes the velocity.
    #[inline]
    pub fn shift(&mut self, impulse: Vec2, lever: Vec2) {
        self.sweep.center += self.inverse_mass * impulse;
        self.sweep.angle += self.inverse_inertia * lever.cross(impulse);
    }

    /// The opposite of [`Body::shift`].
    #[inline]
    pub fn shift_back(&mut self, impulse: Vec2, lever: Vec2) {
        self.sweep.center -= self.inverse_mass * impulse;
        self.sweep.angle -= self.inverse_inertia * lever.cross(impulse);
    }

    /// Begins a step: gravity and forces change the velocity.
    pub fn accelerate(&mut self, dt: f32, gravity: Vec2) {
        (self.sweep.start, self.sweep.start_angle) = (self.sweep.center, self.sweep.angle);
        self.velocity += dt * (gravity + self.inverse_mass * self.force);
        self.spin += dt * self.inverse_inertia * self.torque;
    }

    /// The velocity changes the position, neither too much at once.
    pub fn advance(&mut self, dt: f32) {
        let translation = dt * self.velocity;
        if translation.length_squared() > MAX_TRANSLATION * MAX_TRANSLATION {
            self.velocity = (MAX_TRANSLATION / translation.length()) * self.velocity;
        }
        let rotation = dt * self.spin;
        if rotation * rotation > MAX_ROTATION * MAX_ROTATION {
            self.spin *= MAX_ROTATION / rotation.abs();
        }
        self.sweep.center += dt * self.velocity;
        self.sweep.angle += dt * self.spin;
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

    /// Moves the roam after the body where it has left it, further in the direction of the motion.
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

    /// For how long the body has now been still, in seconds.
    pub fn rest(&mut self, dt: f32) -> f32 {
        let slow =
            self.spin * self.spin <= SLOW_SPIN * SLOW_SPIN && self.velocity.length_squared() <= SLOW * SLOW;
        self.still = if slow { self.still + dt } else { 0.0 };
        self.still
    }
}
