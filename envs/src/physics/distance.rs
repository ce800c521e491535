//! The distance between convex shapes, by the algorithm of Gilbert, Johnson and Keerthi.
//!
//! A simplex of up to three points of the shapes' Minkowski difference is moved towards the origin: the point
//! of the difference nearest to the origin belongs to the nearest points of the shapes.

use super::math::{Transform, Vec2};

/// A shape by its corners, at its place in the world.
#[derive(Clone, Copy)]
pub struct Placed<'a> {
    pub corners: &'a [Vec2],
    pub transform: Transform,
}

impl Placed<'_> {
    pub fn corner(&self, index: usize) -> Vec2 {
        self.transform.apply(self.corners[index])
    }

    /// The corner furthest in this direction of the world.
    pub fn furthest(&self, direction: Vec2) -> usize {
        furthest(self.corners, self.transform.rotation.undo(direction))
    }
}

/// The point furthest in a direction.
pub fn furthest(points: &[Vec2], direction: Vec2) -> usize {
    let (mut best, mut most) = (0, points[0].dot(direction));
    for (index, point) in points.iter().enumerate().skip(1) {
        let value = point.dot(direction);
        if value > most {
            (best, most) = (index, value);
        }
    }
    best
}

/// A corner of each shape, and their difference.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vertex {
    pub corners: [usize; 2],
    points: [Vec2; 2],
    difference: Vec2,
    weight: f32,
}

/// Up to three vertices; their weighted mean is the point nearest to the origin.
#[derive(Clone, Copy, Debug, Default)]
pub struct Simplex {
    vertices: [Vertex; 3],
    count: usize,
    /// The simplex's length or area when it was last used.
    metric: f32,
}

impl Simplex {
    pub fn vertices(&self) -> &[Vertex] {
        &self.vertices[..self.count]
    }

    fn keep<const N: usize>(&mut self, kept: [(usize, f32); N]) {
        let old = self.vertices;
        for (slot, (index, weight)) in self.vertices.iter_mut().zip(kept) {
            *slot = Vertex { weight, ..old[index] };
        }
        self.count = N;
    }

    /// The same corners at the shapes' new places; a single vertex where there is none, or where the simplex
    /// has changed much.
    fn renewed(&self, a: &Placed<'_>, b: &Placed<'_>) -> Self {
        let mut new = *self;
        for vertex in &mut new.vertices[..self.count] {
            *vertex = vertex_at(a, b, vertex.corners);
        }
        if self.count > 1 {
            let (before, now) = (self.metric, new.measure());
            if now < 0.5 * before || 2.0 * before < now || now < f32::EPSILON {
                new.count = 0;
            }
        }
        if new.count == 0 {
            new.vertices[0] = Vertex { weight: 1.0, ..vertex_at(a, b, [0, 0]) };
            new.count = 1;
        }
        new
    }

    fn measure(&self) -> f32 {
        let [a, b, c] = self.vertices.map(|vertex| vertex.difference);
        match self.count {
            2 => (a - b).length(),
            3 => (b - a).cross(c - a),
            _ => 0.0,
        }
    }

    /// Drops the vertices that do not belong to the point nearest to the origin.
    fn reduce(&mut self) {
        match self.count {
            2 => self.reduce_segment(),
            3 => self.reduce_triangle(),
            _ => {}
        }
    }

    fn reduce_segment(&mut self) {
        let [a, b, _] = self.vertices.map(|vertex| vertex.difference);
        let (at_a, at_b) = barycentric(a, b);
        if at_b <= 0.0 {
            self.keep([(0, 1.0)]);
        } else if at_a <= 0.0 {
            self.keep([(1, 1.0)]);
        } else {
            let scale = 1.0 / (at_a + at_b);
            self.keep([(0, at_a * scale), (1, at_b * scale)]);
        }
    }

