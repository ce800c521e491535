//! Probability distributions of actions, for policies that draw them.
//!
//! A [`Distribution`] is a description, as networks are: the numbers that parametrise it are a row of a
//! network's output, and are given with each call. There are two forms of its mathematics:
//!
//! * over one row of plain numbers (`rows.rs`): what drawing an action and a loss with a hand-derived gradient need;
//!   on small networks nothing else is fast;
//! * over tensors, recorded by autograd (`tensors.rs`): for losses that are written as one operation after another.
//!
//! [`squashed`] is the Gaussian pressed through tanh, whose actions are held before the squashing.

mod rows;
pub mod squashed;
mod tensors;

#[cfg(test)]
mod tests;

/// A family of distributions, parametrised by [`Distribution::parameters`] numbers, whose draws are
/// [`Distribution::width`] numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// One of `n` choices. Parameters: `n` logits. A draw is the choice's number.
    Categorical(usize),
    /// Several independent choices, the `i`-th one of `counts[i]`. Parameters: their logits, one after the
    /// other.
    MultiCategorical(Vec<usize>),
    /// `n` independent bits. Parameters: `n` logits.
    Bernoulli(usize),
    /// `n` independent normal numbers. Parameters: `n` means, then `n` logarithms of deviations.
    Gaussian(usize),
}

impl Distribution {
    /// The number of parameters of one row.
    pub fn parameters(&self) -> usize {
        match self {
            Self::Categorical(n) | Self::Bernoulli(n) => *n,
            Self::MultiCategorical(counts) => counts.iter().sum(),
            Self::Gaussian(n) => 2 * n,
        }
    }

    /// The number of numbers in a draw.
    pub fn width(&self) -> usize {
        match self {
            Self::Categorical(_) => 1,
            Self::MultiCategorical(counts) => counts.len(),
            Self::Bernoulli(n) | Self::Gaussian(n) => *n,
        }
    }

    /// The counts of a categorical or a multi-categorical distribution's choices.
    fn counts(&self) -> &[usize] {
        match self {
            Self::Categorical(n) => std::slice::from_ref(n),
            Self::MultiCategorical(counts) => counts,
            Self::Bernoulli(_) | Self::Gaussian(_) => &[],
        }
    }
}
