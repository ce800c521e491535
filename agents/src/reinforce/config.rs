//! Every number of REINFORCE that can be set.

use pavlov_nn::{OptimizerConfig, Schedule};

use super::Reinforce;
use crate::agent::{Agent, AgentConfig, AgentContext};
use crate::core::AgentError;
use crate::networks::{NetConfig, RecurrentConfig};
use crate::on_policy::{ExplorationConfig, policy_gradient_config, review_networks};
use crate::review::Review;

policy_gradient_config! {
    /// The configuration of REINFORCE.
    pub struct ReinforceConfig {
        /// Whole episodes of each environment from one update to the next.
        pub episodes_per_update: usize,
        /// True if a learned value of each state is subtracted from the returns.
        pub baseline: bool,
    }
}

impl Default for ReinforceConfig {
    fn default() -> Self {
        Self {
            learning_rate: Schedule::constant(1e-3),
            episodes_per_update: 4,
            discount: 0.99,
            baseline: true,
            normalize_advantages: true,
            entropy_coefficient: Schedule::constant(0.0),
            value_coefficient: 0.5,
            gradient_clip_norm: Some(0.5),
            net: NetConfig::default(),
            exploration: ExplorationConfig::default(),
            optimizer: OptimizerConfig::default(),
        }
    }
}

impl AgentConfig for ReinforceConfig {
    const NAME: &'static str = "reinforce";
    const SUMMARY: &'static str =
        "REINFORCE (Williams 1992), with a learned baseline or without; any actions";

    fn validate(&self) -> Result<(), AgentError> {
        use crate::core::checks::{MOST_EPISODES, count};
        self.validate_shared()?;
        count("episodes_per_update", self.episodes_per_update as u64, MOST_EPISODES)?;
        if self.net.recurrent != RecurrentConfig::Off {
            let message = "net.recurrent must be \"off\": reinforce learns from single steps; a2c and ppo take a memory";
            return Err(AgentError::Config(message.into()));
        }
        Ok(())
    }

    fn review(&self, context: &AgentContext) -> Result<Review, AgentError> {
        review_networks(&self.net, &self.exploration, context)
    }

    fn build(&self, context: &AgentContext) -> Result<Box<dyn Agent>, AgentError> {
        Ok(Box::new(Reinforce::new(self.clone(), context)?))
    }
}
