//! Log-mel spectrograms.

use std::sync::Arc;

use crossbeam::queue::ArrayQueue;
use pavlov_common::SeededRng;
use realfft::num_complex::Complex32;
use realfft::{RealFftPlanner, RealToComplex};
use serde::{Deserialize, Serialize};

use crate::{DataError, Input, Transform};

/// The number of threads whose memory is kept from one sample to the next.
const KEPT: usize = 64;

/// The largest window, in numbers.
const MAX_WINDOW: usize = 1 << 16;

/// The settings of a [`LogMel`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogMelConfig {
    /// The length of a window in seconds.
    pub window: f64,
    /// The time from one window to the next in seconds.
    pub hop: f64,
    /// The number of mel bands, the height of the output. Bands that are so narrow that they lie between two
    /// frequencies of the transform stay at the floor: a longer window has more frequencies.
    pub mels: usize,
    /// The lower edge of the lowest band in hertz.
    pub low: f64,
    /// The upper edge of the highest band in hertz; half the sound's rate if it is not given.
    pub high: Option<f64>,
    /// What is added to the power before the logarithm.
    pub floor: f64,
}

impl Default for LogMelConfig {
    fn default() -> Self {
        Self { window: 0.025, hop: 0.010, mels: 40, low: 20.0, high: None, floor: 1e-6 }
    }
}

/// A sound as the logarithm of its power in mel bands, `[1, mels, frames]` with `frames = 1 + samples / hop`.
///
/// The definition is that of torchaudio's `MelSpectrogram` with its defaults: windows centred on multiples of
/// the hop, the sound mirrored at its ends, a periodic Hann window, the squared magnitude of the Fourier
/// transform, triangular bands of height 1 that are equally wide on the mel scale `2595 log10(1 + f / 700)`.
/// The transform is over the power of two from the window's length on (`n_fft`, with `win_length` the
/// window's length). Then the natural logarithm of `x + floor`.
#[derive(Debug)]
pub struct LogMel {
    output: Input,
    samples: usize,
    hop: usize,
    frames: usize,
    floor: f32,
    /// The window, with the zeros around it.
    window: Vec<f32>,
    bands: Vec<Band>,
    fourier: Fourier,
    scratch: ArrayQueue<Scratch>,
}

/// The weights of a band, from one bin of the transform on.
#[derive(Debug)]
struct Band {
    begin: usize,
    weights: Vec<f32>,
}

/// The planned transform.
struct Fourier(Arc<dyn RealToComplex<f32>>);

impl std::fmt::Debug for Fourier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fourier({})", self.0.len())
    }
}

/// Memory for one sound at a time.
#[derive(Debug)]
struct Scratch {
    padded: Vec<f32>,
    frame: Vec<f32>,
    spectrum: Vec<Complex32>,
    power: Vec<f32>,
    fourier: Vec<Complex32>,
}

impl LogMel {
    /// The transform of sounds like this.
    ///
    /// # Errors
    /// [`DataError::Config`] if the input is no sound, or too short for a window, or a setting makes no
    /// sense.
    pub fn new(input: &Input, config: &LogMelConfig) -> Result<Self, DataError> {
        let Input::Sound { samples, rate } = *input else {
            return Err(DataError::Config(
                "the transform `log_mel` is for sounds, and the input is none".to_owned(),
            ));
        };
        let wrong = |message: String| Err(DataError::Config(format!("the transform `log_mel`: {message}")));
        let rate = f64::from(rate);
        let window = (config.window * rate).round();
        let hop = (config.hop * rate).round();
        if !(2.0..=MAX_WINDOW as f64).contains(&window) {
            return wrong(format!(
                "`window` is {} s, {window} numbers; it needs 2 to {MAX_WINDOW}",
                config.window
            ));
        }
        if !(1.0..=MAX_WINDOW as f64).contains(&hop) {
            return wrong(format!("`hop` is {} s, {hop} numbers; it needs 1 to {MAX_WINDOW}", config.hop));
        }
        let (window, hop) = (window as usize, hop as usize);
        let size = window.next_power_of_two();
        if samples <= size / 2 {
            return wrong(format!("the sound has {samples} numbers, and needs more than {}", size / 2));
        }
        let high = config.high.unwrap_or(rate / 2.0);
        if !(config.low >= 0.0 && config.low < high && high <= rate / 2.0) {
            return wrong(format!(
                "`low` is {} Hz and `high` is {high} Hz: they have to rise from 0 to {} Hz",
                config.low,
                rate / 2.0
            ));
        }
        if !(1..=size).contains(&config.mels) {
            return wrong(format!("`mels` is {}, and has to be from 1 to {size}", config.mels));
        }
        if !(config.floor > 0.0 && config.floor.is_finite()) {
            return wrong(format!("`floor` is {}, and has to be above 0", config.floor));
        }
        let frames = 1 + samples / hop;
        Ok(Self {
            output: Input::Image { channels: 1, height: config.mels, width: frames },
            samples,
            hop,
            frames,
            floor: config.floor as f32,
            window: padded_hann(window, size),
            bands: bands(config.mels, config.low, high, size, rate),
            fourier: Fourier(RealFftPlanner::new().plan_fft_forward(size)),
            scratch: ArrayQueue::new(KEPT),
        })
    }

