//! How batches are made.

use serde::{Deserialize, Serialize};

use crate::{DataError, Dataset, Pipeline, Target};

/// The settings of a [`super::Loader`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoaderConfig {
    /// The number of samples of a batch.
    pub batch_size: usize,
    /// The number of threads that make batches, at least 1. The batches are the same with any number.
    pub threads: usize,
    /// Shuffles the samples of each epoch; else they come in the order of the rows.
    pub shuffle: bool,
    /// Draws each class equally often: an epoch has as many samples as there are rows, those of a small class
    /// repeated, and of a large one only a part, another one in the next epoch.
    pub balanced: bool,
    /// Leaves out the last batch of an epoch when it is smaller than the others.
    pub drop_last: bool,
    /// Applies the transforms that augment.
    pub augment: bool,
    /// The number of batches that are made ahead; at least one for each thread.
    pub prefetch: usize,
}

impl Default for LoaderConfig {
    fn default() -> Self {
        Self {
            batch_size: 64,
            threads: 1,
            shuffle: true,
            balanced: false,
            drop_last: false,
            augment: true,
            prefetch: 4,
        }
    }
}

/// The most threads and batches ahead: more is a slip.
const MOST: usize = 1024;

impl LoaderConfig {
    pub(super) fn check(
        &self,
        dataset: &dyn Dataset,
        rows: &[usize],
        pipeline: &Pipeline,
    ) -> Result<(), DataError> {
        let config = |message: String| Err(DataError::Config(message));
        if self.batch_size == 0 {
            return config("`batch_size` is 0: give at least 1".into());
        }
        if !(1..=MOST).contains(&self.threads) || self.prefetch > MOST {
            return config(format!(
                "the loader has `threads` = {} and `prefetch` = {}: give from 1 and from 0 to {MOST}",
                self.threads, self.prefetch
            ));
        }
        if rows.is_empty() {
            return Err(DataError::Data("there are no samples to make batches of".into()));
        }
        if let Some(row) = rows.iter().find(|row| **row >= dataset.len()) {
            return config(format!("there is no sample {row} in a data set of {}", dataset.len()));
        }
        if self.drop_last && rows.len() < self.batch_size {
            return config(format!(
                "`drop_last` leaves no batch: there are {} samples, fewer than `batch_size` = {}",
                rows.len(),
                self.batch_size
            ));
        }
        if self.balanced && !matches!(dataset.target(), Target::Class { .. }) {
            return config("`balanced` is for data sets with classes: this one has none".into());
        }
        if pipeline.input() != dataset.input() {
            return config("the transforms were made for other inputs than those of the data set".into());
        }
        Ok(())
    }
}
