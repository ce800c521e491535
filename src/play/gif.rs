//! Films as GIF files.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, RgbImage};
use pavlov_envs::render::Frame;

use crate::files::write_whole;

/// The encoder's speed of choosing colours, from 1 (best) to 30. Drawn worlds have few colours.
const SPEED: i32 = 10;

/// The frames as an animated GIF that repeats without end. A GIF counts time in hundredths of a second, and
/// many viewers show at most 50 frames per second.
///
/// # Errors
/// When there is no frame, or one is too large for a GIF.
pub fn encode_gif(frames: &[Frame], frames_per_second: f64) -> Result<Vec<u8>> {
    if frames.is_empty() {
        bail!("there is nothing to show: no frame was drawn");
    }
    if !(frames_per_second.is_finite() && frames_per_second > 0.0) {
        bail!("{frames_per_second} frames per second: give a number above 0");
    }
    let delay = Delay::from_saturating_duration(Duration::from_secs_f64((1.0 / frames_per_second).min(60.0)));
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut bytes, SPEED);
    encoder.set_repeat(Repeat::Infinite)?;
    for frame in frames {
        let image = RgbImage::from_raw(frame.width as u32, frame.height as u32, frame.pixels.clone())
            .context("a frame has another number of pixels than its size says")?;
        let image = image::DynamicImage::ImageRgb8(image).into_rgba8();
        encoder.encode_frame(image::Frame::from_parts(image, 0, 0, delay))?;
    }
    drop(encoder);
    Ok(bytes)
}

/// Writes the frames as a GIF file, whole or not at all.
///
/// # Errors
/// As [`encode_gif`], and when the file cannot be written.
pub fn write_gif(path: &Path, frames: &[Frame], frames_per_second: f64) -> Result<()> {
    let bytes = encode_gif(frames, frames_per_second)?;
    write_whole(path, bytes)
}

#[cfg(test)]
mod tests {
    use image::AnimationDecoder;
    use image::codecs::gif::GifDecoder;

    use super::*;

    #[test]
    fn a_gif_is_read_back_as_it_was_drawn() {
        let frame = |color: [u8; 3]| Frame { width: 3, height: 2, pixels: color.repeat(6) };
        let frames = [frame([200, 0, 0]), frame([0, 0, 200])];
        let bytes = encode_gif(&frames, 20.0).unwrap();
        let decoder = GifDecoder::new(std::io::Cursor::new(bytes)).unwrap();
        let read = decoder.into_frames().collect_frames().unwrap();
        assert_eq!(read.len(), 2);
        for (read, frame) in read.iter().zip(&frames) {
            assert_eq!(read.delay().numer_denom_ms(), (50, 1));
            let pixels: Vec<u8> = read.buffer().pixels().flat_map(|p| [p[0], p[1], p[2]]).collect();
            assert_eq!(pixels, frame.pixels);
        }
    }

    #[test]
    fn nothing_is_no_film() {
        assert!(encode_gif(&[], 20.0).is_err());
        let frame = Frame { width: 1, height: 1, pixels: vec![0; 3] };
        assert!(encode_gif(&[frame], 0.0).unwrap_err().to_string().contains("above 0"));
    }
}
