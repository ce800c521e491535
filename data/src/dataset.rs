//! The samples of a data set: what their inputs are, and what is to be learned of them.

use serde::{Deserialize, Serialize};

use crate::DataError;

/// The kind of input that every sample of a data set has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// A picture, `[channels, height, width]`, numbers from 0 to 1 until they are normalised.
    Image {
        /// The number of channels: 1 for grey, 3 for red, green and blue.
        channels: usize,
        /// The number of rows of pixels.
        height: usize,
        /// The number of columns of pixels.
        width: usize,
    },
    /// A row of a table.
    Numbers {
        /// The columns' names.
        names: Vec<String>,
    },
    /// A sequence of tokens.
    Tokens {
        /// The number of tokens that a model reads of one sample.
        length: usize,
        /// The text of each token; a token is a place in this list.
        vocabulary: Vec<String>,
    },
    /// A recorded sound, numbers from -1 to 1.
    Sound {
        /// The number of numbers.
        samples: usize,
        /// Numbers per second.
        rate: u32,
    },
}

impl Input {
    /// The shape of one sample's input as a model reads it.
    pub fn shape(&self) -> Vec<usize> {
        match self {
            Self::Image { channels, height, width } => vec![*channels, *height, *width],
            Self::Numbers { names } => vec![names.len()],
            Self::Tokens { length, .. } => vec![*length],
            Self::Sound { samples, .. } => vec![*samples],
        }
    }

    /// The number of `f32` numbers of one sample's input; 0 for tokens.
    pub fn numbers(&self) -> usize {
        match self {
            Self::Image { channels, height, width } => channels * height * width,
            Self::Numbers { names } => names.len(),
            Self::Tokens { .. } => 0,
            Self::Sound { samples, .. } => *samples,
        }
    }
}

/// The kind of target that every sample of a data set has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Nothing: the input alone.
    None,
    /// The class that it belongs to.
    Class {
        /// The classes' names; a class is a place in this list.
        names: Vec<String>,
    },
    /// Numbers.
    Numbers {
        /// Their names.
        names: Vec<String>,
    },
    /// The token that follows each token of the input.
    Next,
}

impl Target {
    /// The number of `f32` numbers of one sample's target.
    pub fn numbers(&self) -> usize {
        match self {
            Self::Numbers { names } => names.len(),
            _ => 0,
        }
    }
}

/// Room for one sample; [`Dataset::read`] fills all of it.
#[derive(Debug)]
pub struct SampleMut<'a> {
    /// The input, [`Input::numbers`] numbers.
    pub numbers: &'a mut [f32],
    /// The tokens of the input, and one more where the next token is to be learned ([`Target::Next`]).
    pub tokens: &'a mut [i64],
    /// The target, [`Target::numbers`] numbers.
    pub targets: &'a mut [f32],
}

/// A data set: samples by number. Threads read it at the same time.
pub trait Dataset: std::fmt::Debug + Send + Sync {
    /// The kind of the inputs.
    fn input(&self) -> &Input;

    /// The kind of the targets.
    fn target(&self) -> &Target;

    /// The number of samples.
    fn len(&self) -> usize;

    /// True if there are no samples.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The class of a sample, for targets that are classes. Cheap: sampling by classes asks it of every
    /// sample.
    fn class(&self, index: usize) -> Option<usize>;

    /// A number that belongs to the sample wherever it stands in the data set: made from its contents or its
    /// file's name. Splits go by it.
    fn identity(&self, index: usize) -> u64;

    /// The first of the samples that the data set itself sets apart for testing, if it does: all from there
    /// on.
    fn test_begin(&self) -> Option<usize> {
        None
    }

    /// Writes a sample.
    ///
    /// # Errors
    /// [`DataError`] when a file can no longer be read.
    fn read(&self, index: usize, sample: SampleMut<'_>) -> Result<(), DataError>;
}
