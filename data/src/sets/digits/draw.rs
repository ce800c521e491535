//! A digit drawn: bent and turned strokes of some thickness, with smooth edges and noise.

use pavlov_common::SeededRng;
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use super::strokes::{DIGITS, Point, Style};

/// The memory of drawing one digit after another.
pub(super) struct Canvas {
    size: usize,
    /// The points of the stroke at work, in pixels.
    points: Vec<Point>,
    /// The ink at each pixel, 0 to 1.
    ink: Vec<f32>,
}

/// The random choices of one drawing; lengths are parts of the picture's side.
struct Hand {
    /// The matrix from the box of the shapes to the picture, and the picture's place of the box's centre.
    matrix: [f32; 4],
    centre: Point,
    /// Two slow waves that bend the shape: their sizes, turns per box and phases.
    waves: [(f32, f32, f32); 2],
    /// The deviation of each point of a stroke.
    jitter: f32,
    /// The radius of the pen at the beginning and the end of a stroke, and the width of its soft edge.
    radius: (f32, f32),
    edge: f32,
    /// The value of the ink and of the paper, and the noise of each pixel.
    ink: f32,
    paper: f32,
    noise: f32,
}

fn normal(rng: &mut SeededRng, deviation: f32) -> f32 {
    let number: f32 = StandardNormal.sample(rng);
    // Clamped, so that no digit is bent beyond recognition or leaves the picture.
    number.clamp(-2.5, 2.5) * deviation
}

fn uniform(rng: &mut SeededRng, low: f32, high: f32) -> f32 {
    low + (high - low) * rng.random::<f32>()
}

impl Hand {
    fn draw(rng: &mut SeededRng) -> Self {
        let angle = normal(rng, 0.15);
        let slant = normal(rng, 0.18);
        let (wide, high) = (uniform(rng, 0.46, 0.74), uniform(rng, 0.58, 0.78));
        let (sin, cos) = angle.sin_cos();
        // Scale and slant first, then the turn.
        let matrix =
            [cos * wide, -cos * slant * high - sin * high, sin * wide, cos * high - sin * slant * high];
        let radius = uniform(rng, 0.022, 0.066);
        Self {
            matrix,
            centre: (0.5 + normal(rng, 0.035), 0.5 + normal(rng, 0.035)),
            waves: [(); 2].map(|()| (normal(rng, 0.04), uniform(rng, 0.4, 1.3), uniform(rng, 0.0, 6.3))),
            jitter: uniform(rng, 0.0, 0.008),
            radius: (radius * uniform(rng, 0.75, 1.1), radius * uniform(rng, 0.65, 1.1)),
            edge: uniform(rng, 0.025, 0.075),
            ink: uniform(rng, 0.65, 1.0),
            paper: uniform(rng, 0.0, 0.06),
            noise: uniform(rng, 0.0, 0.09),
        }
    }

    /// The place in the picture, in parts of its side, of a point of the shape.
    fn place(&self, (x, y): Point) -> Point {
        let [(bend_x, turns_x, phase_x), (bend_y, turns_y, phase_y)] = self.waves;
        let wave = |turns: f32, phase: f32, at: f32| (std::f32::consts::TAU * turns * at + phase).sin();
        let (x, y) = (x + bend_x * wave(turns_x, phase_x, y), y + bend_y * wave(turns_y, phase_y, x));
        let (x, y) = (x - 0.5, y - 0.5);
        let [xx, xy, yx, yy] = self.matrix;
        (self.centre.0 + xx * x + xy * y, self.centre.1 + yx * x + yy * y)
    }
}

impl Canvas {
    /// A canvas of `size` by `size` pixels.
    pub fn new(size: usize) -> Self {
        Self { size, points: Vec::new(), ink: vec![0.0; size * size] }
    }

    /// Draws a digit into `pixels`.
    pub fn draw(&mut self, digit: usize, pixels: &mut [u8], rng: &mut SeededRng) {
        let styles = DIGITS[digit % DIGITS.len()];
        let style: Style = styles[rng.random_range(0..styles.len())];
        let hand = Hand::draw(rng);
        self.ink.fill(0.0);
        for stroke in style {
            self.points.clear();
            stroke.iter().for_each(|piece| piece.trace(&mut self.points));
            let side = self.size as f32;
            for point in &mut self.points {
                let (x, y) = hand.place(*point);
                *point = ((x + normal(rng, hand.jitter)) * side, (y + normal(rng, hand.jitter)) * side);
            }
            self.stroke(&hand);
        }
        for (pixel, ink) in pixels.iter_mut().zip(&self.ink) {
            let value = hand.paper + (hand.ink - hand.paper) * ink + normal(rng, hand.noise);
            *pixel = (value.clamp(0.0, 1.0) * 255.0).round() as u8;
        }
    }

    /// Inks the lines between the points. The ink at a pixel falls from 1 to 0 over the soft edge.
    fn stroke(&mut self, hand: &Hand) {
        let side = self.size as f32;
        let edge = (hand.edge * side).max(0.8);
        let lines = self.points.len().saturating_sub(1).max(1) as f32;
        for (number, line) in self.points.windows(2).enumerate() {
            let (a, b) = (line[0], line[1]);
            let share = number as f32 / lines;
            let radius = (hand.radius.0 * (1.0 - share) + hand.radius.1 * share) * side;
            // A thinner line would vanish between the pixels' centres.
            let radius = radius.max(0.5);
            let reach = radius + edge / 2.0;
            let range = |low: f32, high: f32| {
                let begin = (low - reach - 0.5).floor().clamp(0.0, side) as usize;
                begin..((high + reach + 0.5).ceil().clamp(0.0, side) as usize).max(begin)
            };
            let (dx, dy) = (b.0 - a.0, b.1 - a.1);
            let length = (dx * dx + dy * dy).max(1e-9);
            for row in range(a.1.min(b.1), a.1.max(b.1)) {
                let y = row as f32 + 0.5 - a.1;
                for column in range(a.0.min(b.0), a.0.max(b.0)) {
                    let x = column as f32 + 0.5 - a.0;
                    let along = ((x * dx + y * dy) / length).clamp(0.0, 1.0);
                    let (x, y) = (x - along * dx, y - along * dy);
                    let distance = (x * x + y * y).sqrt();
                    let ink = ((radius - distance) / edge + 0.5).clamp(0.0, 1.0);
                    let pixel = &mut self.ink[row * self.size + column];
                    *pixel = pixel.max(ink);
                }
            }
        }
    }
}
