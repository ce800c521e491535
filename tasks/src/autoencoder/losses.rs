//! The terms of an autoencoder's loss.

use tch::{Kind, Tensor};

use super::config::Restoration;
use crate::core::TaskError;

/// The error of restored inputs, f32 `[rows]`: sums over a sample's numbers. For [`Restoration::Bernoulli`]
/// the outputs are logits, and the error is `-ln p(x)` in nats.
///
/// # Errors
/// [`TaskError::Nn`] when the shapes do not fit.
pub fn restoration_error(
    outputs: &Tensor,
    inputs: &Tensor,
    restoration: Restoration,
) -> Result<Tensor, TaskError> {
    let each = match restoration {
        Restoration::Squared => outputs.f_sub(inputs)?.f_square()?,
        // -x ln s(o) - (1 - x) ln (1 - s(o)), without an overflow for large outputs.
        Restoration::Bernoulli => outputs.f_softplus()?.f_sub(&outputs.f_mul(inputs)?)?,
    };
    Ok(each.f_flatten(1, -1)?.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Float)?)
}

/// `KL(N(mean, exp(log_variance)) || N(0, 1))` of each row, f32 `[rows]`, in nats.
///
/// # Errors
/// [`TaskError::Nn`] when the shapes do not fit.
pub fn kl_from_standard_normal(mean: &Tensor, log_variance: &Tensor) -> Result<Tensor, TaskError> {
    let terms = mean.f_square()?.f_add(&log_variance.f_exp()?)?.f_sub(log_variance)?.f_sub_scalar(1.0)?;
    Ok(terms.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Float)?.f_mul_scalar(0.5)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_divergence_is_that_of_the_closed_form_and_of_samples() {
        let (mean, deviation) = (0.7f64, 0.4f64);
        let log_variance = Tensor::from_slice(&[2.0 * deviation.ln()]).to_kind(Kind::Float).reshape([1, 1]);
        let means = Tensor::from_slice(&[mean as f32]).reshape([1, 1]);
        let kl = kl_from_standard_normal(&means, &log_variance).unwrap().double_value(&[0]);
        let closed = -deviation.ln() + (deviation * deviation + mean * mean - 1.0) / 2.0;
        assert!((kl - closed).abs() < 1e-6, "{kl} {closed}");
    }

    #[test]
    fn the_bernoulli_error_is_the_cross_entropy_of_a_chance() {
        let inputs = Tensor::from_slice(&[0f32, 0.3, 1.0]).reshape([1, 3]);
        let outputs = Tensor::from_slice(&[-2f32, 0.5, 80.0]).reshape([1, 3]);
        let error = restoration_error(&outputs, &inputs, Restoration::Bernoulli).unwrap().double_value(&[0]);
        let one = |x: f64, o: f64| {
            let chance = 1.0 / (1.0 + (-o).exp());
            -x * chance.ln() - if x < 1.0 { (1.0 - x) * (1.0 - chance).ln() } else { 0.0 }
        };
        let expected = one(0.0, -2.0) + one(0.3, 0.5) + one(1.0, 80.0);
        assert!((error - expected).abs() < 1e-5, "{error} {expected}");
    }
}