    /// Memory that the queue has none of.
    fn fresh(&self) -> Scratch {
        let size = self.window.len();
        Scratch {
            padded: vec![0.0; self.samples + size],
            frame: self.fourier.0.make_input_vec(),
            spectrum: self.fourier.0.make_output_vec(),
            power: vec![0.0; size / 2 + 1],
            fourier: self.fourier.0.make_scratch_vec(),
        }
    }

    fn frame(&self, number: usize, scratch: &mut Scratch, output: &mut [f32]) {
        let Scratch { padded, frame, spectrum, power, fourier } = scratch;
        let sound = &padded[number * self.hop..][..self.window.len()];
        for ((out, number), weight) in frame.iter_mut().zip(sound).zip(&self.window) {
            *out = number * weight;
        }
        // The lengths are the plan's own, for which it has no errors.
        let done = self.fourier.0.process_with_scratch(frame, spectrum, fourier);
        debug_assert!(done.is_ok());
        for (power, number) in power.iter_mut().zip(spectrum.iter()) {
            *power = number.norm_sqr();
        }
        for (band, out) in self.bands.iter().zip(output[number..].iter_mut().step_by(self.frames)) {
            let part = &power[band.begin..][..band.weights.len()];
            let sum: f32 = part.iter().zip(&band.weights).map(|(power, weight)| power * weight).sum();
            *out = (sum + self.floor).ln();
        }
    }
}

impl Transform for LogMel {
    fn output(&self) -> &Input {
        &self.output
    }

    fn augments(&self) -> bool {
        false
    }

    fn apply(&self, input: &[f32], output: &mut [f32], _rng: &mut SeededRng) {
        let mut scratch = self.scratch.pop().unwrap_or_else(|| self.fresh());
        let half = self.window.len() / 2;
        scratch.padded[half..half + self.samples].copy_from_slice(input);
        for distance in 1..=half {
            scratch.padded[half - distance] = input[distance];
            scratch.padded[half + self.samples - 1 + distance] = input[self.samples - 1 - distance];
        }
        for number in 0..self.frames {
            self.frame(number, &mut scratch, output);
        }
        // A full queue drops the memory, which is then made anew.
        let _ = self.scratch.push(scratch);
    }
}

/// A periodic Hann window in the middle of zeros.
fn padded_hann(window: usize, size: usize) -> Vec<f32> {
    let mut padded = vec![0.0; size];
    let begin = (size - window) / 2;
    for (at, weight) in padded[begin..begin + window].iter_mut().enumerate() {
        *weight = (0.5 - 0.5 * (std::f64::consts::TAU * at as f64 / window as f64).cos()) as f32;
    }
    padded
}

fn to_mel(hertz: f64) -> f64 {
    2595.0 * (1.0 + hertz / 700.0).log10()
}

fn to_hertz(mel: f64) -> f64 {
    700.0 * (10.0_f64.powf(mel / 2595.0) - 1.0)
}

/// The triangular bands. One that lies between two bins of the transform has no weights.
fn bands(count: usize, low: f64, high: f64, size: usize, rate: f64) -> Vec<Band> {
    let (low, high) = (to_mel(low), to_mel(high));
    let edge = |number: usize| to_hertz(low + (high - low) * number as f64 / (count + 1) as f64);
    let bins = size / 2 + 1;
    let band = |number: usize| {
        let (left, middle, right) = (edge(number), edge(number + 1), edge(number + 2));
        let weight = |bin: usize| {
            let hertz = bin as f64 * rate / size as f64;
            ((hertz - left) / (middle - left)).min((right - hertz) / (right - middle)).max(0.0) as f32
        };
        let begin = (0..bins).find(|&bin| weight(bin) > 0.0).unwrap_or(0);
        let weights = (begin..bins).map(weight).take_while(|&weight| weight > 0.0).collect();
        Band { begin, weights }
    };
    (0..count).map(band).collect()
}

#[cfg(test)]
#[path = "mel_tests.rs"]
mod tests;
