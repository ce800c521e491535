//! WAV files: integers of 8, 16, 24 and 32 bits and floating point numbers, of any number of channels.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use hound::{SampleFormat, WavReader, WavSpec};
use serde::{Deserialize, Serialize};

use crate::DataError;

/// The rates that are read, in numbers per second.
pub(super) const RATES: std::ops::RangeInclusive<u32> = 1_000..=384_000;

/// What the header of a WAV file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WavHeader {
    /// The number of channels.
    pub channels: u16,
    /// Numbers per second of each channel.
    pub rate: u32,
    /// Bits of a number.
    pub bits: u16,
    /// True for floating point numbers, false for integers.
    pub float: bool,
    /// The number of numbers of each channel.
    pub frames: u32,
}

/// Reads the header of a WAV file, and checks that the file is as long as it says.
///
/// # Errors
/// [`DataError::Io`] if the file cannot be read; [`DataError::Format`] if it is no WAV file, has numbers of a
/// kind that is not read, is empty or ends too early.
pub fn wav_header(path: &Path) -> Result<WavHeader, DataError> {
    let file = File::open(path).map_err(|source| DataError::io(path, source))?;
    open(BufReader::new(file)).map(|(header, _)| header).map_err(|error| error.at(path))
}

/// Reads a WAV file: the mean of its channels, numbers from -1 to 1, and its rate. `seconds` limits what is
/// read.
///
/// # Errors
/// As [`wav_header`].
pub fn read_wav(path: &Path, seconds: Option<f64>) -> Result<(Vec<f32>, u32), DataError> {
    let file = File::open(path).map_err(|source| DataError::io(path, source))?;
    decode(BufReader::new(file), seconds).map_err(|error| error.at(path))
}

/// What is wrong with a file.
#[derive(Debug)]
enum WavError {
    Io(std::io::Error),
    Format(String),
}

impl WavError {
    fn at(self, path: &Path) -> DataError {
        match self {
            Self::Io(source) => DataError::io(path, source),
            Self::Format(message) => DataError::format(path, message),
        }
    }
}

impl From<std::io::Error> for WavError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<hound::Error> for WavError {
    fn from(error: hound::Error) -> Self {
        Self::Format(match error {
            hound::Error::Unsupported => {
                "this kind of WAV file is not read: give integers of 8, 16, 24 or 32 bits, or floating point \
                 numbers of 32 bits"
                    .to_owned()
            }
            // A reader that met the end of the file says no more than that.
            hound::Error::IoError(_) => "the file ends within its header, or before its sound".to_owned(),
            other => format!("no WAV file that can be read: {other}"),
        })
    }
}

/// The header, and the reader where the numbers begin.
fn open<R: Read + Seek>(reader: R) -> Result<(WavHeader, WavReader<R>), WavError> {
    let reader = WavReader::new(reader)?;
    let WavSpec { channels, sample_rate, bits_per_sample, sample_format } = reader.spec();
    let (frames, values) = (reader.duration(), u64::from(reader.len()));
    let float = sample_format == SampleFormat::Float;
    let header = WavHeader { channels, rate: sample_rate, bits: bits_per_sample, float, frames };
    if !matches!((float, header.bits), (false, 8 | 16 | 24 | 32) | (true, 32)) {
        return Err(hound::Error::Unsupported.into());
    }
    if !RATES.contains(&header.rate) {
        return Err(WavError::Format(format!(
            "the rate is {} per second; rates from {} to {} are read",
            header.rate,
            RATES.start(),
            RATES.end()
        )));
    }
    if frames == 0 {
        return Err(WavError::Format("the sound has no numbers: its length is zero".to_owned()));
    }
    let mut source = reader.into_inner();
    let begin = source.stream_position()?;
    let end = source.seek(SeekFrom::End(0))?;
    // Numbers of 24 bits may lie in four bytes each. Three is the least that they need.
    let needed = values * u64::from(header.bits / 8);
    if end.saturating_sub(begin) < needed {
        return Err(WavError::Format(format!(
            "the file is truncated: its header says {needed} bytes of sound, and {} are there",
            end.saturating_sub(begin)
        )));
    }
    source.seek(SeekFrom::Start(0))?;
    Ok((header, WavReader::new(source)?))
}

