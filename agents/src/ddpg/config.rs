//! Every number of DDPG that can be set.

use pavlov_common::optional;
use pavlov_nn::{OptimizerConfig, Schedule};
use serde::{Deserialize, Serialize};

use crate::agent::{Agent, AgentConfig, AgentContext};
use crate::core::AgentError;
use crate::networks::NetConfig;
use crate::off_policy::{NoiseConfig, UpdatesPerPhase};
use crate::replay::ReplayConfig;
use crate::td3::Td3Config;

/// The configuration of DDPG. The defaults are TD3's where both have the number; each environment's preset
/// says what differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DdpgConfig {
    /// Adam's (or another's) step size for policy and critic, over the share of training that is done.
    pub learning_rate: Schedule,
    /// The discount, `gamma` in the papers.
    pub discount: f64,
    /// Transitions per update.
    pub batch_size: usize,
    /// Transitions that the replay holds.
    pub replay_capacity: usize,
    /// The form of the transitions that it gives, and how they are drawn.
    pub replay: ReplayConfig,
    /// Env steps before the first update; until then all actions are random.
    pub warmup_env_steps: u64,
    /// Env steps from one update phase to the next, counted over all environments.
    pub train_every_env_steps: u64,
    /// Updates of one update phase, or "env_steps" for as many as env steps lie between two.
    pub updates_per_phase: UpdatesPerPhase,
    /// How far the target networks move towards the present ones with each update.
    pub target_update_tau: f64,
    /// The noise on the actions in training.
    pub exploration: NoiseConfig,
    /// The largest norm of an update's gradient, of the policy and of the critic each, or "off".
    #[serde(with = "optional")]
    pub gradient_clip_norm: Option<f64>,
    /// The networks.
    pub net: NetConfig,
    /// The optimiser.
    pub optimizer: OptimizerConfig,
}

impl Default for DdpgConfig {
    fn default() -> Self {
        let td3 = Td3Config::default();
        Self {
            learning_rate: td3.learning_rate,
            discount: td3.discount,
            batch_size: td3.batch_size,
            replay_capacity: td3.replay_capacity,
            replay: td3.replay,
            warmup_env_steps: td3.warmup_env_steps,
            train_every_env_steps: td3.train_every_env_steps,
            updates_per_phase: td3.updates_per_phase,
            target_update_tau: td3.target_update_tau,
            exploration: td3.exploration,
            gradient_clip_norm: td3.gradient_clip_norm,
            net: td3.net,
            optimizer: td3.optimizer,
        }
    }
}

impl DdpgConfig {
    fn as_td3(&self) -> Td3Config {
        Td3Config {
            learning_rate: self.learning_rate,
            discount: self.discount,
            batch_size: self.batch_size,
            replay_capacity: self.replay_capacity,
            replay: self.replay,
            warmup_env_steps: self.warmup_env_steps,
            train_every_env_steps: self.train_every_env_steps,
            updates_per_phase: self.updates_per_phase,
            target_update_tau: self.target_update_tau,
            critics: 1,
            policy_every_updates: 1,
            target_noise: 0.0,
            target_noise_clip: 0.0,
            exploration: self.exploration,
            gradient_clip_norm: self.gradient_clip_norm,
            net: self.net.clone(),
            optimizer: self.optimizer.clone(),
        }
    }
}

impl AgentConfig for DdpgConfig {
    const NAME: &'static str = "ddpg";
    const SUMMARY: &'static str =
        "Deep deterministic policy gradient (Lillicrap et al. 2016); continuous actions";

    fn validate(&self) -> Result<(), AgentError> {
        self.as_td3().validate()
    }

    fn build(&self, context: &AgentContext) -> Result<Box<dyn Agent>, AgentError> {
        self.as_td3().build_named(Self::NAME, context)
    }
}
