//! Errors of tasks.

use pavlov_data::DataError;
use pavlov_nn::NnError;

/// An error of a task. Its message says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// A configuration that makes no sense.
    #[error("{0}")]
    Config(String),
    /// No task has this name.
    #[error("unknown task `{name}`{hint}")]
    UnknownTask {
        /// The name that was asked for.
        name: String,
        /// " (did you mean ...?)" or nothing.
        hint: String,
    },
    /// The task cannot learn from such data.
    #[error("{0}")]
    Unsupported(String),
    /// The network's numbers are no longer finite.
    #[error("the fit has diverged: {0}. Lower learning.rate, or set learning.gradient_clip_norm")]
    Diverged(String),
    /// A saved state that does not fit.
    #[error("saved state: {0}")]
    State(String),
    /// An error of the network core.
    #[error(transparent)]
    Nn(NnError),
    /// An error of the data.
    #[error(transparent)]
    Data(#[from] DataError),
}

impl From<NnError> for TaskError {
    fn from(error: NnError) -> Self {
        match error {
            NnError::Diverged(what) => Self::Diverged(what),
            other => Self::Nn(other),
        }
    }
}

impl From<tch::TchError> for TaskError {
    fn from(error: tch::TchError) -> Self {
        Self::Nn(error.into())
    }
}
