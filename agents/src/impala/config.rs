//! Every number of IMPALA that can be set.

use pavlov_nn::optim::RmspropConfig;
use pavlov_nn::{OptimizerConfig, Schedule};

use super::Impala;
use crate::agent::{Agent, AgentConfig, AgentContext};
use crate::core::AgentError;
use crate::networks::NetConfig;
use crate::on_policy::{ExplorationConfig, OnPolicyAgent, rollout_config, rollout_review};
use crate::review::Review;

rollout_config! {
    /// The configuration of IMPALA. The defaults are A2C's, with the paper's truncation levels; each
    /// environment's preset says what differs.
    pub struct ImpalaConfig {
        /// Updates on each rollout as a whole; each computes the targets anew.
        pub epochs: usize,
        /// The largest importance ratio of a step, `rho bar` in the paper.
        pub importance_clip: f64,
        /// The largest importance ratio by which later steps are traced back, `c bar` in the paper.
        pub trace_clip: f64,
    }
}

impl Default for ImpalaConfig {
    fn default() -> Self {
        Self {
            learning_rate: Schedule::constant(7e-4),
            rollout_steps: 5,
            epochs: 1,
            discount: 0.99,
            gae_lambda: 1.0,
            importance_clip: 1.0,
            trace_clip: 1.0,
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

impl AgentConfig for ImpalaConfig {
    const NAME: &'static str = "impala";
    const SUMMARY: &'static str = "Importance-weighted actor-learner (Espeholt et al. 2018): A2C by actors that may lag behind; any actions";

    fn validate(&self) -> Result<(), AgentError> {
        use crate::core::checks::{MOST_EPOCHS, count, positive};
        self.validate_rollouts()?;
        count("epochs", self.epochs as u64, MOST_EPOCHS)?;
        positive("importance_clip", self.importance_clip)?;
        positive("trace_clip", self.trace_clip)
    }

    fn review(&self, context: &AgentContext) -> Result<Review, AgentError> {
        rollout_review(&self.setup(), context)
    }

    /// Rollouts are of the shard's environments, and each is learned from as a whole.
    fn split(self, _shards: usize) -> Result<Self, AgentError> {
        Ok(self)
    }

    fn build(&self, context: &AgentContext) -> Result<Box<dyn Agent>, AgentError> {
        Ok(Box::new(OnPolicyAgent::new(Impala::new(self.clone()), &self.setup(), context)?))
    }
}
