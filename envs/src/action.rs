//! Actions: one for an environment, a batch of them for a vector environment.

use std::ops::Range;

use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::{EnvError, SeededRng, Space, is_bound};

/// One action, as an environment receives it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action<'a> {
    /// One of `n` choices, counted from 0.
    Discrete(i64),
    /// One choice per dimension (multi-discrete), or one bit per dimension (multi-binary).
    MultiDiscrete(&'a [i64]),
    /// A point of a box.
    Box(&'a [f32]),
}

impl<'a> Action<'a> {
    /// The choice, if it is one of `n`.
    ///
    /// # Errors
    /// [`EnvError::Action`] for another kind of action or a choice outside `0..n`.
    pub fn discrete(self, n: i64) -> Result<usize, EnvError> {
        match self {
            Action::Discrete(choice) if (0..n).contains(&choice) => Ok(choice as usize),
            _ => Err(self.refused(format!("a whole number from 0 to {}", n - 1))),
        }
    }

    /// One choice for each dimension, dimension `i` having `counts[i]` choices.
    ///
    /// # Errors
    /// [`EnvError::Action`] for another kind of action, a wrong number of choices or one that is out of
    /// range.
    pub fn multi_discrete(self, counts: &[i64]) -> Result<&'a [i64], EnvError> {
        match self {
            Action::MultiDiscrete(choices)
                if choices.len() == counts.len()
                    && choices.iter().zip(counts).all(|(choice, &n)| (0..n).contains(choice)) =>
            {
                Ok(choices)
            }
            _ => Err(self.refused(format!("{} choices below {counts:?}", counts.len()))),
        }
    }

    /// `n` bits, each 0 or 1.
    ///
    /// # Errors
    /// [`EnvError::Action`] for another kind of action, a wrong number of bits or a value other than 0 and 1.
    pub fn multi_binary(self, n: usize) -> Result<&'a [i64], EnvError> {
        match self {
            Action::MultiDiscrete(bits) if bits.len() == n && bits.iter().all(|bit| (0..2).contains(bit)) => {
                Ok(bits)
            }
            _ => Err(self.refused(format!("{n} bits, each 0 or 1"))),
        }
    }

    /// `dim` finite numbers. They may lie outside of the box: the environment itself says what it does then
    /// (Gymnasium's worlds clip).
    ///
    /// # Errors
    /// [`EnvError::Action`] for another kind of action, a wrong length, NaN or an infinity.
    pub fn point(self, dim: usize) -> Result<&'a [f32], EnvError> {
        match self {
            Action::Box(point) if point.len() == dim && point.iter().all(|x| x.is_finite()) => Ok(point),
            _ => Err(self.refused(format!("{dim} finite numbers"))),
        }
    }

    fn refused(self, expected: String) -> EnvError {
        let given = match self {
            Action::Discrete(choice) => choice.to_string(),
            Action::MultiDiscrete(choices) => format!("{choices:?}"),
            Action::Box(point) => format!("{point:?}"),
        };
        EnvError::Action { given, expected }
    }
}

/// An action that owns its numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum OwnedAction {
    /// One of `n` choices, counted from 0.
    Discrete(i64),
    /// One choice per dimension, or one bit per dimension.
    MultiDiscrete(Vec<i64>),
    /// A point of a box.
    Box(Vec<f32>),
}

impl OwnedAction {
    /// The same action, as an environment takes it.
    pub fn as_action(&self) -> Action<'_> {
        match self {
            Self::Discrete(choice) => Action::Discrete(*choice),
            Self::MultiDiscrete(choices) => Action::MultiDiscrete(choices),
            Self::Box(point) => Action::Box(point),
        }
    }

    /// The choice of a discrete action, counted from 0.
    pub fn index(&self) -> Option<usize> {
        match self {
            Self::Discrete(choice) => usize::try_from(*choice).ok(),
            _ => None,
        }
    }

    /// The choices or bits of an action that has several.
    pub fn choices(&self) -> Option<&[i64]> {
        match self {
            Self::MultiDiscrete(choices) => Some(choices),
            _ => None,
        }
    }

    /// The numbers of a continuous action.
    pub fn numbers(&self) -> Option<&[f32]> {
        match self {
            Self::Box(point) => Some(point),
            _ => None,
        }
    }
}

impl From<Action<'_>> for OwnedAction {
    fn from(action: Action<'_>) -> Self {
        match action {
            Action::Discrete(choice) => Self::Discrete(choice),
            Action::MultiDiscrete(choices) => Self::MultiDiscrete(choices.to_vec()),
            Action::Box(point) => Self::Box(point.to_vec()),
        }
    }
}

/// One action for each environment of a vector environment, in one flat array.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ActionBatch {
    /// One choice per environment: `[rows]`.
    Discrete(Vec<i64>),
    /// `width` choices or bits per environment: `[rows, width]`, row-major.
    MultiDiscrete {
        /// The numbers of all rows.
        choices: Vec<i64>,
        /// The number of choices in one action.
        width: usize,
    },
    /// `width` numbers per environment: `[rows, width]`, row-major.
    Box {
        /// The numbers of all rows.
        points: Vec<f32>,
        /// The number of numbers in one action.
        width: usize,
    },
}

