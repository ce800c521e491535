//! The errors of configurations.

use pavlov_agents::AgentError;
use pavlov_common::bounds;
use pavlov_data::DataError;
use pavlov_envs::EnvError;
use pavlov_tasks::TaskError;

/// A configuration that cannot be used. The message names the key and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A key that does not exist, or a value of the wrong type.
    #[error("configuration: {0}")]
    Key(String),
    /// A value that makes no sense.
    #[error("configuration: {0}")]
    Value(String),
    /// A file that cannot be read, or is not a configuration.
    #[error("configuration file {name}: {message}")]
    File {
        /// The file.
        name: String,
        /// The error in the file.
        message: String,
    },
    /// The agent is unknown or refuses its hyper-parameters.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The environment is unknown or refuses its options.
    #[error(transparent)]
    Env(#[from] EnvError),
    /// The task is unknown or refuses its hyper-parameters.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// The data set is unknown or refuses its options.
    #[error(transparent)]
    Data(#[from] DataError),
}

/// The most threads of one kind.
pub(super) const MOST_THREADS: u64 = 1_024;
/// The most shards of a training.
pub(super) const MOST_SHARDS: u64 = 4_096;
/// The most environments, batches or segments of a kind.
pub(super) const MOST_OF_A_KIND: u64 = 1 << 16;
/// No bound: what lies beyond the run's end is never reached.
pub(super) const ANY: u64 = u64::MAX;

/// Refuses settings that count something and are 0, or more than the most that makes sense.
pub(super) fn check_counts(counts: &[(&str, u64, u64)]) -> Result<(), ConfigError> {
    counts.iter().try_for_each(|&(name, count, most)| match count {
        0 => Err(ConfigError::Value(format!("{name} is 0: give at least 1"))),
        _ => at_most(name, count, most),
    })
}

/// Refuses a count above the most that makes sense.
pub(super) fn at_most(name: &str, count: u64, most: u64) -> Result<(), ConfigError> {
    bounds::at_most(name, count, most).map_err(ConfigError::Value)
}
