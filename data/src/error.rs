//! Errors of data.

use std::path::PathBuf;

/// An error of this crate. The message names the file and the place where there is one, and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file or folder cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// A file does not hold what its format asks for.
    #[error("{}: {message}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The fault and its place.
        message: String,
    },
    /// The samples cannot be used as they were asked to be.
    #[error("{0}")]
    Data(String),
    /// A setting that makes no sense.
    #[error("{0}")]
    Config(String),
    /// A sample that cannot be read.
    #[error("sample {index}: {source}")]
    Sample {
        /// Its place in the data set.
        index: usize,
        /// The reason.
        source: Box<DataError>,
    },
    /// A name that no data set has.
    #[error("{0}")]
    Unknown(String),
}

impl DataError {
    /// The error of a file that cannot be read.
    pub fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }

    /// The error of a file whose contents are wrong.
    pub fn format(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self::Format { path: path.into(), message: message.into() }
    }

    /// The error of a sample that cannot be read.
    pub fn of_sample(index: usize, source: Self) -> Self {
        Self::Sample { index, source: Box::new(source) }
    }
}
