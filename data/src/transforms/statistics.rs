//! Means and standard deviations of inputs.

use pavlov_common::SeededRng;
use serde::{Deserialize, Serialize};

use super::normalize::groups;
use super::{Pipeline, Scratch, TransformConfig};
use crate::{DataError, Dataset, SampleMut, batch};

/// The mean and the standard deviation of inputs: of each channel of an image, of each column of a table, of
/// all numbers of a sound.
///
/// They are to be taken of the training samples alone, so that nothing of the validation and test samples is
/// known to the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// The means.
    pub mean: Vec<f32>,
    /// The standard deviations (those of a population, divided by the count); 1 where all numbers are the
    /// same, so that dividing is safe.
    pub std: Vec<f32>,
}

/// A mean and a sum of squared differences, joined from sample to sample (Chan, Golub and LeVeque 1979).
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn of(numbers: &[f32]) -> Self {
        let count = numbers.len() as f64;
        let mean = numbers.iter().map(|number| f64::from(*number)).sum::<f64>() / count;
        let squares = numbers.iter().map(|number| (f64::from(*number) - mean).powi(2)).sum();
        Self { count, mean, squares }
    }

    fn join(self, other: Self) -> Self {
        let count = self.count + other.count;
        let difference = other.mean - self.mean;
        Self {
            count,
            mean: self.mean + difference * other.count / count,
            squares: self.squares + other.squares + difference.powi(2) * self.count * other.count / count,
        }
    }

    /// The standard deviation, or 1 where it is nothing but rounding of the mean.
    fn std(self) -> f32 {
        let std = (self.squares / self.count).sqrt();
        if std <= 1e-9 * self.mean.abs() || (std as f32) < f32::MIN_POSITIVE { 1.0 } else { std as f32 }
    }
}

impl Statistics {
    /// The statistics of these samples behind a pipeline, whose augmentations are left out. Sums are of
    /// double precision.
    ///
    /// # Errors
    /// [`DataError::Config`] for tokens or when there are no rows; [`DataError::Data`] when a number is not
    /// finite; [`DataError`] of a sample that cannot be read.
    pub fn of(dataset: &dyn Dataset, rows: &[usize], pipeline: &Pipeline) -> Result<Self, DataError> {
        let pipeline = pipeline.without_augmentation();
        let groups = groups(pipeline.output())?;
        if rows.is_empty() {
            return Err(DataError::Config("statistics need at least one sample".into()));
        }
        let mut input = vec![0.0; dataset.input().numbers()];
        let mut output = vec![0.0; pipeline.output().numbers()];
        let mut tokens = vec![0; batch::tokens_of(dataset.input(), dataset.target())];
        let mut targets = vec![0.0; dataset.target().numbers()];
        let (mut scratch, mut rng) = (Scratch::default(), SeededRng::seeded(0));
        let mut moments = vec![Moments::default(); groups];
        let size = (output.len() / groups.max(1)).max(1);
        for &row in rows {
            let sample = SampleMut { numbers: &mut input, tokens: &mut tokens, targets: &mut targets };
            dataset.read(row, sample).map_err(|source| DataError::of_sample(row, source))?;
            pipeline.apply(&input, &mut output, &mut scratch, &mut rng);
            if let Some(wrong) = output.iter().find(|number| !number.is_finite()) {
                return Err(DataError::Data(format!("sample {row} has the number {wrong}")));
            }
            for (moments, numbers) in moments.iter_mut().zip(output.chunks_exact(size)) {
                *moments = moments.join(Moments::of(numbers));
            }
        }
        let mean = moments.iter().map(|moments| moments.mean as f32).collect();
        Ok(Self { mean, std: moments.into_iter().map(Moments::std).collect() })
    }

    /// The transform that makes the mean 0 and the standard deviation 1.
    pub fn transform(&self) -> TransformConfig {
        TransformConfig::Normalize { mean: self.mean.clone(), std: self.std.clone() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Input;
    use crate::fixtures::Toy;

    fn behind(toy: &Toy, rows: &[usize], transforms: &[TransformConfig]) -> Statistics {
        Statistics::of(toy, rows, &Pipeline::new(toy.input(), transforms).unwrap()).unwrap()
    }

    proptest! {
        #[test]
        fn normalised_inputs_have_mean_0_and_deviation_1(
            seed: u64, shift in -1e3..1e3f32, rows in 2..40usize,
        ) {
            for input in [
                Input::Image { channels: 3, height: 4, width: 2 },
                Input::Numbers { names: vec!["a".into(), "b".into()] },
                Input::Sound { samples: 12, rate: 8_000 },
            ] {
                let mut toy = Toy::with_input(input, 50, seed);
                toy.numbers.iter_mut().for_each(|number| *number += shift);
                let rows: Vec<_> = (0..rows).collect();
                let transform = behind(&toy, &rows, &[]).transform();
                let after = behind(&toy, &rows, &[transform]);
                prop_assert!(after.mean.iter().all(|mean| mean.abs() < 1e-2), "{after:?}");
                prop_assert!(after.std.iter().all(|std| (std - 1.0).abs() < 1e-2), "{after:?}");
            }
        }

        /// What is in other rows changes nothing, to the last bit.
        #[test]
        fn other_rows_do_not_count(seed: u64, row in 0..20usize) {
            let mut toy = Toy::with_input(Input::Image { channels: 2, height: 3, width: 3 }, 21, seed);
            let rows: Vec<_> = (0..21).filter(|other| *other != row).collect();
            let before = behind(&toy, &rows, &[]);
            toy.numbers[row * 18..][..18].fill(1e20);
            prop_assert_eq!(behind(&toy, &rows, &[]), before);
        }
    }

    #[test]
    fn moments_are_those_of_the_formula_and_a_constant_has_deviation_1() {
        let input = Input::Numbers { names: vec!["a".into(), "b".into()] };
        let mut toy = Toy::with_input(input, 4, 0);
        toy.numbers = vec![1.0, 0.1, 2.0, 0.1, 3.0, 0.1, 6.0, 0.1];
        let statistics = behind(&toy, &[0, 1, 2, 3], &[]);
        assert_eq!(statistics.mean, [3.0, 0.1]);
        assert_eq!(statistics.std, [3.5f32.sqrt(), 1.0]);
        let noise = TransformConfig::Noise { deviation: 5.0 };
        assert_eq!(behind(&toy, &[0, 1, 2, 3], &[noise]), statistics, "augmentations are left out");
    }

    #[test]
    fn what_has_no_mean_is_an_error() {
        let mut toy = Toy::new(4, 2, 0);
        let pipeline = Pipeline::new(toy.input(), &[]).unwrap();
        assert!(matches!(Statistics::of(&toy, &[], &pipeline), Err(DataError::Config(_))));
        toy.numbers[5] = f32::NAN;
        assert!(matches!(Statistics::of(&toy, &[0, 1], &pipeline), Err(DataError::Data(_))));
        let tokens = Input::Tokens { length: 3, vocabulary: vec!["a".into()] };
        let pipeline = Pipeline::new(&tokens, &[]).unwrap();
        assert!(matches!(Statistics::of(&toy, &[0], &pipeline), Err(DataError::Config(_))));
    }
}
