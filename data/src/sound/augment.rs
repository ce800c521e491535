//! Random changes of sounds and spectrograms, for training.

use pavlov_common::SeededRng;
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use crate::{DataError, Input, Transform};

/// The settings of a [`TimeShift`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimeShiftConfig {
    /// The longest shift to either side in seconds.
    pub seconds: f64,
}

impl Default for TimeShiftConfig {
    fn default() -> Self {
        Self { seconds: 0.1 }
    }
}

/// Moves a sound in time, by a shift that is drawn uniformly. Zeros move in.
#[derive(Debug)]
pub struct TimeShift {
    input: Input,
    most: usize,
}

impl TimeShift {
    /// The transform of sounds like this.
    ///
    /// # Errors
    /// [`DataError::Config`] if the input is no sound, or the shift is negative or longer than the sound.
    pub fn new(input: &Input, config: &TimeShiftConfig) -> Result<Self, DataError> {
        let (samples, rate) = sound("time_shift", input)?;
        let most = config.seconds * f64::from(rate);
        if !(0.0..=samples as f64).contains(&most) {
            return Err(DataError::Config(format!(
                "the transform `time_shift` has `seconds` = {}: give 0 to {} seconds, the sound's length",
                config.seconds,
                samples as f64 / f64::from(rate)
            )));
        }
        Ok(Self { input: input.clone(), most: most.round() as usize })
    }
}

impl Transform for TimeShift {
    fn output(&self) -> &Input {
        &self.input
    }

    fn augments(&self) -> bool {
        true
    }

    fn apply(&self, input: &[f32], output: &mut [f32], rng: &mut SeededRng) {
        let drawn = rng.random_range(0..=2 * self.most);
        let (later, earlier) = (drawn.saturating_sub(self.most), self.most.saturating_sub(drawn));
        let kept = input.len() - later - earlier;
        output[..later].fill(0.0);
        output[later..later + kept].copy_from_slice(&input[earlier..earlier + kept]);
        output[later + kept..].fill(0.0);
    }
}

/// The settings of a [`BackgroundNoise`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BackgroundNoiseConfig {
    /// The lowest standard deviation of the noise.
    pub low: f64,
    /// The highest standard deviation of the noise; a sound reaches from -1 to 1.
    pub high: f64,
}

impl Default for BackgroundNoiseConfig {
    fn default() -> Self {
        Self { low: 0.0, high: 0.02 }
    }
}

/// Adds noise to a sound: white or pink, each half of the time, of a level that is drawn uniformly.
#[derive(Debug)]
pub struct BackgroundNoise {
    input: Input,
    config: BackgroundNoiseConfig,
}

impl BackgroundNoise {
    /// The transform of sounds like this.
    ///
    /// # Errors
    /// [`DataError::Config`] if the input is no sound, or the levels do not rise from 0 to 1.
    pub fn new(input: &Input, config: &BackgroundNoiseConfig) -> Result<Self, DataError> {
        sound("background_noise", input)?;
        if !(config.low >= 0.0 && config.low <= config.high && config.high <= 1.0) {
            return Err(DataError::Config(format!(
                "the transform `background_noise` has `low` = {} and `high` = {}: give rising levels, 0 to 1",
                config.low, config.high
            )));
        }
        Ok(Self { input: input.clone(), config: config.clone() })
    }
}

impl Transform for BackgroundNoise {
    fn output(&self) -> &Input {
        &self.input
    }

    fn augments(&self) -> bool {
        true
    }

    fn apply(&self, input: &[f32], output: &mut [f32], rng: &mut SeededRng) {
        let level = rng.uniform(self.config.low, self.config.high) as f32;
        if rng.random_bool(0.5) {
            for (out, number) in output.iter_mut().zip(input) {
                *out = number + level * normal(rng);
            }
        } else {
            let mut pink = Pink::default();
            for (out, number) in output.iter_mut().zip(input) {
                *out = number + level * pink.next(normal(rng));
            }
        }
    }
}

/// A number of the standard normal distribution.
pub(super) fn normal(rng: &mut SeededRng) -> f32 {
    StandardNormal.sample(rng)
}

/// Pink noise from white: three filters whose sum falls by about 3 dB an octave (Paul Kellet's economy
/// filter).
#[derive(Default)]
pub(super) struct Pink([f32; 3]);

impl Pink {
    /// The next number, of the standard deviation 1 where the white noise's is 1.
    pub(super) fn next(&mut self, white: f32) -> f32 {
        let [a, b, c] = &mut self.0;
        *a = 0.997_65 * *a + white * 0.099_046;
        *b = 0.963 * *b + white * 0.296_516_4;
        *c = 0.57 * *c + white * 1.052_691_3;
        (*a + *b + *c + white * 0.1848) / 2.979
    }
}

