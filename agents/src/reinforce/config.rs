//! Every number of REINFORCE that can be set.

use pavlov_common::optional;
use pavlov_nn::{OptimizerConfig, Schedule};
use serde::{Deserialize, Serialize};

use super::Reinforce;
use crate::agent::{Agent, AgentConfig, AgentContext};
use crate::core::AgentError;
use crate::networks::{NetConfig, RecurrentConfig};
use crate::on_policy::ExplorationConfig;

/// The configuration of REINFORCE.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReinforceConfig {
    /// The optimiser's step size, over the share of training that is done.
    pub learning_rate: Schedule,
    /// Whole episodes of each environment from one update to the next.
    pub episodes_per_update: usize,
    /// The discount, `gamma` in the papers.
    pub discount: f64,
    /// Whether a learned value of each state is subtracted from the returns.
    pub baseline: bool,
    /// Whether an update's advantages are brought to mean 0 and deviation 1.
    pub normalize_advantages: bool,
    /// The weight of the entropy.
    pub entropy_coefficient: Schedule,
    /// The weight of the baseline's squared error.
    pub value_coefficient: f64,
    /// The largest norm of an update's gradient, or "off".
    #[serde(with = "optional")]
    pub gradient_clip_norm: Option<f64>,
    /// The networks; without a baseline the value's is not used.
    pub net: NetConfig,
    /// The exploration of continuous actions.
    pub exploration: ExplorationConfig,
    /// The optimiser.
    pub optimizer: OptimizerConfig,
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
        use crate::core::checks::{at_least_one, not_negative, positive_or_off, share};
        share("discount", self.discount)?;
        at_least_one("episodes_per_update", self.episodes_per_update as u64)?;
        not_negative("value_coefficient", self.value_coefficient)?;
        positive_or_off("gradient_clip_norm", self.gradient_clip_norm)?;
        self.net.validate()?;
        self.exploration.validate(&self.net)?;
        if self.net.recurrent != RecurrentConfig::Off {
            let message = "net.recurrent must be \"off\": reinforce learns from single steps; a2c and ppo take a memory";
            return Err(AgentError::Config(message.into()));
        }
        self.optimizer.validate()?;
        self.learning_rate.validate()?;
        self.entropy_coefficient.validate()?;
        Ok(())
    }

    fn build(&self, context: &AgentContext) -> Result<Box<dyn Agent>, AgentError> {
        Ok(Box::new(Reinforce::new(self.clone(), context)?))
    }
}
