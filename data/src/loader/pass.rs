//! One pass over samples, for validation and testing.

use std::sync::Arc;

use super::{Loader, LoaderConfig, Position};
use crate::{Batch, DataError, Dataset, Input, Pipeline, Target};

/// The samples once, in the order of their rows, without augmentation. It can be started again, with the same
/// threads and memory.
#[derive(Debug)]
pub struct Pass {
    loader: Loader,
}

impl Pass {
    /// One pass over these samples, given by their places in the data set.
    ///
    /// # Errors
    /// As [`Loader::new`].
    pub fn new(
        dataset: Arc<dyn Dataset>,
        rows: Vec<usize>,
        pipeline: Pipeline,
        batch_size: usize,
        threads: usize,
    ) -> Result<Self, DataError> {
        let config = LoaderConfig {
            batch_size,
            threads,
            shuffle: false,
            balanced: false,
            drop_last: false,
            augment: false,
            ..LoaderConfig::default()
        };
        let mut loader = Loader::new(dataset, rows, pipeline, config, 0)?;
        loader.end_after(1);
        Ok(Self { loader })
    }

    /// What the inputs of a batch are: those behind the pipeline.
    pub fn input(&self) -> &Input {
        self.loader.input()
    }

    /// What is to be learned.
    pub fn target(&self) -> &Target {
        self.loader.target()
    }

    /// The number of batches.
    pub fn batches(&self) -> u64 {
        self.loader.batches_per_epoch()
    }

    /// The next batch, or `None` behind the last. The last one may be smaller than the others.
    ///
    /// # Errors
    /// As [`Loader::next_batch`].
    pub fn next_batch(&mut self) -> Result<Option<Batch>, DataError> {
        if self.loader.position().epoch > 0 {
            return Ok(None);
        }
        self.loader.next_batch().map(Some)
    }

    /// Takes a batch back, so that its memory is used for another.
    pub fn give_back(&mut self, batch: Batch) {
        self.loader.give_back(batch);
    }

    /// Starts again from the first batch.
    pub fn restart(&mut self) {
        self.loader.restart(Position::default());
    }
}
