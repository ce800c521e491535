//! Every number of A2C that can be set.

use pavlov_nn::optim::RmspropConfig;
use pavlov_nn::{OptimizerConfig, Schedule};

use super::A2c;
use crate::agent::{Agent, AgentConfig, AgentContext};
use crate::core::AgentError;
use crate::networks::NetConfig;
use crate::on_policy::{ExplorationConfig, OnPolicyAgent, rollout_config, rollout_review};
use crate::review::Review;

rollout_config! {
    /// The configuration of A2C. The defaults are Stable-Baselines3's, with the RMSprop that the published
    /// numbers were reached with: TensorFlow's.
    pub struct A2cConfig {
    }
}

impl Default for A2cConfig {
    fn default() -> Self {
        Self {
            learning_rate: Schedule::constant(7e-4),
            rollout_steps: 5,
            discount: 0.99,
            gae_lambda: 1.0,
            normalize_advantages: false,
            entropy_coefficient: Schedule::constant(0.0),
            value_coefficient: 0.5,
            gradient_clip_norm: Some(0.5),
            net: NetConfig::default(),
            exploration: ExplorationConfig::default(),
            optimizer: OptimizerConfig::Rmsprop(RmspropConfig { eps: 1e-5, ..RmspropConfig::tensorflow() }),
        }
    }
}

impl AgentConfig for A2cConfig {
    const NAME: &'static str = "a2c";
    const SUMMARY: &'static str = "Advantage actor-critic (Mnih et al. 2016, synchronous); any actions";

    fn validate(&self) -> Result<(), AgentError> {
        self.validate_rollouts()
    }

    fn review(&self, context: &AgentContext) -> Result<Review, AgentError> {
        rollout_review(&self.setup(), context)
    }

    /// Rollouts are of the shard's environments, and each is learned from as a whole.
    fn split(self, _shards: usize) -> Result<Self, AgentError> {
        Ok(self)
    }

    fn build(&self, context: &AgentContext) -> Result<Box<dyn Agent>, AgentError> {
        Ok(Box::new(OnPolicyAgent::new(A2c::new(self.clone()), &self.setup(), context)?))
    }
}
