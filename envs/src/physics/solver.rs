//! The contact solver: sequential impulses that stop bodies from sinking into the ground.
//!
//! A point's normal impulse may push and never pull, and friction is bounded by it (Coulomb). Two points of
//! one manifold are solved together, as the small linear complementarity problem that they form.

use super::body::{Body, InverseMass, Velocity};
use super::contact::Contact;
use super::manifold::Manifold;
use super::math::{Symmetric2, Vec2, clamp, max, min};
use super::{LINEAR_SLOP, MAX_LINEAR_CORRECTION, VELOCITY_THRESHOLD};

/// A contact in the form that the iterations of a step use.
#[derive(Clone, Copy, Debug)]
pub struct Constraint {
    /// The number of the contact.
    pub contact: usize,
    /// The number of its body.
    pub body: usize,
    inverse_mass: InverseMass,
    friction: f32,
    normal: Vec2,
    points: [Point; 2],
    /// The number of points that the velocities obey: nearly equal ones count as one.
    count: usize,
    /// The effect of an impulse at each point on the points' velocities along the normal, and its inverse.
    matrix: Symmetric2,
    inverse: Symmetric2,
}

#[derive(Clone, Copy, Debug, Default)]
struct Point {
    /// The vector from the body's centre of mass.
    lever: Vec2,
    normal_impulse: f32,
    tangent_impulse: f32,
    normal_mass: f32,
    tangent_mass: f32,
    /// The velocity along the normal that restitution asks for.
    bounce: f32,
}

impl Constraint {
    /// Prepares a contact that touches. It starts from the impulses of the last step, scaled by `warmth`.
    pub fn new(number: usize, contact: &Contact, body: &Body, warmth: f32) -> Self {
        let manifold = &contact.manifold;
        let transform = body.sweep.transform();
        let face = manifold.in_world(transform);
        let mut constraint = Self {
            contact: number,
            body: usize::from(contact.body),
            inverse_mass: body.inverse,
            friction: contact.friction,
            normal: face.normal(),
            points: [Point::default(); 2],
            count: manifold.points().len(),
            matrix: Symmetric2::default(),
            inverse: Symmetric2::default(),
        };
        for (point, old) in constraint.points.iter_mut().zip(manifold.points()) {
            let lever = face.middle(old.local, transform) - body.sweep.center;
            *point = Point::new(lever, face.normal(), body, contact.restitution);
            point.normal_impulse = warmth * old.normal_impulse;
            point.tangent_impulse = warmth * old.tangent_impulse;
        }
        if constraint.count == 2 {
            constraint.couple();
        }
        constraint
    }

    /// Prepares two points to be solved together, or one alone where they are too similar.
    fn couple(&mut self) {
        const MAX_CONDITION: f32 = 1000.0;
        let [first, second] = self.points.map(|point| point.lever.cross(self.normal));
        let InverseMass { mass, inertia } = self.inverse_mass;
        let matrix = Symmetric2 {
            xx: mass + inertia * first * first,
            xy: mass + inertia * first * second,
            yy: mass + inertia * second * second,
        };
        let determinant = matrix.xx * matrix.yy - matrix.xy * matrix.xy;
        if matrix.xx * matrix.xx < MAX_CONDITION * determinant {
            (self.matrix, self.inverse) = (matrix, matrix.inverse());
        } else {
            self.count = 1;
        }
    }

    /// Applies the impulses of the last step.
    pub fn warm_start(&self, velocity: &mut Velocity) {
        let tangent = self.normal.right();
        for point in &self.points[..self.count] {
            let impulse = point.normal_impulse * self.normal + point.tangent_impulse * tangent;
            velocity.push(self.inverse_mass, impulse, point.lever);
        }
    }

    /// One iteration. Friction is solved first, because not sinking in matters more.
    pub fn solve_velocity(&mut self, velocity: &mut Velocity) {
        let tangent = self.normal.right();
        for point in &mut self.points[..self.count] {
            let slip = velocity.at(point.lever).dot(tangent);
            let most = self.friction * point.normal_impulse;
            let impulse = clamp(point.tangent_impulse + point.tangent_mass * -slip, -most, most);
            let change = impulse - point.tangent_impulse;
            point.tangent_impulse = impulse;
            velocity.push(self.inverse_mass, change * tangent, point.lever);
        }
        if self.count == 2 {
            self.solve_pair(velocity);
        } else {
            let point = &mut self.points[0];
            let approach = velocity.at(point.lever).dot(self.normal);
            let impulse = max(point.normal_impulse + -point.normal_mass * (approach - point.bounce), 0.0);
            let change = impulse - point.normal_impulse;
            point.normal_impulse = impulse;
            velocity.push(self.inverse_mass, change * self.normal, point.lever);
        }
    }

