//! The loss of plain policy gradients with a value, by rows and on tensors: A2C, IMPALA and REINFORCE descend
//! it.

use super::{ActionEvaluation, Minibatch, RowEvaluation, RowGradients, TensorEvaluation};
use crate::core::{AgentError, Means, Scalar};

/// The tags that [`Losses::record`] adds to, and the explained variance.
pub const TAGS: &[&str] = &[
    "train/loss",
    "train/policy_loss",
    "train/value_loss",
    "train/entropy_loss",
    "train/explained_variance",
];

/// The weights of the parts of the loss beside the policy's.
#[derive(Clone, Copy, Debug)]
pub struct Weights {
    /// The weight of the value's mean squared error.
    pub value: f64,
    /// The weight of the mean entropy, which is subtracted.
    pub entropy: f64,
}

/// The means of a minibatch.
#[derive(Debug)]
pub struct Losses {
    /// `-A log pi(a|s)`
    pub policy: Scalar,
    /// `(V(s) - R)^2`
    pub value: Scalar,
    /// Minus the entropy, in nats.
    pub entropy: Scalar,
    /// Their weighted sum. On tensors this is the loss that autograd recorded.
    pub total: Scalar,
}

/// The losses, and the gradient of `mean(-A log pi(a|s) + value (V(s) - R)^2 - entropy H(pi(.|s)))`. The
/// advantages are constants. By rows the derivatives are written to `gradients`.
///
/// # Errors
/// [`AgentError::Nn`] when libtorch fails.
pub fn differentiate(
    minibatch: &Minibatch,
    evaluation: &ActionEvaluation,
    weights: Weights,
    gradients: &mut RowGradients,
) -> Result<Losses, AgentError> {
    match evaluation {
        ActionEvaluation::Rows(now) => Ok(by_rows(minibatch, now, weights, gradients)),
        ActionEvaluation::Tensors(now) => on_tensors(now, weights),
    }
}

fn by_rows(
    minibatch: &Minibatch,
    now: &RowEvaluation,
    weights: Weights,
    gradients: &mut RowGradients,
) -> Losses {
    let count = minibatch.learned() as f64;
    let share = 1.0 / minibatch.learned() as f32;
    let value_share = 2.0 * weights.value as f32 * share;
    let (mut policy, mut value, mut entropy) = (0.0, 0.0, 0.0);
    gradients.by_value.clear();
    gradients.by_log_prob.clear();
    gradients.by_entropy = -(weights.entropy as f32) * share;
    for row in 0..minibatch.len() {
        if minibatch.is_skipped(row) {
            gradients.by_value.push(0.0);
            gradients.by_log_prob.push(0.0);
            continue;
        }
        let (advantage, error) = (minibatch.advantages[row], now.values[row] - minibatch.returns[row]);
        gradients.by_value.push(value_share * error);
        gradients.by_log_prob.push(-advantage * share);
        policy -= f64::from(now.log_probs[row] * advantage) / count;
        value += f64::from(error).powi(2) / count;
        entropy += f64::from(now.entropies[row]) / count;
    }
    Losses {
        total: (policy + weights.value * value - weights.entropy * entropy).into(),
        policy: policy.into(),
        value: value.into(),
        entropy: (-entropy).into(),
    }
}

fn on_tensors(now: &TensorEvaluation, weights: Weights) -> Result<Losses, AgentError> {
    let then = &now.minibatch;
    let policy = then.mean(&now.log_probs.f_mul(&then.advantages)?)?.f_neg()?;
    let value = then.mean(&now.values.f_sub(&then.returns)?.f_square()?)?;
    let entropy = then.mean(&now.entropies)?.f_neg()?;
    let weighted = value.f_mul_scalar(weights.value)?.f_add(&entropy.f_mul_scalar(weights.entropy)?)?;
    Ok(Losses {
        total: policy.f_add(&weighted)?.into(),
        policy: policy.into(),
        value: value.into(),
        entropy: entropy.into(),
    })
}

impl Losses {
    /// Adds them to the means.
    ///
    /// # Errors
    /// [`AgentError::Diverged`] when their sum is known not to be finite.
    pub fn record(&self, means: &mut Means) -> Result<(), AgentError> {
        means.add_loss("train/loss", &self.total)?;
        means.add_scalar("train/policy_loss", &self.policy)?;
        means.add_scalar("train/value_loss", &self.value)?;
        Ok(means.add_scalar("train/entropy_loss", &self.entropy)?)
    }
}
