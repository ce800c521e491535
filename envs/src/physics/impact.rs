//! The time of impact: the moment within a step at which a body first touches a piece of the ground.
//!
//! Along an axis that separates the shapes, the time at which the separation reaches a target is found by
//! bisection and secants (conservative advancement). Where the shapes touch along another axis at that time,
//! the search is repeated with that axis.

use super::distance::{Placed, Simplex, distance, furthest};
use super::math::{Sweep, Transform, Vec2};
use super::{LINEAR_SLOP, SKIN};

/// The separation at which shapes count as touching, and its tolerance.
const TARGET: f32 = {
    let within_skins = 2.0 * SKIN - 3.0 * LINEAR_SLOP;
    if within_skins > LINEAR_SLOP { within_skins } else { LINEAR_SLOP }
};
const TOLERANCE: f32 = 0.25 * LINEAR_SLOP;

/// The fraction of the sweep at which the polygon with these corners touches the piece; `None` if it does
/// not, or if they overlap from the start.
pub fn time_of_impact(piece: &[Vec2], polygon: &[Vec2], sweep: &Sweep) -> Option<f32> {
    const AXES: usize = 20;
    let sweep = sweep.normalized();
    let ground = Placed { corners: piece, transform: Transform::IDENTITY };
    let (mut time, mut simplex) = (0.0, Simplex::default());
    for _ in 0..AXES {
        let body = Placed { corners: polygon, transform: sweep.transform_at(time) };
        let apart = distance(&ground, &body, &mut simplex);
        if apart <= 0.0 {
            return None;
        }
        if apart < TARGET + TOLERANCE {
            return Some(time);
        }
        let pair = Pair { ground: piece, polygon, sweep };
        match pair.axis(&simplex, time).advance(time) {
            Advance::To(later) => time = later,
            Advance::Touches => return Some(time),
            Advance::Never => return None,
        }
    }
    None
}

/// The outcome of the search along one axis.
enum Advance {
    /// The shapes stay apart along the axis until this time.
    To(f32),
    /// The shapes touch already.
    Touches,
    /// The shapes stay apart, or the search has failed.
    Never,
}

/// The two shapes and the motion of the second.
#[derive(Clone, Copy)]
struct Pair<'a> {
    ground: &'a [Vec2],
    polygon: &'a [Vec2],
    sweep: Sweep,
}

/// An axis along which the separation is measured.
struct Axis<'a> {
    pair: Pair<'a>,
    kind: Kind,
    /// The unit vector of the axis: in the world, or in the body's coordinates for a side of the body.
    direction: Vec2,
}

/// The origin of the axis.
enum Kind {
    /// The axis runs from a corner to a corner.
    Corners,
    /// The axis is perpendicular to a side of the ground, through this point.
    GroundSide(Vec2),
    /// The axis is perpendicular to a side of the body, through this point in the body's coordinates.
    BodySide(Vec2),
}

/// The corners that are nearest along an axis; a side has none.
#[derive(Clone, Copy)]
struct Witness {
    ground: usize,
    body: usize,
}

impl<'a> Pair<'a> {
    /// The axis of the simplex of nearest points at a time, pointing so that the separation is positive.
    fn axis(self, simplex: &Simplex, time: f32) -> Axis<'a> {
        let transform = self.sweep.transform_at(time);
        let vertices = simplex.vertices();
        let [ground, body] = vertices[0].corners;
        let along = |points: &[Vec2], first: usize, second: usize| {
            let direction = (points[second] - points[first]).right().normalized().0;
            (direction, 0.5 * (points[first] + points[second]))
        };
        let (kind, direction, separation);
        match vertices.get(1).map(|vertex| vertex.corners) {
            None => {
                let way = transform.apply(self.polygon[body]) - self.ground[ground];
                (kind, direction, separation) = (Kind::Corners, way.normalized().0, 0.0);
            }
            Some([other, second]) if other == ground => {
                let (normal, middle) = along(self.polygon, body, second);
                let gap = self.ground[ground] - transform.apply(middle);
                (kind, direction) = (Kind::BodySide(middle), normal);
                separation = gap.dot(transform.rotation.apply(normal));
            }
            Some([second, _]) => {
                let (normal, middle) = along(self.ground, ground, second);
                (kind, direction) = (Kind::GroundSide(middle), normal);
                separation = (transform.apply(self.polygon[body]) - middle).dot(normal);
            }
        }
        Axis { pair: self, kind, direction: if separation < 0.0 { -direction } else { direction } }
    }
}

impl Axis<'_> {
    /// The corners nearest along the axis at a time.
    fn witness(&self, transform: Transform) -> Witness {
        let Pair { ground, polygon, .. } = self.pair;
        match self.kind {
            Kind::Corners => Witness {
                ground: furthest(ground, self.direction),
                body: furthest(polygon, transform.rotation.undo(-self.direction)),
            },
            Kind::GroundSide(_) => {
                Witness { ground: 0, body: furthest(polygon, transform.rotation.undo(-self.direction)) }
            }
            Kind::BodySide(_) => {
                let normal = transform.rotation.apply(self.direction);
                Witness { ground: furthest(ground, -normal), body: 0 }
            }
        }
    }

    /// The distance of the witnesses along the axis.
    fn separation(&self, witness: Witness, transform: Transform) -> f32 {
        let ground = self.pair.ground[witness.ground];
        let body = || transform.apply(self.pair.polygon[witness.body]);
        match self.kind {
            Kind::Corners => (body() - ground).dot(self.direction),
            Kind::GroundSide(point) => (body() - point).dot(self.direction),
            Kind::BodySide(point) => {
                (ground - transform.apply(point)).dot(transform.rotation.apply(self.direction))
            }
        }
    }

    /// Searches along the axis from this time on, and moves the end back until no corner is too near there.
    fn advance(&self, time: f32) -> Advance {
        const PUSHES: usize = 16;
        let mut end = 1.0;
        for _ in 0..PUSHES {
            let transform = self.pair.sweep.transform_at(end);
            let witness = self.witness(transform);
            let at_end = self.separation(witness, transform);
            if at_end > TARGET + TOLERANCE {
                return Advance::Never;
            }
            if at_end > TARGET - TOLERANCE {
                return Advance::To(end);
            }
            let at_start = self.separation(witness, self.pair.sweep.transform_at(time));
            if at_start < TARGET - TOLERANCE {
                return Advance::Never;
            }
            if at_start <= TARGET + TOLERANCE {
                return Advance::Touches;
            }
            end = self.root(witness, (time, at_start), (end, at_end)).unwrap_or(end);
        }
        Advance::To(time)
    }

    /// The time at which the witnesses' separation is the target, between a time with more and one with less.
    fn root(&self, witness: Witness, mut more: (f32, f32), mut less: (f32, f32)) -> Option<f32> {
        const ITERATIONS: usize = 50;
        for iteration in 0..ITERATIONS {
            let time = if iteration % 2 == 1 {
                more.0 + (TARGET - more.1) * (less.0 - more.0) / (less.1 - more.1)
            } else {
                0.5 * (more.0 + less.0)
            };
            let separation = self.separation(witness, self.pair.sweep.transform_at(time));
            if (separation - TARGET).abs() < TOLERANCE {
                return Some(time);
            }
            if separation > TARGET {
                more = (time, separation);
            } else {
                less = (time, separation);
            }
        }
        None
    }
}
