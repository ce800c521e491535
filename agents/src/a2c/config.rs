//! Every number of A2C that can be set.

use pavlov_common::optional;
use pavlov_nn::optim::RmspropConfig;
use pavlov_nn::{OptimizerConfig, Schedule};
use serde::{Deserialize, Serialize};

use super::A2c;
use crate::agent::{Agent, AgentConfig, AgentContext};
use crate::core::AgentError;
use crate::networks::NetConfig;
use crate::on_policy::{ExplorationConfig, OnPolicyAgent, OnPolicySetup};

/// The configuration of A2C. The defaults are Stable-Baselines3's, with the RMSprop that the published
/// numbers were reached with: TensorFlow's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct A2cConfig {
    /// The optimiser's step size, over the share of training that is done.
    pub learning_rate: Schedule,
    /// Steps of each environment from one update to the next.
    pub rollout_steps: usize,
    /// The discount, `gamma` in the papers.
    pub discount: f64,
    /// The decay of later steps in an advantage, `lambda` in the papers: 1 is the whole rollout.
    pub gae_lambda: f64,
    /// Whether an update's advantages are brought to mean 0 and deviation 1.
    pub normalize_advantages: bool,
    /// The weight of the entropy.
    pub entropy_coefficient: Schedule,
    /// The weight of the value's squared error.
    pub value_coefficient: f64,
    /// The largest norm of an update's gradient, or "off".
    #[serde(with = "optional")]
    pub gradient_clip_norm: Option<f64>,
    /// The networks.
    pub net: NetConfig,
    /// The exploration of continuous actions.
    pub exploration: ExplorationConfig,
    /// The optimiser.
    pub optimizer: OptimizerConfig,
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
        use crate::core::checks::{at_least_one, not_negative, positive_or_off, share};
        share("discount", self.discount)?;
        share("gae_lambda", self.gae_lambda)?;
        at_least_one("rollout_steps", self.rollout_steps as u64)?;
        not_negative("value_coefficient", self.value_coefficient)?;
        positive_or_off("gradient_clip_norm", self.gradient_clip_norm)?;
        self.net.validate()?;
        self.exploration.validate(&self.net)?;
        self.optimizer.validate()?;
        self.learning_rate.validate()?;
        self.entropy_coefficient.validate()?;
        Ok(())
    }

    fn build(&self, context: &AgentContext) -> Result<Box<dyn Agent>, AgentError> {
        let setup = OnPolicySetup {
            net: &self.net,
            exploration: &self.exploration,
            optimizer: &self.optimizer,
            gradient_clip_norm: self.gradient_clip_norm,
            rollout_steps: self.rollout_steps,
        };
        Ok(Box::new(OnPolicyAgent::new(A2c::new(self.clone()), &setup, context)?))
    }
}
