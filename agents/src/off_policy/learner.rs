//! The half that makes a better policy of a batch.

use pavlov_nn::{Parameters, StateDict, StateView};

use super::Explorer;
use crate::core::{AgentError, Metrics};
use crate::networks::Encoder;
use crate::replay::Batch;

/// The learning half of an agent that learns from a replay. Implementing this is all that a new agent of this
/// kind needs.
pub trait OffPolicyLearner: Send {
    /// The acting half.
    ///
    /// # Errors
    /// [`AgentError`] when memory runs out.
    fn explorer(&self) -> Result<Box<dyn Explorer>, AgentError>;

    /// From observations to rows, as the networks take them.
    fn encoder(&self) -> &Encoder;

    /// The weights that it acts with.
    fn acting(&self) -> &Parameters;

    /// For how many updates transitions are best drawn together.
    fn updates_at_once(&self) -> usize {
        1
    }

    /// As many updates as the batch holds minibatches, one after the other. Continuous actions of the batch
    /// are numbers from -1 to 1. `progress` is the share of training that is done.
    ///
    /// # Errors
    /// [`AgentError::Diverged`] when a loss is no longer finite.
    fn update(&mut self, batch: &Batch, progress: f64) -> Result<(), AgentError>;

    /// The distances of the values from their targets in the last call of [`OffPolicyLearner::update`],
    /// `[batch]`; only where transitions are drawn by priority.
    fn errors(&self) -> &[f32];

    /// Env steps have been done, from `before` on until `now`.
    ///
    /// # Errors
    /// [`AgentError`] when libtorch fails.
    fn advance(&mut self, _before: u64, _now: u64) -> Result<(), AgentError> {
        Ok(())
    }

    /// The numbers to log since the last call.
    ///
    /// # Errors
    /// [`AgentError::Diverged`] when the mean loss is no longer finite.
    fn take_metrics(&mut self, progress: f64) -> Result<Metrics, AgentError>;

    /// The updates made so far.
    fn updates(&self) -> u64;

    /// The policy's weights.
    ///
    /// # Errors
    /// [`AgentError`] when a tensor cannot be copied.
    fn weights(&self) -> Result<StateDict<'static>, AgentError>;

    /// Takes over the policy's weights.
    ///
    /// # Errors
    /// [`AgentError`] when they do not fit.
    fn load_weights(&mut self, weights: &StateView<'_>) -> Result<(), AgentError>;

    /// Everything to continue from.
    ///
    /// # Errors
    /// [`AgentError`] when a tensor cannot be copied.
    fn state(&self) -> Result<StateDict<'_>, AgentError>;

    /// Continues from a saved state.
    ///
    /// # Errors
    /// [`AgentError`] when it does not fit.
    fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError>;
}
