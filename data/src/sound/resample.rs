//! Sounds at another rate.

use pavlov_common::SeededRng;
use rubato::{FftFixedInOut, Resampler};
use serde::{Deserialize, Serialize};

use super::wav::RATES;
use crate::{DataError, Input, Transform};

/// The numbers that the resampler takes at once, about: its filter is as long as that.
const CHUNK: u32 = 1024;

/// The sound with `to` numbers per second in place of `from`. Frequencies that the new rate cannot hold are
/// filtered out; the sound does not shift in time.
///
/// # Errors
/// [`DataError::Config`] if a rate is not from 1,000 to 384,000.
pub fn resample(sound: &[f32], from: u32, to: u32) -> Result<Vec<f32>, DataError> {
    for rate in [from, to] {
        if !RATES.contains(&rate) {
            return Err(DataError::Config(format!(
                "a rate is {rate}, and has to be from {} to {} numbers per second",
                RATES.start(),
                RATES.end()
            )));
        }
    }
    if from == to || sound.is_empty() {
        return Ok(sound.to_vec());
    }
    let failed = |error: &dyn std::fmt::Display| {
        DataError::Data(format!("a sound cannot be resampled from {from} to {to} per second: {error}"))
    };
    // The resampler works on whole periods of both rates. An even number of them makes its filter symmetric
    // about one number: an odd one would shift the sound by half a number.
    let period = from / gcd(from, to);
    let chunk = 2 * (CHUNK / 2).div_ceil(period) * period;
    let mut resampler = FftFixedInOut::<f32>::new(from as usize, to as usize, chunk as usize, 1)
        .map_err(|error| failed(&error))?;
    let (chunk_in, chunk_out) = (resampler.input_frames_next(), resampler.output_frames_next());
    let wanted = (sound.len() as u64 * u64::from(to)).div_ceil(u64::from(from)) as usize;
    let delay = resampler.output_delay();
    let mut out = Vec::with_capacity(wanted + delay + chunk_out);
    let mut input = vec![0.0; chunk_in];
    let mut output = vec![0.0; chunk_out];
    let mut rest = sound;
    // The filter answers late. Zeros behind the sound push its end out.
    while out.len() < wanted + delay {
        let (now, after) = rest.split_at(rest.len().min(chunk_in));
        rest = after;
        input[..now.len()].copy_from_slice(now);
        input[now.len()..].fill(0.0);
        resampler.process_into_buffer(&[&input], &mut [&mut output], None).map_err(|error| failed(&error))?;
        out.extend_from_slice(&output);
    }
    out.drain(..delay);
    out.truncate(wanted);
    Ok(out)
}

/// The settings of a [`Resample`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResampleConfig {
    /// Numbers per second of the output.
    pub rate: u32,
}

/// A sound at another rate, as [`resample`] makes it: for a network that was trained at that rate.
#[derive(Debug)]
pub struct Resample {
    output: Input,
    from: u32,
    to: u32,
}

impl Resample {
    /// The transform of sounds like this.
    ///
    /// # Errors
    /// [`DataError::Config`] if the input is no sound or a rate is not from 1,000 to 384,000.
    pub fn new(input: &Input, config: &ResampleConfig) -> Result<Self, DataError> {
        let (Input::Sound { samples, rate: from }, to) = (input, config.rate) else {
            return Err(DataError::Config(
                "the transform `resample` is for sounds, and its input is none: put it before `log_mel`"
                    .to_owned(),
            ));
        };
        let silence = resample(&vec![0.0; *samples], *from, to)
            .map_err(|error| DataError::Config(format!("the transform `resample`: {error}")))?;
        Ok(Self { output: Input::Sound { samples: silence.len(), rate: to }, from: *from, to })
    }
}

impl Transform for Resample {
    fn output(&self) -> &Input {
        &self.output
    }

    fn augments(&self) -> bool {
        false
    }

    fn apply(&self, input: &[f32], output: &mut [f32], _: &mut SeededRng) {
        match resample(input, self.from, self.to) {
            Ok(sound) if sound.len() == output.len() => output.copy_from_slice(&sound),
            // `new` has resampled a silence of this length, so that only another length comes here.
            _ => output.fill(f32::NAN),
        }
    }
}

/// The greatest common divisor.
fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;

    use super::*;

    fn tone(frequency: f32, rate: u32, seconds: f32) -> Vec<f32> {
        let count = (rate as f32 * seconds) as usize;
        (0..count).map(|at| (TAU * frequency * at as f32 / rate as f32).sin()).collect()
    }

    #[test]
    fn a_tone_stays_where_it_was() {
        for (from, to) in
            [(16_000, 8_000), (44_100, 16_000), (8_000, 16_000), (22_050, 8_000), (8_000, 8_000)]
        {
            let out = resample(&tone(700.0, from, 0.5), from, to).unwrap();
            let exact = tone(700.0, to, 0.5);
            assert_eq!(out.len(), exact.len(), "{from} to {to}");
            // At the ends the filter sees the silence outside.
            let inner = to as usize / 10..exact.len() - to as usize / 10;
            let worst = inner.map(|at| (out[at] - exact[at]).abs()).fold(0.0, f32::max);
            assert!(worst < 2e-3, "{from} to {to}: {worst}");
        }
    }

    #[test]
    fn what_the_new_rate_cannot_hold_vanishes() {
        let out = resample(&tone(6_000.0, 16_000, 0.5), 16_000, 8_000).unwrap();
        let loudest = out[800..3_200].iter().fold(0.0_f32, |most, number| most.max(number.abs()));
        assert!(loudest < 1e-3, "{loudest}");
    }

    #[test]
    fn short_sounds_and_wrong_rates() {
        assert_eq!(resample(&[0.5; 3], 16_000, 8_000).unwrap().len(), 2);
        assert!(resample(&[], 16_000, 8_000).unwrap().is_empty());
        assert!(resample(&[0.5], 16_000, 0).unwrap_err().to_string().contains("a rate is 0"));
    }

    #[test]
    fn the_transform_gives_what_the_function_gives() {
        let input = Input::Sound { samples: 4_001, rate: 8_000 };
        let transform = Resample::new(&input, &ResampleConfig { rate: 16_000 }).unwrap();
        assert_eq!(transform.output(), &Input::Sound { samples: 8_002, rate: 16_000 });
        let sound = [tone(700.0, 8_000, 0.5), vec![0.25]].concat();
        let mut output = vec![f32::NAN; 8_002];
        transform.apply(&sound, &mut output, &mut SeededRng::seeded(1));
        assert_eq!(output, resample(&sound, 8_000, 16_000).unwrap());
        let refused =
            |input: &Input, rate| Resample::new(input, &ResampleConfig { rate }).unwrap_err().to_string();
        assert!(refused(&input, 10).contains("the transform `resample`: a rate is 10"));
        let image = Input::Image { channels: 1, height: 2, width: 2 };
        assert!(refused(&image, 16_000).contains("`resample` is for sounds"));
    }
}
