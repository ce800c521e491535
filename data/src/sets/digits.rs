//! `digits`: the ten digits as if written by hand, drawn by this crate.

mod draw;
mod strokes;

use std::sync::Arc;
use std::thread;

use pavlov_common::{SeededRng, derive_seed};
use serde::Deserialize;

use super::ByteImages;
use crate::{DataError, DatasetOptions, DatasetSpec};
use draw::Canvas;

/// The data set's settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct DigitsConfig {
    /// The number of pictures; the classes come in turn, so that all are equally large.
    count: usize,
    /// The seed of the drawings.
    seed: u64,
    /// The height and width in pixels.
    size: usize,
}

impl Default for DigitsConfig {
    fn default() -> Self {
        Self { count: 12_000, seed: 0, size: 28 }
    }
}

/// The most pictures, the sizes, and the most bytes of all pictures.
const COUNTS: std::ops::RangeInclusive<usize> = 1..=10_000_000;
const SIZES: std::ops::RangeInclusive<usize> = 8..=256;
const MOST_BYTES: usize = 8 << 30;

pub(super) fn spec() -> DatasetSpec {
    let summary = "digits drawn by strokes as if written by hand, ten classes; nothing to bring \
                   (options: count = 12000, seed = 0, size = 28)";
    DatasetSpec::new("digits", |options| Ok(Arc::new(open(options)?))).summary(summary).generated()
}

fn open(options: &DatasetOptions) -> Result<ByteImages, DataError> {
    let config: DigitsConfig = options.typed()?;
    let DigitsConfig { count, seed, size } = config;
    let fits = COUNTS.contains(&count) && SIZES.contains(&size) && count * size * size <= MOST_BYTES;
    if !fits {
        let message = format!(
            "digits cannot have `count` = {count} and `size` = {size}: give from {} to {} pictures of {} to \
             {} pixels, {} GiB at most",
            COUNTS.start(),
            COUNTS.end(),
            SIZES.start(),
            SIZES.end(),
            MOST_BYTES >> 30
        );
        return Err(DataError::Config(message));
    }
    let pixels = draw_all(count, size, seed);
    let classes = (0..count).map(|index| (index % 10) as u16).collect();
    ByteImages::new([1, size, size], pixels, classes, (0..10).map(|digit| digit.to_string()).collect())
}

/// Draws all pictures, in as many threads as there are cores. A picture depends on the seed and its number.
fn draw_all(count: usize, size: usize, seed: u64) -> Vec<u8> {
    let mut pixels = vec![0; count * size * size];
    let threads = thread::available_parallelism().map_or(1, usize::from).min(count.div_ceil(256));
    let each = count.div_ceil(threads);
    thread::scope(|scope| {
        for (part, pixels) in pixels.chunks_mut(each * size * size).enumerate() {
            scope.spawn(move || {
                let mut canvas = Canvas::new(size);
                for (place, pixels) in pixels.chunks_exact_mut(size * size).enumerate() {
                    let index = part * each + place;
                    let mut rng = SeededRng::seeded(derive_seed(seed, "digits", index as u64));
                    canvas.draw(index % 10, pixels, &mut rng);
                }
            });
        }
    });
    pixels
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::Dataset;

    fn digits(options: &str) -> ByteImages {
        open(&DatasetOptions { path: None, options: options.parse().unwrap() }).unwrap()
    }

    #[test]
    fn a_picture_depends_on_the_seed_and_its_number() {
        let (few, many) = (digits("count = 30"), digits("count = 700"));
        let other = digits("count = 30\nseed = 1");
        let mut seen = HashSet::new();
        for index in 0..30 {
            assert_eq!(few.pixels(index), many.pixels(index));
            assert_ne!(few.pixels(index), other.pixels(index));
        }
        for index in 0..700 {
            assert!(seen.insert(many.identity(index)), "picture {index} is there twice");
            assert_eq!(many.class(index), Some(index % 10));
        }
    }

    #[test]
    fn every_picture_has_ink_and_background() {
        for size in [8, 28, 40] {
            let digits = digits(&format!("count = 400\nsize = {size}"));
            for index in 0..400 {
                let mean =
                    |pixels: &[u8]| pixels.iter().map(|p| f64::from(*p)).sum::<f64>() / pixels.len() as f64;
                let pixels = digits.pixels(index);
                assert!((8.0..150.0).contains(&mean(pixels)), "{size} {index}: {}", mean(pixels));
                assert!(pixels.iter().max() > Some(&80));
            }
        }
    }

    #[test]
    fn wrong_sizes_are_refused() {
        for options in ["count = 0", "size = 2", "size = 100000", "count = 10000000\nsize = 256", "sizes = 2"]
        {
            let options = DatasetOptions { path: None, options: options.parse().unwrap() };
            assert!(matches!(open(&options), Err(DataError::Config(_))));
        }
    }
}
