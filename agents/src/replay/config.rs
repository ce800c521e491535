//! The configuration of a replay: what it keeps, and how it is sampled.

use pavlov_common::optional;
use pavlov_nn::Schedule;
use serde::{Deserialize, Serialize};

use crate::core::AgentError;
use crate::core::checks::{MOST_STEPS, count, schedule, share};

/// The configuration of a replay, besides its capacity.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReplayConfig {
    /// Over how many steps rewards are added up before the value of what follows is asked for (Sutton 1988),
    /// `n` in the papers.
    pub n_steps: usize,
    /// The preference for transitions that the value was wrong about: `alpha` of Schaul et al. (2016), from 0
    /// (not at all) to 1; or "off", which draws uniformly.
    #[serde(with = "optional")]
    pub priority_exponent: Option<f64>,
    /// The extent to which that is made up for by weighing their losses less: `beta`, from 0 to 1, over the
    /// share of training that is done.
    pub importance_exponent: Schedule,
}

impl Default for ReplayConfig {
    fn default() -> Self {
        Self { n_steps: 1, priority_exponent: None, importance_exponent: Schedule::linear(0.4, 1.0) }
    }
}

impl ReplayConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`AgentError::Config`] naming the field that makes no sense.
    pub fn validate(&self) -> Result<(), AgentError> {
        count("replay.n_steps", self.n_steps as u64, MOST_STEPS)?;
        if let Some(exponent) = self.priority_exponent {
            share("replay.priority_exponent", exponent)?;
        }
        schedule("replay.importance_exponent", &self.importance_exponent)?;
        for progress in [0.0, 0.5, 1.0] {
            share("replay.importance_exponent", self.importance_exponent.value(progress))?;
        }
        Ok(())
    }
}
