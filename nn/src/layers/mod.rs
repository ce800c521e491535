//! The layers that networks are composed of, each a [`Module`](crate::Module).
//!
//! Each layer has a configuration, whose defaults are PyTorch's, and parameters with PyTorch's names.
//! Networks are composed in code, or from a list in a file ([`Layers`], [`build()`]).

mod attention;
mod batch_norm;
mod branches;
mod build;
mod conv;
mod dropout;
mod embedding;
mod fusion;
mod item;
mod leaky_relu;
mod linear;
mod list;
mod magnitude;
mod norm;
mod pad;
mod pair;
mod pool;
mod position;
mod recurrent;
mod reduce;
mod sequential;
mod shape;
mod transformer;
mod upsample;
mod walk;

use tch::Tensor;

pub use attention::{Attended, AttentionConfig, MultiHeadAttention};
pub use batch_norm::{BatchNorm, BatchNormConfig};
pub use branches::{Add, AddConfig, Concat, ConcatConfig, Residual, ResidualConfig};
pub use build::build;
pub use conv::{Conv1d, Conv1dConfig, Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
pub use dropout::{Dropout, DropoutConfig};
pub(crate) use dropout::{dropout, dropout_mask};
pub use embedding::{Embedding, EmbeddingConfig};
pub use fusion::Fusible;
pub use leaky_relu::{LeakyRelu, LeakyReluConfig};
pub use linear::{Linear, LinearConfig};
pub use list::{LayerConfig, Layers, takes_tokens};
pub use magnitude::Magnitude;
pub use norm::{GroupNorm, GroupNormConfig, LayerNorm, LayerNormConfig, RmsNorm, RmsNormConfig};
pub use pad::{Pad1d, Pad2d, PadMode};
pub use pair::Pair;
pub use pool::{
    AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveMaxPool1d, AdaptiveMaxPool2d, AvgPool1d, AvgPool2d,
    MaxPool1d, MaxPool2d,
};
pub use position::{PositionEmbedding, PositionEmbeddingConfig};
pub use recurrent::{GruConfig, LstmConfig, SequenceReader};
pub use reduce::{Max, Mean};
pub use sequential::Sequential;
pub use shape::{Flatten, Reshape, Transpose, Unsqueeze};
pub use transformer::{Transformer, TransformerBlock, TransformerBlockConfig, TransformerConfig};
pub use upsample::{Upsample, UpsampleMode};

use crate::{Init, NnError, Precision};

/// Settings of a list for all its layers that have none of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Defaults {
    /// Initialisation of weights.
    pub init: Init,
    /// Number type of products.
    pub precision: Precision,
    /// Spectral normalisation of linear and convolution layers.
    pub spectral_norm: bool,
}

/// PyTorch's default for the number that normalisations add to the variance.
const EPS: f64 = 1e-5;

fn eps() -> f64 {
    EPS
}

// serde asks by reference.
fn is_eps(value: &f64) -> bool {
    *value == EPS
}

fn yes() -> bool {
    true
}

fn is_yes(value: &bool) -> bool {
    *value
}

fn is_no(value: &bool) -> bool {
    !*value
}

fn one() -> i64 {
    1
}

fn is_one(value: &i64) -> bool {
    *value == 1
}

fn is_zero(value: &i64) -> bool {
    *value == 0
}

/// Sizes, and the numbers of one sample, stay below this: their products are then computed without overflow.
const LIMIT: i64 = 1 << 31;

fn at_least(name: &str, value: i64, least: i64) -> Result<(), NnError> {
    match value {
        value if value < least => Err(NnError::Config(format!("{name} is {value}: give at least {least}"))),
        value if value >= LIMIT => Err(NnError::Config(format!("{name} is {value}: give less than {LIMIT}"))),
        _ => Ok(()),
    }
}

/// The dimension of a sample that a number names, which counts from the end if it is negative.
fn at_dimension(name: &str, number: i64, shape: &[i64]) -> Result<usize, NnError> {
    let count = shape.len() as i64;
    let place = if number < 0 { number + count } else { number };
    match (0..count).contains(&place) {
        true => Ok(place as usize),
        false => Err(NnError::Config(format!(
            "{name} is {number}: give {} to {}, since it gets samples of shape {shape:?}",
            -count,
            count - 1
        ))),
    }
}

/// The samples that a layer over so many dimensions of space or time takes, in the words of an error.
fn takes(dimensions: usize) -> &'static str {
    match dimensions {
        1 => "sequences [channels, steps]",
        _ => "images [channels, height, width]",
    }
}

/// The error of a layer that gets samples of another shape than it takes.
fn unfit(takes: &str, shape: &[i64]) -> NnError {
    NnError::Config(format!("it takes {takes}, and gets samples of shape {shape:?}"))
}

/// The error of a layer that is called with another input than it takes.
fn wrong_input(layer: &str, takes: String, x: &Tensor) -> NnError {
    NnError::Shape(format!("{layer} takes {takes}, the input is {:?} {:?}", x.kind(), x.size()))
}

#[cfg(test)]
mod tests;
