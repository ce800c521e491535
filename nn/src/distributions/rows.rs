//! The mathematics of one row: plain numbers in, plain numbers out.

use std::f32::consts::{E, PI};

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::Distribution;

/// One categorical distribution's logits, and which choices there are.
#[derive(Clone, Copy)]
struct Choices<'a> {
    logits: &'a [f32],
    mask: Option<&'a [f32]>,
}

/// The sums that every computation with a categorical distribution begins with.
struct Normalized {
    /// The logarithm of the sum of the allowed choices' exponentials.
    log_sum: f32,
    entropy: f32,
}

impl Choices<'_> {
    fn allowed(&self, choice: usize) -> bool {
        self.mask.is_none_or(|mask| mask[choice] == 1.0)
    }

    fn each(&self) -> impl Iterator<Item = (usize, f32)> {
        self.logits.iter().copied().enumerate().filter(|(choice, _)| self.allowed(*choice))
    }

    fn normalized(&self) -> Normalized {
        // NaN must come through: `f32::max` would swallow it, the sums below do not.
        let largest = self.each().fold(f32::NEG_INFINITY, |largest, (_, logit)| largest.max(logit));
        let (mut sum, mut weighted) = (0.0, 0.0);
        for (_, logit) in self.each() {
            let weight = (logit - largest).exp();
            sum += weight;
            weighted += weight * (logit - largest);
        }
        Normalized { log_sum: largest + sum.ln(), entropy: sum.ln() - weighted / sum }
    }

    /// By inversion; `None` when the logits are not numbers.
    fn sample(&self, rng: &mut impl Rng) -> Option<usize> {
        let log_sum = self.normalized().log_sum;
        if !log_sum.is_finite() {
            return None;
        }
        let mut left: f32 = rng.random();
        let mut last = None;
        for (choice, logit) in self.each() {
            last = Some(choice);
            left -= (logit - log_sum).exp();
            if left < 0.0 {
                break;
            }
        }
        last
    }

    /// The first of the likeliest choices; `None` when the logits are not numbers.
    fn mode(&self) -> Option<usize> {
        let mut best: Option<(usize, f32)> = None;
        for (choice, logit) in self.each() {
            if logit.is_nan() {
                return None;
            }
            if best.is_none_or(|(_, largest)| logit > largest) {
                best = Some((choice, logit));
            }
        }
        best.map(|(choice, _)| choice)
    }

    fn log_prob(&self, choice: usize, of: &Normalized) -> f32 {
        match self.allowed(choice) {
            true => self.logits[choice] - of.log_sum,
            false => f32::NEG_INFINITY,
        }
    }

    fn gradient(&self, choice: usize, by_log_prob: f32, by_entropy: f32, out: &mut [f32]) {
        let of = self.normalized();
        for (other, out) in out.iter_mut().enumerate() {
            if !self.allowed(other) {
                *out = 0.0;
                continue;
            }
            let log_p = self.logits[other] - of.log_sum;
            let p = log_p.exp();
            let taken = if other == choice { 1.0 } else { 0.0 };
            *out = by_log_prob * (taken - p) - by_entropy * p * (log_p + of.entropy);
        }
    }
}

/// `ln(1 + e^x)` without overflow.
pub(super) fn softplus(x: f32) -> f32 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