/// The settings of a [`Gain`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GainConfig {
    /// The largest change of the level to either side in decibels.
    pub decibels: f64,
}

impl Default for GainConfig {
    fn default() -> Self {
        Self { decibels: 6.0 }
    }
}

/// Makes a sound louder or softer, by decibels that are drawn uniformly. Numbers beyond 1 are not cut.
#[derive(Debug)]
pub struct Gain {
    input: Input,
    decibels: f64,
}

impl Gain {
    /// The transform of sounds like this.
    ///
    /// # Errors
    /// [`DataError::Config`] if the input is no sound, or the decibels are not from 0 to 60.
    pub fn new(input: &Input, config: &GainConfig) -> Result<Self, DataError> {
        sound("gain", input)?;
        if !(0.0..=60.0).contains(&config.decibels) {
            return Err(DataError::Config(format!(
                "the transform `gain` has `decibels` = {}: give 0 to 60",
                config.decibels
            )));
        }
        Ok(Self { input: input.clone(), decibels: config.decibels })
    }
}

impl Transform for Gain {
    fn output(&self) -> &Input {
        &self.input
    }

    fn augments(&self) -> bool {
        true
    }

    fn apply(&self, input: &[f32], output: &mut [f32], rng: &mut SeededRng) {
        let factor = 10.0_f64.powf(rng.uniform(-self.decibels, self.decibels) / 20.0) as f32;
        for (out, number) in output.iter_mut().zip(input) {
            *out = number * factor;
        }
    }
}

/// The settings of a [`SpecAugment`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpecAugmentConfig {
    /// The number of masks over frequencies.
    pub frequency_masks: usize,
    /// The most bands that a mask covers.
    pub frequency_width: usize,
    /// The number of masks over times.
    pub time_masks: usize,
    /// The most frames that a mask covers.
    pub time_width: usize,
}

impl Default for SpecAugmentConfig {
    fn default() -> Self {
        Self { frequency_masks: 1, frequency_width: 8, time_masks: 1, time_width: 20 }
    }
}

/// Covers bands of frequencies and stretches of time of a spectrogram with its mean (Park et al. 2019,
/// without the warping of time). Widths are drawn uniformly from 0 on, and then the places.
#[derive(Debug)]
pub struct SpecAugment {
    input: Input,
    height: usize,
    width: usize,
    config: SpecAugmentConfig,
}

impl SpecAugment {
    /// The transform of spectrograms like this, `[1, bands, frames]`.
    ///
    /// # Errors
    /// [`DataError::Config`] if the input is no image of one channel, or a mask could be wider than it.
    pub fn new(input: &Input, config: &SpecAugmentConfig) -> Result<Self, DataError> {
        let Input::Image { channels: 1, height, width } = *input else {
            return Err(DataError::Config(
                "the transform `spec_augment` is for spectrograms, one channel: put it after `log_mel`"
                    .to_owned(),
            ));
        };
        for (name, given, most) in
            [("frequency_width", config.frequency_width, height), ("time_width", config.time_width, width)]
        {
            if given > most {
                return Err(DataError::Config(format!(
                    "the transform `spec_augment` has `{name}` = {given}: the spectrogram has {most}"
                )));
            }
        }
        Ok(Self { input: input.clone(), height, width, config: config.clone() })
    }
}

impl Transform for SpecAugment {
    fn output(&self) -> &Input {
        &self.input
    }

    fn augments(&self) -> bool {
        true
    }

    fn apply(&self, input: &[f32], output: &mut [f32], rng: &mut SeededRng) {
        output.copy_from_slice(input);
        let mean = input.iter().sum::<f32>() / input.len().max(1) as f32;
        for _ in 0..self.config.frequency_masks {
            let span = rng.random_range(0..=self.config.frequency_width);
            let begin = rng.random_range(0..=self.height - span);
            output[begin * self.width..(begin + span) * self.width].fill(mean);
        }
        for _ in 0..self.config.time_masks {
            let span = rng.random_range(0..=self.config.time_width);
            let begin = rng.random_range(0..=self.width - span);
            output.chunks_exact_mut(self.width).for_each(|band| band[begin..begin + span].fill(mean));
        }
    }
}

