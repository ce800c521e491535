//! Generalised state-dependent exploration (Raffin et al. 2021): noise that is a linear function of what the
//! policy's last hidden layer says, and stays the same function for a number of steps, so that a robot's
//! motion is smooth.
//!
//! With the features `h` of an observation and a matrix `E` of normal numbers with deviations
//! `exp(log_deviation)`, `[features, actions]`, the action is `mean + h E`. Over all matrices it is Gaussian
//! with the variance `h^2 exp(2 log_deviation)`, by which its probability is judged. The features get no
//! gradient from the variance.

use pavlov_common::SeededRng;
use pavlov_nn::NnError;
use rand::RngExt;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::networks::NetConfig;

/// The exploration of a policy over continuous actions, `exploration.*` in a file. Policies over discrete
/// actions explore by drawing from their distribution, and have nothing to set here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExplorationConfig {
    /// The initial logarithm of a continuous policy's deviation.
    pub log_deviation_start: f64,
    /// True if a continuous policy explores by noise that depends on the observation (gSDE, Raffin et al.
    /// 2021); else its deviation is the same everywhere.
    pub state_dependent: bool,
    /// Steps for which state-dependent noise stays the same function; 0 keeps it for a whole rollout.
    pub resample_steps: usize,
}

impl ExplorationConfig {
    /// Checks every field, and whether the networks have what it needs.
    ///
    /// # Errors
    /// [`NnError::Config`] naming the field that makes no sense.
    pub fn validate(&self, net: &NetConfig) -> Result<(), NnError> {
        if self.state_dependent && net.hidden_sizes.is_empty() {
            let message = "exploration.state_dependent needs a hidden layer: give net.hidden_sizes one";
            return Err(NnError::Config(message.into()));
        }
        if !self.log_deviation_start.is_finite() {
            let message =
                format!("exploration.log_deviation_start is {}: give a number", self.log_deviation_start);
            return Err(NnError::Config(message));
        }
        Ok(())
    }
}

/// Keeps the logarithm finite where all features are zero.
const EPSILON: f32 = 1e-6;

/// The logarithms of the actions' deviations for one row of features, into `out`, `[actions]`.
pub fn log_deviations(features: &[f32], log_deviation: &[f32], out: &mut [f32]) {
    let actions = out.len();
    out.fill(EPSILON);
    for (feature, logs) in features.iter().zip(log_deviation.chunks_exact(actions)) {
        for (variance, log) in out.iter_mut().zip(logs) {
            *variance += (feature * log.exp()).powi(2);
        }
    }
    out.iter_mut().for_each(|variance| *variance = 0.5 * variance.ln());
}

/// [`log_deviations`] on tensors, recorded by autograd: f32 `[batch, actions]` of features, f32 `[batch,
/// features]`, which get no gradient, and of `log_deviation`, f32 `[features, actions]`.
///
/// # Errors
/// [`NnError`] when the shapes do not fit.
pub fn log_deviations_on_tensors(features: &Tensor, log_deviation: &Tensor) -> Result<Tensor, NnError> {
    let squares = features.f_detach()?.f_square()?;
    let variances = squares.f_matmul(&log_deviation.f_mul_scalar(2.0)?.f_exp()?)?;
    Ok(variances.f_add_scalar(f64::from(EPSILON))?.f_log()?.f_mul_scalar(0.5)?)
}

/// Adds to the gradient of `log_deviation`, given what a loss changes by with each of the row's
/// [`log_deviations`].
pub fn add_gradient(
    features: &[f32],
    log_deviation: &[f32],
    (of_row, by): (&[f32], &[f32]),
    gradient: &mut [f32],
) {
    let actions = by.len();
    let rows = log_deviation.chunks_exact(actions).zip(gradient.chunks_exact_mut(actions));
    for (feature, (logs, gradients)) in features.iter().zip(rows) {
        for action in 0..actions {
            // d(0.5 ln v) / d(log) = h^2 exp(2 log) / v, with v = exp(2 of_row).
            let share = (feature * (logs[action] - of_row[action]).exp()).powi(2);
            gradients[action] += by[action] * share;
        }
    }
}

