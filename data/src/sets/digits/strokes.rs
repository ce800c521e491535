//! The shapes of the digits: each has a few styles, a style has strokes, a stroke is made of pieces.
//!
//! Places are `(x, y)` in a box of width and height 1, x to the right and y down.

use std::f32::consts::TAU;

/// A place in the box.
pub(super) type Point = (f32, f32);

/// A part of a stroke. The end of one piece is joined to the beginning of the next by a straight line.
pub(super) enum Piece {
    /// Straight lines through these points.
    Line(&'static [Point]),
    /// A part of an ellipse: its centre, its radii, and the angles in degrees from which and to which it
    /// goes; 0 is to the right, 90 is down.
    Arc(Point, Point, f32, f32),
    /// A cubic Bézier curve of four points.
    Curve([Point; 4]),
    /// The figure of an eight in one stroke, of this half width above and below the middle.
    Eight(f32, f32),
}

use Piece::{Arc, Curve, Eight, Line};

/// The pieces of one movement of the pen.
pub(super) type Stroke = &'static [Piece];

/// The strokes of one way to write a digit.
pub(super) type Style = &'static [Stroke];

/// The number of points that a curve is made of.
const POINTS: usize = 18;

impl Piece {
    /// Adds the points of the piece.
    pub fn trace(&self, points: &mut Vec<Point>) {
        let steps = |first: usize| (first..=POINTS).map(|step| step as f32 / POINTS as f32);
        match *self {
            Line(line) => points.extend_from_slice(line),
            Arc((x, y), (wide, high), from, to) => points.extend(steps(0).map(|t| {
                let angle = (from + (to - from) * t).to_radians();
                (x + wide * angle.cos(), y + high * angle.sin())
            })),
            Curve([a, b, c, d]) => points.extend(steps(0).map(|t| {
                let s = 1.0 - t;
                let mix = |a: f32, b: f32, c: f32, d: f32| {
                    s * s * s * a + 3.0 * s * s * t * b + 3.0 * s * t * t * c + t * t * t * d
                };
                (mix(a.0, b.0, c.0, d.0), mix(a.1, b.1, c.1, d.1))
            })),
            Eight(above, below) => points.extend((0..=2 * POINTS).map(|step| {
                let t = step as f32 / (2 * POINTS) as f32 * TAU;
                let width = if t.cos() > 0.0 { above } else { below };
                (0.5 - width * (2.0 * t).sin(), 0.5 - 0.45 * t.cos())
            })),
        }
    }
}

/// The styles of each digit.
pub(super) const DIGITS: [&[Style]; 10] = [ZERO, ONE, TWO, THREE, FOUR, FIVE, SIX, SEVEN, EIGHT, NINE];

const ZERO: &[Style] = &[
    &[&[Arc((0.5, 0.5), (0.33, 0.45), -90.0, 270.0)]],
    &[&[Arc((0.5, 0.5), (0.24, 0.45), -60.0, 300.0)]],
    // Not quite closed, and closed with a hook.
    &[&[Arc((0.5, 0.5), (0.3, 0.44), -70.0, -395.0)]],
    &[&[
        Curve([(0.62, 0.08), (0.05, 0.0), (0.1, 0.95), (0.5, 0.95)]),
        Curve([(0.5, 0.95), (0.95, 0.95), (0.9, 0.02), (0.45, 0.1)]),
    ]],
];

const ONE: &[Style] = &[
    &[&[Line(&[(0.5, 0.05), (0.5, 0.95)])]],
    &[&[Line(&[(0.3, 0.25), (0.55, 0.05), (0.55, 0.95)])]],
    &[&[Line(&[(0.32, 0.24), (0.54, 0.05), (0.54, 0.95)])], &[Line(&[(0.3, 0.95), (0.78, 0.95)])]],
    &[&[Curve([(0.52, 0.04), (0.47, 0.3), (0.53, 0.6), (0.48, 0.96)])]],
];

const TWO: &[Style] = &[
    &[&[Arc((0.5, 0.29), (0.3, 0.23), 195.0, 385.0), Line(&[(0.18, 0.95), (0.84, 0.95)])]],
    // A loop at the lower left.
    &[&[
        Arc((0.48, 0.28), (0.28, 0.22), 205.0, 380.0),
        Curve([(0.72, 0.45), (0.5, 0.75), (0.3, 0.95), (0.2, 0.88)]),
        Curve([(0.2, 0.88), (0.16, 0.72), (0.42, 0.78), (0.85, 0.92)]),
    ]],
    &[&[
        Curve([(0.2, 0.25), (0.3, -0.1), (0.95, 0.0), (0.74, 0.42)]),
        Curve([(0.74, 0.42), (0.6, 0.65), (0.35, 0.8), (0.18, 0.93)]),
        Curve([(0.18, 0.93), (0.4, 0.86), (0.6, 1.0), (0.85, 0.9)]),
    ]],
];

const THREE: &[Style] = &[
    &[&[Arc((0.47, 0.27), (0.28, 0.22), 200.0, 445.0), Arc((0.46, 0.71), (0.33, 0.24), 275.0, 520.0)]],
    // A flat top.
    &[&[Line(&[(0.2, 0.06), (0.77, 0.06), (0.44, 0.4)]), Arc((0.45, 0.67), (0.34, 0.28), 272.0, 510.0)]],
    &[&[
        Curve([(0.24, 0.12), (0.6, -0.08), (0.95, 0.3), (0.42, 0.46)]),
        Curve([(0.42, 0.46), (1.05, 0.48), (0.85, 1.05), (0.2, 0.9)]),
    ]],
];

const FOUR: &[Style] = &[
    &[&[Line(&[(0.3, 0.05), (0.18, 0.58), (0.86, 0.58)])], &[Line(&[(0.66, 0.28), (0.62, 0.97)])]],
    // Closed.
    &[&[Line(&[(0.64, 0.95), (0.64, 0.05), (0.13, 0.66), (0.87, 0.66)])]],
    &[&[Curve([(0.24, 0.06), (0.12, 0.6), (0.2, 0.58), (0.74, 0.5)])], &[Line(&[(0.77, 0.05), (0.7, 0.97)])]],
    &[&[Line(&[(0.56, 0.04), (0.15, 0.62), (0.86, 0.6)])], &[Line(&[(0.6, 0.36), (0.58, 0.96)])]],
];

const FIVE: &[Style] = &[
    &[&[Line(&[(0.8, 0.06), (0.29, 0.06), (0.25, 0.44)]), Arc((0.46, 0.67), (0.33, 0.28), 230.0, 510.0)]],
    // The bar apart.
    &[
        &[Line(&[(0.3, 0.08), (0.27, 0.43)]), Arc((0.44, 0.68), (0.34, 0.26), 240.0, 500.0)],
        &[Line(&[(0.31, 0.07), (0.84, 0.05)])],
    ],
    &[&[
        Curve([(0.82, 0.05), (0.6, 0.1), (0.4, 0.05), (0.34, 0.07)]),
        Curve([(0.3, 0.15), (0.26, 0.3), (0.22, 0.42), (0.3, 0.44)]),
        Curve([(0.3, 0.44), (1.0, 0.35), (0.9, 1.08), (0.16, 0.92)]),
    ]],
];

const SIX: &[Style] = &[
    &[&[
        Curve([(0.7, 0.05), (0.4, 0.12), (0.2, 0.42), (0.2, 0.7)]),
        Arc((0.48, 0.7), (0.28, 0.25), 180.0, -180.0),
    ]],
    &[&[Line(&[(0.58, 0.03), (0.22, 0.62)]), Arc((0.49, 0.7), (0.29, 0.25), 190.0, -150.0)]],
    &[&[
        Curve([(0.5, 0.03), (0.25, 0.25), (0.08, 0.95), (0.48, 0.95)]),
        Curve([(0.48, 0.95), (0.9, 0.95), (0.85, 0.45), (0.5, 0.5)]),
        Curve([(0.5, 0.5), (0.35, 0.52), (0.26, 0.62), (0.22, 0.76)]),
    ]],
];

const SEVEN: &[Style] = &[
    &[&[Line(&[(0.17, 0.07), (0.83, 0.07), (0.42, 0.96)])]],
    // With a bar.
    &[&[Line(&[(0.16, 0.07), (0.82, 0.07), (0.42, 0.96)])], &[Line(&[(0.34, 0.5), (0.76, 0.5)])]],
    // With a serif and a bow.
    &[&[
        Line(&[(0.18, 0.22), (0.18, 0.08), (0.82, 0.08)]),
        Curve([(0.82, 0.08), (0.62, 0.35), (0.45, 0.6), (0.43, 0.96)]),
    ]],
    &[&[
        Curve([(0.16, 0.12), (0.4, 0.02), (0.6, 0.14), (0.84, 0.06)]),
        Curve([(0.84, 0.06), (0.7, 0.4), (0.5, 0.7), (0.36, 0.96)]),
    ]],
];

const EIGHT: &[Style] = &[
    &[&[Arc((0.5, 0.27), (0.24, 0.21), 90.0, 450.0)], &[Arc((0.5, 0.72), (0.3, 0.24), -90.0, 270.0)]],
    &[&[Eight(0.25, 0.29)]],
    &[&[
        Curve([(0.76, 0.16), (0.6, -0.05), (0.05, 0.08), (0.35, 0.42)]),
        Curve([(0.35, 0.42), (0.55, 0.6), (0.95, 0.75), (0.62, 0.92)]),
        Curve([(0.62, 0.92), (0.3, 1.05), (0.05, 0.75), (0.4, 0.52)]),
        Curve([(0.4, 0.52), (0.6, 0.4), (0.8, 0.3), (0.74, 0.14)]),
    ]],
];

const NINE: &[Style] = &[
    &[&[Arc((0.49, 0.29), (0.28, 0.24), 0.0, -360.0), Line(&[(0.77, 0.29), (0.71, 0.96)])]],
    // A bent tail.
    &[&[
        Arc((0.48, 0.29), (0.28, 0.24), -20.0, -350.0),
        Curve([(0.77, 0.24), (0.8, 0.65), (0.7, 0.98), (0.3, 0.92)]),
    ]],
    &[&[
        Curve([(0.74, 0.12), (0.5, -0.05), (0.15, 0.1), (0.2, 0.35)]),
        Curve([(0.2, 0.35), (0.28, 0.6), (0.7, 0.5), (0.75, 0.12)]),
        Curve([(0.75, 0.12), (0.74, 0.5), (0.68, 0.75), (0.6, 0.97)]),
    ]],
];
