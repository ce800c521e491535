//! Samples that are learned from together.

use crate::{Input, Target};

/// A batch in ordinary memory, sample after sample.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The number of samples.
    pub rows: usize,
    /// The inputs that are numbers, `[rows, ...shape]`; empty for tokens.
    pub numbers: Vec<f32>,
    /// The inputs that are tokens, `[rows, length]`, or `[rows, length + 1]` where the next token is to be
    /// learned; empty for numbers.
    pub tokens: Vec<i64>,
    /// The classes, `[rows]`; empty where the target is no class.
    pub classes: Vec<i64>,
    /// The targets that are numbers, `[rows, width]`.
    pub targets: Vec<f32>,
    /// The samples' places in the data set, `[rows]`.
    pub indices: Vec<usize>,
}

impl Batch {
    /// Makes room for so many samples; what is in it is to be overwritten.
    pub fn resize(&mut self, rows: usize, input: &Input, target: &Target) {
        self.rows = rows;
        self.numbers.resize(rows * input.numbers(), 0.0);
        self.tokens.resize(rows * tokens_of(input, target), 0);
        self.classes.resize(if matches!(target, Target::Class { .. }) { rows } else { 0 }, 0);
        self.targets.resize(rows * target.numbers(), 0.0);
        self.indices.resize(rows, 0);
    }
}

/// The number of tokens that one sample has.
pub(crate) fn tokens_of(input: &Input, target: &Target) -> usize {
    match (input, target) {
        (Input::Tokens { length, .. }, Target::Next) => length + 1,
        (Input::Tokens { length, .. }, _) => *length,
        _ => 0,
    }
}
