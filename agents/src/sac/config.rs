//! Every number of SAC that can be set.

use std::fmt;

use pavlov_common::optional;
use pavlov_envs::Space;
use pavlov_nn::{OptimizerConfig, Schedule};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Sac;
use crate::agent::{Agent, AgentConfig, AgentContext};
use crate::core::{AgentError, LossForm};
use crate::networks::NetConfig;
use crate::off_policy::{
    OffPolicyAgent, UnitBox, UpdatesPerPhase, off_policy_config, replay_review, total_updates,
};
use crate::replay::ReplayConfig;
use crate::review::Review;

/// The weight of the entropy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Temperature {
    /// Always this much.
    Fixed(f64),
    /// Trained so that the policy's entropy stays at the target; in a file the word "auto".
    Trained,
}

impl Serialize for Temperature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Fixed(value) => serializer.serialize_f64(*value),
            Self::Trained => serializer.serialize_str("auto"),
        }
    }
}

impl<'de> Deserialize<'de> for Temperature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TemperatureVisitor)
    }
}

struct TemperatureVisitor;

impl Visitor<'_> for TemperatureVisitor {
    type Value = Temperature;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number, or \"auto\" to train it")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Temperature, E> {
        Ok(Temperature::Fixed(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Temperature, E> {
        Ok(Temperature::Fixed(value as f64))
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Temperature, E> {
        match word {
            "auto" => Ok(Temperature::Trained),
            _ => Err(E::invalid_value(serde::de::Unexpected::Str(word), &self)),
        }
    }
}

off_policy_config! {
    /// The configuration of SAC. The defaults are the paper's; each environment's preset says what differs.
    pub struct SacConfig {
        /// Updates from one move of the target critics to the next.
        pub target_update_every_updates: u64,
        /// The number of critics; the smallest of their values counts.
        pub critics: usize,
        /// The weight of the entropy, `alpha` in the papers, or "auto" to train it.
        pub temperature: Temperature,
        /// The initial value of a trained temperature.
        pub temperature_start: f64,
        /// The entropy that a trained temperature aims at, in nats; "off" takes minus the number of an
        /// action's dimensions, or 0.98 of the largest entropy for discrete actions. Where an action mask
        /// allows `k` of `n` actions, the state's target is `ln k / ln n` of it: the same share of the
        /// largest entropy.
        #[serde(with = "optional")]
        pub target_entropy: Option<f64>,
    }
}

impl Default for SacConfig {
    fn default() -> Self {
        Self {
            learning_rate: Schedule::constant(3e-4),
            discount: 0.99,
            batch_size: 256,
            replay_capacity: 1_000_000,
            replay: ReplayConfig::default(),
            warmup_env_steps: 100,
            train_every_env_steps: 1,
            updates_per_phase: UpdatesPerPhase::Count(1),
            target_update_tau: 0.005,
            target_update_every_updates: 1,
            critics: 2,
            temperature: Temperature::Trained,
            temperature_start: 1.0,
            target_entropy: None,
            gradient_clip_norm: None,
            net: NetConfig::relu(256),
            optimizer: OptimizerConfig::default(),
        }
    }
}

impl AgentConfig for SacConfig {
    const NAME: &'static str = "sac";
    const SUMMARY: &'static str = "Soft actor-critic (Haarnoja et al. 2018; discrete: Christodoulou 2019); continuous or discrete actions";

    fn validate(&self) -> Result<(), AgentError> {
        use crate::core::checks::{ANY, MOST_CRITICS, count, finite, not_negative, positive};
        self.setup().validate()?;
        count("target_update_every_updates", self.target_update_every_updates, ANY)?;
        count("critics", self.critics as u64, MOST_CRITICS)?;
        if let Temperature::Fixed(value) = self.temperature {
            not_negative("temperature", value)?;
        }
        positive("temperature_start", self.temperature_start)?;
        self.target_entropy.map_or(Ok(()), |entropy| finite("target_entropy", entropy))
    }

    fn review(&self, context: &AgentContext) -> Result<Review, AgentError> {
        let setup = self.setup();
        let mut review = replay_review(&setup, context)?;
        let (every, total) = (self.target_update_every_updates, total_updates(&setup, context));
        review.warn_if(every > total, || {
            format!(
                "target_update_every_updates is {every}, and there are {total} updates: the target critics stay as they \
                 begin"
            )
        });
        let is_fixed = self.temperature != Temperature::Trained;
        review.warn_if(is_fixed && self.target_entropy.is_some(), || {
            "target_entropy has no effect: temperature is a number, and not trained".into()
        });
        review.warn_if(is_fixed && self.temperature_start != Self::default().temperature_start, || {
            "temperature_start has no effect: temperature is a number, and not trained".into()
        });
        Ok(review)
    }

    fn split(self, shards: usize) -> Result<Self, AgentError> {
        let setup = self.setup().split(shards)?;
        Ok(self.with_setup(setup))
    }

    fn build(&self, context: &AgentContext) -> Result<Box<dyn Agent>, AgentError> {
        let form = LossForm::of(context.device);
        if let Space::Discrete(actions) = context.action_space {
            let learner = Sac::discrete(self.clone(), actions as usize, context, form)?;
            return Ok(Box::new(OffPolicyAgent::new(learner, &self.setup(), None, context)?));
        }
        let bounds = UnitBox::new(Self::NAME, &context.action_space)?;
        let learner = Sac::continuous(self.clone(), bounds.clone(), context, form)?;
        Ok(Box::new(OffPolicyAgent::new(learner, &self.setup(), Some(bounds), context)?))
    }
}
