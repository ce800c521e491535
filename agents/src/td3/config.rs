//! Every number of TD3 that can be set.

use pavlov_nn::{OptimizerConfig, Schedule};

use super::Td3Learner;
use crate::agent::{Agent, AgentConfig, AgentContext};
use crate::core::{AgentError, LossForm};
use crate::networks::NetConfig;
use crate::off_policy::{
    NoiseConfig, OffPolicyAgent, UnitBox, UpdatesPerPhase, off_policy_config, replay_review, total_updates,
};
use crate::replay::ReplayConfig;
use crate::review::Review;

off_policy_config! {
    /// The configuration of TD3. The defaults are the paper's, with Stable-Baselines3's networks' sizes
    /// replaced by the paper's authors' later 256-256; each environment's preset says what differs.
    pub struct Td3Config {
        /// The number of critics; a target is the smallest of their values.
        pub critics: usize,
        /// Updates of the critics from one update of the policy to the next.
        pub policy_every_updates: u64,
        /// The deviation of the noise on the target policy's actions.
        pub target_noise: f64,
        /// The most that this noise can be.
        pub target_noise_clip: f64,
        /// The noise on the actions in training.
        pub exploration: NoiseConfig,
    }
}

impl Default for Td3Config {
    fn default() -> Self {
        Self {
            learning_rate: Schedule::constant(3e-4),
            discount: 0.99,
            batch_size: 256,
            replay_capacity: 1_000_000,
            replay: ReplayConfig::default(),
            warmup_env_steps: 10_000,
            train_every_env_steps: 1,
            updates_per_phase: UpdatesPerPhase::Count(1),
            target_update_tau: 0.005,
            critics: 2,
            policy_every_updates: 2,
            target_noise: 0.2,
            target_noise_clip: 0.5,
            exploration: NoiseConfig::Normal { deviation: 0.1 },
            gradient_clip_norm: None,
            net: NetConfig::relu(256),
            optimizer: OptimizerConfig::default(),
        }
    }
}

impl Td3Config {
    /// Builds the agent under this name.
    pub(crate) fn build_named(
        &self,
        name: &str,
        context: &AgentContext,
    ) -> Result<Box<dyn Agent>, AgentError> {
        let bounds = UnitBox::new(name, &context.action_space)?;
        let learner = Td3Learner::new(self.clone(), bounds.clone(), context, LossForm::of(context.device))?;
        Ok(Box::new(OffPolicyAgent::new(learner, &self.setup(), Some(bounds), context)?))
    }
}

impl AgentConfig for Td3Config {
    const NAME: &'static str = "td3";
    const SUMMARY: &'static str =
        "Twin delayed deep deterministic policy gradient (Fujimoto et al. 2018); continuous actions";

    fn validate(&self) -> Result<(), AgentError> {
        use crate::core::checks::{ANY, MOST_CRITICS, count, not_negative};
        self.setup().validate()?;
        count("critics", self.critics as u64, MOST_CRITICS)?;
        count("policy_every_updates", self.policy_every_updates, ANY)?;
        not_negative("target_noise", self.target_noise)?;
        not_negative("target_noise_clip", self.target_noise_clip)?;
        self.exploration.validate()
    }

    fn review(&self, context: &AgentContext) -> Result<Review, AgentError> {
        let setup = self.setup();
        let mut review = replay_review(&setup, context)?;
        let (every, total) = (self.policy_every_updates, total_updates(&setup, context));
        review.warn_if(every > total, || {
            format!("policy_every_updates is {every}, and there are {total} updates: the policy stays as it begins")
        });
        // DDPG has neither.
        let is_other = ![0.0, Self::default().target_noise_clip].contains(&self.target_noise_clip);
        review.warn_if(self.target_noise == 0.0 && is_other, || {
            "target_noise_clip has no effect: target_noise is 0".into()
        });
        Ok(review)
    }

    fn split(self, shards: usize) -> Result<Self, AgentError> {
        let setup = self.setup().split(shards)?;
        Ok(self.with_setup(setup))
    }

    fn build(&self, context: &AgentContext) -> Result<Box<dyn Agent>, AgentError> {
        self.build_named(Self::NAME, context)
    }
}
