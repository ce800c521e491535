//! When an update is due.

use std::fmt;

use pavlov_nn::{StateDict, StateView};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::OffPolicySetup;
use crate::core::AgentError;

/// The number of updates of one update phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdatesPerPhase {
    /// This many.
    Count(u64),
    /// As many as env steps lie between two phases; in a file the word "env_steps".
    EnvSteps,
}

impl UpdatesPerPhase {
    /// The number, for phases that are this many env steps apart.
    pub fn count(self, train_every_env_steps: u64) -> u64 {
        match self {
            Self::Count(count) => count,
            Self::EnvSteps => train_every_env_steps,
        }
    }
}

impl Serialize for UpdatesPerPhase {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => serializer.serialize_u64(*count),
            Self::EnvSteps => serializer.serialize_str("env_steps"),
        }
    }
}

impl<'de> Deserialize<'de> for UpdatesPerPhase {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UpdatesVisitor)
    }
}

struct UpdatesVisitor;

impl Visitor<'_> for UpdatesVisitor {
    type Value = UpdatesPerPhase;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number of updates, or \"env_steps\" for as many as env steps were made")
    }

    fn visit_u64<E: Error>(self, count: u64) -> Result<UpdatesPerPhase, E> {
        Ok(UpdatesPerPhase::Count(count))
    }

    fn visit_i64<E: Error>(self, count: i64) -> Result<UpdatesPerPhase, E> {
        let wrong = |_| E::invalid_value(serde::de::Unexpected::Signed(count), &self);
        Ok(UpdatesPerPhase::Count(u64::try_from(count).map_err(wrong)?))
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<UpdatesPerPhase, E> {
        match word {
            "env_steps" => Ok(UpdatesPerPhase::EnvSteps),
            _ => Err(E::invalid_value(serde::de::Unexpected::Str(word), &self)),
        }
    }
}

/// The number of multiples of `every` in `(before, after]`.
pub fn due(before: u64, after: u64, every: u64) -> u64 {
    after / every - before / every
}

/// The share of a training of `total_env_steps` that is done after `env_steps`, 0 to 1.
pub fn progress(env_steps: u64, total_env_steps: u64) -> f64 {
    (env_steps as f64 / total_env_steps.max(1) as f64).min(1.0)
}

/// Counts env steps over all environments and says how many updates they are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    warmup_env_steps: u64,
    train_every_env_steps: u64,
    updates_per_phase: UpdatesPerPhase,
    total_env_steps: u64,
    env_steps: u64,
    /// Env steps observed since updates were last asked for.
    observed: u64,
}

impl Pace {
    /// A count that begins at 0, of a training of `total_env_steps`.
    pub fn new(setup: &OffPolicySetup, total_env_steps: u64) -> Self {
        Self {
            warmup_env_steps: setup.warmup_env_steps,
            train_every_env_steps: setup.train_every_env_steps,
            updates_per_phase: setup.updates_per_phase,
            total_env_steps,
            env_steps: 0,
            observed: 0,
        }
    }

    /// Counts env steps, those of all environments.
    pub fn observe(&mut self, env_steps: u64) {
        self.env_steps += env_steps;
        self.observed += env_steps;
    }

    /// The share of training that is done.
    pub fn progress(&self) -> f64 {
        progress(self.env_steps, self.total_env_steps)
    }

    /// The env steps so far.
    pub fn env_steps(&self) -> u64 {
        self.env_steps
    }

    /// From where to where env steps were counted since the last call.
    pub fn observed(&mut self) -> (u64, u64) {
        (self.env_steps - std::mem::take(&mut self.observed), self.env_steps)
    }

    /// The number of updates that are due for the env steps from `before` on until `now`.
    pub fn updates_due(&self, before: u64, now: u64) -> u64 {
        if now < self.warmup_env_steps {
            return 0;
        }
        let phases = due(before, now, self.train_every_env_steps);
        phases * self.updates_per_phase.count(self.train_every_env_steps)
    }

    /// The counts.
    ///
    /// # Errors
    /// [`AgentError`] when a value cannot be expressed.
    pub fn state(&self) -> Result<StateDict<'static>, AgentError> {
        let mut state = StateDict::new();
        state.put_value("env_steps", &self.env_steps)?;
        state.put_value("observed", &self.observed)?;
        Ok(state)
    }

    /// Counts on from a saved state.
    ///
    /// # Errors
    /// [`AgentError`] when it does not fit.
    pub fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        self.env_steps = state.value("env_steps")?;
        self.observed = state.value("observed")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(warmup: u64, every: u64, updates: UpdatesPerPhase, total: u64) -> Pace {
        let setup = OffPolicySetup {
            warmup_env_steps: warmup,
            train_every_env_steps: every,
            updates_per_phase: updates,
            ..crate::sac::SacConfig::default().setup()
        };
        Pace::new(&setup, total)
    }

    fn updates(every: u64, updates: UpdatesPerPhase, num_envs: usize) -> u64 {
        let mut pace = pace(0, every, updates, 4800);
        (0..4800 / num_envs)
            .map(|_| {
                pace.observe(num_envs as u64);
                let (before, now) = pace.observed();
                pace.updates_due(before, now)
            })
            .sum()
    }

    #[test]
    fn what_is_due_does_not_depend_on_the_number_of_environments() {
        for num_envs in [1, 4, 16] {
            assert_eq!(updates(1, UpdatesPerPhase::Count(1), num_envs), 4800);
            assert_eq!(updates(10, UpdatesPerPhase::Count(3), num_envs), 1440);
            assert_eq!(updates(64, UpdatesPerPhase::EnvSteps, num_envs), 4800);
        }
    }

    #[test]
    fn nothing_is_due_while_warming_up_and_nothing_is_made_up_for() {
        let mut pace = pace(100, 1, UpdatesPerPhase::Count(1), 1000);
        for step in 1..=100 {
            pace.observe(1);
            let (before, now) = pace.observed();
            assert_eq!(pace.updates_due(before, now), u64::from(step == 100));
        }
        assert_eq!(pace.progress(), 0.1);
    }

    #[test]
    fn updates_are_a_number_or_a_word() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct File {
            updates: UpdatesPerPhase,
        }
        for (text, updates) in [
            ("updates = 3\n", UpdatesPerPhase::Count(3)),
            ("updates = \"env_steps\"\n", UpdatesPerPhase::EnvSteps),
        ] {
            assert_eq!(toml::from_str::<File>(text).unwrap(), File { updates });
            assert_eq!(toml::to_string(&File { updates }).unwrap(), text);
        }
        for wrong in ["updates = -1", "updates = \"many\""] {
            let message = toml::from_str::<File>(wrong).unwrap_err().to_string();
            assert!(message.contains("env_steps"), "{message}");
        }
    }
}
