//! The meaning of a network's outputs for each action, and their loss. Plain action values are the first
//! form; a distributional one (C51, quantiles) is another [`ActionValues`], whatever the network before it
//! looks like.

use std::fmt;

use pavlov_nn::NnError;
use pavlov_nn::losses::{Regressed, Regression, regress_columns};
use tch::Tensor;

use super::losses;
use crate::core::AgentError;

/// The states that a batch of transitions led to, as the target is made from them.
#[derive(Clone, Copy, Debug)]
pub struct NextStates<'a> {
    /// The target network's outputs there, f32 `[batch, actions * per_action]`.
    pub outputs: &'a Tensor,
    /// The action that counts in each, i64 `[batch, 1]`.
    pub best: &'a Tensor,
    /// The rewards on the way there, f32 `[batch]`.
    pub rewards: &'a Tensor,
    /// The factor of the discounted next value, f32 `[batch]`.
    pub continues: &'a Tensor,
    /// The discount, `gamma` in the papers.
    pub discount: f64,
}

/// The meaning of a network's outputs for discrete actions: the values to act on, the target, the loss and
/// the priorities.
pub trait ActionValues: fmt::Debug + Send + Sync {
    /// The number of the network's outputs for each action.
    fn per_action(&self) -> usize;

    /// The value of each action, f32 `[batch, actions]`, from f32 `[batch, actions * per_action]`: what is
    /// acted on.
    ///
    /// # Errors
    /// [`NnError`] for outputs of another shape.
    fn values(&self, outputs: &Tensor) -> Result<Tensor, NnError>;

    /// The targets of the outputs of the chosen action: f32, the batch first.
    ///
    /// # Errors
    /// [`AgentError`] when shapes do not fit.
    fn targets(&self, next: NextStates<'_>) -> Result<Tensor, AgentError>;

    /// The loss of the chosen actions' outputs against `targets`, its gradient with respect to all outputs,
    /// and each row's error, from which priorities are made. `choices` is i64 `[batch, 1]`, `weights` f32
    /// `[batch]`.
    ///
    /// # Errors
    /// [`NnError`] when shapes do not fit.
    fn regress(
        &self,
        outputs: &Tensor,
        choices: &Tensor,
        targets: &Tensor,
        weights: Option<&Tensor>,
    ) -> Result<Regressed, NnError>;
}

/// One number for each action: its expected return.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedReturn {
    /// The cost of an error.
    pub loss: Regression,
}

impl ActionValues for ExpectedReturn {
    fn per_action(&self) -> usize {
        1
    }

    fn values(&self, outputs: &Tensor) -> Result<Tensor, NnError> {
        Ok(outputs.shallow_clone())
    }

    fn targets(&self, next: NextStates<'_>) -> Result<Tensor, AgentError> {
        let values = next.outputs.f_gather(1, next.best, false)?.f_squeeze_dim(1)?;
        losses::td_target(next.rewards, next.continues, &values, next.discount)
    }

    fn regress(
        &self,
        outputs: &Tensor,
        choices: &Tensor,
        targets: &Tensor,
        weights: Option<&Tensor>,
    ) -> Result<Regressed, NnError> {
        regress_columns(outputs, choices, targets, weights, self.loss)
    }
}
