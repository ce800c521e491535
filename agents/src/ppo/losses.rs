//! PPO's loss: the mathematics of one row, each with its derivative, and the whole loss by rows and on
//! tensors.

use tch::Tensor;

use super::ValueClipRule;
use crate::core::{AgentError, Means, Scalar};
use crate::on_policy::{ActionEvaluation, Minibatch, RowEvaluation, RowGradients, TensorEvaluation};

/// The settings of the loss at one moment of the training.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The range around 1 outside of which a ratio is pushed no further.
    pub clip_range: f64,
    /// The distance that a value may move from the old one, and the rule for values that moved further.
    pub value_clip: Option<(f64, ValueClipRule)>,
    /// The weight of the value's loss.
    pub value_coefficient: f64,
    /// The weight of the entropy, which is subtracted.
    pub entropy_coefficient: f64,
}

/// The means of a minibatch.
#[derive(Debug)]
pub struct Losses {
    /// The weighted sum. On tensors this is the loss that autograd recorded.
    pub total: Scalar,
    /// [`clipped_surrogate`]
    pub policy: Scalar,
    /// [`value_error`]
    pub value: Scalar,
    /// Minus the entropy, in nats.
    pub entropy: Scalar,
    /// [`approximate_kl`]
    pub approximate_kl: Scalar,
    /// The share of ratios outside of the range.
    pub clipped: Scalar,
}

/// The minibatch's losses, and the gradient of their weighted sum: by rows its derivatives are written to
/// `gradients`.
///
/// # Errors
/// [`AgentError::Nn`] when libtorch fails.
pub fn differentiate(
    minibatch: &Minibatch,
    evaluation: &ActionEvaluation,
    settings: Settings,
    gradients: &mut RowGradients,
) -> Result<Losses, AgentError> {
    match evaluation {
        ActionEvaluation::Rows(now) => Ok(by_rows(minibatch, now, settings, gradients)),
        ActionEvaluation::Tensors(now) => on_tensors(now, settings),
    }
}

fn by_rows(
    minibatch: &Minibatch,
    now: &RowEvaluation,
    settings: Settings,
    gradients: &mut RowGradients,
) -> Losses {
    let range = settings.clip_range as f32;
    let value_clip = settings.value_clip.map(|(range, rule)| (range as f32, rule));
    let share = 1.0 / minibatch.learned() as f32;
    let value_share = share * settings.value_coefficient as f32;
    let [mut policy, mut value, mut entropy, mut kl, mut clipped] = [0.0f64; 5];
    gradients.by_log_prob.clear();
    gradients.by_value.clear();
    gradients.by_entropy = -(settings.entropy_coefficient as f32) * share;
    for row in 0..minibatch.len() {
        if minibatch.is_skipped(row) {
            gradients.by_log_prob.push(0.0);
            gradients.by_value.push(0.0);
            continue;
        }
        let log_ratio = now.log_probs[row] - minibatch.log_probs[row];
        let surrogate = clipped_surrogate(log_ratio, minibatch.advantages[row], range);
        let (new, old) = (now.values[row], minibatch.values[row]);
        let error = value_error(new, minibatch.returns[row], old, value_clip);
        gradients.by_log_prob.push(surrogate.slope * share);
        gradients.by_value.push(error.slope * value_share);
        policy += f64::from(surrogate.value);
        value += f64::from(error.value);
        entropy += f64::from(now.entropies[row]);
        kl += f64::from(approximate_kl(log_ratio));
        clipped += f64::from(u8::from(log_ratio.exp_m1().abs() > range));
    }
    let count = minibatch.learned() as f64;
    let [policy, value, entropy] = [policy / count, value / count, entropy / count];
    let weighted_value = settings.value_coefficient * value;
    Losses {
        total: (policy + weighted_value - settings.entropy_coefficient * entropy).into(),
        policy: policy.into(),
        value: value.into(),
        entropy: (-entropy).into(),
        approximate_kl: (kl / count).into(),
        clipped: (clipped / count).into(),
    }
}

fn on_tensors(now: &TensorEvaluation, settings: Settings) -> Result<Losses, AgentError> {
    let (then, range) = (&now.minibatch, settings.clip_range);
    let log_ratios = now.log_probs.f_sub(&then.log_probs)?;
    let ratios = log_ratios.f_exp()?;
    let free = ratios.f_mul(&then.advantages)?;
    let clipped = ratios.f_clamp(1.0 - range, 1.0 + range)?.f_mul(&then.advantages)?;
    let policy = then.mean(&free.f_minimum(&clipped)?)?.f_neg()?;
    let value = then.mean(&value_errors(now, settings.value_clip)?)?;
    let entropy = then.mean(&now.entropies)?.f_neg()?;
    let weighted = value
        .f_mul_scalar(settings.value_coefficient)?
        .f_add(&entropy.f_mul_scalar(settings.entropy_coefficient)?)?;
    let log_ratios = log_ratios.f_detach()?;
    let moved = log_ratios.f_expm1()?;
    let outside = moved.f_abs()?.f_gt(range)?.f_to_kind(tch::Kind::Float)?;
    Ok(Losses {
        total: policy.f_add(&weighted)?.into(),
        policy: policy.into(),
        value: value.into(),
        entropy: entropy.into(),
        approximate_kl: then.mean(&moved.f_sub(&log_ratios)?)?.into(),
        clipped: then.mean(&outside)?.into(),
    })
}

