//! Transforms as they are written in a configuration.

use serde::{Deserialize, Serialize};

use super::geometry::{FlipHorizontal, Rotate, Shift};
use super::normalize::Normalize;
use super::values::{Brightness, Contrast, Cutout, Noise};
use super::{Size, Transform};
use crate::sound::{
    BackgroundNoise, BackgroundNoiseConfig, Gain, GainConfig, LogMel, LogMelConfig, Resample, ResampleConfig,
    SpecAugment, SpecAugmentConfig, TimeShift, TimeShiftConfig,
};
use crate::{DataError, Input};

/// A transform of inputs, with its settings.
///
/// ```
/// # use pavlov_data::{Input, TransformConfig};
/// let shift: TransformConfig = toml::from_str("kind = \"shift\"\npixels = 2")?;
/// let image = Input::Image { channels: 1, height: 28, width: 28 };
/// assert!(shift.build(&image)?.augments());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum TransformConfig {
    /// Pads an image with zeros and cuts a window of its own size out at random (He et al. 2016). Augments.
    Crop {
        /// The pixels of padding at each edge.
        padding: usize,
    },
    /// Mirrors an image, left to right. Augments.
    FlipHorizontal {
        /// The probability, from 0 to 1.
        #[serde(default = "half")]
        probability: f64,
    },
    /// Moves an image by whole pixels, drawn uniformly for each axis; zeros move in. Augments.
    Shift {
        /// The most pixels in each direction, less than the image's height and width.
        pixels: usize,
    },
    /// Turns an image about its centre by an angle that is drawn uniformly, with bilinear interpolation;
    /// zeros move in. Augments.
    Rotate {
        /// The largest angle in each direction, in degrees from 0 to 180.
        degrees: f64,
    },
    /// Adds a number to an image, a row of numbers or a sound that is drawn uniformly, one for all its
    /// numbers. Augments.
    Brightness {
        /// The largest number that is added or taken away.
        amount: f64,
    },
    /// Scales an image, a row of numbers or a sound about its mean by a factor that is drawn uniformly from
    /// 1 - amount to 1 + amount. Augments.
    Contrast {
        /// The largest change of the factor, from 0 to 1.
        amount: f64,
    },
    /// Brings a sound to another rate.
    Resample(ResampleConfig),
    /// Turns a sound into its log-mel spectrogram, an image of one channel.
    LogMel(LogMelConfig),
    /// Moves a sound in time. Augments.
    TimeShift(TimeShiftConfig),
    /// Adds noise of a loudness that is drawn uniformly to a sound. Augments.
    BackgroundNoise(BackgroundNoiseConfig),
    /// Makes a sound louder or softer. Augments.
    Gain(GainConfig),
    /// Masks bands of a spectrogram and stretches of its time (Park et al. 2019). Augments.
    SpecAugment(SpecAugmentConfig),
    /// Adds Gaussian noise to every number. Augments.
    Noise {
        /// The noise's standard deviation.
        deviation: f64,
    },
    /// Sets a square of an image to zero (DeVries and Taylor 2017). Its centre is any pixel, so that it may
    /// reach over the edge. Augments.
    Cutout {
        /// The square's side in pixels.
        size: usize,
    },
    /// Subtracts a mean and divides by a standard deviation: one of each for a channel of an image or a
    /// column of a table, one for all of a sound. [`super::Statistics`] computes them.
    Normalize {
        /// The means.
        mean: Vec<f32>,
        /// The standard deviations, above 0.
        std: Vec<f32>,
    },
}

fn half() -> f64 {
    0.5
}

