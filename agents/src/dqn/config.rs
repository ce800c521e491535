//! Every number of DQN that can be set.

use pavlov_envs::Space;
use pavlov_nn::losses::Regression;
use pavlov_nn::{OptimizerConfig, Schedule};

use super::DqnLearner;
use crate::agent::{Agent, AgentConfig, AgentContext};
use crate::core::AgentError;
use crate::networks::{Encoder, NetConfig};
use crate::off_policy::{OffPolicyAgent, UpdatesPerPhase, off_policy_config, replay_review};
use crate::replay::ReplayConfig;
use crate::review::Review;

off_policy_config! {
    /// The configuration of DQN. The defaults are those of the Nature paper where it trains small networks
    /// well, and Stable-Baselines3's for the rest; each environment's preset says what differs.
    pub struct DqnConfig {
        /// Env steps from one update of the target network to the next, counted over all environments.
        pub target_update_every_env_steps: u64,
        /// True if the online network chooses the next action that the target network values (Double DQN).
        pub double: bool,
        /// True if the value of a state and the advantages of actions are learned apart (Wang et al. 2016).
        pub dueling: bool,
        /// The cost of an action value's error.
        pub loss: Regression,
        /// The chance of a random action at the start.
        pub epsilon_start: f64,
        /// The chance of a random action in the end.
        pub epsilon_end: f64,
        /// The share of all env steps over which epsilon falls, linearly.
        pub epsilon_decay_fraction: f64,
        /// The growth of greed from each environment to the next: of `N` environments number `i` has `epsilon
        /// ^ (1 + spread i / (N - 1))` (Horgan et al. 2018, where it is 7 and epsilon 0.4), 0 for all alike.
        pub epsilon_spread: f64,
    }
}

impl Default for DqnConfig {
    fn default() -> Self {
        Self {
            learning_rate: Schedule::constant(1e-4),
            discount: 0.99,
            batch_size: 32,
            replay_capacity: 100_000,
            replay: ReplayConfig::default(),
            warmup_env_steps: 1_000,
            train_every_env_steps: 4,
            updates_per_phase: UpdatesPerPhase::Count(1),
            target_update_every_env_steps: 1_000,
            target_update_tau: 1.0,
            double: false,
            dueling: false,
            loss: Regression::Huber,
            gradient_clip_norm: Some(10.0),
            epsilon_start: 1.0,
            epsilon_end: 0.05,
            epsilon_decay_fraction: 0.1,
            epsilon_spread: 0.0,
            net: NetConfig::relu(64),
            optimizer: OptimizerConfig::default(),
        }
    }
}

impl DqnConfig {
    /// From observations to rows, for these networks.
    ///
    /// # Errors
    /// [`AgentError`] where `net.layout` does not fit the observations.
    pub(super) fn encoder(&self, observations: &Space) -> Result<Encoder, AgentError> {
        Ok(Encoder::for_networks(observations, &self.net)?)
    }
}

impl AgentConfig for DqnConfig {
    const NAME: &'static str = "dqn";
    const SUMMARY: &'static str = "Deep Q-network (Mnih et al. 2015), with Double DQN, n-step returns and prioritised replay as options; discrete actions";

    fn validate(&self) -> Result<(), AgentError> {
        use crate::core::checks::{ANY, count, not_negative, share};
        self.setup().validate()?;
        share("epsilon_start", self.epsilon_start)?;
        share("epsilon_end", self.epsilon_end)?;
        share("epsilon_decay_fraction", self.epsilon_decay_fraction)?;
        not_negative("epsilon_spread", self.epsilon_spread)?;
        count("target_update_every_env_steps", self.target_update_every_env_steps, ANY)?;
        if self.epsilon_end > self.epsilon_start {
            let (start, end) = (self.epsilon_start, self.epsilon_end);
            return Err(AgentError::Config(format!(
                "epsilon_end ({end}) is above epsilon_start ({start}): exploration would grow"
            )));
        }
        Ok(self.net.refuse_value_sizes()?)
    }

    fn review(&self, context: &AgentContext) -> Result<Review, AgentError> {
        let mut review = replay_review(&self.setup(), context)?;
        let (every, total) = (self.target_update_every_env_steps, context.total_env_steps);
        review.warn_if(every > total, || {
            format!(
                "target_update_every_env_steps is {every}, and env_steps {total}: the target network stays as it begins"
            )
        });
        Ok(review)
    }

    fn split(self, shards: usize) -> Result<Self, AgentError> {
        let setup = self.setup().split(shards)?;
        Ok(self.with_setup(setup))
    }

    fn build(&self, context: &AgentContext) -> Result<Box<dyn Agent>, AgentError> {
        let learner = DqnLearner::for_environments(self.clone(), context)?;
        Ok(Box::new(OffPolicyAgent::new(learner, &self.setup(), None, context)?))
    }
}
