//! The data set `tones`: words that a synthetic voice speaks.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use pavlov_common::derive_seed;
use pavlov_common::tables::typed;
use serde::{Deserialize, Serialize};
use toml::Table;

use super::voice::{RATE, WORDS, utter};
use super::{from_bits, to_bits};
use crate::{DataError, Dataset, Input, SampleMut, Target};

/// The number of numbers of a sample: one second.
const SAMPLES: usize = RATE as usize;

/// The number of utterances of a speaker: each word twice.
const UTTERANCES: usize = 2 * WORDS.len();

/// The most samples: 1.6 GB of memory.
const MAX_COUNT: usize = 100_000;

/// The share of the speakers, the last ones, that are for testing: one of so many.
const TEST_PART: usize = 10;

/// The options of the data set `tones`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ToneOptions {
    /// The number of samples.
    pub count: usize,
    /// The seed of the speakers and of what they say.
    pub seed: u64,
}

impl Default for ToneOptions {
    fn default() -> Self {
        Self { count: 4_000, seed: 0 }
    }
}

/// Ten made-up words of two and three syllables, one second each at 8,000 numbers per second
/// ([`Target::Class`]).
///
/// Speakers, who say each word twice, differ in pitch, vocal tract, vowels, breath and speed; utterances in
/// their place, loudness and background noise. Some words (`banu`, `danu`) differ in one consonant, some
/// (`misu`, `sumi`) in the order of their syllables. A sample depends on the seed and its place alone, not on
/// the count. The identity is the speaker's, and the last tenth of the speakers is set apart for testing.
#[derive(Debug)]
pub struct ToneDataset {
    input: Input,
    target: Target,
    seed: u64,
    sounds: Vec<i16>,
}

impl ToneDataset {
    /// Speaks the words; about a second for the default count.
    ///
    /// # Errors
    /// [`DataError::Config`] if there is a path, or an option is unknown or makes no sense.
    pub fn open(path: Option<&Path>, options: &Table) -> Result<Arc<dyn Dataset>, DataError> {
        let options: ToneOptions =
            typed(options.clone()).map_err(|wrong| DataError::Config(format!("tones: {wrong}")))?;
        if path.is_some() {
            return Err(DataError::Config(
                "tones: the data set is generated and takes no `path`; recordings are read by `sounds`"
                    .to_owned(),
            ));
        }
        Ok(Arc::new(Self::new(&options)?))
    }

    /// [`ToneDataset::open`] with options that have been read.
    ///
    /// # Errors
    /// [`DataError::Config`] if the count is not from 10 to 100,000.
    pub fn new(options: &ToneOptions) -> Result<Self, DataError> {
        let &ToneOptions { count, seed } = options;
        if !(WORDS.len()..=MAX_COUNT).contains(&count) {
            return Err(DataError::Config(format!(
                "tones: `count` is {count}, and has to be from {} to {MAX_COUNT}",
                WORDS.len()
            )));
        }
        let mut sounds = vec![0; count * SAMPLES];
        let threads = thread::available_parallelism().map_or(1, usize::from).min(16);
        let share = count.div_ceil(threads);
        thread::scope(|scope| {
            for (thread, sounds) in sounds.chunks_mut(share * SAMPLES).enumerate() {
                scope.spawn(move || render(seed, thread * share, sounds));
            }
        });
        Ok(Self {
            input: Input::Sound { samples: SAMPLES, rate: RATE },
            target: Target::Class { names: WORDS.map(str::to_owned).to_vec() },
            seed,
            sounds,
        })
    }
}

/// Speaks the samples from `first` on.
fn render(seed: u64, first: usize, sounds: &mut [i16]) {
    let mut sound = vec![0.0; SAMPLES];
    for (index, bits) in (first..).zip(sounds.chunks_exact_mut(SAMPLES)) {
        let speaker = (index / UTTERANCES) as u64;
        utter(seed, speaker, index as u64, WORDS[index % WORDS.len()], &mut sound);
        bits.iter_mut().zip(&sound).for_each(|(bits, &number)| *bits = to_bits(number));
    }
}

impl Dataset for ToneDataset {
    fn input(&self) -> &Input {
        &self.input
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn len(&self) -> usize {
        self.sounds.len() / SAMPLES
    }

    fn class(&self, index: usize) -> Option<usize> {
        (index < self.len()).then_some(index % WORDS.len())
    }

    fn identity(&self, index: usize) -> u64 {
        derive_seed(self.seed, "tones identity", (index / UTTERANCES) as u64)
    }

    fn test_begin(&self) -> Option<usize> {
        let speakers = self.len().div_ceil(UTTERANCES);
        let tested = speakers / TEST_PART;
        (tested > 0).then_some((speakers - tested) * UTTERANCES)
    }

    fn read(&self, index: usize, sample: SampleMut<'_>) -> Result<(), DataError> {
        let bits = self.sounds.chunks_exact(SAMPLES).nth(index).ok_or_else(|| {
            DataError::Data(format!("there is no sample {index}: there are {}", self.len()))
        })?;
        sample.numbers.iter_mut().zip(bits).for_each(|(number, &bits)| *number = from_bits(bits));
        Ok(())
    }
}

#[cfg(test)]
#[path = "tones_tests.rs"]
mod tests;
