//! Ape-X DQN (Horgan et al. 2018): Double DQN with n-step returns and a prioritised replay, filled by actors
//! that explore each in its own measure. It is [`dqn`](crate::dqn) with other defaults.

use serde::{Deserialize, Deserializer, Serialize, de::Error};
use toml::Table;

use crate::agent::{Agent, AgentConfig, AgentContext};
use crate::core::AgentError;
use crate::dqn::DqnConfig;
use crate::replay::ReplayConfig;
use crate::review::Review;
use pavlov_common::tables::{merge_tables, typed};

/// The configuration of Ape-X DQN: DQN's, with the paper's numbers where it names them.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct ApexConfig(pub DqnConfig);

impl Default for ApexConfig {
    fn default() -> Self {
        Self(DqnConfig {
            double: true,
            epsilon_start: 0.4,
            epsilon_end: 0.4,
            epsilon_spread: 7.0,
            replay: ReplayConfig { n_steps: 3, priority_exponent: Some(0.6), ..ReplayConfig::default() },
            ..DqnConfig::default()
        })
    }
}

impl<'de> Deserialize<'de> for ApexConfig {
    /// A key that is left out is as in [`ApexConfig::default`], not as in DQN's.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut table = Table::try_from(Self::default()).map_err(D::Error::custom)?;
        merge_tables(&mut table, Table::deserialize(deserializer)?);
        typed(table).map(Self).map_err(D::Error::custom)
    }
}

impl AgentConfig for ApexConfig {
    const NAME: &'static str = "apex";
    const SUMMARY: &'static str = "Ape-X DQN (Horgan et al. 2018): n-step returns, prioritised replay, an epsilon for each sampler; discrete actions";

    fn validate(&self) -> Result<(), AgentError> {
        self.0.validate()
    }

    fn review(&self, context: &AgentContext) -> Result<Review, AgentError> {
        self.0.review(context)
    }

    fn split(self, shards: usize) -> Result<Self, AgentError> {
        self.0.split(shards).map(Self)
    }

    fn build(&self, context: &AgentContext) -> Result<Box<dyn Agent>, AgentError> {
        self.0.build(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_the_papers_and_what_is_wrong_is_named() {
        let config: ApexConfig = toml::from_str("batch_size = 8\nreplay = { n_steps = 5 }").unwrap();
        assert_eq!((config.0.batch_size, config.0.replay.n_steps), (8, 5));
        assert_eq!((config.0.replay.priority_exponent, config.0.epsilon_spread), (Some(0.6), 7.0));
        let round: ApexConfig = toml::from_str(&toml::to_string(&config).unwrap()).unwrap();
        assert_eq!(round, config);
        let error = toml::from_str::<ApexConfig>("batch_sise = 8").unwrap_err().to_string();
        assert!(error.contains("batch_sise"), "{error}");
    }
}