impl TransformConfig {
    /// The name that it has in a configuration.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Crop { .. } => "crop",
            Self::FlipHorizontal { .. } => "flip_horizontal",
            Self::Shift { .. } => "shift",
            Self::Rotate { .. } => "rotate",
            Self::Brightness { .. } => "brightness",
            Self::Contrast { .. } => "contrast",
            Self::Noise { .. } => "noise",
            Self::Cutout { .. } => "cutout",
            Self::Resample(_) => "resample",
            Self::LogMel(_) => "log_mel",
            Self::TimeShift(_) => "time_shift",
            Self::BackgroundNoise(_) => "background_noise",
            Self::Gain(_) => "gain",
            Self::SpecAugment(_) => "spec_augment",
            Self::Normalize { .. } => "normalize",
        }
    }

    /// The transform of such inputs.
    ///
    /// # Errors
    /// [`DataError::Config`] when a setting is out of range or does not fit the input.
    pub fn build(&self, input: &Input) -> Result<Box<dyn Transform>, DataError> {
        let size = || Size::of(self.name(), input);
        Ok(match self {
            Self::Crop { padding } => {
                let size = size()?;
                self.check_pixels("padding", *padding, size.height.min(size.width) + 1)?;
                Box::new(Shift::new(input, size, *padding))
            }
            Self::Shift { pixels } => {
                let size = size()?;
                self.check_pixels("pixels", *pixels, size.height.min(size.width))?;
                Box::new(Shift::new(input, size, *pixels))
            }
            Self::FlipHorizontal { probability } => {
                self.check_range("probability", *probability, 1.0)?;
                Box::new(FlipHorizontal::new(input, size()?, *probability))
            }
            Self::Rotate { degrees } => {
                self.check_range("degrees", *degrees, 180.0)?;
                Box::new(Rotate::new(input, size()?, *degrees))
            }
            Self::Brightness { amount } => {
                self.check_range("amount", *amount, f64::from(f32::MAX))?;
                self.check_numbers(input)?;
                Box::new(Brightness::new(input, *amount))
            }
            Self::Contrast { amount } => {
                self.check_range("amount", *amount, 1.0)?;
                self.check_numbers(input)?;
                Box::new(Contrast::new(input, *amount))
            }
            Self::Noise { deviation } => {
                self.check_range("deviation", *deviation, f64::from(f32::MAX))?;
                self.check_numbers(input)?;
                Box::new(Noise::new(input, *deviation))
            }
            Self::Cutout { size: side } => {
                let size = size()?;
                self.check_pixels("size", *side, 2 * size.height.min(size.width))?;
                Box::new(Cutout::new(input, size, *side))
            }
            Self::Normalize { mean, std } => Box::new(Normalize::new(input, mean, std)?),
            Self::Resample(config) => Box::new(Resample::new(input, config)?),
            Self::LogMel(config) => Box::new(LogMel::new(input, config)?),
            Self::TimeShift(config) => Box::new(TimeShift::new(input, config)?),
            Self::BackgroundNoise(config) => Box::new(BackgroundNoise::new(input, config)?),
            Self::Gain(config) => Box::new(Gain::new(input, config)?),
            Self::SpecAugment(config) => Box::new(SpecAugment::new(input, config)?),
        })
    }

    fn check_range(&self, setting: &str, value: f64, most: f64) -> Result<(), DataError> {
        if (0.0..=most).contains(&value) {
            return Ok(());
        }
        let name = self.name();
        let range = if most < f64::from(f32::MAX) { format!("from 0 to {most}") } else { "from 0 on".into() };
        let message = format!("the transform `{name}` has `{setting}` = {value}: give a number {range}");
        Err(DataError::Config(message))
    }

    fn check_pixels(&self, setting: &str, value: usize, end: usize) -> Result<(), DataError> {
        if value < end {
            return Ok(());
        }
        let (name, most) = (self.name(), end.saturating_sub(1));
        let message = format!(
            "the transform `{name}` has `{setting}` = {value}, too many pixels for the image: at most {most}"
        );
        Err(DataError::Config(message))
    }

    fn check_numbers(&self, input: &Input) -> Result<(), DataError> {
        if matches!(input, Input::Tokens { .. }) {
            let name = self.name();
            let message = format!("the transform `{name}` is for numbers; the input is tokens");
            return Err(DataError::Config(message));
        }
        Ok(())
    }
}
