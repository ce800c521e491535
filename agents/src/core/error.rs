//! Errors of agents.

use pavlov_envs::EnvError;
use pavlov_nn::NnError;

/// An error of an agent. Its message says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// A configuration that makes no sense.
    #[error("{0}")]
    Config(String),
    /// No agent has this name.
    #[error("unknown agent `{name}`{hint}")]
    UnknownAgent {
        /// The name that was asked for.
        name: String,
        /// " (did you mean ...?)" or nothing.
        hint: String,
    },
    /// The agent cannot play environments with these spaces.
    #[error("{0}")]
    Unsupported(String),
    /// The network's numbers are no longer finite.
    #[error(
        "the training has diverged: {0}. Lower the learning rate, set gradient_clip_norm, or make large \
             rewards smaller with the wrapper `scale_reward`"
    )]
    Diverged(String),
    /// A saved state that does not fit.
    #[error("saved state: {0}")]
    State(String),
    /// An error of the network core.
    #[error(transparent)]
    Nn(NnError),
    /// An error of an environment.
    #[error(transparent)]
    Env(#[from] EnvError),
}

impl From<NnError> for AgentError {
    fn from(error: NnError) -> Self {
        match error {
            NnError::Diverged(what) => Self::Diverged(what),
            other => Self::Nn(other),
        }
    }
}

impl From<pavlov_group::GroupError> for AgentError {
    fn from(error: pavlov_group::GroupError) -> Self {
        Self::Nn(error.into())
    }
}

impl From<tch::TchError> for AgentError {
    fn from(error: tch::TchError) -> Self {
        Self::Nn(error.into())
    }
}
