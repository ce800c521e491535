//! The configuration of actors: threads that step environments while the agent learns.

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::error::{ANY, ConfigError, MOST_OF_A_KIND, MOST_THREADS, at_most, check_counts};

/// The most rollouts that wait for the learner.
const MOST_LAG: u64 = 1_000;
/// The longest wait for an environment: a day.
const MOST_SECONDS: f64 = 86_400.0;

/// The synchronisation of actors and learner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorMode {
    /// All threads run as fast as the limits allow. The numbers depend on timing.
    #[default]
    Free,
    /// Actors and learner take turns in rounds: the numbers are the same for any number of actors.
    Lockstep,
}

/// The thread that runs the policy's network for an actor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InferenceMode {
    /// Each actor runs it, on the CPU.
    #[default]
    Own,
    /// One thread runs it for all actors that wait at the time, on the learner's device.
    Batched,
}

/// The configuration of actors. Every key has a default.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ActorConfig {
    /// The number of actors of each shard; 0 acts and learns in turns, in one thread.
    pub count: usize,
    /// The synchronisation of actors and learner.
    pub mode: ActorMode,
    /// The thread that runs the policy's network.
    pub inference: InferenceMode,
    /// Steps that an actor hands over together, if the agent learns from a replay. Rollouts are handed over
    /// whole.
    pub segment_steps: usize,
    /// Segments that may wait for the replay before actors do.
    pub queue_segments: usize,
    /// The env steps by which data may run ahead of learning, if the agent learns from a replay.
    pub tolerance_env_steps: u64,
    /// Updates from one publication of weights to the next, if the agent learns from a replay. Agents that
    /// learn from rollouts publish after each update phase.
    pub publish_every_updates: u64,
    /// The number of update phases by which the weights at the start of a rollout may lag behind; 0 acts and
    /// learns in turns.
    pub max_policy_lag: u64,
    /// The number of failed environments at which the run stops.
    pub max_failures: u64,
    /// The longest time that an environment may take to answer at the end of a phase, before it is given up.
    pub stop_timeout_seconds: f64,
}

impl Default for ActorConfig {
    fn default() -> Self {
        Self {
            count: 0,
            mode: ActorMode::default(),
            inference: InferenceMode::default(),
            segment_steps: 16,
            queue_segments: 8,
            tolerance_env_steps: 1_000,
            publish_every_updates: 10,
            max_policy_lag: 1,
            max_failures: 10,
            stop_timeout_seconds: 10.0,
        }
    }
}

impl ActorConfig {
    /// Checks each number by itself.
    pub(super) fn validate_counts(&self) -> Result<(), ConfigError> {
        let counts = [
            ("actors.segment_steps", self.segment_steps as u64, MOST_OF_A_KIND),
            ("actors.queue_segments", self.queue_segments as u64, MOST_OF_A_KIND),
            ("actors.tolerance_env_steps", self.tolerance_env_steps, ANY),
            ("actors.publish_every_updates", self.publish_every_updates, ANY),
            ("actors.max_failures", self.max_failures, ANY),
        ];
        check_counts(&counts)?;
        at_most("actors.count", self.count as u64, MOST_THREADS)?;
        at_most("actors.max_policy_lag", self.max_policy_lag, MOST_LAG)
    }

    /// Checks what has to fit together.
    pub(super) fn validate(&self, num_envs: usize, shards: usize) -> Result<(), ConfigError> {
        let seconds = self.stop_timeout_seconds;
        if !(seconds > 0.0 && seconds <= MOST_SECONDS) {
            return Err(ConfigError::Value(format!(
                "actors.stop_timeout_seconds is {seconds}: give a number above 0 and at most {MOST_SECONDS}"
            )));
        }
        if (self.mode, self.inference) == (ActorMode::Lockstep, InferenceMode::Batched) {
            return Err(ConfigError::Value(
                "actors.inference is \"batched\", whose numbers depend on timing, and actors.mode is \"lockstep\", which \
                 promises the same numbers in every run: give actors.inference=own or actors.mode=free"
                    .into(),
            ));
        }
        let (count, each) = (self.count.max(1), shards.saturating_mul(self.count.max(1)));
        if !num_envs.is_multiple_of(each) {
            let (who, what) = match (shards, self.count) {
                (1, _) => (format!("{count} actors"), "actors.count"),
                (_, 0) => (format!("{shards} shards"), "shards"),
                _ => (format!("{count} actors in each of {shards} shards"), "shards x actors.count"),
            };
            return Err(ConfigError::Value(format!(
                "num_envs is {num_envs}, which {who} cannot share evenly: give a multiple of {what}, with --envs {}",
                num_envs.next_multiple_of(each)
            )));
        }
        Ok(())
    }
}

/// If actors or shards are asked for and `num_envs` is not, raises `num_envs` to a multiple of their number.
pub(super) fn give_each_an_environment(table: &mut Table) {
    let number = |value: Option<&Value>| value.and_then(Value::as_integer).unwrap_or_default().max(1);
    let actors = number(table.get("actors").and_then(|actors| actors.get("count")));
    let each = actors.saturating_mul(number(table.get("shards")));
    let envs = number(table.get("num_envs"));
    // A number that overflows is refused with the others that are too large.
    if envs % each != 0 {
        table.insert("num_envs".into(), (envs / each + 1).saturating_mul(each).into());
    }
}
