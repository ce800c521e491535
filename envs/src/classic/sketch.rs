//! Colours and shapes that the pictures of this family share.

use crate::render::{Canvas, Color};

/// The colour of paper.
pub const WHITE: Color = [255, 255, 255];
/// The colour of ink.
pub const BLACK: Color = [0, 0, 0];

/// A point of the world.
pub type Point = (f32, f32);

/// The point turned counter-clockwise about the origin by `angle` radians, then moved by `by`.
pub fn placed((x, y): Point, angle: f32, by: Point) -> Point {
    let (sin, cos) = angle.sin_cos();
    (by.0 + x * cos - y * sin, by.1 + x * sin + y * cos)
}

/// Fills the rectangle between the corners `low` and `high` after it was [`placed`].
pub fn rectangle(canvas: &mut Canvas, low: Point, high: Point, angle: f32, by: Point, color: Color) {
    let corners = [low, (high.0, low.1), high, (low.0, high.1)];
    canvas.polygon(&corners.map(|corner| placed(corner, angle, by)), color);
}