/// [`value_error`] of each row: f32 `[batch]`, recorded by autograd.
fn value_errors(now: &TensorEvaluation, clip: Option<(f64, ValueClipRule)>) -> Result<Tensor, AgentError> {
    let (values, then) = (&now.values, &now.minibatch);
    let free = values.f_sub(&then.returns)?.f_square()?;
    let Some((range, rule)) = clip else { return Ok(free) };
    let moved = values.f_sub(&then.values)?.f_clamp(-range, range)?;
    let clipped = then.values.f_add(&moved)?.f_sub(&then.returns)?.f_square()?;
    match rule {
        ValueClipRule::Clipped => Ok(clipped),
        ValueClipRule::Larger => Ok(free.f_where_self(&free.f_ge_tensor(&clipped)?, &clipped)?),
    }
}

impl Losses {
    /// Adds them to the means.
    ///
    /// # Errors
    /// [`AgentError::Diverged`] when their sum is known not to be finite.
    pub fn record(&self, means: &mut Means) -> Result<(), AgentError> {
        means.add_loss("train/loss", &self.total)?;
        means.add_scalar("train/policy_gradient_loss", &self.policy)?;
        means.add_scalar("train/value_loss", &self.value)?;
        means.add_scalar("train/entropy_loss", &self.entropy)?;
        means.add_scalar("train/approx_kl", &self.approximate_kl)?;
        Ok(means.add_scalar("train/clip_fraction", &self.clipped)?)
    }
}

/// A loss of one row, and its derivative by the number that the networks gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loss {
    /// The loss.
    pub value: f32,
    /// Its derivative.
    pub slope: f32,
}

/// The clipped surrogate, `-min(ratio A, clip(ratio, 1 - range, 1 + range) A)`, where `ratio =
/// exp(log_ratio)` is the action's probability now over that when it was drawn. The slope is with respect to
/// the log-probability: it is 0 once the ratio has left the range in the direction of the advantage.
pub fn clipped_surrogate(log_ratio: f32, advantage: f32, range: f32) -> Loss {
    let ratio = log_ratio.exp();
    let free = ratio * advantage;
    let clipped = ratio.clamp(1.0 - range, 1.0 + range) * advantage;
    match free <= clipped {
        true => Loss { value: -free, slope: -free },
        false => Loss { value: -clipped, slope: 0.0 },
    }
}

/// The value's squared error, or, with a range, that of a value that may not go further from the `old` one.
/// The slope is with respect to the value.
pub fn value_error(value: f32, returned: f32, old: f32, clip: Option<(f32, ValueClipRule)>) -> Loss {
    let error = value - returned;
    let free = Loss { value: error * error, slope: 2.0 * error };
    let Some((range, rule)) = clip else { return free };
    let moved = (value - old).clamp(-range, range);
    let error = old + moved - returned;
    let inside = (value - old).abs() <= range;
    let clipped = Loss { value: error * error, slope: if inside { 2.0 * error } else { 0.0 } };
    match rule {
        ValueClipRule::Clipped => clipped,
        ValueClipRule::Larger => match free.value >= clipped.value {
            true => free,
            false => clipped,
        },
    }
}

/// An estimate of `KL(old || new)` from one action that the old policy drew: `(ratio - 1) - log ratio`, which
/// is never negative (Schulman 2020, "Approximating KL divergence").
pub fn approximate_kl(log_ratio: f32) -> f32 {
    log_ratio.exp_m1() - log_ratio
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(have: Loss, value: f32, slope: f32) {
        assert!(
            (have.value - value).abs() < 1e-6 && (have.slope - slope).abs() < 1e-6,
            "{have:?} {value} {slope}"
        );
    }

    #[test]
    fn a_ratio_that_went_far_enough_is_pushed_no_further() {
        let log = |ratio: f32| ratio.ln();
        close(clipped_surrogate(0.0, 2.0, 0.2), -2.0, -2.0);
        close(clipped_surrogate(log(1.1), 2.0, 0.2), -2.2, -2.2);
        close(clipped_surrogate(log(1.5), 2.0, 0.2), -2.4, 0.0);
        close(clipped_surrogate(log(0.5), -1.0, 0.2), 0.8, 0.0);
        // Far off in the wrong direction: it is pulled back.
        close(clipped_surrogate(log(1.5), -1.0, 0.2), 1.5, 1.5);
        close(clipped_surrogate(log(0.5), 2.0, 0.2), -1.0, -1.0);
    }

    #[test]
    fn nan_is_not_clipped_away() {
        assert!(clipped_surrogate(f32::NAN, 1.0, 0.2).value.is_nan());
        assert!(clipped_surrogate(0.0, f32::NAN, 0.2).value.is_nan());
    }

    #[test]
    fn both_rules_of_value_clipping_by_hand() {
        let (larger, clipped) = (Some((0.2, ValueClipRule::Larger)), Some((0.2, ValueClipRule::Clipped)));
        close(value_error(1.5, 2.0, 1.0, None), 0.25, -1.0);
        // From 1.0 the value may reach 1.2: an error of 0.8, larger than the free 0.5.
        close(value_error(1.5, 2.0, 1.0, clipped), 0.64, 0.0);
        close(value_error(1.5, 2.0, 1.0, larger), 0.64, 0.0);
        // Beyond the return: the clipped error is the smaller one.
        close(value_error(1.5, 1.0, 1.0, clipped), 0.04, 0.0);
        close(value_error(1.5, 1.0, 1.0, larger), 0.25, 1.0);
        close(value_error(1.1, 2.0, 1.0, clipped), 0.81, -1.8);
    }

    #[test]
    fn the_estimate_of_the_divergence_is_zero_at_one_and_positive_elsewhere() {
        assert_eq!(approximate_kl(0.0), 0.0);
        assert!((approximate_kl(2f32.ln()) - (1.0 - 2f32.ln())).abs() < 1e-6);
        assert!(approximate_kl(-0.3) > 0.0);
    }
}
