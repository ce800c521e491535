//! Every number of PPO that can be set.

use pavlov_common::optional;
use pavlov_nn::optim::AdamConfig;
use pavlov_nn::{OptimizerConfig, Schedule};
use serde::{Deserialize, Serialize};

use super::Ppo;
use crate::agent::{Agent, AgentConfig, AgentContext};
use crate::core::AgentError;
use crate::networks::{NetConfig, RecurrentConfig};
use crate::on_policy::{ExplorationConfig, OnPolicyAgent, rollout_config, rollout_review, sequence_length};
use crate::review::Review;

/// The rule for the error of a clipped value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueClipRule {
    /// The larger of the free and the clipped error, as in OpenAI's code.
    #[default]
    Larger,
    /// The clipped error alone, as in Stable-Baselines3.
    Clipped,
}

rollout_config! {
    /// The configuration of PPO. The defaults are the paper's for continuous control as Stable-Baselines3 has
    /// them; each environment's preset says what differs.
    pub struct PpoConfig {
        /// Rows of an update; an epoch's last one may have fewer.
        pub minibatch_size: usize,
        /// Passes over each rollout.
        pub epochs: usize,
        /// The range of probability ratios around 1 outside of which a ratio is pushed no further.
        pub clip_range: Schedule,
        /// The distance that a value may move in one update phase, or "off".
        #[serde(with = "optional")]
        pub value_clip_range: Option<f64>,
        /// The rule for the error of a clipped value.
        pub value_clip_rule: ValueClipRule,
        /// A training stops early where the policy has moved by more than 1.5 times this divergence, or
        /// "off".
        #[serde(with = "optional")]
        pub target_kl: Option<f64>,
    }
}

impl Default for PpoConfig {
    fn default() -> Self {
        Self {
            learning_rate: Schedule::constant(3e-4),
            rollout_steps: 2048,
            minibatch_size: 64,
            epochs: 10,
            discount: 0.99,
            gae_lambda: 0.95,
            clip_range: Schedule::constant(0.2),
            value_clip_range: None,
            value_clip_rule: ValueClipRule::default(),
            normalize_advantages: true,
            entropy_coefficient: Schedule::constant(0.0),
            value_coefficient: 0.5,
            target_kl: None,
            gradient_clip_norm: Some(0.5),
            net: NetConfig::default(),
            exploration: ExplorationConfig::default(),
            optimizer: OptimizerConfig::Adam(AdamConfig { eps: 1e-5, ..AdamConfig::default() }),
        }
    }
}

impl AgentConfig for PpoConfig {
    const NAME: &'static str = "ppo";
    const SUMMARY: &'static str = "Proximal policy optimisation (Schulman et al. 2017); any actions";

    fn validate(&self) -> Result<(), AgentError> {
        use crate::core::checks::{ANY, MOST_EPOCHS, count, not_negative, positive_or_off, schedule};
        self.validate_rollouts()?;
        count("minibatch_size", self.minibatch_size as u64, ANY)?;
        count("epochs", self.epochs as u64, MOST_EPOCHS)?;
        positive_or_off("value_clip_range", self.value_clip_range)?;
        if let Some(target) = self.target_kl {
            not_negative("target_kl", target)?;
        }
        schedule("clip_range", &self.clip_range)
    }

    fn review(&self, context: &AgentContext) -> Result<Review, AgentError> {
        let mut review = rollout_review(&self.setup(), context)?;
        let (steps, num_envs, minibatch) = (self.rollout_steps, context.num_envs, self.minibatch_size);
        review.warn_if(minibatch > steps.saturating_mul(num_envs), || {
            format!(
                "minibatch_size is {minibatch}, and a rollout has rollout_steps x num_envs = {steps} x {num_envs} steps: \
                 each update takes a whole rollout"
            )
        });
        if self.net.recurrent != RecurrentConfig::Off {
            let length = sequence_length(&self.net, steps, Some(minibatch));
            review
                .facts
                .push(format!("the memory learns from sequences of {length} of a rollout's {steps} steps"));
            review.warn_if(length > minibatch, || {
                format!(
                    "net.sequence_length is {length}, and minibatch_size {minibatch}: each update takes one whole sequence, and \
                     there are fewer of them; 0 takes sequences that fit"
                )
            });
        }
        let is_other = self.value_clip_rule != ValueClipRule::default();
        review.warn_if(is_other && self.value_clip_range.is_none(), || {
            "value_clip_rule has no effect: value_clip_range is \"off\"".into()
        });
        Ok(review)
    }

    fn split(self, shards: usize) -> Result<Self, AgentError> {
        let minibatch_size = crate::core::checks::part("minibatch_size", self.minibatch_size, shards)?;
        Ok(Self { minibatch_size, ..self })
    }

    fn build(&self, context: &AgentContext) -> Result<Box<dyn Agent>, AgentError> {
        Ok(Box::new(OnPolicyAgent::new(Ppo::new(self.clone()), &self.setup(), context)?))
    }
}
