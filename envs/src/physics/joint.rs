//! Joints: two bodies that turn about a common point, with a motor and with limits.

use serde::{Deserialize, Serialize};

use super::body::Body;
use super::math::{Rotation, Symmetric2, Vec2, clamp, reciprocal};
use super::{ANGULAR_SLOP, LINEAR_SLOP, MAX_ANGULAR_CORRECTION};

/// A revolute joint. Its angle is that of the second body against the first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Joint {
    /// The numbers of the two bodies, which differ.
    pub bodies: [u8; 2],
    /// The common point in the coordinates of each body.
    pub anchors: [Vec2; 2],
    /// What the second body's angle is beyond the first's when the joint's angle is 0.
    pub reference_angle: f32,
    /// The joint's angle stays between these, in radians; they are not nearly equal.
    pub limits: [f32; 2],
    /// The angular velocity that the motor tries to keep, in radians per second.
    pub motor_speed: f32,
    /// The most torque that the motor has.
    pub max_torque: f32,
    impulses: Impulses,
    limit: Limit,
}

/// What the joint did in the last step, to begin the next with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Impulses {
    /// Holds the anchors together.
    point: Vec2,
    /// Keeps the angle within its limits.
    limit: f32,
    motor: f32,
}

/// Which limit the joint is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Limit {
    #[default]
    Neither,
    Lower,
    Upper,
}

impl Joint {
    /// A joint whose motor stands still; the bodies' angles at this moment are the joint's angle 0.
    pub fn new(bodies: [u8; 2], anchors: [Vec2; 2], reference_angle: f32, limits: [f32; 2]) -> Self {
        Self {
            bodies,
            anchors,
            reference_angle,
            limits,
            motor_speed: 0.0,
            max_torque: 0.0,
            impulses: Impulses::default(),
            limit: Limit::Neither,
        }
    }

    /// With a motor.
    pub fn with_motor(mut self, speed: f32, max_torque: f32) -> Self {
        (self.motor_speed, self.max_torque) = (speed, max_torque);
        self
    }

    /// In radians.
    pub fn angle(&self, bodies: [&Body; 2]) -> f32 {
        bodies[1].sweep.angle - bodies[0].sweep.angle - self.reference_angle
    }

    pub fn impulses(&self) -> Impulses {
        self.impulses
    }

    /// Prepares the joint for a step and applies the impulses of the last one, scaled by `warmth`.
    pub fn prepare(&mut self, a: &mut Body, b: &mut Body, warmth: f32) -> Prepared {
        let prepared = Prepared::new(self, a, b);
        let angle = self.angle([a, b]);
        let limit = match self.limits {
            [lower, _] if angle <= lower => Limit::Lower,
            [_, upper] if angle >= upper => Limit::Upper,
            _ => Limit::Neither,
        };
        if limit == Limit::Neither || limit != self.limit {
            self.impulses.limit = 0.0;
        }
        self.limit = limit;
        let impulses = &mut self.impulses;
        impulses.point = warmth * impulses.point;
        impulses.limit *= warmth;
        impulses.motor *= warmth;
        prepared.apply(a, b, impulses.point, |lever| lever + impulses.motor + impulses.limit);
        prepared
    }

    /// One iteration that makes the velocities obey the joint.
    #[inline]
    pub fn solve_velocity(&mut self, prepared: &Prepared, a: &mut Body, b: &mut Body, dt: f32) {
        self.drive(prepared, a, b, dt);
        let [lever_a, lever_b] = prepared.levers;
        let drift = b.velocity + lever_b.swept(b.spin) - a.velocity - lever_a.swept(a.spin);
        if self.limit == Limit::Neither {
            let impulse = prepared.solve_point(-drift);
            self.impulses.point += impulse;
            prepared.apply(a, b, impulse, |lever| lever);
            return;
        }
        let (point, limit) = prepared.solve_both(drift, b.spin - a.spin);
        let (mut point, mut limit) = (-point, -limit);
        let sum = self.impulses.limit + limit;
        let pulls = if self.limit == Limit::Lower { sum < 0.0 } else { sum > 0.0 };
        if pulls {
            // The limit only pushes: let it go, and hold the anchors alone.
            point = prepared.solve_point(-drift + self.impulses.limit * prepared.coupling);
            limit = -self.impulses.limit;
            self.impulses.limit = 0.0;
        } else {
            self.impulses.limit = sum;
        }
        self.impulses.point += point;
        prepared.apply(a, b, point, |lever| lever + limit);
    }

    fn drive(&mut self, prepared: &Prepared, a: &mut Body, b: &mut Body, dt: f32) {
        let slip = b.spin - a.spin - self.motor_speed;
        let most = dt * self.max_torque;
        let before = self.impulses.motor;
        self.impulses.motor = clamp(before + -prepared.motor_mass * slip, -most, most);
        let impulse = self.impulses.motor - before;
        a.spin -= a.inverse_inertia * impulse;
        b.spin += b.inverse_inertia * impulse;
    }

