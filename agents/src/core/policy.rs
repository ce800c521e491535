//! The vocabulary: policies, experience, metrics.
//!
//! A **policy** maps observations to actions. An **algorithm** turns batches into a better policy. An
//! **agent** ([`Agent`](crate::Agent)) is both with their configuration.

use std::collections::BTreeMap;

use pavlov_common::SeededRng;
use pavlov_envs::{ActionBatch, ObsBatch, StepBatch};

use super::AgentError;

/// The manner in which a policy chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActMode {
    /// As in training: with the exploration, or the samples of a stochastic policy.
    Explore,
    /// The best action that the policy knows. Draws no random number.
    Exploit,
}

/// Maps observations to actions, with weights of its own: for evaluation, and for actors in threads of their
/// own.
pub trait Policy: Send {
    /// Writes one action for each row of `observations` into `actions`.
    ///
    /// # Errors
    /// [`AgentError`] when the network fails or gives NaN.
    fn act(
        &mut self,
        observations: &ObsBatch,
        mode: ActMode,
        rng: &mut SeededRng,
        actions: &mut ActionBatch,
    ) -> Result<(), AgentError>;

    /// Says that what environment `row` shows next begins an episode: a policy with a memory forgets the last
    /// one.
    fn forget(&mut self, _row: usize) {}
}

/// One step of a vector environment: row `i` is the transition of environment `i`, from
/// `observations` by `actions` to [`StepBatch::next_observation`].
#[derive(Clone, Copy, Debug)]
pub struct Experience<'a> {
    /// The observation that was acted on.
    pub observations: &'a ObsBatch,
    /// The action.
    pub actions: &'a ActionBatch,
    /// The outcome.
    pub step: &'a StepBatch,
}

/// Named numbers for the log: `train/loss`, `rollout/exploration_rate`, ...
pub type Metrics = BTreeMap<&'static str, f64>;
