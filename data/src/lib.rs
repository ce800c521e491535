//! Data to learn from: data sets, readers of their files, transforms, batches. Without libtorch.
//!
//! * [`Dataset`]: samples by number, each an input and what is to be learned of it. [`DatasetRegistry`] has the
//!   bundled ones by name, and takes a user's own.
//! * [`Splits`]: the samples to train on, to validate with and to test with; they depend on the seed and on the
//!   samples themselves, not on their order.
//! * [`Transform`]: what is done to an input on its way into a batch: augmentation, normalisation, spectra.
//! * [`Loader`]: batches in an order that the seed decides, made by threads of their own. It says where it stands
//!   in a few numbers, so that a training can stop in the middle of an epoch and continue exactly.

mod batch;
mod dataset;
mod error;
mod sound;
mod text;

pub use batch::Batch;
pub use dataset::{Dataset, Input, SampleMut, Target};
pub use error::DataError;
pub use sound::{
    BackgroundNoise, BackgroundNoiseConfig, Gain, GainConfig, LogMel, LogMelConfig, SoundDataset,
    SoundOptions, SoundTransform, SpecAugment, SpecAugmentConfig, TimeShift, TimeShiftConfig, ToneDataset,
    ToneOptions, WavHeader, read_wav, resample, wav_header,
};
pub use text::{
    PADDING, SentenceDataset, SentenceOptions, TextDataset, TextOptions, TokenKind, UNKNOWN, Vocabulary,
    generated_text,
};
