//! Narrow phase: the manifold of a body's polygon and a piece of the ground.
//!
//! The separating axis theorem finds the side of least overlap; its face becomes the reference, and the side
//! of the other shape that faces it most is clipped against it.

use super::SKIN;
use super::ground::PieceShape;
use super::manifold::{ClipPoint, Face, Feature, Features, Manifold, clip};
use super::math::{Transform, Vec2, min};
use super::shape::{Edge, Polygon};

/// The largest distance at which shapes still touch, namely with their skins.
const REACH: f32 = 2.0 * SKIN;

/// Returns true if the separation is clearly greater. The body's side becomes the reference only then, so
/// that the choice does not flicker.
fn clearly_above(separation: f32, other: f32) -> bool {
    separation > 0.98 * other + 0.001
}

/// The manifold of a piece of the ground and the polygon of a body with this transform.
pub fn collide(piece: &PieceShape, polygon: &Polygon, transform: Transform) -> Manifold {
    let manifold = match piece {
        PieceShape::Edge(edge) => with_edge(edge, polygon, transform),
        PieceShape::Polygon(ground) => with_polygon(ground, polygon, transform),
    };
    manifold.unwrap_or_default()
}

/// The side of a polygon that faces this direction least.
fn most_opposed(normals: impl Iterator<Item = Vec2>, direction: Vec2) -> usize {
    let (mut least, mut side) = (f32::MAX, 0);
    for (index, normal) in normals.enumerate() {
        let value = direction.dot(normal);
        if value < least {
            (least, side) = (value, index);
        }
    }
    side
}

/// The part of an incident segment between two lines. Each line is given by its normal, its offset and the
/// corner of the reference face through which it runs.
fn clip_between(segment: [ClipPoint; 2], lines: [(Vec2, f32, usize); 2]) -> Option<[ClipPoint; 2]> {
    lines
        .into_iter()
        .try_fold(segment, |segment, (normal, offset, corner)| clip(segment, normal, offset, corner))
}

fn with_edge(edge: &Edge, polygon: &Polygon, transform: Transform) -> Option<Manifold> {
    let [v1, v2] = edge.ends;
    // The edge is solid from both sides; this normal is the one towards the polygon.
    let front = edge.normal.dot(transform.apply(polygon.centroid) - v1) >= 0.0;
    let normal = if front { edge.normal } else { -edge.normal };
    let corners = || polygon.corners().iter().map(|&corner| transform.apply(corner));
    let normals = || polygon.normals().iter().map(|&normal| transform.rotation.apply(normal));

    let edge_separation = corners().map(|corner| normal.dot(corner - v1)).fold(f32::MAX, min);
    if edge_separation > REACH {
        return None;
    }
    let (mut side, mut side_separation) = (0, f32::MIN);
    for (index, (corner, normal)) in corners().zip(normals()).enumerate() {
        let inward = -normal;
        let separation = min(inward.dot(corner - v1), inward.dot(corner - v2));
        if separation > REACH {
            return None;
        }
        if separation > side_separation {
            (side, side_separation) = (index, separation);
        }
    }

    if clearly_above(side_separation, edge_separation) {
        let next = polygon.after(side);
        let ends = [side, next].map(|corner| transform.apply(polygon.corners()[corner]));
        let normal = transform.rotation.apply(polygon.normals()[side]);
        // Box2D gives both ends of the edge the same name.
        let features = Features { ground: Feature::Corner(0), body: Feature::Side(side as u8) };
        let incident = [v1, v2].map(|point| ClipPoint { point, features });
        let mut manifold = Manifold::new(Face::Body, polygon.normals()[side], polygon.corners()[side]);
        for end in clip_to_face(incident, normal, ends, [side, next])? {
            manifold.add_if(normal.dot(end.point - ends[0]) <= REACH, end.point, end.features.swapped());
        }
        Some(manifold)
    } else {
        let (ends, indices) = if front { ([v1, v2], [0, 1]) } else { ([v2, v1], [1, 0]) };
        let first = most_opposed(normals(), normal);
        let incident = [first, polygon.after(first)].map(|corner| ClipPoint {
            point: transform.apply(polygon.corners()[corner]),
            features: Features { ground: Feature::Side(0), body: Feature::Corner(corner as u8) },
        });
        let mut manifold = Manifold::new(Face::Ground, normal, ends[0]);
        for end in clip_to_face(incident, normal, ends, indices)? {
            let touches = normal.dot(end.point - ends[0]) <= REACH;
            manifold.add_if(touches, transform.undo(end.point), end.features);
        }
        Some(manifold)
    }
}