/// The matrices of all environments, and when the next ones are due.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExplorationNoise {
    /// Steps from one matrix to the next; 0 keeps them for a whole rollout.
    every: usize,
    steps: usize,
    /// `[envs, features, actions]`
    pub(super) matrices: Vec<f32>,
}

impl ExplorationNoise {
    /// Noise whose matrices are drawn anew every so many steps, and with each rollout.
    pub fn new(every: usize) -> Self {
        Self { every, steps: 0, matrices: Vec::new() }
    }

    /// Draws new matrices for `envs` environments if that is due, and counts a step.
    pub fn advance(&mut self, envs: usize, log_deviation: &[f32], rng: &mut SeededRng) {
        let size = envs * log_deviation.len();
        let due = self.matrices.len() != size || (self.every > 0 && self.steps.is_multiple_of(self.every));
        if due {
            let normal = |log: &f32| log.exp() * rng.sample::<f32, _>(StandardNormal);
            self.matrices = log_deviation.iter().cycle().take(size).map(normal).collect();
        }
        self.steps += 1;
    }

    /// Adds the noise of environment `env` to its means.
    pub fn add(&self, env: usize, features: &[f32], draw: &mut [f32]) {
        let actions = draw.len();
        let matrix = &self.matrices[env * features.len() * actions..(env + 1) * features.len() * actions];
        for (feature, row) in features.iter().zip(matrix.chunks_exact(actions)) {
            draw.iter_mut().zip(row).for_each(|(number, factor)| *number += feature * factor);
        }
    }

    /// A new rollout has new matrices.
    pub fn restart(&mut self) {
        self.steps = 0;
        self.matrices.clear();
    }
}

#[cfg(test)]
mod tests {
    use tch::Kind;

    use super::*;

    #[test]
    fn deviations_and_their_gradient_are_those_of_autograd() {
        let (features, actions) = ([0.5f32, -1.5, 2.0], 2);
        let numbers = [0.1f32, -0.4, 0.3, 0.2, -1.0, 0.6];
        let mut have = [0.0; 2];
        log_deviations(&features, &numbers, &mut have);
        let leaf = Tensor::from_slice(&numbers).reshape([3, actions]).set_requires_grad(true);
        let logs = log_deviations_on_tensors(&Tensor::from_slice(&features).unsqueeze(0), &leaf).unwrap();
        let expected = Vec::<f32>::try_from(logs.reshape([-1])).unwrap();
        assert!(have.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5));

        let by = [0.7f32, -0.2];
        (logs * Tensor::from_slice(&by)).sum(Kind::Float).backward();
        let mut gradient = [0.0; 6];
        add_gradient(&features, &numbers, (&have, &by), &mut gradient);
        let expected = Vec::<f32>::try_from(leaf.grad().reshape([-1])).unwrap();
        assert!(gradient.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5), "{gradient:?}");
    }

    #[test]
    fn noise_has_the_deviation_that_it_is_judged_by_and_stays_until_it_is_due() {
        let (features, logs) = ([0.5f32, -1.5], [0.1f32, -0.4]);
        let mut expected = [0.0];
        log_deviations(&features, &logs, &mut expected);
        let (mut rng, mut noise) = (SeededRng::seeded(1), ExplorationNoise::new(1));
        let mut squares = 0.0;
        for _ in 0..20_000 {
            noise.advance(1, &logs, &mut rng);
            let mut draw = [0.0f32];
            noise.add(0, &features, &mut draw);
            squares += f64::from(draw[0]).powi(2);
        }
        let deviation = (squares / 20_000.0).sqrt();
        assert!((deviation / f64::from(expected[0].exp()) - 1.0).abs() < 0.02, "{deviation}");

        let mut noise = ExplorationNoise::new(3);
        let mut seen = Vec::new();
        for _ in 0..6 {
            noise.advance(2, &logs, &mut rng);
            seen.push(noise.matrices.clone());
        }
        assert!(seen[0] == seen[1] && seen[1] == seen[2] && seen[2] != seen[3] && seen[3] == seen[5]);
        assert_ne!(seen[0][..2], seen[0][2..], "each environment has its own");
    }
}
