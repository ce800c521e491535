//! Samples to train on, to validate with and to test with.

use std::collections::{BTreeMap, HashMap};

use pavlov_common::derive_seed;
use serde::{Deserialize, Serialize};

use crate::{DataError, Dataset, Target};

/// The parts of a data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SplitConfig {
    /// The part to validate with, from 0 to below 1.
    pub validation: f64,
    /// The part to test with, from 0 to below 1. A data set that sets its own test samples apart
    /// ([`Dataset::test_begin`]) ignores it.
    pub test: f64,
}

impl Default for SplitConfig {
    fn default() -> Self {
        Self { validation: 0.1, test: 0.1 }
    }
}

/// The samples of each part, by their places in the data set.
///
/// A sample's part depends on the seed and on its [`Dataset::identity`], not on its place: a data set whose
/// files were listed in another order is split alike, and each part lists its samples in an order that
/// depends on the same two numbers. Samples of one identity, duplicates or the words of one speaker, go to
/// the same part, whatever their classes. Each class gives its share to each part. The samples of
/// [`Dataset::test_begin`] keep their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Splits {
    /// The samples to train on.
    pub train: Vec<usize>,
    /// The samples to validate with.
    pub validation: Vec<usize>,
    /// The samples to test with.
    pub test: Vec<usize>,
}

/// A sample: its place in the order that the seed gives, its identity, and its place in the data set.
type Keyed = (u64, u64, usize);

impl Splits {
    /// The parts of a data set.
    ///
    /// # Errors
    /// [`DataError::Config`] when a part is negative, not a number, or when they leave nothing to train on;
    /// [`DataError::Data`] when the data set is empty or a class, which is named, has too few samples.
    pub fn of(dataset: &dyn Dataset, config: &SplitConfig, seed: u64) -> Result<Self, DataError> {
        let own_test = dataset.test_begin().map(|begin| begin.min(dataset.len()));
        let free = own_test.unwrap_or(dataset.len());
        let shares = Shares::new(config, own_test.is_some())?;
        if free == 0 {
            return Err(DataError::Data("the data set has no sample to train on".into()));
        }

        let mut classes: BTreeMap<Option<usize>, Vec<Keyed>> = BTreeMap::new();
        for index in 0..free {
            let identity = dataset.identity(index);
            let keyed = (derive_seed(seed, "split", identity), identity, index);
            classes.entry(dataset.class(index)).or_default().push(keyed);
        }
        let mut parts = Parts::default();
        for (class, samples) in classes {
            shares.check_class(dataset.target(), class, samples.len())?;
            parts.add(samples, &shares);
        }
        parts.check(&shares)?;
        let [train, validation, mut test] = parts.samples.map(|mut part| {
            part.sort_unstable();
            part.into_iter().map(|(_, _, index)| index).collect::<Vec<_>>()
        });
        test.extend(own_test.map_or(0..0, |begin| begin..dataset.len()));
        Ok(Self { train, validation, test })
    }
}

/// The parts to set apart.
struct Shares {
    validation: f64,
    test: f64,
}

impl Shares {
    fn new(config: &SplitConfig, own_test: bool) -> Result<Self, DataError> {
        let test = if own_test { 0.0 } else { config.test };
        for (name, share) in [("validation", config.validation), ("test", config.test)] {
            if !(0.0..1.0).contains(&share) {
                let message = format!("the part `{name}` is {share}: give a number from 0 to below 1");
                return Err(DataError::Config(message));
            }
        }
        if config.validation + test >= 1.0 {
            let (validation, test) = (config.validation, config.test);
            let message = format!(
                "the parts `validation` = {validation} and `test` = {test} leave nothing to train on"
            );
            return Err(DataError::Config(message));
        }
        Ok(Self { validation: config.validation, test })
    }

    /// The number of samples of `count` that go to validation and to testing: at least one to each part that
    /// is asked for, and at least one is left.
    fn counts(&self, count: usize) -> (usize, usize) {
        let part = |share: f64, most: usize| match share {
            0.0 => 0,
            share => ((count as f64 * share).round() as usize).clamp(1, most.max(1)),
        };
        let reserved = 1 + usize::from(self.validation > 0.0);
        let test = part(self.test, count.saturating_sub(reserved));
        (part(self.validation, count.saturating_sub(1 + test)), test)
    }

    /// The number of samples that a class needs: one for each part.
    fn needed(&self) -> usize {
        1 + usize::from(self.validation > 0.0) + usize::from(self.test > 0.0)
    }

    fn check_class(&self, target: &Target, class: Option<usize>, count: usize) -> Result<(), DataError> {
        let needed = self.needed();
        if count >= needed {
            return Ok(());
        }
        let samples = if count == 1 { "sample" } else { "samples" };
        let subject = match (target, class) {
            (Target::Class { names }, Some(class)) => match names.get(class) {
                Some(name) => format!("the class `{name}`"),
                None => format!("class {class}"),
            },
            _ => "the data set".into(),
        };
        let message = format!(
            "{subject} has {count} {samples}, but the split needs {needed}, one for each part: add samples, \
             leave the class out, or set the parts `validation` or `test` to 0"
        );
        Err(DataError::Data(message))
    }
}

/// The samples of training, validation and testing.
#[derive(Default)]
struct Parts {
    samples: [Vec<Keyed>; 3],
    /// The part of each identity that was dealt: a speaker's words of all classes go to one part.
    dealt: HashMap<u64, usize>,
}

impl Parts {
    /// Deals the samples of one class. Samples of one identity stay together: they go to the first part that
    /// has room for all of them, and to training when none has. Those whose identity another class had go
    /// where that class's went.
    fn add(&mut self, mut samples: Vec<Keyed>, shares: &Shares) {
        samples.sort_unstable();
        let (validation, test) = shares.counts(samples.len());
        let mut room = [0, validation, test];
        for (_, identity, _) in &samples {
            if let Some(&part) = self.dealt.get(identity) {
                room[part] = usize::saturating_sub(room[part], 1);
            }
        }
        for same in samples.chunk_by(|a, b| a.1 == b.1) {
            let (identity, count) = (same[0].1, same.len());
            let part = *self.dealt.entry(identity).or_insert_with(|| {
                let part = [2, 1].into_iter().find(|&part| count <= room[part]).unwrap_or(0);
                room[part] = usize::saturating_sub(room[part], count);
                part
            });
            self.samples[part].extend_from_slice(same);
        }
    }

    fn check(&self, shares: &Shares) -> Result<(), DataError> {
        let wanted = [("train", true), ("validation", shares.validation > 0.0), ("test", shares.test > 0.0)];
        for ((name, wanted), part) in wanted.into_iter().zip(&self.samples) {
            if wanted && part.is_empty() {
                let message = format!(
                    "no sample is left for the part `{name}`: too many samples have the same identity"
                );
                return Err(DataError::Data(message));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
