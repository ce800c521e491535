//! The settings that all agents have that learn from a replay. They stand here once, and are fields of each
//! one's configuration.

use pavlov_nn::{OptimizerConfig, Schedule};

use super::UpdatesPerPhase;
use crate::core::AgentError;
use crate::core::checks::{
    ANY, MOST_ROWS, MOST_TRANSITIONS, MOST_UPDATES, count, part, positive_or_off, schedule, share,
};
use crate::networks::NetConfig;
use crate::replay::ReplayConfig;

/// Declares a configuration: the fields in the braces, and those of [`OffPolicySetup`] beside them, so that
/// all are keys of one table.
macro_rules! off_policy_config {
    ($(#[$about:meta])* pub struct $name:ident { $($(#[$of_own:meta])* pub $own:ident: $type:ty,)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            /// The optimiser's step size, over the share of training that is done.
            pub learning_rate: pavlov_nn::Schedule,
            /// The discount, `gamma` in the papers.
            pub discount: f64,
            /// Transitions per update.
            pub batch_size: usize,
            /// Transitions that the replay holds.
            pub replay_capacity: usize,
            /// The form of the transitions that the replay gives, and how they are drawn.
            pub replay: $crate::replay::ReplayConfig,
            /// Env steps before the first update; until then all actions are random.
            pub warmup_env_steps: u64,
            /// Env steps from one update phase to the next, counted over all environments.
            pub train_every_env_steps: u64,
            /// Updates of one update phase, or "env_steps" for as many as env steps lie between two.
            pub updates_per_phase: $crate::off_policy::UpdatesPerPhase,
            /// The share by which target networks move towards the present ones: 1 copies them, less is
            /// Polyak averaging.
            pub target_update_tau: f64,
            /// The largest norm of the gradient of an update, of each network by itself, or "off".
            #[serde(with = "pavlov_common::optional")]
            pub gradient_clip_norm: Option<f64>,
            /// The networks.
            pub net: $crate::networks::NetConfig,
            /// The optimiser.
            pub optimizer: pavlov_nn::OptimizerConfig,
            $($(#[$of_own])* pub $own: $type,)*
        }

        impl $name {
            /// The settings that are shared with other agents.
            pub(crate) fn setup(&self) -> $crate::off_policy::OffPolicySetup {
                $crate::off_policy::OffPolicySetup {
                    learning_rate: self.learning_rate,
                    discount: self.discount,
                    batch_size: self.batch_size,
                    replay_capacity: self.replay_capacity,
                    replay: self.replay,
                    warmup_env_steps: self.warmup_env_steps,
                    train_every_env_steps: self.train_every_env_steps,
                    updates_per_phase: self.updates_per_phase,
                    target_update_tau: self.target_update_tau,
                    gradient_clip_norm: self.gradient_clip_norm,
                    net: self.net.clone(),
                    optimizer: self.optimizer.clone(),
                }
            }

            /// The same with these shared settings.
            pub(crate) fn with_setup(self, setup: $crate::off_policy::OffPolicySetup) -> Self {
                Self {
                    learning_rate: setup.learning_rate,
                    discount: setup.discount,
                    batch_size: setup.batch_size,
                    replay_capacity: setup.replay_capacity,
                    replay: setup.replay,
                    warmup_env_steps: setup.warmup_env_steps,
                    train_every_env_steps: setup.train_every_env_steps,
                    updates_per_phase: setup.updates_per_phase,
                    target_update_tau: setup.target_update_tau,
                    gradient_clip_norm: setup.gradient_clip_norm,
                    net: setup.net,
                    optimizer: setup.optimizer,
                    ..self
                }
            }
        }
    };
}
pub(crate) use off_policy_config;

/// The settings that all agents have that learn from a replay; each agent's configuration says what they
/// mean.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct OffPolicySetup {
    pub learning_rate: Schedule,
    pub discount: f64,
    pub batch_size: usize,
    pub replay_capacity: usize,
    pub replay: ReplayConfig,
    pub warmup_env_steps: u64,
    pub train_every_env_steps: u64,
    pub updates_per_phase: UpdatesPerPhase,
    pub target_update_tau: f64,
    pub gradient_clip_norm: Option<f64>,
    pub net: NetConfig,
    pub optimizer: OptimizerConfig,
}

impl OffPolicySetup {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`AgentError::Config`] naming the one that makes no sense.
    pub fn validate(&self) -> Result<(), AgentError> {
        share("discount", self.discount)?;
        count("batch_size", self.batch_size as u64, MOST_ROWS)?;
        count("replay_capacity", self.replay_capacity as u64, MOST_TRANSITIONS)?;
        count("train_every_env_steps", self.train_every_env_steps, ANY)?;
        if let UpdatesPerPhase::Count(updates) = self.updates_per_phase {
            count("updates_per_phase", updates, MOST_UPDATES)?;
        }
        if self.batch_size > self.replay_capacity {
            let (batch, capacity) = (self.batch_size, self.replay_capacity);
            return Err(AgentError::Config(format!(
                "batch_size ({batch}) is above replay_capacity ({capacity}): raise the capacity or lower the batch"
            )));
        }
        if !(self.target_update_tau > 0.0 && self.target_update_tau <= 1.0) {
            let tau = self.target_update_tau;
            return Err(AgentError::Config(format!(
                "target_update_tau is {tau}: give more than 0 and at most 1 (1 copies the network)"
            )));
        }
        positive_or_off("gradient_clip_norm", self.gradient_clip_norm)?;
        self.replay.validate()?;
        self.net.validate_for_replay()?;
        self.optimizer.validate()?;
        schedule("learning_rate", &self.learning_rate)
    }

    /// The settings of one of so many shards: the batch and the replay are cut into equal parts, the replay's
    /// rounded up.
    ///
    /// # Errors
    /// [`AgentError::Config`] for a batch that cannot be cut so.
    pub(crate) fn split(self, shards: usize) -> Result<Self, AgentError> {
        Ok(Self {
            batch_size: part("batch_size", self.batch_size, shards)?,
            replay_capacity: self.replay_capacity.div_ceil(shards),
            ..self
        })
    }

    /// Transitions drawn for each one that comes in.
    pub fn samples_per_insert(&self) -> f64 {
        let updates = self.updates_per_phase.count(self.train_every_env_steps);
        updates as f64 * self.batch_size as f64 / self.train_every_env_steps as f64
    }
}
