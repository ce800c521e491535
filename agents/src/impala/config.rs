//! Every number of IMPALA that can be set.

use pavlov_common::optional;
use pavlov_nn::optim::RmspropConfig;
use pavlov_nn::{OptimizerConfig, Schedule};
use serde::{Deserialize, Serialize};

use super::Impala;
use crate::agent::{Agent, AgentConfig, AgentContext};
use crate::core::AgentError;
use crate::networks::NetConfig;
use crate::on_policy::{ExplorationConfig, OnPolicyAgent, OnPolicySetup};

/// The configuration of IMPALA. The defaults are A2C's, with the paper's truncation levels; each
/// environment's preset says what differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImpalaConfig {
    /// The optimiser's step size, over the share of training that is done.
    pub learning_rate: Schedule,
    /// Steps of each environment from one update phase to the next.
    pub rollout_steps: usize,
    /// Updates on each rollout as a whole; each computes the targets anew.
    pub epochs: usize,
    /// The discount, `gamma` in the papers.
    pub discount: f64,
    /// The decay of later steps in a target, `lambda` in the paper: 1 is the whole rollout.
    pub gae_lambda: f64,
    /// The largest importance ratio of a step, `rho bar` in the paper.
    pub importance_clip: f64,
    /// The largest importance ratio by which later steps are traced back, `c bar` in the paper.
    pub trace_clip: f64,
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
        use crate::core::checks::{at_least_one, not_negative, positive, positive_or_off, share};
        share("discount", self.discount)?;
        share("gae_lambda", self.gae_lambda)?;
        at_least_one("rollout_steps", self.rollout_steps as u64)?;
        at_least_one("epochs", self.epochs as u64)?;
        positive("importance_clip", self.importance_clip)?;
        positive("trace_clip", self.trace_clip)?;
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
        Ok(Box::new(OnPolicyAgent::new(Impala::new(self.clone()), &setup, context)?))
    }
}
