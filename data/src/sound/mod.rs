//! Sounds: recordings in folders ([`SoundDataset`]), generated words ([`ToneDataset`]), and their transforms.

mod augment;
mod files;
mod mel;
mod resample;
mod tones;
mod voice;
mod wav;

pub use augment::{
    BackgroundNoise, BackgroundNoiseConfig, Gain, GainConfig, SpecAugment, SpecAugmentConfig, TimeShift,
    TimeShiftConfig,
};
pub use files::{SoundDataset, SoundOptions};
pub use mel::{LogMel, LogMelConfig};
pub use resample::{Resample, ResampleConfig, resample};
pub use tones::{ToneDataset, ToneOptions};
pub use wav::{WavHeader, read_wav, wav_header};

use crate::DatasetSpec;

/// The data sets of this module.
pub(crate) fn specs() -> Vec<DatasetSpec> {
    vec![
        DatasetSpec::new("sounds", |given| SoundDataset::open(given.path.as_deref(), &given.options))
            .summary(
                "a folder of WAV files for each word or class, as Speech Commands has them (options: rate = 16000, \
                 seconds = 1.0, classes, cache = true)",
            )
            .needs_path(),
        DatasetSpec::new("tones", |given| ToneDataset::open(given.path.as_deref(), &given.options)).summary(
            "generated spoken-like words, ten classes, one second at 8 kHz (options: count = 4000, seed = 0)",
        ),
    ]
}

/// A number from -1 to 1 in 16 bits, as sounds are kept in memory.
fn to_bits(number: f32) -> i16 {
    (number * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16
}

/// The number of [`to_bits`].
fn from_bits(bits: i16) -> f32 {
    f32::from(bits) / 32_768.0
}