impl Distribution {
    /// Each categorical part of a row, with its mask.
    fn parts<'a>(
        &'a self,
        row: &'a [f32],
        mask: Option<&'a [f32]>,
    ) -> impl Iterator<Item = (usize, Choices<'a>)> {
        let mut start = 0;
        self.counts().iter().map(move |&count| {
            let span = start..start + count;
            start += count;
            (span.start, Choices { logits: &row[span.clone()], mask: mask.map(|mask| &mask[span]) })
        })
    }

    /// Draws into `draw`, which has [`Distribution::width`] numbers. `mask` has a 1 for each choice that
    /// there is, of a (multi-)categorical distribution; other distributions do not look at it.
    ///
    /// Says whether that was possible: it is not where the parameters are not numbers.
    #[must_use]
    pub fn sample_row(
        &self,
        row: &[f32],
        mask: Option<&[f32]>,
        rng: &mut impl Rng,
        draw: &mut [f32],
    ) -> bool {
        match self {
            Self::Categorical(_) | Self::MultiCategorical(_) => {
                self.parts(row, mask).zip(draw).all(|((_, choices), draw)| {
                    choices.sample(rng).map(|choice| *draw = choice as f32).is_some()
                })
            }
            Self::Bernoulli(_) => {
                let bits = row.iter().zip(draw.iter_mut());
                bits.for_each(|(&logit, bit)| *bit = f32::from(rng.random::<f32>() < sigmoid(logit)));
                row.iter().all(|logit| !logit.is_nan())
            }
            Self::Gaussian(n) => {
                let (means, log_deviations) = row.split_at(*n);
                for ((draw, mean), log_deviation) in draw.iter_mut().zip(means).zip(log_deviations) {
                    *draw = mean + log_deviation.exp() * rng.sample::<f32, _>(StandardNormal);
                }
                draw.iter().all(|number| number.is_finite())
            }
        }
    }

    /// Writes the likeliest draw into `draw`, of equals the first. Says whether that was possible.
    #[must_use]
    pub fn mode_row(&self, row: &[f32], mask: Option<&[f32]>, draw: &mut [f32]) -> bool {
        match self {
            Self::Categorical(_) | Self::MultiCategorical(_) => self
                .parts(row, mask)
                .zip(draw)
                .all(|((_, choices), draw)| choices.mode().map(|choice| *draw = choice as f32).is_some()),
            Self::Bernoulli(_) => {
                row.iter().zip(draw).for_each(|(&logit, bit)| *bit = f32::from(logit > 0.0));
                row.iter().all(|logit| !logit.is_nan())
            }
            Self::Gaussian(n) => {
                draw.copy_from_slice(&row[..*n]);
                draw.iter().all(|number| number.is_finite())
            }
        }
    }

    /// The logarithm of the draw's probability (or density), and the distribution's entropy, in nats.
    pub fn evaluate_row(&self, row: &[f32], mask: Option<&[f32]>, draw: &[f32]) -> (f32, f32) {
        match self {
            Self::Categorical(_) | Self::MultiCategorical(_) => {
                let each = self.parts(row, mask).zip(draw).map(|((_, choices), &draw)| {
                    let of = choices.normalized();
                    (choices.log_prob(draw as usize, &of), of.entropy)
                });
                each.fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
            }
            Self::Bernoulli(_) => row.iter().zip(draw).fold((0.0, 0.0), |sum, (&logit, bit)| {
                let log_one = softplus(logit);
                (sum.0 + bit * logit - log_one, sum.1 + log_one - logit * sigmoid(logit))
            }),
            Self::Gaussian(n) => {
                let (means, log_deviations) = row.split_at(*n);
                let half_log_2pi = 0.5 * (2.0 * PI).ln();
                let numbers = draw.iter().zip(means).zip(log_deviations);
                numbers.fold((0.0, 0.0), |sum, ((draw, mean), log_deviation)| {
                    let z = (draw - mean) * (-log_deviation).exp();
                    let log_prob = -0.5 * z * z - log_deviation - half_log_2pi;
                    (sum.0 + log_prob, sum.1 + log_deviation + 0.5 * (2.0 * PI * E).ln())
                })
            }
        }
    }

    /// The gradient of a loss with respect to the parameters, into `out`, given what the loss changes by with
    /// the draw's log-probability and with the entropy.
    pub fn gradient_row(
        &self,
        (row, mask): (&[f32], Option<&[f32]>),
        draw: &[f32],
        (by_log_prob, by_entropy): (f32, f32),
        out: &mut [f32],
    ) {
        match self {
            Self::Categorical(_) | Self::MultiCategorical(_) => {
                for ((start, choices), &draw) in self.parts(row, mask).zip(draw) {
                    let out = &mut out[start..start + choices.logits.len()];
                    choices.gradient(draw as usize, by_log_prob, by_entropy, out);
                }
            }
            Self::Bernoulli(_) => {
                for ((&logit, bit), out) in row.iter().zip(draw).zip(out) {
                    let p = sigmoid(logit);
                    *out = by_log_prob * (bit - p) - by_entropy * logit * p * (1.0 - p);
                }
            }
            Self::Gaussian(n) => {
                let (means, log_deviations) = row.split_at(*n);
                let (by_mean, by_log_deviation) = out.split_at_mut(*n);
                for i in 0..*n {
                    let inverse = (-log_deviations[i]).exp();
                    let z = (draw[i] - means[i]) * inverse;
                    by_mean[i] = by_log_prob * z * inverse;
                    by_log_deviation[i] = by_log_prob * (z * z - 1.0) + by_entropy;
                }
            }
        }
    }
}
