//! Running mean and variance.

use serde::{Deserialize, Serialize};

use crate::EnvError;

/// Running mean and variance of several numbers, from batches (Chan, Golub and LeVeque 1979).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct RunningStatistics {
    mean: Vec<f64>,
    variance: Vec<f64>,
    /// The number of rows seen, and a little more, so that the start (mean 0, variance 1) counts for
    /// something.
    count: f64,
}

/// Means, variances and the count, as they are saved.
type Parts = (Vec<f64>, Vec<f64>, f64);

impl From<RunningStatistics> for Parts {
    fn from(statistics: RunningStatistics) -> Self {
        (statistics.mean, statistics.variance, statistics.count)
    }
}

impl TryFrom<Parts> for RunningStatistics {
    type Error = EnvError;

    fn try_from((mean, variance, count): Parts) -> Result<Self, EnvError> {
        Self::from_parts(mean, variance, count)
    }
}

impl RunningStatistics {
    /// Statistics of `width` numbers before the first row: mean 0, variance 1.
    pub fn new(width: usize) -> Self {
        Self { mean: vec![0.0; width], variance: vec![1.0; width], count: 1e-4 }
    }

    /// Statistics of no rows at all, to be merged into others.
    pub(super) fn nothing(width: usize) -> Self {
        Self { mean: vec![0.0; width], variance: vec![0.0; width], count: 0.0 }
    }

    /// Statistics from their saved parts.
    ///
    /// # Errors
    /// [`EnvError::State`] when they make no sense: other lengths, numbers that are not finite, negative
    /// variances.
    pub fn from_parts(mean: Vec<f64>, variance: Vec<f64>, count: f64) -> Result<Self, EnvError> {
        let finite = mean.iter().chain(&variance).all(|number| number.is_finite());
        let counted = count.is_finite() && count > 0.0;
        if mean.len() != variance.len() || !finite || !counted || variance.iter().any(|v| *v < 0.0) {
            return Err(EnvError::State("the saved statistics are no means and variances".into()));
        }
        Ok(Self { mean, variance, count })
    }

    /// The mean of each number.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The variance of each number.
    pub fn variance(&self) -> &[f64] {
        &self.variance
    }

    /// The number of rows seen.
    pub fn count(&self) -> f64 {
        self.count
    }

    /// Adds `rows` rows; `row(i, j)` is number `j` of row `i`.
    pub fn update(&mut self, rows: usize, row: impl Fn(usize, usize) -> f64) {
        let new = rows as f64;
        self.take_in(new, |column| {
            let mean = (0..rows).map(|index| row(index, column)).sum::<f64>() / new;
            (mean, (0..rows).map(|index| (row(index, column) - mean).powi(2)).sum())
        });
    }

    /// Adds the rows of other statistics, of the same width.
    pub(super) fn merge(&mut self, other: &RunningStatistics) {
        self.take_in(other.count, |column| (other.mean[column], other.variance[column] * other.count));
    }

    /// Adds `new` rows, given each number's mean over them and the sum of its squared deviations from it.
    fn take_in(&mut self, new: f64, moments: impl Fn(usize) -> (f64, f64)) {
        if new == 0.0 {
            return;
        }
        let seen = self.count;
        let total = seen + new;
        for (column, (mean, variance)) in self.mean.iter_mut().zip(&mut self.variance).enumerate() {
            let (new_mean, squares) = moments(column);
            let delta = new_mean - *mean;
            *mean += delta * new / total;
            *variance = (*variance * seen + squares + delta * delta * seen * new / total) / total;
        }
        self.count = total;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_give_the_mean_and_variance_of_all() {
        let numbers = [3.0, -1.0, 4.0, 1.0, -5.0, 9.0, 2.0];
        let mut running = RunningStatistics { count: 1e-12, ..RunningStatistics::new(1) };
        for batch in [&numbers[..1], &numbers[1..5], &numbers[5..], &[]] {
            running.update(batch.len(), |row, _| batch[row]);
        }
        let mean = numbers.iter().sum::<f64>() / 7.0;
        let variance = numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 7.0;
        assert!((running.mean()[0] - mean).abs() < 1e-9 && (running.variance()[0] - variance).abs() < 1e-9);
        assert!((running.count() - 7.0).abs() < 1e-9);
    }

    #[test]
    fn merged_statistics_equal_those_of_all_rows() {
        let numbers: Vec<f64> = (0..40).map(|index| f64::from(index * index % 17) - 3.0).collect();
        let mut one = RunningStatistics::new(2);
        one.update(20, |row, column| numbers[row * 2 + column]);
        let mut merged = RunningStatistics::new(2);
        for rows in [0..7, 7..7, 7..20] {
            let mut part = RunningStatistics::nothing(2);
            for row in rows {
                part.update(1, |_, column| numbers[row * 2 + column]);
            }
            merged.merge(&part);
        }
        let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(close(one.mean(), merged.mean()) && close(one.variance(), merged.variance()));
        assert_eq!(one.count(), merged.count());
    }

    #[test]
    fn senseless_parts_are_refused() {
        for (mean, variance, count) in [
            (vec![0.0], vec![], 1.0),
            (vec![f64::NAN], vec![1.0], 1.0),
            (vec![0.0], vec![-1.0], 1.0),
            (vec![], vec![], 0.0),
        ] {
            assert!(RunningStatistics::from_parts(mean, variance, count).is_err());
        }
    }
}
