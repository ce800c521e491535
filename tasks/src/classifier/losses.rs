//! The loss of classification, and mixed samples.

use pavlov_common::SeededRng;
use rand::seq::SliceRandom;
use rand_distr::{Beta, Distribution};
use tch::{Kind, Reduction, Tensor};

use crate::core::TaskError;

/// The mean cross entropy of logits, f32 `[rows, classes]`, and classes, i64 `[rows]`: `-sum_c q_c ln p_c`,
/// where `q` is `1 - smoothing` at the label and `smoothing / classes` everywhere in addition.
///
/// # Errors
/// [`TaskError::Nn`] when the shapes do not fit.
pub fn cross_entropy(logits: &Tensor, classes: &Tensor, smoothing: f64) -> Result<Tensor, TaskError> {
    Ok(logits.f_cross_entropy_loss::<Tensor>(classes, None, Reduction::Mean, -100, smoothing)?)
}

/// The loss of mixed samples, whose own classes count by their share and those of their partners by the rest.
///
/// # Errors
/// [`TaskError::Nn`] when the shapes do not fit.
pub(super) fn mixed_cross_entropy(
    logits: &Tensor,
    [own, partners]: [&Tensor; 2],
    share: f64,
    smoothing: f64,
) -> Result<Tensor, TaskError> {
    let own = cross_entropy(logits, own, smoothing)?.f_mul_scalar(share)?;
    let other = cross_entropy(logits, partners, smoothing)?.f_mul_scalar(1.0 - share)?;
    Ok(own.f_add(&other)?)
}

/// Samples mixed in pairs, and with what share each keeps its own label.
#[derive(Debug)]
pub struct Mixed {
    /// `share x + (1 - share) x[partners]`
    pub inputs: Tensor,
    /// The classes of the partners.
    pub partners: Tensor,
    /// The share, from Beta(alpha, alpha).
    pub share: f64,
}

/// Mixes each sample with another of the batch (Zhang et al. 2018).
///
/// # Errors
/// [`TaskError::Nn`] when the shapes do not fit.
pub fn mixed(inputs: &Tensor, classes: &Tensor, alpha: f64, rng: &mut SeededRng) -> Result<Mixed, TaskError> {
    let beta = Beta::new(alpha, alpha).map_err(|error| TaskError::Config(format!("mixup_alpha: {error}")))?;
    let share = beta.sample(rng);
    let mut order: Vec<i64> = (0..inputs.size()[0]).collect();
    order.shuffle(rng);
    let order = Tensor::f_from_slice(&order)?.f_to(inputs.device())?;
    let partners = inputs.f_index_select(0, &order)?;
    let share_tensor = Tensor::from(1.0 - share).f_to_kind(Kind::Float)?.f_to(inputs.device())?;
    Ok(Mixed {
        inputs: inputs.f_lerp_tensor(&partners, &share_tensor)?,
        partners: classes.f_index_select(0, &order)?,
        share,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_is_the_cross_entropy_of_smoothed_labels() {
        let logits = Tensor::from_slice(&[1f32, 2.0, 0.5, -1.0, 0.0, 3.0]).reshape([2, 3]);
        let classes = Tensor::from_slice(&[1i64, 0]);
        for smoothing in [0.0, 0.1] {
            let log_p = logits.log_softmax(1, Kind::Float);
            let mut expected = 0.0;
            for (row, class) in [1, 0].into_iter().enumerate() {
                for column in 0..3 {
                    let q = smoothing / 3.0 + if column == class { 1.0 - smoothing } else { 0.0 };
                    expected -= q * log_p.double_value(&[row as i64, column]) / 2.0;
                }
            }
            let loss = cross_entropy(&logits, &classes, smoothing).unwrap().double_value(&[]);
            assert!((loss - expected).abs() < 1e-6, "{loss} {expected}");
        }
    }

    #[test]
    fn a_mixed_sample_is_the_weighted_sum_of_two() {
        let inputs = Tensor::from_slice(&[0f32, 1.0, 2.0, 3.0]).reshape([4, 1]);
        let classes = Tensor::from_slice(&[0i64, 1, 2, 3]);
        let mut rng = SeededRng::seeded(3);
        for _ in 0..20 {
            let Mixed { inputs: mixed, partners, share } = mixed(&inputs, &classes, 0.4, &mut rng).unwrap();
            assert!((0.0..=1.0).contains(&share));
            for row in 0..4 {
                let partner = partners.int64_value(&[row]) as f64;
                let expected = share * row as f64 + (1.0 - share) * partner;
                assert!((mixed.double_value(&[row, 0]) - expected).abs() < 1e-6);
            }
        }
    }
}