/// The part of an incident segment above a face with these ends.
fn clip_to_face(
    segment: [ClipPoint; 2],
    normal: Vec2,
    ends: [Vec2; 2],
    corners: [usize; 2],
) -> Option<[ClipPoint; 2]> {
    let (back, forth) = (normal.right(), -normal.right());
    let lines = [(back, back.dot(ends[0]), corners[0]), (forth, forth.dot(ends[1]), corners[1])];
    clip_between(segment, lines)
}

/// A polygon at its place in the world.
#[derive(Clone, Copy)]
struct Placed<'a> {
    polygon: &'a Polygon,
    transform: Transform,
}

impl Placed<'_> {
    fn corner(&self, index: usize) -> Vec2 {
        self.transform.apply(self.polygon.corners()[index])
    }

    /// The distance of the other polygon beyond this side.
    fn separation(&self, side: usize, other: &Self) -> f32 {
        let normal = self.transform.rotation.apply(self.polygon.normals()[side]);
        let local = other.transform.rotation.undo(normal);
        let deepest = most_opposed(other.polygon.corners().iter().copied(), local);
        (other.corner(deepest) - self.corner(side)).dot(normal)
    }

    /// The side with the greatest separation from the other polygon, found by climbing from a good guess.
    fn best_side(&self, other: &Self) -> (usize, f32) {
        let polygon = self.polygon;
        let way = other.transform.apply(other.polygon.centroid) - self.transform.apply(polygon.centroid);
        let local = self.transform.rotation.undo(way);
        let side = most_opposed(polygon.normals().iter().copied(), -local);
        let before = |side: usize| side.checked_sub(1).unwrap_or(polygon.corners().len() - 1);
        let after = |side: usize| polygon.after(side);
        let here = self.separation(side, other);
        let (back, forth) = (self.separation(before(side), other), self.separation(after(side), other));
        if back > here && back > forth {
            self.climb(before(side), back, before, other)
        } else if forth > here {
            self.climb(after(side), forth, after, other)
        } else {
            (side, here)
        }
    }

    fn climb(&self, side: usize, best: f32, next: impl Fn(usize) -> usize, other: &Self) -> (usize, f32) {
        let (mut side, mut best) = (side, best);
        loop {
            let separation = self.separation(next(side), other);
            if separation > best {
                (side, best) = (next(side), separation);
            } else {
                return (side, best);
            }
        }
    }
}

fn with_polygon(ground: &Polygon, polygon: &Polygon, transform: Transform) -> Option<Manifold> {
    let ground = Placed { polygon: ground, transform: Transform::IDENTITY };
    let body = Placed { polygon, transform };
    let (ground_side, ground_separation) = ground.best_side(&body);
    if ground_separation > REACH {
        return None;
    }
    let (body_side, body_separation) = body.best_side(&ground);
    if body_separation > REACH {
        return None;
    }
    let (face, side, reference, incident) = if clearly_above(body_separation, ground_separation) {
        (Face::Body, body_side, body, ground)
    } else {
        (Face::Ground, ground_side, ground, body)
    };
    let next = reference.polygon.after(side);
    let [from, to] = [side, next].map(|corner| reference.polygon.corners()[corner]);
    let (along, _) = (to - from).normalized();
    let tangent = reference.transform.rotation.apply(along);
    let normal = tangent.right();
    let (start, end) = (reference.corner(side), reference.corner(next));
    let offset = normal.dot(start);
    let lines = [(-tangent, -tangent.dot(start) + REACH, side), (tangent, tangent.dot(end) + REACH, next)];
    let mut manifold = Manifold::new(face, along.right(), 0.5 * (from + to));
    for end in clip_between(incident_side(&reference, side, &incident), lines)? {
        let touches = normal.dot(end.point) - offset <= REACH;
        let features = if face == Face::Body { end.features.swapped() } else { end.features };
        manifold.add_if(touches, incident.transform.undo(end.point), features);
    }
    Some(manifold)
}

/// The side of the incident polygon that faces the reference's side most.
fn incident_side(reference: &Placed<'_>, side: usize, incident: &Placed<'_>) -> [ClipPoint; 2] {
    let normal = reference.transform.rotation.apply(reference.polygon.normals()[side]);
    let local = incident.transform.rotation.undo(normal);
    let first = most_opposed(incident.polygon.normals().iter().copied(), local);
    [first, incident.polygon.after(first)].map(|corner| ClipPoint {
        point: incident.corner(corner),
        features: Features { ground: Feature::Side(side as u8), body: Feature::Corner(corner as u8) },
    })
}