/// The number of numbers and the rate of an input that has to be a sound.
fn sound(name: &str, input: &Input) -> Result<(usize, u32), DataError> {
    match *input {
        Input::Sound { samples, rate } => Ok((samples, rate)),
        _ => Err(DataError::Config(format!(
            "the transform `{name}` is for sounds, and its input is none: put it before `log_mel`"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: Input = Input::Sound { samples: 8_000, rate: 8_000 };

    fn applied(transform: &dyn Transform, input: &[f32], seed: u64) -> Vec<f32> {
        let mut out = vec![f32::NAN; input.len()];
        assert!(transform.augments());
        transform.apply(input, &mut out, &mut SeededRng::seeded(seed));
        out
    }

    fn deviation(numbers: &[f32]) -> f32 {
        (numbers.iter().map(|number| number * number).sum::<f32>() / numbers.len() as f32).sqrt()
    }

    #[test]
    fn shifts_move_a_click_to_both_sides_and_not_too_far() {
        let shift = TimeShift::new(&SOUND, &TimeShiftConfig { seconds: 0.1 }).unwrap();
        let mut click = vec![0.0; 8_000];
        click[4_000] = 1.0;
        let places: Vec<usize> = (0..200)
            .map(|seed| applied(&shift, &click, seed).iter().position(|&number| number == 1.0).unwrap())
            .collect();
        assert!(places.iter().all(|&place| (3_200..=4_800).contains(&place)));
        assert!(places.iter().any(|&place| place < 3_500) && places.iter().any(|&place| place > 4_500));
        let far = TimeShift::new(&SOUND, &TimeShiftConfig { seconds: 1.0 }).unwrap();
        assert!((0..50).all(|seed| applied(&far, &click, seed).iter().all(|number| number.is_finite())));
    }

    #[test]
    fn noise_has_the_level_that_it_was_asked_for() {
        let noise = BackgroundNoise::new(&SOUND, &BackgroundNoiseConfig { low: 0.1, high: 0.1 }).unwrap();
        let levels: Vec<f32> = (0..60).map(|seed| deviation(&applied(&noise, &[0.0; 8_000], seed))).collect();
        assert!(levels.iter().all(|level| (0.07..0.15).contains(level)), "{levels:?}");
        let mean = levels.iter().sum::<f32>() / 60.0;
        assert!((0.097..0.103).contains(&mean), "{mean}");
    }

    #[test]
    fn gain_scales_within_its_decibels() {
        let gain = Gain::new(&SOUND, &GainConfig { decibels: 6.0 }).unwrap();
        let factors: Vec<f32> = (0..200).map(|seed| applied(&gain, &[1.0; 8_000], seed)[7]).collect();
        assert!(factors.iter().all(|factor| (0.5..2.0).contains(factor)));
        assert!(factors.iter().any(|&factor| factor < 0.6) && factors.iter().any(|&factor| factor > 1.7));
    }

    #[test]
    fn masks_cover_whole_bands_and_frames_with_the_mean() {
        let input = Input::Image { channels: 1, height: 4, width: 5 };
        let config = SpecAugmentConfig { frequency_width: 2, time_width: 2, ..SpecAugmentConfig::default() };
        let augment = SpecAugment::new(&input, &config).unwrap();
        let numbers: Vec<f32> = (0..20).map(|number| number as f32).collect();
        let mut covered = 0;
        for seed in 0..100 {
            let out = applied(&augment, &numbers, seed);
            let hidden = |at: usize| out[at] == 9.5;
            assert!((0..20).all(|at| hidden(at) || out[at] == numbers[at]));
            let rows = (0..4).filter(|row| (0..5).all(|column| hidden(row * 5 + column))).count();
            let columns = (0..5).filter(|column| (0..4).all(|row| hidden(row * 5 + column))).count();
            assert!(rows <= 2 && columns <= 2);
            assert_eq!((0..20).filter(|&at| hidden(at)).count(), rows * 5 + columns * 4 - rows * columns);
            covered += rows + columns;
        }
        assert!(covered > 100);
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        let image = Input::Image { channels: 1, height: 4, width: 5 };
        let wrong = |result: Option<DataError>, part: &str| {
            let error = result.unwrap().to_string();
            assert!(error.contains(part), "{error}");
        };
        wrong(TimeShift::new(&SOUND, &TimeShiftConfig { seconds: 1.5 }).err(), "`seconds` = 1.5");
        wrong(TimeShift::new(&SOUND, &TimeShiftConfig { seconds: f64::NAN }).err(), "`seconds` = NaN");
        wrong(TimeShift::new(&image, &TimeShiftConfig::default()).err(), "before `log_mel`");
        wrong(BackgroundNoise::new(&SOUND, &BackgroundNoiseConfig { low: 0.5, high: 0.1 }).err(), "rising");
        wrong(Gain::new(&SOUND, &GainConfig { decibels: -1.0 }).err(), "`decibels` = -1");
        wrong(SpecAugment::new(&SOUND, &SpecAugmentConfig::default()).err(), "after `log_mel`");
        wrong(SpecAugment::new(&image, &SpecAugmentConfig::default()).err(), "`frequency_width` = 8");
    }
}
