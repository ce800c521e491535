//! Spaces: what observations and actions look like.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The type of a box's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Dtype {
    /// 32-bit floating point.
    F32,
    /// One byte, for pictures.
    U8,
}

/// A set of points in n dimensions, each number between its own bounds (inclusive; infinite bounds are allowed).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoxSpace {
    /// Lower bounds, one per number in row-major order.
    pub low: Vec<f32>,
    /// Upper bounds, one per number in row-major order.
    pub high: Vec<f32>,
    /// The shape, for instance `[4]` or `[channels, height, width]`.
    pub shape: Vec<usize>,
    /// The type in which the numbers are stored.
    pub dtype: Dtype,
}

impl BoxSpace {
    /// How many numbers a point has.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether a point has no numbers at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A set of observations or actions, as in Gymnasium's `spaces`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Space {
    /// One of `n` choices `0..n`.
    Discrete(i64),
    /// Several choices at once, dimension `i` from `0..counts[i]`.
    MultiDiscrete(Vec<i64>),
    /// `n` bits.
    MultiBinary(usize),
    /// A box of numbers.
    Box(BoxSpace),
    /// Named spaces side by side, in this order. Only observations can be dicts.
    Dict(Vec<(String, Space)>),
}
