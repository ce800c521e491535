//! Joints: two bodies that turn about a common point, with a motor and with limits.

use serde::{Deserialize, Serialize};

use super::body::{Body, InverseMass, Velocity};
use super::island::ROUND;
use super::math::{Rotation, Symmetric2, Vec2, clamp, reciprocal};
use super::{ANGULAR_SLOP, LINEAR_SLOP, MAX_ANGULAR_CORRECTION};

/// A revolute joint. Its angle is that of the second body against the first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Joint {
    /// The numbers of the two bodies, which differ.
    pub bodies: [u8; 2],
    /// The common point in the coordinates of each body.
    pub anchors: [Vec2; 2],
    /// The second body's angle relative to the first's when the joint's angle is 0.
    pub reference_angle: f32,
    /// The bounds of the joint's angle, in radians; they are not nearly equal.
    pub limits: [f32; 2],
    /// The angular velocity that the motor tries to keep, in radians per second.
    pub motor_speed: f32,
    /// The greatest torque of the motor.
    pub max_torque: f32,
    impulses: Impulses,
    limit: Limit,
}

/// The impulses of the last step, from which the next one starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Impulses {
    /// The impulse that holds the anchors together.
    point: Vec2,
    /// The impulse that keeps the angle within its limits.
    limit: f32,
    motor: f32,
}

/// The limit that the joint is at.
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

    /// The joint with a motor.
    pub fn with_motor(mut self, speed: f32, max_torque: f32) -> Self {
        (self.motor_speed, self.max_torque) = (speed, max_torque);
        self
    }

    /// The joint's angle, in radians.
    pub fn angle(&self, bodies: [&Body; 2]) -> f32 {
        bodies[1].sweep.angle - bodies[0].sweep.angle - self.reference_angle
    }

    /// Prepares the joint for a step of `dt` seconds. It starts from the impulses of the last step, scaled by
    /// `warmth`.
    pub fn prepare(&mut self, bodies: [&Body; 2], warmth: f32, dt: f32) -> JointConstraint {
        let angle = self.angle(bodies);
        let limit = match self.limits {
            [lower, _] if angle <= lower => Limit::Lower,
            [_, upper] if angle >= upper => Limit::Upper,
            _ => Limit::Neither,
        };
        if limit == Limit::Neither || limit != self.limit {
            self.impulses.limit = 0.0;
        }
        self.limit = limit;
        let Impulses { point, limit, motor } = self.impulses;
        self.impulses = Impulses { point: warmth * point, limit: warmth * limit, motor: warmth * motor };
        JointConstraint::new(self, bodies, dt)
    }

    /// Keeps the impulses for the next step.
    pub fn store(&mut self, constraint: &JointConstraint) {
        self.impulses = constraint.impulses;
    }

    /// One iteration that moves the bodies to where the joint holds; returns true if it nearly held already.
    pub fn solve_position(&self, prepared: &JointConstraint, a: &mut Body, b: &mut Body) -> bool {
        let angular_error = self.turn_back(prepared, a, b);
        let lever = |body: &Body, anchor: Vec2| {
            Rotation::new(body.sweep.angle).apply(anchor - body.sweep.local_center)
        };
        let (lever_a, lever_b) = (lever(a, self.anchors[0]), lever(b, self.anchors[1]));
        let gap = b.sweep.center + lever_b - a.sweep.center - lever_a;
        let mass = a.inverse.mass + b.inverse.mass;
        let (ia, ib) = (a.inverse.inertia, b.inverse.inertia);
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

    /// Turns the bodies back within the limits; returns the angle by which they were beyond.
    fn turn_back(&self, prepared: &JointConstraint, a: &mut Body, b: &mut Body) -> f32 {
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
        a.sweep.angle -= a.inverse.inertia * impulse;
        b.sweep.angle += b.inverse.inertia * impulse;
        error
    }
}

/// A joint in the form that the iterations of a step use.
#[derive(Clone, Copy, Debug)]
pub struct JointConstraint {
    bodies: [usize; 2],
    inverses: [InverseMass; 2],
    impulses: Impulses,
    /// The gains of the point's impulse in the last iterations.
    gains: [Vec2; ROUND],
    /// The sign of the limit's impulse while it pushes; 0 where the joint is at no limit.
    push: f32,
    motor_speed: f32,
    /// The greatest impulse of the motor in a step.
    max_motor: f32,
    /// The vectors from each body's centre of mass to its anchor.
    levers: [Vec2; 2],
    /// The effect of an impulse between the anchors on their distance, and the inverse determinant.
    matrix: Symmetric2,
    determinant: f32,
    /// The effect of an impulse between the anchors on the relative rotation of the bodies.
    coupling: Vec2,
    motor_mass: f32,
    /// The effect of an angular impulse on that rotation, and the rest of the full matrix's inverse.
    turning: f32,
    minor: [f32; 3],
    full_determinant: f32,
}

