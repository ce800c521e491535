//! Every number of DDPG that can be set.

use crate::agent::{Agent, AgentConfig, AgentContext};
use crate::core::AgentError;
use crate::off_policy::{NoiseConfig, off_policy_config};
use crate::review::Review;
use crate::td3::Td3Config;

off_policy_config! {
    /// The configuration of DDPG. The defaults are TD3's where both have the number; each environment's
    /// preset says what differs.
    pub struct DdpgConfig {
        /// The noise on the actions in training.
        pub exploration: NoiseConfig,
    }
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
            gradient_clip_norm: td3.gradient_clip_norm,
            net: td3.net,
            optimizer: td3.optimizer,
            exploration: td3.exploration,
        }
    }
}

impl DdpgConfig {
    fn as_td3(&self) -> Td3Config {
        Td3Config {
            critics: 1,
            policy_every_updates: 1,
            target_noise: 0.0,
            target_noise_clip: 0.0,
            exploration: self.exploration,
            ..Td3Config::default()
        }
        .with_setup(self.setup())
    }
}

impl AgentConfig for DdpgConfig {
    const NAME: &'static str = "ddpg";
    const SUMMARY: &'static str =
        "Deep deterministic policy gradient (Lillicrap et al. 2016); continuous actions";

    fn validate(&self) -> Result<(), AgentError> {
        self.as_td3().validate()
    }

    fn review(&self, context: &AgentContext) -> Result<Review, AgentError> {
        self.as_td3().review(context)
    }

    fn split(self, shards: usize) -> Result<Self, AgentError> {
        let setup = self.setup().split(shards)?;
        Ok(self.with_setup(setup))
    }

    fn build(&self, context: &AgentContext) -> Result<Box<dyn Agent>, AgentError> {
        self.as_td3().build_named(Self::NAME, context)
    }
}
