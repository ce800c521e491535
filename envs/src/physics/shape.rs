//! Shapes: edges and convex polygons, with their boxes, masses and ray casts.

use serde::{Deserialize, Serialize};

use super::math::{Transform, Vec2};
use super::{MAX_VERTICES, SKIN};

/// A box along the axes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Aabb {
    pub lower: Vec2,
    pub upper: Vec2,
}

impl Aabb {
    /// The box around these points, widened by the skin.
    pub fn around(points: impl Iterator<Item = Vec2>) -> Self {
        let nothing = (Vec2::new(f32::MAX, f32::MAX), Vec2::new(f32::MIN, f32::MIN));
        let (lower, upper) = points.fold(nothing, |(lower, upper), p| (lower.min(p), upper.max(p)));
        Self { lower, upper }.widened(SKIN)
    }

    pub fn widened(self, margin: f32) -> Self {
        let margin = Vec2::new(margin, margin);
        Self { lower: self.lower - margin, upper: self.upper + margin }
    }

    pub fn union(self, other: Self) -> Self {
        Self { lower: self.lower.min(other.lower), upper: self.upper.max(other.upper) }
    }

    pub fn contains(&self, other: &Self) -> bool {
        self.lower.x <= other.lower.x
            && self.lower.y <= other.lower.y
            && other.upper.x <= self.upper.x
            && other.upper.y <= self.upper.y
    }

    pub fn overlaps(&self, other: &Self) -> bool {
        let (gap, other_gap) = (other.lower - self.upper, self.lower - other.upper);
        !(gap.x > 0.0 || gap.y > 0.0 || other_gap.x > 0.0 || other_gap.y > 0.0)
    }
}

/// A line from one point to another, solid from both sides.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edge {
    pub ends: [Vec2; 2],
    /// The unit normal, to the right of the way from the first end to the second.
    pub normal: Vec2,
}

impl Edge {
    pub fn new(from: Vec2, to: Vec2) -> Self {
        Self { ends: [from, to], normal: (to - from).normalized().0.right() }
    }

    /// The fraction of the way from `from` to `to` that a ray travels before it hits the edge; `None` if it
    /// misses.
    pub fn cast(&self, from: Vec2, to: Vec2) -> Option<f32> {
        let ray = to - from;
        let along = self.normal.dot(ray);
        if along == 0.0 {
            return None;
        }
        let fraction = self.normal.dot(self.ends[0] - from) / along;
        if !(0.0..=1.0).contains(&fraction) {
            return None;
        }
        let edge = self.ends[1] - self.ends[0];
        let place = (from + fraction * ray - self.ends[0]).dot(edge) / edge.length_squared();
        (0.0..=1.0).contains(&place).then_some(fraction)
    }
}

/// A convex polygon, its corners counter-clockwise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Polygon {
    corners: [Vec2; MAX_VERTICES],
    normals: [Vec2; MAX_VERTICES],
    count: u8,
    pub centroid: Vec2,
}

/// The mass of a shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mass {
    pub mass: f32,
    pub center: Vec2,
    /// The moment of inertia about the origin.
    pub inertia: f32,
}

impl Polygon {
    /// An upright box about the origin.
    pub fn from_half_extents(x: f32, y: f32) -> Self {
        let mut polygon = Self::empty(4);
        let corners = [Vec2::new(-x, -y), Vec2::new(x, -y), Vec2::new(x, y), Vec2::new(-x, y)];
        let normals = [Vec2::new(0.0, -1.0), Vec2::new(1.0, 0.0), Vec2::new(0.0, 1.0), Vec2::new(-1.0, 0.0)];
        polygon.corners[..4].copy_from_slice(&corners);
        polygon.normals[..4].copy_from_slice(&normals);
        polygon
    }

    /// The convex hull of at most [`MAX_VERTICES`] points, which span an area.
    pub fn hull(points: &[Vec2]) -> Self {
        let mut polygon = Self::empty(0);
        wrap(points, |corner| {
            polygon.corners[usize::from(polygon.count)] = corner;
            polygon.count += 1;
        });
        for (index, [from, to]) in polygon.sides().enumerate() {
            polygon.normals[index] = (to - from).right().normalized().0;
        }
        polygon.centroid = polygon.area_and_centroid().1;
        polygon
    }

    fn empty(count: u8) -> Self {
        let none = [Vec2::ZERO; MAX_VERTICES];
        Self { corners: none, normals: none, count, centroid: Vec2::ZERO }
    }

    pub fn corners(&self) -> &[Vec2] {
        &self.corners[..usize::from(self.count)]
    }

