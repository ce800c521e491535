//! The learning half of an agent that learns from rollouts.

use pavlov_nn::Parameters;

use super::{PolicySampler, Rollout};
use crate::core::{AgentError, Metrics};

/// The learning half of an agent that learns from rollouts, and the parts of its acting halves.
pub trait RolloutLearner: Send {
    /// An actor that has seen nothing, and an empty rollout of `num_envs` environments.
    ///
    /// # Errors
    /// [`AgentError`] when memory runs out.
    fn acting_half(&self, num_envs: usize) -> Result<(PolicySampler, Rollout), AgentError>;

    /// The weights that actors act with.
    fn acting(&self) -> &Parameters;

    /// Steps of each environment in a rollout.
    fn rollout_steps(&self) -> usize;

    /// Takes over the full rollout of some environments, the first of which has number `first`. Once those of
    /// all environments are there, [`RolloutLearner::learn`] learns from them.
    ///
    /// # Errors
    /// [`AgentError::State`] when it does not fit.
    fn join(&mut self, first: usize, rollout: &Rollout) -> Result<(), AgentError>;

    /// Makes the updates of a full rollout, and says how many they were.
    ///
    /// # Errors
    /// [`AgentError::Diverged`] when the loss is no longer finite.
    fn learn(&mut self) -> Result<u64, AgentError>;

    /// The updates made so far.
    fn updates(&self) -> u64;

    /// The numbers to log since the last call.
    ///
    /// # Errors
    /// [`AgentError::Diverged`] when a mean is no longer finite.
    fn take_metrics(&mut self) -> Result<Metrics, AgentError>;
}