impl JointConstraint {
    fn new(joint: &Joint, [a, b]: [&Body; 2], dt: f32) -> Self {
        let lever =
            |body: &Body, anchor: Vec2| body.transform.rotation.apply(anchor - body.sweep.local_center);
        let levers @ [ra, rb] = [lever(a, joint.anchors[0]), lever(b, joint.anchors[1])];
        let (ia, ib) = (a.inverse.inertia, b.inverse.inertia);
        let mass = a.inverse.mass + b.inverse.mass;
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
            bodies: joint.bodies.map(usize::from),
            inverses: [a.inverse, b.inverse],
            impulses: joint.impulses,
            gains: [Vec2::ZERO; ROUND],
            push: match joint.limit {
                Limit::Neither => 0.0,
                Limit::Lower => 1.0,
                Limit::Upper => -1.0,
            },
            motor_speed: joint.motor_speed,
            max_motor: dt * joint.max_torque,
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

    /// Applies the impulses of the last step.
    pub fn warm_start(&self, velocities: &mut [Velocity]) {
        let Impulses { point, limit, motor } = self.impulses;
        let mut pair = self.bodies.map(|body| velocities[body]);
        self.apply(&mut pair, point, |moment| moment + motor + limit);
        self.put_back(pair, velocities);
    }

    /// One iteration that makes the velocities obey the joint.
    #[inline]
    pub fn solve_velocity(&mut self, velocities: &mut [Velocity], iteration: usize) {
        let mut pair = self.bodies.map(|body| velocities[body]);
        self.drive(&mut pair);
        let [a, b] = pair;
        let drift = b.at(self.levers[1]) - a.linear - self.levers[0].swept(a.spin);
        let gain = if self.push == 0.0 {
            let gain = self.solve_point(-drift);
            self.apply(&mut pair, gain, |moment| moment);
            gain
        } else {
            let (gain, limit) = self.solve_with_limit(drift, b.spin - a.spin);
            self.apply(&mut pair, gain, |moment| moment + limit);
            gain
        };
        self.put_back(pair, velocities);
        self.impulses.point += gain;
        self.gains[iteration % ROUND] = gain;
    }

    #[inline]
    fn put_back(&self, pair: [Velocity; 2], velocities: &mut [Velocity]) {
        velocities[self.bodies[0]] = pair[0];
        velocities[self.bodies[1]] = pair[1];
    }

    /// The effect of an iteration once the velocities no longer change, or only in a cycle: the impulse that
    /// holds the anchors together may still grow, but nothing depends on it until the next step.
    pub fn repeat(&mut self, iteration: usize) {
        self.impulses.point += self.gains[iteration % ROUND];
    }

    /// The impulses on which the next iteration depends.
    pub fn feedback(&self) -> [f32; 2] {
        [self.impulses.limit, self.impulses.motor]
    }

    /// The impulses that stop this drift of the anchors and this rotation.
    #[inline]
    fn solve_with_limit(&mut self, drift: Vec2, turning: f32) -> (Vec2, f32) {
        let (point, limit) = self.solve_both(drift, turning);
        let sum = self.impulses.limit - limit;
        if sum * self.push >= 0.0 {
            self.impulses.limit = sum;
            return (-point, -limit);
        }
        // A limit can only push: where it would pull, it is released, and the anchors are held alone.
        let held = std::mem::take(&mut self.impulses.limit);
        (self.solve_point(-drift + held * self.coupling), -held)
    }

    #[inline]
    fn drive(&mut self, [a, b]: &mut [Velocity; 2]) {
        let slip = b.spin - a.spin - self.motor_speed;
        let before = self.impulses.motor;
        let mut motor = before + -self.motor_mass * slip;
        // Branches, and not `clamp`: the processor predicts that the motor acts as in the last iteration, and
        // goes on.
        if motor.abs() > self.max_motor {
            motor = self.max_motor.copysign(motor);
            if motor == before {
                return;
            }
        }
        self.impulses.motor = motor;
        let impulse = motor - before;
        a.spin -= self.inverses[0].inertia * impulse;
        b.spin += self.inverses[1].inertia * impulse;
    }

    /// The impulse that stops this drift of the anchors.
    #[inline]
    fn solve_point(&self, drift: Vec2) -> Vec2 {
        self.matrix.solve_with(self.determinant, drift)
    }

    /// The impulse and the angular impulse that stop this drift and this rotation, by Cramer's rule.
    #[inline]
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

    /// Applies an impulse between the anchors, and the angular impulse that `turn` derives from its moment.
    #[inline]
    fn apply(&self, [a, b]: &mut [Velocity; 2], impulse: Vec2, turn: impl Fn(f32) -> f32) {
        let ([lever_a, lever_b], [ma, mb]) = (self.levers, self.inverses);
        a.linear -= ma.mass * impulse;
        a.spin -= ma.inertia * turn(lever_a.cross(impulse));
        b.linear += mb.mass * impulse;
        b.spin += mb.inertia * turn(lever_b.cross(impulse));
    }
}

#[inline]
fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

#[inline]
fn cross(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}
