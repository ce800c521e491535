//! Data to learn from: data sets, readers of their files, transforms, batches. Without libtorch.
//!
//! * [`Dataset`]: samples by number, each an input and what is to be learned of it. [`DatasetRegistry`] has
//!   the bundled ones by name, and takes a user's own.
//! * [`Splits`]: the samples to train on, to validate with and to test with; they depend on the seed and on
//!   the samples themselves, not on their order.
//! * [`Transform`]: what is done to an input on its way into a batch: augmentation, normalisation, spectra.
//! * [`Loader`]: batches in an order that the seed decides, made by threads of their own. It says where it
//!   stands in a few numbers, so that a training can stop in the middle of an epoch and continue exactly.
//!
//! # A data set of one's own
//!
//! A data set implements [`Dataset`] and is registered by a name; splits, transforms, statistics and the
//! loader work on it as on the bundled ones.
//!
//! ```
//! use std::sync::Arc;
//!
//! use pavlov_data::{
//!     DataError, Dataset, DatasetOptions, DatasetRegistry, DatasetSpec, Input, Loader, LoaderConfig,
//!     Pipeline, SampleMut, SplitConfig, Splits, Statistics, Target, content_hash,
//! };
//!
//! /// Points of a parabola: `y = x * x`.
//! #[derive(Debug)]
//! struct Parabola {
//!     input: Input,
//!     target: Target,
//!     points: Vec<f32>,
//! }
//!
//! impl Dataset for Parabola {
//!     fn input(&self) -> &Input {
//!         &self.input
//!     }
//!
//!     fn target(&self) -> &Target {
//!         &self.target
//!     }
//!
//!     fn len(&self) -> usize {
//!         self.points.len()
//!     }
//!
//!     fn class(&self, _: usize) -> Option<usize> {
//!         None
//!     }
//!
//!     // The identity is made from the contents, so that a split does not depend on the points' order.
//!     fn identity(&self, index: usize) -> u64 {
//!         content_hash(&self.points[index].to_le_bytes())
//!     }
//!
//!     fn read(&self, index: usize, sample: SampleMut<'_>) -> Result<(), DataError> {
//!         let x = self.points[index];
//!         sample.numbers[0] = x;
//!         sample.targets[0] = x * x;
//!         Ok(())
//!     }
//! }
//!
//! let mut registry = DatasetRegistry::bundled();
//! let parabola = DatasetSpec::new("parabola", |_| {
//!     let names = |name: &str| vec![name.to_string()];
//!     let points = (0..100).map(|step| step as f32 / 50.0 - 1.0).collect();
//!     let (input, target) = (Input::Numbers { names: names("x") }, Target::Numbers { names: names("y") });
//!     Ok(Arc::new(Parabola { input, target, points }))
//! });
//! registry.register(parabola.summary("points of a parabola"))?;
//!
//! let dataset = registry.get("parabola")?.open(&DatasetOptions::default())?;
//! let splits = Splits::of(&*dataset, &SplitConfig::default(), 0)?;
//! let plain = Pipeline::new(dataset.input(), &[])?;
//! let normalize = Statistics::of(&*dataset, &splits.train, &plain)?.transform();
//! let pipeline = Pipeline::new(dataset.input(), &[normalize])?;
//! let mut loader = Loader::new(dataset, splits.train, pipeline, LoaderConfig::default(), 0)?;
//! let batch = loader.next_batch()?;
//! assert_eq!((batch.rows, batch.targets.len()), (64, 64));
//! # Ok::<(), DataError>(())
//! ```

mod batch;
mod dataset;
mod error;
#[cfg(test)]
mod fixtures;
mod identity;
mod loader;
mod registry;
mod sets;
mod sound;
mod split;
mod text;
mod transforms;

pub use batch::Batch;
pub use dataset::{Dataset, Input, SampleMut, Target};
pub use error::DataError;
pub use identity::{content_hash, content_hash_of_numbers};
pub use loader::{Loader, LoaderConfig, Pass, Position};
pub use registry::{DatasetConstructor, DatasetOptions, DatasetRegistry, DatasetSpec};
pub use sets::{ByteImages, InMemory};
pub use sound::{
    BackgroundNoise, BackgroundNoiseConfig, Gain, GainConfig, LogMel, LogMelConfig, Resample, ResampleConfig,
    SoundDataset, SoundOptions, SpecAugment, SpecAugmentConfig, TimeShift, TimeShiftConfig, ToneDataset,
    ToneOptions, WavHeader, read_wav, resample, wav_header,
};
pub use split::{SplitConfig, Splits};
pub use text::{
    PADDING, SentenceDataset, SentenceOptions, TextDataset, TextOptions, TokenKind, UNKNOWN, Vocabulary,
    generated_text,
};
pub use transforms::{Pipeline, Scratch, Statistics, Transform, TransformConfig};
