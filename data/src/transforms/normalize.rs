//! Inputs brought to mean 0 and standard deviation 1.

use pavlov_common::SeededRng;

use super::{Transform, describe};
use crate::{DataError, Input};

/// The mean subtracted and the deviation divided by, one of each for a group of numbers.
#[derive(Debug)]
pub(super) struct Normalize {
    output: Input,
    mean: Vec<f32>,
    std: Vec<f32>,
}

impl Normalize {
    pub(super) fn new(input: &Input, mean: &[f32], std: &[f32]) -> Result<Self, DataError> {
        let wanted = groups(input)?;
        for (name, numbers) in [("mean", mean), ("std", std)] {
            if numbers.len() != wanted {
                let (have, input) = (numbers.len(), describe(input));
                let message = format!(
                    "the transform `normalize` has {have} numbers in `{name}`; {input}, needs {wanted}"
                );
                return Err(DataError::Config(message));
            }
        }
        let fits = |(mean, std): (&f32, &f32)| mean.is_finite() && std.is_finite() && *std > 0.0;
        if let Some(place) = mean.iter().zip(std).position(|pair| !fits(pair)) {
            let (mean, std) = (mean[place], std[place]);
            let message = format!(
                "the transform `normalize` has the mean {mean} and the deviation {std} at place {place}: \
                 both have to be finite, and the deviation above 0"
            );
            return Err(DataError::Config(message));
        }
        Ok(Self { output: input.clone(), mean: mean.to_vec(), std: std.to_vec() })
    }
}

/// The number of groups of numbers with a mean of their own: the channels of an image, the columns of a
/// table, all of a sound.
pub(super) fn groups(input: &Input) -> Result<usize, DataError> {
    match input {
        Input::Image { channels, .. } => Ok(*channels),
        Input::Numbers { names } => Ok(names.len()),
        Input::Sound { .. } => Ok(1),
        Input::Tokens { .. } => Err(DataError::Config("tokens have no mean: they are not normalised".into())),
    }
}

impl Transform for Normalize {
    fn output(&self) -> &Input {
        &self.output
    }

    fn augments(&self) -> bool {
        false
    }

    fn apply(&self, input: &[f32], output: &mut [f32], _: &mut SeededRng) {
        let count = (input.len() / self.mean.len().max(1)).max(1);
        let groups = input.chunks_exact(count).zip(output.chunks_exact_mut(count));
        for ((input, output), (mean, std)) in groups.zip(self.mean.iter().zip(&self.std)) {
            for (output, input) in output.iter_mut().zip(input) {
                *output = (input - mean) / std;
            }
        }
    }
}
