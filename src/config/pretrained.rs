//! Weights to begin with.

use std::path::PathBuf;

use pavlov_nn::Rename;
use serde::{Deserialize, Serialize};

/// Weights that a network begins with, instead of random numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PretrainedConfig {
    /// A run's folder, whose best weights are taken, or a file of safetensors, PyTorch's names included;
    /// empty for none.
    pub path: PathBuf,
    /// From the names in the file to the network's: one start of a name is taken for another.
    pub rename: Vec<Rename>,
}

impl PretrainedConfig {
    /// True if there are no weights to begin with.
    pub fn is_none(&self) -> bool {
        self.path.as_os_str().is_empty()
    }
}