    /// The outward normals; number `i` belongs to the side from corner `i` to the next.
    pub fn normals(&self) -> &[Vec2] {
        &self.normals[..usize::from(self.count)]
    }

    /// The corner after this one.
    pub fn after(&self, corner: usize) -> usize {
        if corner + 1 < usize::from(self.count) { corner + 1 } else { 0 }
    }

    /// Returns true if the polygon is safe to use, as those of the constructors are.
    pub fn is_valid(&self) -> bool {
        (3..=MAX_VERTICES).contains(&usize::from(self.count))
    }

    pub fn aabb(&self, transform: Transform) -> Aabb {
        Aabb::around(self.corners().iter().map(|&corner| transform.apply(corner)))
    }

    /// The sides, by value, so that the polygon can be changed during the iteration.
    fn sides(&self) -> impl Iterator<Item = [Vec2; 2]> + use<> {
        let polygon = *self;
        (0..usize::from(polygon.count)).map(move |i| [polygon.corners[i], polygon.corners[polygon.after(i)]])
    }

    /// Area and centroid: the sum over triangles from the origin, one for each side.
    fn area_and_centroid(&self) -> (f32, Vec2) {
        let (mut area, mut centroid) = (0.0, Vec2::ZERO);
        for [from, to] in self.sides() {
            let triangle = 0.5 * from.cross(to);
            area += triangle;
            centroid += (triangle * THIRD) * (from + to);
        }
        (area, (1.0 / area) * centroid)
    }

    /// The mass: the sum over triangles from the mean of the corners.
    pub fn mass(&self, density: f32) -> Mass {
        let mut origin = Vec2::ZERO;
        self.corners().iter().for_each(|&corner| origin += corner);
        origin = (1.0 / f32::from(self.count)) * origin;
        let (mut area, mut center, mut inertia) = (0.0, Vec2::ZERO, 0.0);
        for [from, to] in self.sides() {
            let (a, b) = (from - origin, to - origin);
            let cross = a.cross(b);
            let triangle = 0.5 * cross;
            area += triangle;
            center += (triangle * THIRD) * (a + b);
            let square_x = a.x * a.x + b.x * a.x + b.x * b.x;
            let square_y = a.y * a.y + b.y * a.y + b.y * b.y;
            inertia += (0.25 * THIRD * cross) * (square_x + square_y);
        }
        let mass = density * area;
        let center = (1.0 / area) * center;
        let shifted = center + origin;
        // Shifts the moment of inertia from the mean of the corners to the centre of mass, and on to the
        // body's origin.
        let inertia = density * inertia + mass * (shifted.length_squared() - center.length_squared());
        Mass { mass, center: shifted, inertia }
    }

    /// As [`Edge::cast`]; a ray that starts inside hits nothing.
    pub fn cast(&self, from: Vec2, to: Vec2) -> Option<f32> {
        let ray = to - from;
        let (mut enters, mut leaves, mut hit) = (0.0, 1.0, false);
        for (&normal, &corner) in self.normals().iter().zip(self.corners()) {
            let (distance, along) = (normal.dot(corner - from), normal.dot(ray));
            if along == 0.0 {
                if distance < 0.0 {
                    return None;
                }
            } else if along < 0.0 && distance < enters * along {
                (enters, hit) = (distance / along, true);
            } else if along > 0.0 && distance < leaves * along {
                leaves = distance / along;
            }
            if leaves < enters {
                return None;
            }
        }
        hit.then_some(enters)
    }
}

const THIRD: f32 = 1.0 / 3.0;

/// Gift wrapping: visits the corners of the convex hull counter-clockwise, from the rightmost point on.
fn wrap(points: &[Vec2], mut visit: impl FnMut(Vec2)) {
    let further_right = |&a: &usize, &b: &usize| {
        let (a, b) = (points[a], points[b]);
        a.x.total_cmp(&b.x).then(b.y.total_cmp(&a.y))
    };
    let Some(first) = (0..points.len()).max_by(further_right) else { return };
    let mut corner = first;
    for _ in 0..points.len().min(MAX_VERTICES) {
        visit(points[corner]);
        let mut next = 0;
        for candidate in 1..points.len() {
            if next == corner {
                next = candidate;
                continue;
            }
            let (way, other) = (points[next] - points[corner], points[candidate] - points[corner]);
            let side = way.cross(other);
            if side < 0.0 || (side == 0.0 && other.length_squared() > way.length_squared()) {
                next = candidate;
            }
        }
        corner = next;
        if corner == first {
            return;
        }
    }
}
