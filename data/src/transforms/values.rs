//! Transforms that change numbers where they stand.

use pavlov_common::SeededRng;
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use super::{Size, Transform};
use crate::Input;

/// One random number added to all numbers.
#[derive(Debug)]
pub(super) struct Brightness {
    output: Input,
    amount: f64,
}

impl Brightness {
    pub(super) fn new(input: &Input, amount: f64) -> Self {
        Self { output: input.clone(), amount }
    }
}

impl Transform for Brightness {
    fn output(&self) -> &Input {
        &self.output
    }

    fn augments(&self) -> bool {
        true
    }

    fn apply(&self, input: &[f32], output: &mut [f32], rng: &mut SeededRng) {
        let change = rng.uniform(-self.amount, self.amount) as f32;
        for (output, input) in output.iter_mut().zip(input) {
            *output = input + change;
        }
    }
}

/// All numbers scaled about their mean by one random factor.
#[derive(Debug)]
pub(super) struct Contrast {
    output: Input,
    amount: f64,
}

impl Contrast {
    pub(super) fn new(input: &Input, amount: f64) -> Self {
        Self { output: input.clone(), amount }
    }
}

impl Transform for Contrast {
    fn output(&self) -> &Input {
        &self.output
    }

    fn augments(&self) -> bool {
        true
    }

    fn apply(&self, input: &[f32], output: &mut [f32], rng: &mut SeededRng) {
        let factor = rng.uniform(1.0 - self.amount, 1.0 + self.amount) as f32;
        let sum: f64 = input.iter().map(|number| f64::from(*number)).sum();
        let mean = (sum / input.len().max(1) as f64) as f32;
        for (output, input) in output.iter_mut().zip(input) {
            *output = mean + (input - mean) * factor;
        }
    }
}

/// Gaussian noise added to each number.
#[derive(Debug)]
pub(super) struct Noise {
    output: Input,
    deviation: f32,
}

impl Noise {
    pub(super) fn new(input: &Input, deviation: f64) -> Self {
        Self { output: input.clone(), deviation: deviation as f32 }
    }
}

impl Transform for Noise {
    fn output(&self) -> &Input {
        &self.output
    }

    fn augments(&self) -> bool {
        true
    }

    fn apply(&self, input: &[f32], output: &mut [f32], rng: &mut SeededRng) {
        for (output, input) in output.iter_mut().zip(input) {
            let noise: f32 = StandardNormal.sample(rng);
            *output = input + self.deviation * noise;
        }
    }
}

/// A square of an image set to zero.
#[derive(Debug)]
pub(super) struct Cutout {
    output: Input,
    size: Size,
    side: usize,
}

impl Cutout {
    pub(super) fn new(input: &Input, size: Size, side: usize) -> Self {
        Self { output: input.clone(), size, side }
    }
}

impl Transform for Cutout {
    fn output(&self) -> &Input {
        &self.output
    }

    fn augments(&self) -> bool {
        true
    }

    fn apply(&self, input: &[f32], output: &mut [f32], rng: &mut SeededRng) {
        output.copy_from_slice(input);
        let rows = covered(rng.random_range(0..self.size.height), self.side, self.size.height);
        let columns = covered(rng.random_range(0..self.size.width), self.side, self.size.width);
        for plane in output.chunks_exact_mut(self.size.plane()) {
            for row in rows.clone() {
                plane[row * self.size.width..][columns.clone()].fill(0.0);
            }
        }
    }
}

/// The part of a square of this side around `centre` that lies within `length` pixels.
fn covered(centre: usize, side: usize, length: usize) -> std::ops::Range<usize> {
    let begin = centre as isize - (side / 2) as isize;
    begin.max(0) as usize..(begin + side as isize).clamp(0, length as isize) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The square has its whole area inside of the image, the same place in every channel, and at least a
        /// quarter of it when its centre is at a corner.
        #[test]
        fn a_cutout_zeroes_one_rectangle(
            height in 1..12usize, width in 1..12usize, side in 0..12usize, seed: u64,
        ) {
            let side = side.min(2 * height.min(width) - 1);
            let size = Size { channels: 2, height, width };
            let input = Input::Image { channels: 2, height, width };
            let mut output = vec![f32::NAN; 2 * height * width];
            let image = vec![1.0; output.len()];
            Cutout::new(&input, size, side).apply(&image, &mut output, &mut SeededRng::seeded(seed));
            let (first, second) = output.split_at(height * width);
            prop_assert_eq!(first, second);
            let lines = |empty: &dyn Fn(usize) -> bool, count| (0..count).filter(|i| empty(*i)).count();
            let rows = lines(&|row| first[row * width..][..width].contains(&0.0), height);
            let columns = lines(&|column| (0..height).any(|row| first[row * width + column] == 0.0), width);
            let area = first.iter().filter(|pixel| **pixel == 0.0).count();
            prop_assert_eq!(area, rows * columns);
            prop_assert!(rows <= side && columns <= side);
            prop_assert!(rows >= side.div_ceil(2).min(height), "{} rows", rows);
            prop_assert!(columns >= side.div_ceil(2).min(width), "{} columns", columns);
        }
    }

    #[test]
    fn noise_has_its_deviation_and_contrast_keeps_the_mean() {
        let input = Input::Sound { samples: 40_000, rate: 8_000 };
        let sound: Vec<f32> = (0..40_000).map(|place| (place % 7) as f32).collect();
        let mut output = vec![0.0; sound.len()];
        let mut rng = SeededRng::seeded(3);
        let mean =
            |numbers: &[f32]| numbers.iter().map(|n| f64::from(*n)).sum::<f64>() / numbers.len() as f64;

        Noise::new(&input, 0.5).apply(&sound, &mut output, &mut rng);
        let squares: Vec<f32> = output.iter().zip(&sound).map(|(a, b)| (a - b) * (a - b)).collect();
        assert!((mean(&squares).sqrt() - 0.5).abs() < 0.01);

        Contrast::new(&input, 1.0).apply(&sound, &mut output, &mut rng);
        assert!((mean(&output) - mean(&sound)).abs() < 1e-4);
        let factor = (output[0] - output[1]) / (sound[0] - sound[1]);
        assert!((0.0..=2.0).contains(&factor) && factor != 1.0);

        Brightness::new(&input, 0.25).apply(&sound, &mut output, &mut rng);
        let change = output[0] - sound[0];
        assert!(change.abs() <= 0.25 && change != 0.0);
        assert!(output.iter().zip(&sound).all(|(a, b)| (a - b - change).abs() < 1e-5));
    }
}
