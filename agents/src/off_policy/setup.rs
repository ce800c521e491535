//! How an agent that learns from a replay is put together.

use super::UpdatesPerPhase;
use crate::core::AgentError;
use crate::core::checks::{at_least_one, share};
use crate::replay::ReplayConfig;

/// The numbers that all such agents have.
#[derive(Clone, Copy, Debug)]
pub struct OffPolicySetup {
    /// The discount, `gamma` in the papers.
    pub discount: f64,
    /// Transitions per update.
    pub batch_size: usize,
    /// Transitions that the replay holds.
    pub replay_capacity: usize,
    /// What the replay makes of them.
    pub replay: ReplayConfig,
    /// Env steps before the first update.
    pub warmup_env_steps: u64,
    /// Env steps from one training to the next.
    pub train_every_env_steps: u64,
    /// Updates of one training.
    pub updates_per_phase: UpdatesPerPhase,
}

impl OffPolicySetup {
    /// Checks the numbers of a configuration.
    ///
    /// # Errors
    /// [`AgentError::Config`] naming the one that makes no sense.
    pub fn validate(&self) -> Result<(), AgentError> {
        share("discount", self.discount)?;
        at_least_one("batch_size", self.batch_size as u64)?;
        at_least_one("replay_capacity", self.replay_capacity as u64)?;
        at_least_one("train_every_env_steps", self.train_every_env_steps)?;
        if let UpdatesPerPhase::Count(count) = self.updates_per_phase {
            at_least_one("updates_per_phase", count)?;
        }
        if self.batch_size > self.replay_capacity {
            let (batch, capacity) = (self.batch_size, self.replay_capacity);
            return Err(AgentError::Config(format!(
                "batch_size ({batch}) is above replay_capacity ({capacity}): raise the capacity or lower the batch"
            )));
        }
        self.replay.validate()
    }

    /// Transitions drawn for each one that comes in.
    pub fn samples_per_insert(&self) -> f64 {
        let updates = match self.updates_per_phase {
            UpdatesPerPhase::Count(count) => count,
            UpdatesPerPhase::EnvSteps => self.train_every_env_steps,
        };
        updates as f64 * self.batch_size as f64 / self.train_every_env_steps as f64
    }
}