impl ActionBatch {
    /// A batch of `rows` actions of `space`, all zero.
    ///
    /// # Errors
    /// [`EnvError::Contract`] for a space that no action can have (a dict, a box of `u8`).
    pub fn new(space: &Space, rows: usize) -> Result<Self, EnvError> {
        match space {
            Space::Discrete(_) => Ok(Self::Discrete(vec![0; rows])),
            Space::MultiDiscrete(counts) => {
                Ok(Self::MultiDiscrete { choices: vec![0; rows * counts.len()], width: counts.len() })
            }
            Space::MultiBinary(n) => Ok(Self::MultiDiscrete { choices: vec![0; rows * n], width: *n }),
            Space::Box(space) if space.dtype == crate::Dtype::F32 => {
                Ok(Self::Box { points: vec![0.0; rows * space.len()], width: space.len() })
            }
            Space::Box(_) | Space::Dict(_) => Err(EnvError::Contract(format!(
                "{space} cannot be an action space: use discrete, multi-discrete, multi-binary or a box of f32"
            ))),
        }
    }

    /// The number of actions.
    pub fn rows(&self) -> usize {
        match self {
            Self::Discrete(choices) => choices.len(),
            Self::MultiDiscrete { choices, width } => choices.len() / width.max(&1),
            Self::Box { points, width } => points.len() / width.max(&1),
        }
    }

    /// Copies these rows of `source` over the batch. Nothing is allocated if the two are of one kind.
    pub(crate) fn copy_rows(&mut self, source: &ActionBatch, rows: Range<usize>) {
        fn refill<T: Clone>(to: &mut Vec<T>, from: &[T]) {
            to.clear();
            to.extend_from_slice(from);
        }
        match (&mut *self, source) {
            (Self::Discrete(to), Self::Discrete(from)) => refill(to, &from[rows]),
            (
                Self::MultiDiscrete { choices: to, width },
                Self::MultiDiscrete { choices: from, width: given },
            ) => {
                *width = *given;
                refill(to, &from[rows.start * given..rows.end * given]);
            }
            (Self::Box { points: to, width }, Self::Box { points: from, width: given }) => {
                *width = *given;
                refill(to, &from[rows.start * given..rows.end * given]);
            }
            (to, from) => {
                *to = from.clone();
                to.copy_rows(from, rows);
            }
        }
    }

    /// Draws the action of environment `row` uniformly from `space`, which is the one the batch was made for.
    /// A number without bounds, or with such as [`is_bound`] rejects, is drawn from the normal distribution,
    /// one with a single bound exponentially away from it.
    pub fn sample_row(&mut self, row: usize, space: &Space, rng: &mut SeededRng) {
        match (self, space) {
            (Self::Discrete(choices), Space::Discrete(n)) => choices[row] = rng.random_range(0..*n),
            (Self::MultiDiscrete { choices, width }, Space::MultiDiscrete(counts)) => {
                let row = &mut choices[row * *width..(row + 1) * *width];
                row.iter_mut().zip(counts).for_each(|(choice, &n)| *choice = rng.random_range(0..n));
            }
            (Self::MultiDiscrete { choices, width }, _) => {
                let row = &mut choices[row * *width..(row + 1) * *width];
                row.iter_mut().for_each(|bit| *bit = rng.random_range(0..2));
            }
            (Self::Box { points, width }, Space::Box(space)) => {
                let row = &mut points[row * *width..(row + 1) * *width];
                for (point, (&low, &high)) in row.iter_mut().zip(space.low.iter().zip(&space.high)) {
                    *point = sample_number(low, high, rng);
                }
            }
            _ => {}
        }
    }

    /// Puts `action` in the place of environment `row`.
    ///
    /// # Errors
    /// [`EnvError::Action`] when it is of another kind or width than the batch.
    pub fn set_row(&mut self, row: usize, action: Action<'_>) -> Result<(), EnvError> {
        match (self, action) {
            (Self::Discrete(choices), Action::Discrete(choice)) => choices[row] = choice,
            (Self::MultiDiscrete { choices, width }, Action::MultiDiscrete(given))
                if given.len() == *width =>
            {
                choices[row * *width..(row + 1) * *width].copy_from_slice(given);
            }
            (Self::Box { points, width }, Action::Box(given)) if given.len() == *width => {
                points[row * *width..(row + 1) * *width].copy_from_slice(given);
            }
            (batch, action) => {
                let expected = match batch {
                    Self::Discrete(_) => "a whole number".into(),
                    Self::MultiDiscrete { width, .. } => format!("{width} whole numbers"),
                    Self::Box { width, .. } => format!("{width} numbers"),
                };
                return Err(action.refused(expected));
            }
        }
        Ok(())
    }

    /// The action of environment `row`.
    pub fn row(&self, row: usize) -> Action<'_> {
        match self {
            Self::Discrete(choices) => Action::Discrete(choices[row]),
            Self::MultiDiscrete { choices, width } => {
                Action::MultiDiscrete(&choices[row * width..(row + 1) * width])
            }
            Self::Box { points, width } => Action::Box(&points[row * width..(row + 1) * width]),
        }
    }
}

fn sample_number(low: f32, high: f32, rng: &mut SeededRng) -> f32 {
    // Both unbounded draws come from uniform numbers: the exponential by inversion, the normal by Box and
    // Muller.
    let exponential = -(1.0 - rng.random::<f64>()).ln();
    let drawn = match (is_bound(low), is_bound(high)) {
        (true, true) => rng.uniform(low.into(), high.into()) as f32,
        (true, false) => (f64::from(low) + exponential) as f32,
        (false, true) => (f64::from(high) - exponential) as f32,
        (false, false) => {
            ((2.0 * exponential).sqrt() * (std::f64::consts::TAU * rng.random::<f64>()).cos()) as f32
        }
    };
    // A bound that says nothing, 1e20 say, is none to be drawn from, and still one to be kept.
    drawn.clamp(low, high)
}
