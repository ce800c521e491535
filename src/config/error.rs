//! The errors of configurations.

use pavlov_agents::AgentError;
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

/// Refuses settings of this name that count something and are 0.
pub(super) fn refuse_zeros(counts: &[(&str, u64)]) -> Result<(), ConfigError> {
    match counts.iter().find(|(_, count)| *count == 0) {
        Some((name, _)) => Err(ConfigError::Value(format!("{name} is 0: give at least 1"))),
        None => Ok(()),
    }
}
