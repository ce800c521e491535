//! Transforms of inputs on their way into a batch: augmentation and normalisation.

mod config;
mod geometry;
mod normalize;
mod pipeline;
mod statistics;
mod values;

pub use config::TransformConfig;
pub use pipeline::{Pipeline, Scratch};
pub use statistics::Statistics;

use pavlov_common::SeededRng;

use crate::{DataError, Input};

/// One step on an input's way into a batch. Threads apply it at the same time.
pub trait Transform: std::fmt::Debug + Send + Sync {
    /// The kind of the transformed input.
    fn output(&self) -> &Input;

    /// True if it is random, an augmentation for training alone. Such a transform keeps the input's shape,
    /// since validation goes without it.
    fn augments(&self) -> bool;

    /// Transforms one input of [`Input::numbers`] numbers into `output`, all of which is written.
    fn apply(&self, input: &[f32], output: &mut [f32], rng: &mut SeededRng);
}

/// The channels, rows and columns of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    channels: usize,
    height: usize,
    width: usize,
}

impl Size {
    /// The size of an input that has to be an image.
    fn of(name: &str, input: &Input) -> Result<Self, DataError> {
        match input {
            Input::Image { channels, height, width } => {
                Ok(Self { channels: *channels, height: *height, width: *width })
            }
            other => Err(DataError::Config(format!(
                "the transform `{name}` is for images; the input is {}",
                describe(other)
            ))),
        }
    }

    /// The number of pixels of one channel.
    fn plane(self) -> usize {
        self.height * self.width
    }
}

/// An input in a few words, for messages.
fn describe(input: &Input) -> String {
    match input {
        Input::Image { channels, height, width } => format!("an image, [{channels}, {height}, {width}]"),
        Input::Numbers { names } => format!("{} numbers", names.len()),
        Input::Tokens { length, .. } => format!("{length} tokens"),
        Input::Sound { samples, rate } => format!("a sound of {samples} numbers, {rate} per second"),
    }
}
