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
    /// The standard deviations (those of a population, divided by the count); 1 where all numbers are the same,
    /// so that dividing is safe.
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
    /// The statistics of these samples behind a pipeline, whose augmentations are left out. Sums are of double
    /// precision.
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
