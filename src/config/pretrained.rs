//! Weights to begin with.

use std::path::{Path, PathBuf};

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
    /// Take all or nothing, as `--from` does: the weights are those of a run of the same agent or task with the
    /// same network, and statistics of normalised observations come along.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub whole: bool,
}

impl PretrainedConfig {
    /// The settings of a run that begins with all of the weights in `path`, as `--set` takes them.
    pub(crate) fn from_run(path: &Path) -> [String; 2] {
        let path = toml::Value::from(path.to_string_lossy().into_owned());
        [format!("pretrained.path={path}"), "pretrained.whole=true".into()]
    }

    /// True if there are no weights to begin with.
    pub fn is_none(&self) -> bool {
        self.path.as_os_str().is_empty()
    }
}
