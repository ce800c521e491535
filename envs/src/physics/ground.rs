//! The ground: the static pieces of a world, found by their place.

use serde::{Deserialize, Serialize};

use super::MARGIN;
use super::math::{Transform, Vec2, max, min};
use super::shape::{Aabb, Edge, Polygon};

/// A part of the ground.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Piece {
    pub shape: PieceShape,
    pub friction: f32,
    /// The piece's box with a margin.
    pub aabb: Aabb,
    /// The static body that it is part of. The pieces of one body share the time up to which continuous
    /// collision has searched.
    pub body: u16,
}

/// The shape of a piece, in the world's coordinates.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum PieceShape {
    Edge(Edge),
    Polygon(Polygon),
}

impl PieceShape {
    pub fn corners(&self) -> &[Vec2] {
        match self {
            Self::Edge(edge) => &edge.ends,
            Self::Polygon(polygon) => polygon.corners(),
        }
    }

    fn cast(&self, from: Vec2, to: Vec2) -> Option<f32> {
        match self {
            Self::Edge(edge) => edge.cast(from, to),
            Self::Polygon(polygon) => polygon.cast(from, to),
        }
    }
}

/// All pieces, with an index by their place.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ground {
    pieces: Vec<Piece>,
    /// The pieces' numbers, ordered by the left border of their boxes.
    #[serde(skip)]
    by_left: Vec<u16>,
    /// The width of the widest box.
    #[serde(skip)]
    widest: f32,
}

impl Ground {
    pub fn clear(&mut self) {
        self.pieces.clear();
        self.index();
    }

    /// Adds a piece. The oldest static body is number 0; a new one gets the next number.
    pub fn add(&mut self, shape: PieceShape, friction: f32, body: u16) {
        let aabb = match &shape {
            PieceShape::Edge(edge) => Aabb::around(edge.ends.into_iter()),
            PieceShape::Polygon(polygon) => polygon.aabb(Transform::IDENTITY),
        };
        self.pieces.push(Piece { shape, friction, aabb: aabb.widened(MARGIN), body });
    }

    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Builds the index of the pieces.
    pub fn index(&mut self) {
        self.by_left.clear();
        self.by_left.extend(0..self.pieces.len() as u16);
        let left = |&piece: &u16| self.pieces[usize::from(piece)].aabb.lower.x;
        self.by_left.sort_unstable_by(|a, b| left(a).total_cmp(&left(b)));
        let width = |piece: &Piece| piece.aabb.upper.x - piece.aabb.lower.x;
        self.widest = self.pieces.iter().map(width).fold(0.0, max);
    }

    /// The pieces whose boxes may reach into this interval of `x`, by number.
    fn between(&self, low: f32, high: f32) -> impl Iterator<Item = u16> {
        let left = |&piece: &u16| self.pieces[usize::from(piece)].aabb.lower.x;
        let first = self.by_left.partition_point(|piece| left(piece) < low - self.widest);
        self.by_left[first..].iter().take_while(move |piece| left(piece) <= high).copied()
    }

    /// The pieces whose boxes overlap this one, by number.
    pub fn overlapping(&self, aabb: Aabb) -> impl Iterator<Item = u16> {
        let near = self.between(aabb.lower.x, aabb.upper.x);
        near.filter(move |&piece| self.pieces[usize::from(piece)].aabb.overlaps(&aabb))
    }

    /// The fraction of its way that a ray travels before it hits a piece; 1 if it hits none.
    pub fn cast(&self, from: Vec2, to: Vec2) -> f32 {
        let near = self.between(min(from.x, to.x), max(from.x, to.x));
        let hits = near.filter_map(|piece| self.pieces[usize::from(piece)].shape.cast(from, to));
        hits.fold(1.0, min)
    }

    /// Returns true if the numbers fit together, as they do in a ground that was built.
    pub fn is_valid(&self) -> bool {
        let count = self.pieces.len();
        let sound = |piece: &Piece| match &piece.shape {
            PieceShape::Edge(_) => true,
            PieceShape::Polygon(polygon) => polygon.is_valid(),
        };
        count <= usize::from(u16::MAX)
            && self.pieces.iter().all(|piece| usize::from(piece.body) < count && sound(piece))
    }
}
