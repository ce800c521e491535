//! Errors of the network core.

/// An error of the network core. Its message says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum NnError {
    /// A specification that makes no sense: a size of zero, a dropout of 1.5, a negative learning rate.
    #[error("{0}")]
    Config(String),
    /// A saved state or weights file that does not fit what it is loaded into.
    #[error("saved state: {0}")]
    State(String),
    /// A shape or type that a network cannot take.
    #[error("{0}")]
    Shape(String),
    /// A file that cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// The message of the operating system.
        source: std::io::Error,
    },
    /// CUDA was asked for and is not there, or the device's number is out of range.
    #[error("{0}")]
    Device(String),
    /// Numbers that are no longer finite.
    #[error("{0}")]
    Diverged(String),
    /// Another shard of the training, or the way to it, has failed.
    #[error(transparent)]
    Group(#[from] pavlov_group::GroupError),
    /// An error that libtorch reported through tch.
    #[error("libtorch: {}", first_line(.0))]
    Torch(#[from] tch::TchError),
    /// An error that libtorch reported through the shim.
    #[error("libtorch: {0}")]
    Shim(String),
}

/// The message without the trace of C++ calls below it.
fn first_line(error: &tch::TchError) -> String {
    let text = error.to_string();
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned()
}