/// The mean of the channels.
fn decode<R: Read + Seek>(reader: R, seconds: Option<f64>) -> Result<(Vec<f32>, u32), WavError> {
    let (header, mut reader) = open(reader)?;
    let most = seconds.map_or(f64::INFINITY, |seconds| (seconds * f64::from(header.rate)).ceil());
    // The header has been checked against the file's length, so that this is not more than the file has.
    let frames = f64::from(header.frames).min(most) as usize;
    let channels = usize::from(header.channels);
    let mut sound = vec![0.0; frames];
    let values = frames * channels;
    let mut add = |at: usize, value: f32| sound[at / channels] += value / channels as f32;
    if header.float {
        for (at, value) in reader.samples::<f32>().take(values).enumerate() {
            let value = value?;
            if !value.is_finite() {
                return Err(WavError::Format(format!("number {at} of the sound is {value}")));
            }
            add(at, value.clamp(-1.0, 1.0));
        }
    } else {
        let scale = (1_u64 << (header.bits - 1)) as f32;
        for (at, value) in reader.samples::<i32>().take(values).enumerate() {
            add(at, value? as f32 / scale);
        }
    }
    Ok((sound, header.rate))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use hound::WavWriter;
    use proptest::prelude::*;

    use super::*;

    fn written<T: hound::Sample + Copy>(
        bits: u16,
        channels: u16,
        format: SampleFormat,
        values: &[T],
    ) -> Vec<u8> {
        let spec = WavSpec { channels, sample_rate: 8_000, bits_per_sample: bits, sample_format: format };
        let mut bytes = Cursor::new(Vec::new());
        let mut writer = WavWriter::new(&mut bytes, spec).unwrap();
        values.iter().for_each(|&value| writer.write_sample(value).unwrap());
        writer.finalize().unwrap();
        bytes.into_inner()
    }

    fn sound(bytes: &[u8]) -> Result<Vec<f32>, String> {
        decode(Cursor::new(bytes), None).map(|(sound, _)| sound).map_err(|error| match error {
            WavError::Format(message) => message,
            WavError::Io(error) => error.to_string(),
        })
    }

    #[test]
    fn every_width_is_read_on_the_same_scale() {
        for bits in [8, 16, 24, 32] {
            let half = 1_i32 << (bits - 2);
            let bytes = written(bits, 1, SampleFormat::Int, &[half, -half, 0, -half * 2]);
            assert_eq!(sound(&bytes).unwrap(), [0.5, -0.5, 0.0, -1.0], "{bits} bits");
        }
        let bytes = written(32, 1, SampleFormat::Float, &[0.25_f32, -3.0]);
        assert_eq!(sound(&bytes).unwrap(), [0.25, -1.0]);
    }

    #[test]
    fn channels_are_mixed_and_seconds_limit_what_is_read() {
        let bytes = written(16, 2, SampleFormat::Int, &[16_384_i32, 0, 16_384, 16_384, 0, 0]);
        assert_eq!(sound(&bytes).unwrap(), [0.25, 0.5, 0.0]);
        let (short, rate) = decode(Cursor::new(&bytes), Some(1.5 / 8_000.0)).unwrap();
        assert_eq!((short, rate), (vec![0.25, 0.5], 8_000));
    }

    #[test]
    fn files_that_are_broken_say_how() {
        let bytes = written(16, 1, SampleFormat::Int, &[1_i32; 100]);
        let wrong = |bytes: &[u8], part: &str| {
            let message = sound(bytes).unwrap_err();
            assert!(message.contains(part), "{message}");
        };
        wrong(&bytes[..150], "truncated: its header says 200 bytes of sound, and 106 are there");
        wrong(&bytes[..20], "ends within its header");
        wrong(&[], "ends within its header");
        wrong(b"ID3 something that is no sound", "no RIFF tag");
        wrong(&written::<i32>(16, 1, SampleFormat::Int, &[]), "length is zero");
        wrong(&written(32, 1, SampleFormat::Float, &[0.0, f32::NAN]), "number 1 of the sound is NaN");
        let mut adpcm = bytes.clone();
        adpcm[20] = 2;
        wrong(&adpcm, "not read");
        let mut rate = bytes;
        rate[24..32].copy_from_slice(&[1, 0, 0, 0, 2, 0, 0, 0]);
        wrong(&rate, "the rate is 1 per second");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_sound_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = sound(&bytes);
        }

        #[test]
        fn changed_bytes_are_a_sound_or_an_error(
            changes in prop::collection::vec((0..60_usize, any::<u8>()), 1..6),
        ) {
            let mut bytes = written(16, 2, SampleFormat::Int, &[7_i32; 40]);
            for (at, byte) in changes {
                bytes[at] = byte;
            }
            if let Ok(sound) = sound(&bytes) {
                prop_assert!(sound.len() <= bytes.len());
            }
        }
    }
}
