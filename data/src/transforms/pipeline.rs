//! Transforms one after the other.

use std::sync::Arc;

use pavlov_common::SeededRng;

use super::{Transform, TransformConfig};
use crate::{DataError, Input};

/// Transforms in their order. A clone shares them.
#[derive(Clone, Debug)]
pub struct Pipeline {
    input: Input,
    stages: Vec<Arc<dyn Transform>>,
}

/// Memory between the transforms of a pipeline. It grows at the first use and is reused.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    from: Vec<f32>,
    to: Vec<f32>,
}

impl Pipeline {
    /// The transforms of such inputs.
    ///
    /// # Errors
    /// As [`TransformConfig::build`].
    pub fn new(input: &Input, transforms: &[TransformConfig]) -> Result<Self, DataError> {
        let mut pipeline = Self { input: input.clone(), stages: Vec::new() };
        for transform in transforms {
            pipeline.push(Arc::from(transform.build(pipeline.output())?))?;
        }
        Ok(pipeline)
    }

    /// Adds a transform at the end, a user's own for instance.
    ///
    /// # Errors
    /// [`DataError::Config`] when an augmentation changes what the input is.
    pub fn push(&mut self, transform: Arc<dyn Transform>) -> Result<(), DataError> {
        if transform.augments() && transform.output() != self.output() {
            let message = format!(
                "the transform {transform:?} is an augmentation, but changes what the input is: validation \
                 goes without augmentation and would see other inputs"
            );
            return Err(DataError::Config(message));
        }
        self.stages.push(transform);
        Ok(())
    }

    /// What the inputs are before.
    pub fn input(&self) -> &Input {
        &self.input
    }

    /// What the inputs are afterwards.
    pub fn output(&self) -> &Input {
        self.stages.last().map_or(&self.input, |stage| stage.output())
    }

    /// True if there is no transform: inputs stay as they are.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// The same transforms without the augmentations, for validation and testing.
    pub fn without_augmentation(&self) -> Self {
        let stages = self.stages.iter().filter(|stage| !stage.augments()).cloned().collect();
        Self { input: self.input.clone(), stages }
    }

    /// Transforms one input into `output`, all of which is written.
    pub fn apply(&self, input: &[f32], output: &mut [f32], scratch: &mut Scratch, rng: &mut SeededRng) {
        let Some((last, before)) = self.stages.split_last() else {
            output.copy_from_slice(input);
            return;
        };
        let Some((first, between)) = before.split_first() else {
            last.apply(input, output, rng);
            return;
        };
        let Scratch { from, to } = scratch;
        from.resize(first.output().numbers(), 0.0);
        first.apply(input, from, rng);
        for stage in between {
            to.resize(stage.output().numbers(), 0.0);
            stage.apply(from, to, rng);
            std::mem::swap(from, to);
        }
        last.apply(from, output, rng);
    }
}
