//! Every number of DQN that can be set.

use pavlov_nn::losses::Regression;
use pavlov_nn::{MlpConfig, OptimizerConfig, Schedule, optional};
use serde::{Deserialize, Serialize};

use super::Dqn;
use crate::{Agent, AgentConfig, AgentContext, AgentError, ImageConfig};

/// The configuration of DQN. The defaults are those of the Nature paper where it trains small networks well, and
/// Stable-Baselines3's for the rest; each environment's preset says what differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DqnConfig {
    /// Adam's (or another's) step size, over the share of training that is done.
    pub learning_rate: Schedule,
    /// The discount, `gamma` in the papers.
    pub discount: f64,
    /// Transitions per update.
    pub batch_size: usize,
    /// Transitions that the replay holds.
    pub replay_capacity: usize,
    /// Env steps before the first update; until then all actions are random.
    pub warmup_env_steps: u64,
    /// Env steps from one training to the next, counted over all environments.
    pub train_every_env_steps: u64,
    /// Updates of one training.
    pub updates_per_training: u64,
    /// Env steps from one update of the target network to the next, counted over all environments.
    pub target_update_every_env_steps: u64,
    /// How far the target network moves towards the online one: 1 copies it, less is Polyak averaging.
    pub target_update_tau: f64,
    /// Whether the online network chooses the next action that the target network values (Double DQN).
    pub double: bool,
    /// How far an action value is from its target.
    pub loss: Regression,
    /// The largest norm of an update's gradient, or "off".
    #[serde(with = "optional")]
    pub gradient_clip_norm: Option<f64>,
    /// The chance of a random action at the start.
    pub epsilon_start: f64,
    /// The chance of a random action in the end.
    pub epsilon_end: f64,
    /// The share of all env steps over which epsilon falls, linearly.
    pub epsilon_decay_fraction: f64,
    /// What images go through before the hidden layers.
    pub cnn: ImageConfig,
    /// The network from observations to action values.
    pub net: MlpConfig,
    /// What turns gradients into steps.
    pub optimizer: OptimizerConfig,
}

impl Default for DqnConfig {
    fn default() -> Self {
        Self {
            learning_rate: Schedule::constant(1e-4),
            discount: 0.99,
            batch_size: 32,
            replay_capacity: 100_000,
            warmup_env_steps: 1_000,
            train_every_env_steps: 4,
            updates_per_training: 1,
            target_update_every_env_steps: 1_000,
            target_update_tau: 1.0,
            double: false,
            loss: Regression::Huber,
            gradient_clip_norm: Some(10.0),
            epsilon_start: 1.0,
            epsilon_end: 0.05,
            epsilon_decay_fraction: 0.1,
            cnn: ImageConfig::default(),
            net: MlpConfig::default(),
            optimizer: OptimizerConfig::default(),
        }
    }
}

impl AgentConfig for DqnConfig {
    const NAME: &'static str = "dqn";
    const SUMMARY: &'static str = "Deep Q-network (Mnih et al. 2015), with Double DQN (van Hasselt et al. 2016) as an option; discrete actions";

    fn validate(&self) -> Result<(), AgentError> {
        let refuse = |message: String| Err(AgentError::Config(message));
        let shares = [
            ("discount", self.discount),
            ("epsilon_start", self.epsilon_start),
            ("epsilon_end", self.epsilon_end),
            ("epsilon_decay_fraction", self.epsilon_decay_fraction),
        ];
        if let Some((name, value)) = shares.iter().find(|(_, value)| !(0.0..=1.0).contains(value)) {
            return refuse(format!("{name} is {value}: give a number from 0 to 1"));
        }
        if !(self.target_update_tau > 0.0 && self.target_update_tau <= 1.0) {
            let tau = self.target_update_tau;
            return refuse(format!(
                "target_update_tau is {tau}: give more than 0 and at most 1 (1 copies the network)"
            ));
        }
        if self.gradient_clip_norm.is_some_and(|norm| !(norm.is_finite() && norm > 0.0)) {
            return refuse("gradient_clip_norm must be a number above 0, or \"off\"".into());
        }
        let counts = [
            ("batch_size", self.batch_size as u64),
            ("replay_capacity", self.replay_capacity as u64),
            ("train_every_env_steps", self.train_every_env_steps),
            ("updates_per_training", self.updates_per_training),
            ("target_update_every_env_steps", self.target_update_every_env_steps),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return refuse(format!("{name} is 0: give at least 1"));
        }
        if self.epsilon_end > self.epsilon_start {
            let (start, end) = (self.epsilon_start, self.epsilon_end);
            return refuse(format!(
                "epsilon_end ({end}) is above epsilon_start ({start}): exploration would grow"
            ));
        }
        if self.batch_size > self.replay_capacity {
            let (batch, capacity) = (self.batch_size, self.replay_capacity);
            return refuse(format!(
                "batch_size ({batch}) is above replay_capacity ({capacity}): raise the capacity or lower the batch"
            ));
        }
        self.cnn.validate()?;
        self.net.validate()?;
        self.optimizer.validate()?;
        self.learning_rate.validate()?;
        Ok(())
    }

    fn build(&self, context: &AgentContext) -> Result<Box<dyn Agent>, AgentError> {
        Ok(Box::new(Dqn::new(self.clone(), context)?))
    }
}
