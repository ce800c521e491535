//! The loss of plain policy gradients with a value: what A2C and REINFORCE descend.

use super::{ActionEvaluation, Minibatch, RowGradients};
use crate::core::{AgentError, Means};

/// The tags that [`Losses::record`] adds to, and the explained variance.
pub const TAGS: &[&str] = &[
    "train/loss",
    "train/policy_loss",
    "train/value_loss",
    "train/entropy_loss",
    "train/explained_variance",
];

/// What the parts of the loss weigh beside the policy's.
#[derive(Clone, Copy, Debug)]
pub struct Weights {
    /// The value's mean squared error.
    pub value: f64,
    /// The mean entropy, which is taken off.
    pub entropy: f64,
}

/// The means of a minibatch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Losses {
    /// `-A log pi(a|s)`
    pub policy: f64,
    /// `(V(s) - R)^2`
    pub value: f64,
    /// In nats.
    pub entropy: f64,
    /// Their weighted sum.
    pub total: f64,
}

/// The losses, and the gradient of `mean(-A log pi(a|s) + value (V(s) - R)^2 - entropy H(pi(.|s)))`. The advantages are
/// constants.
pub fn differentiate(
    minibatch: &Minibatch,
    evaluation: &ActionEvaluation,
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
        let (advantage, error) = (minibatch.advantages[row], evaluation.values[row] - minibatch.returns[row]);
        gradients.by_value.push(value_share * error);
        gradients.by_log_prob.push(-advantage * share);
        policy -= f64::from(evaluation.log_probs[row] * advantage) / count;
        value += f64::from(error).powi(2) / count;
        entropy += f64::from(evaluation.entropies[row]) / count;
    }
    Losses { policy, value, entropy, total: policy + weights.value * value - weights.entropy * entropy }
}

impl Losses {
    /// Adds them to the means.
    ///
    /// # Errors
    /// [`AgentError::Diverged`] when their sum is not finite.
    pub fn record(&self, means: &mut Means) -> Result<(), AgentError> {
        if !self.total.is_finite() {
            return Err(AgentError::Diverged(format!("the loss is {}", self.total)));
        }
        means.add("train/loss", self.total);
        means.add("train/policy_loss", self.policy);
        means.add("train/value_loss", self.value);
        means.add("train/entropy_loss", -self.entropy);
        Ok(())
    }
}