    /// One iteration that moves the bodies to where the joint holds; whether it nearly did already.
    pub fn solve_position(&self, prepared: &Prepared, a: &mut Body, b: &mut Body) -> bool {
        let angular_error = self.turn_back(prepared, a, b);
        let lever = |body: &Body, anchor: Vec2| {
            Rotation::new(body.sweep.angle).apply(anchor - body.sweep.local_center)
        };
        let (lever_a, lever_b) = (lever(a, self.anchors[0]), lever(b, self.anchors[1]));
        let gap = b.sweep.center + lever_b - a.sweep.center - lever_a;
        let mass = a.inverse_mass + b.inverse_mass;
        let (ia, ib) = (a.inverse_inertia, b.inverse_inertia);
        let matrix = Symmetric2 {
            xx: mass + ia * lever_a.y * lever_a.y + ib * lever_b.y * lever_b.y,
            xy: -ia * lever_a.x * lever_a.y - ib * lever_b.x * lever_b.y,
            yy: mass + ia * lever_a.x * lever_a.x + ib * lever_b.x * lever_b.x,
        };
        let impulse = -matrix.solve(gap);
        a.shift_back(impulse, lever_a);
        b.shift(impulse, lever_b);
        gap.length() <= LINEAR_SLOP && angular_error <= ANGULAR_SLOP
    }

    /// Turns the bodies back within the limits; by how much they were beyond.
    fn turn_back(&self, prepared: &Prepared, a: &mut Body, b: &mut Body) -> f32 {
        let angle = self.angle([a, b]);
        let [lower, upper] = self.limits;
        let (error, correction) = match self.limit {
            Limit::Neither => return 0.0,
            Limit::Lower => {
                let beyond = angle - lower;
                (-beyond, clamp(beyond + ANGULAR_SLOP, -MAX_ANGULAR_CORRECTION, 0.0))
            }
            Limit::Upper => {
                let beyond = angle - upper;
                (beyond, clamp(beyond - ANGULAR_SLOP, 0.0, MAX_ANGULAR_CORRECTION))
            }
        };
        let impulse = -prepared.motor_mass * correction;
        a.sweep.angle -= a.inverse_inertia * impulse;
        b.sweep.angle += b.inverse_inertia * impulse;
        error
    }
}

/// What of a joint stays the same through the iterations of a step.
#[derive(Clone, Copy, Debug)]
pub struct Prepared {
    /// From each body's centre of mass to its anchor.
    levers: [Vec2; 2],
    /// How much the anchors part for an impulse between them, with its inverse determinant.
    matrix: Symmetric2,
    determinant: f32,
    /// How much an impulse between the anchors turns the bodies against each other.
    coupling: Vec2,
    motor_mass: f32,
    /// How much an angular impulse turns them, and the rest of the full matrix's inverse.
    turning: f32,
    minor: [f32; 3],
    full_determinant: f32,
}

impl Prepared {
    fn new(joint: &Joint, a: &Body, b: &Body) -> Self {
        let lever =
            |body: &Body, anchor: Vec2| body.transform.rotation.apply(anchor - body.sweep.local_center);
        let levers @ [ra, rb] = [lever(a, joint.anchors[0]), lever(b, joint.anchors[1])];
        let (ia, ib) = (a.inverse_inertia, b.inverse_inertia);
        let mass = a.inverse_mass + b.inverse_mass;
        let matrix = Symmetric2 {
            xx: mass + ra.y * ra.y * ia + rb.y * rb.y * ib,
            xy: -ra.y * ra.x * ia - rb.y * rb.x * ib,
            yy: mass + ra.x * ra.x * ia + rb.x * rb.x * ib,
        };
        let coupling = Vec2::new(-ra.y * ia - rb.y * ib, ra.x * ia + rb.x * ib);
        let turning = ia + ib;
        let first = [matrix.xx, matrix.xy, coupling.x];
        let minor = cross([matrix.xy, matrix.yy, coupling.y], [coupling.x, coupling.y, turning]);
        Self {
            levers,
            matrix,
            determinant: matrix.inverse_determinant(),
            coupling,
            motor_mass: reciprocal(turning),
            turning,
            minor,
            full_determinant: reciprocal(dot(first, minor)),
        }
    }

    /// The impulse that stops this drift of the anchors.
    fn solve_point(&self, drift: Vec2) -> Vec2 {
        self.matrix.solve_with(self.determinant, drift)
    }

    /// The impulse and the angular impulse that stop this drift and this turning, by Cramer's rule.
    fn solve_both(&self, drift: Vec2, spin: f32) -> (Vec2, f32) {
        let Self { matrix, coupling, full_determinant: det, .. } = self;
        let wanted = [drift.x, drift.y, spin];
        let first = [matrix.xx, matrix.xy, coupling.x];
        let second = [matrix.xy, matrix.yy, coupling.y];
        let third = [coupling.x, coupling.y, self.turning];
        let x = det * dot(wanted, self.minor);
        let y = det * dot(first, cross(wanted, third));
        (Vec2::new(x, y), det * dot(first, cross(second, wanted)))
    }

    /// Applies an impulse between the anchors, and the angular impulse that `turn` makes of its moment.
    #[inline]
    fn apply(&self, a: &mut Body, b: &mut Body, impulse: Vec2, turn: impl Fn(f32) -> f32) {
        let [lever_a, lever_b] = self.levers;
        a.velocity -= a.inverse_mass * impulse;
        a.spin -= a.inverse_inertia * turn(lever_a.cross(impulse));
        b.velocity += b.inverse_mass * impulse;
        b.spin += b.inverse_inertia * turn(lever_b.cross(impulse));
    }
}

fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}