    /// Finds impulses that do not pull, with which no point approaches, and no point that is pushed
    /// separates. The four cases of points that are pushed are tried in turn (Murty's total enumeration).
    fn solve_pair(&mut self, velocity: &mut Velocity) {
        let [first, second] = &self.points;
        let old = Vec2::new(first.normal_impulse, second.normal_impulse);
        let approach = self.points.map(|point| velocity.at(point.lever).dot(self.normal));
        let offset = Vec2::new(approach[0] - first.bounce, approach[1] - second.bounce);
        // The motion of the points without any impulse of this contact.
        let free = offset - self.matrix.apply(old);
        let Some(new) = self.complementary(free) else { return };
        let change = new - old;
        let impulses = [change.x * self.normal, change.y * self.normal];
        let moment = first.lever.cross(impulses[0]) + second.lever.cross(impulses[1]);
        velocity.linear += self.inverse_mass.mass * (impulses[0] + impulses[1]);
        velocity.spin += self.inverse_mass.inertia * moment;
        (self.points[0].normal_impulse, self.points[1].normal_impulse) = (new.x, new.y);
    }

    fn complementary(&self, free: Vec2) -> Option<Vec2> {
        let both = -self.inverse.apply(free);
        if both.x >= 0.0 && both.y >= 0.0 {
            return Some(both);
        }
        let first = -self.points[0].normal_mass * free.x;
        if first >= 0.0 && self.matrix.xy * first + free.y >= 0.0 {
            return Some(Vec2::new(first, 0.0));
        }
        let second = -self.points[1].normal_mass * free.y;
        if second >= 0.0 && self.matrix.xy * second + free.x >= 0.0 {
            return Some(Vec2::new(0.0, second));
        }
        (free.x >= 0.0 && free.y >= 0.0).then_some(Vec2::ZERO)
    }

    /// The impulses on which the next iteration depends.
    pub fn feedback(&self) -> [f32; 4] {
        let [first, second] = self.points;
        [first.normal_impulse, first.tangent_impulse, second.normal_impulse, second.tangent_impulse]
    }

    /// Keeps the impulses for the next step.
    pub fn store(&self, manifold: &mut Manifold) {
        for (kept, point) in manifold.points_mut().iter_mut().zip(&self.points[..self.count]) {
            (kept.normal_impulse, kept.tangent_impulse) = (point.normal_impulse, point.tangent_impulse);
        }
    }
}

impl Point {
    fn new(lever: Vec2, normal: Vec2, body: &Body, restitution: f32) -> Self {
        let mass = |direction: Vec2| {
            let moment = lever.cross(direction);
            let inverse = body.inverse.mass + body.inverse.inertia * moment * moment;
            if inverse > 0.0 { 1.0 / inverse } else { 0.0 }
        };
        let mut point =
            Self { lever, normal_mass: mass(normal), tangent_mass: mass(normal.right()), ..Self::default() };
        let approach = normal.dot(body.velocity.at(lever));
        point.bounce = if approach < -VELOCITY_THRESHOLD { -restitution * approach } else { 0.0 };
        point
    }
}

/// One iteration that pushes the body out of the ground by this share of its depth. Returns the least
/// separation.
pub fn solve_position(manifold: &Manifold, body: &mut Body, share: f32) -> f32 {
    let mut least: f32 = 0.0;
    for point in manifold.points() {
        let transform = body.sweep.transform();
        let face = manifold.in_world(transform);
        let (place, separation) = face.separation(point.local, transform);
        least = min(least, separation);
        let normal = face.normal();
        let lever = place - body.sweep.center;
        let correction = clamp(share * (separation + LINEAR_SLOP), -MAX_LINEAR_CORRECTION, 0.0);
        let moment = lever.cross(normal);
        let inverse = body.inverse.mass + body.inverse.inertia * moment * moment;
        let impulse = if inverse > 0.0 { -correction / inverse } else { 0.0 };
        body.shift(impulse * normal, lever);
    }
    least
}