    /// Reduces a triangle. The regions of the plane around it are tried in Box2D's order.
    fn reduce_triangle(&mut self) {
        let [a, b, c] = self.vertices.map(|vertex| vertex.difference);
        let (ab, ac, bc) = (barycentric(a, b), barycentric(a, c), barycentric(b, c));
        let area = (b - a).cross(c - a);
        let (at_a, at_b, at_c) = (area * b.cross(c), area * c.cross(a), area * a.cross(b));
        let on_side = |(first, second): (f32, f32), opposite: f32| {
            (first > 0.0 && second > 0.0 && opposite <= 0.0).then(|| 1.0 / (first + second))
        };
        if ab.1 <= 0.0 && ac.1 <= 0.0 {
            self.keep([(0, 1.0)]);
        } else if let Some(scale) = on_side(ab, at_c) {
            self.keep([(0, ab.0 * scale), (1, ab.1 * scale)]);
        } else if let Some(scale) = on_side(ac, at_b) {
            self.keep([(0, ac.0 * scale), (2, ac.1 * scale)]);
        } else if ab.0 <= 0.0 && bc.1 <= 0.0 {
            self.keep([(1, 1.0)]);
        } else if ac.0 <= 0.0 && bc.0 <= 0.0 {
            self.keep([(2, 1.0)]);
        } else if let Some(scale) = on_side(bc, at_a) {
            self.keep([(2, bc.1 * scale), (1, bc.0 * scale)]);
        } else {
            let scale = 1.0 / (at_a + at_b + at_c);
            self.keep([(0, at_a * scale), (1, at_b * scale), (2, at_c * scale)]);
        }
    }

    /// The direction from the simplex towards the origin.
    fn towards_origin(&self) -> Vec2 {
        let [a, b, _] = self.vertices.map(|vertex| vertex.difference);
        if self.count == 1 {
            return -a;
        }
        let side = b - a;
        if side.cross(-a) > 0.0 { -side.right() } else { side.right() }
    }

    /// The distance of the shapes' nearest points.
    fn distance(&self) -> f32 {
        let [a, b, _] = self.vertices;
        let nearest = match self.count {
            1 => a.points,
            2 => [0, 1].map(|shape| a.weight * a.points[shape] + b.weight * b.points[shape]),
            _ => return 0.0,
        };
        (nearest[0] - nearest[1]).length()
    }
}

/// The weights of the point nearest to the origin on the line through `a` and `b`, not normalised.
fn barycentric(a: Vec2, b: Vec2) -> (f32, f32) {
    let side = b - a;
    (b.dot(side), -a.dot(side))
}

fn vertex_at(a: &Placed<'_>, b: &Placed<'_>, corners: [usize; 2]) -> Vertex {
    let points = [a.corner(corners[0]), b.corner(corners[1])];
    Vertex { corners, points, difference: points[1] - points[0], weight: 0.0 }
}

/// The distance of two shapes without their skins; 0 where they overlap. The search starts from `simplex`,
/// which is that of the last call, and leaves the simplex of the nearest points there.
pub fn distance(a: &Placed<'_>, b: &Placed<'_>, simplex: &mut Simplex) -> f32 {
    const ITERATIONS: usize = 20;
    *simplex = simplex.renewed(a, b);
    for _ in 0..ITERATIONS {
        let before = *simplex;
        simplex.reduce();
        if simplex.count == 3 {
            break;
        }
        let direction = simplex.towards_origin();
        if direction.length_squared() < f32::EPSILON * f32::EPSILON {
            break;
        }
        let corners = [a.furthest(-direction), b.furthest(direction)];
        // No corner lies further in this direction, so that the simplex is the nearest.
        if before.vertices().iter().any(|vertex| vertex.corners == corners) {
            break;
        }
        simplex.vertices[simplex.count] = vertex_at(a, b, corners);
        simplex.count += 1;
    }
    simplex.metric = simplex.measure();
    simplex.distance()
}
