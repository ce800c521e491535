//! The valley in which both mountain cars drive: its bounds, its hill and its picture.

use super::bounded;
use super::sketch::{BLACK, WHITE, placed, rectangle};
use crate::Space;
use crate::render::{Canvas, Color, Picture};

/// The left end of the valley, where an inelastic wall stands.
pub const LEFTMOST: f64 = -1.2;
/// The right end of the valley.
pub const RIGHTMOST: f64 = 0.6;
/// The greatest speed, in units of the track for each step.
pub const MAX_SPEED: f64 = 0.07;
/// The range of the first position; the first velocity is 0.
pub const START: (f64, f64) = (-0.6, -0.4);
/// The hill's pull on the car where the slope is steepest.
pub const GRAVITY: f64 = 0.0025;

const WHEEL_COLOR: Color = [128, 128, 128];
const FLAG_COLOR: Color = [204, 204, 0];
/// The picture's size, in pixels.
const SIZE: (u32, u32) = (600, 400);

/// Position and velocity.
pub fn observations() -> Space {
    let speed = MAX_SPEED as f32;
    bounded(&[LEFTMOST as f32, -speed], &[RIGHTMOST as f32, speed])
}

fn height(x: f32) -> f32 {
    0.55 + 0.45 * (3.0 * x).sin()
}

/// The car at `position`, with a flag at `goal`.
pub fn picture(position: f64, goal: f64) -> Picture {
    let (left, right, goal) = (LEFTMOST as f32, RIGHTMOST as f32, goal as f32);
    let scale = SIZE.0 as f32 / (right - left);
    let mut canvas = Canvas::new(SIZE.0, SIZE.1, WHITE, scale, (-left * scale, 0.0));
    let track = (0..=100).map(|i| left + (right - left) * i as f32 / 100.0);
    canvas.line(&track.map(|x| (x, height(x))).collect::<Vec<_>>(), 1.5, BLACK);

    let top = height(goal) + 0.15;
    canvas.line(&[(goal, height(goal)), (goal, top)], 1.5, BLACK);
    canvas.polygon(&[(goal, top), (goal, top - 0.03), (goal + 0.075, top - 0.015)], FLAG_COLOR);

    let x = position as f32;
    let slope = (3.0 * 0.45 * (3.0 * x).cos()).atan();
    // The wheels' axes run above the track by the wheels' radius.
    let axes = placed((0.0, 0.024), slope, (x, height(x)));
    rectangle(&mut canvas, (-0.06, 0.0), (0.06, 0.06), slope, axes, BLACK);
    for wheel in [-0.03, 0.03] {
        canvas.circle(placed((wheel, 0.0), slope, axes), 0.024, WHEEL_COLOR);
    }
    Picture::Frame(canvas.finish())
}
