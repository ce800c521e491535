//! Manifolds: the points at which a body touches a piece of the ground, and their depth.

use serde::{Deserialize, Serialize};

use super::SKIN;
use super::math::{Transform, Vec2};

/// The owner of the face against which the points of a manifold press.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Face {
    #[default]
    Ground,
    Body,
}

/// The pair of features (corners, sides) from which a point comes. It identifies the point in the next step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Features {
    pub ground: Feature,
    pub body: Feature,
}

impl Features {
    pub fn swapped(self) -> Self {
        Self { ground: self.body, body: self.ground }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Feature {
    Corner(u8),
    Side(u8),
}

impl Default for Feature {
    fn default() -> Self {
        Self::Corner(0)
    }
}

/// A point of contact and its impulses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ManifoldPoint {
    /// The point in the coordinates of the shape that does not own the face.
    pub local: Vec2,
    pub features: Features,
    /// The impulses of the last step, along the normal and along the face.
    pub normal_impulse: f32,
    pub tangent_impulse: f32,
}

/// One or two points at which a body touches a piece of the ground; none where it does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Manifold {
    pub face: Face,
    /// The face's normal and a point of it, in the coordinates of the shape that owns it.
    pub normal: Vec2,
    pub plane: Vec2,
    points: [ManifoldPoint; 2],
    count: u8,
}

impl Manifold {
    pub fn new(face: Face, normal: Vec2, plane: Vec2) -> Self {
        Self { face, normal, plane, points: Default::default(), count: 0 }
    }

    /// Adds a point where the condition holds. There is room for two.
    pub fn add_if(&mut self, condition: bool, local: Vec2, features: Features) {
        if let (true, Some(point)) = (condition, self.points.get_mut(usize::from(self.count))) {
            *point = ManifoldPoint { local, features, ..ManifoldPoint::default() };
            self.count += 1;
        }
    }

    pub fn points(&self) -> &[ManifoldPoint] {
        &self.points[..usize::from(self.count)]
    }

    pub fn points_mut(&mut self) -> &mut [ManifoldPoint] {
        &mut self.points[..usize::from(self.count)]
    }

    /// Takes over the impulses of points that were there before.
    pub fn inherit(&mut self, old: &Self) {
        for point in self.points_mut() {
            if let Some(same) = old.points().iter().find(|old| old.features == point.features) {
                (point.normal_impulse, point.tangent_impulse) = (same.normal_impulse, same.tangent_impulse);
            }
        }
    }

    pub fn is_valid(&self) -> bool {
        usize::from(self.count) <= self.points.len()
    }

    /// The face in the world's coordinates, with the way in which points are measured against it.
    pub fn in_world(&self, body: Transform) -> WorldFace {
        match self.face {
            Face::Ground => WorldFace { normal: self.normal, plane: self.plane, of: Face::Ground },
            Face::Body => WorldFace {
                normal: body.rotation.apply(self.normal),
                plane: body.apply(self.plane),
                of: Face::Body,
            },
        }
    }
}

/// The face of a manifold in the world's coordinates.
#[derive(Clone, Copy, Debug)]
pub struct WorldFace {
    /// The face's outward normal.
    normal: Vec2,
    plane: Vec2,
    of: Face,
}

impl WorldFace {
    /// The normal from the ground to the body.
    pub fn normal(&self) -> Vec2 {
        match self.of {
            Face::Ground => self.normal,
            Face::Body => -self.normal,
        }
    }

    /// The point in the world's coordinates, and its distance from the face, skins included: negative inside.
    pub fn separation(&self, local: Vec2, body: Transform) -> (Vec2, f32) {
        let point = self.place(local, body);
        (point, (point - self.plane).dot(self.normal) - SKIN - SKIN)
    }

    /// The middle between the two surfaces at a point.
    pub fn middle(&self, local: Vec2, body: Transform) -> Vec2 {
        let point = self.place(local, body);
        let on_face = point + (SKIN - (point - self.plane).dot(self.normal)) * self.normal;
        let on_other = point - SKIN * self.normal;
        0.5 * (on_face + on_other)
    }

    fn place(&self, local: Vec2, body: Transform) -> Vec2 {
        match self.of {
            Face::Ground => body.apply(local),
            Face::Body => local,
        }
    }
}

/// A point of an incident side, on its way to the manifold.
#[derive(Clone, Copy, Debug)]
pub struct ClipPoint {
    pub point: Vec2,
    /// The features, named as if the ground had the reference face.
    pub features: Features,
}

/// Cuts off the part of a segment that lies beyond a line, by the Sutherland-Hodgman algorithm. `corner` is
/// the corner of the reference face through which the line runs. `None` where less than a segment is left.
pub fn clip(segment: [ClipPoint; 2], normal: Vec2, offset: f32, corner: usize) -> Option<[ClipPoint; 2]> {
    let distances = segment.map(|end| normal.dot(end.point) - offset);
    let cut = || {
        let [first, second] = segment.map(|end| end.point);
        let fraction = distances[0] / (distances[0] - distances[1]);
        let body = match segment[0].features.body {
            Feature::Corner(index) | Feature::Side(index) => Feature::Side(index),
        };
        let features = Features { ground: Feature::Corner(corner as u8), body };
        ClipPoint { point: first + fraction * (second - first), features }
    };
    let crosses = distances[0] * distances[1] < 0.0;
    match (distances[0] <= 0.0, distances[1] <= 0.0) {
        (true, true) => Some(segment),
        (true, false) if crosses => Some([segment[0], cut()]),
        (false, true) if crosses => Some([segment[1], cut()]),
        _ => None,
    }
}
