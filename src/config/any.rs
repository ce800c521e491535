//! The configuration of a run of any kind.

use std::path::Path;

use pavlov_common::files::read_text;
use serde::Serialize;
use toml::Table;

use super::{ConfigError, FitConfig, Registries, RunConfig};
use crate::run::{Origin, Settings};

/// The most bytes of a configuration's file.
const MOST_BYTES: u64 = 4 << 20;

/// The configuration of a run of any kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum AnyConfig {
    /// The training of an agent.
    Agent(Box<RunConfig>),
    /// The fit of a model.
    Fit(Box<FitConfig>),
}

impl AnyConfig {
    /// Reads the configuration in a run's folder. Its kind is told by its keys: `agent` or `task`.
    ///
    /// # Errors
    /// [`ConfigError`] when the file is missing or has become invalid.
    pub fn read(registries: &Registries, path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let file = |message: String| ConfigError::File { name: name.clone(), message };
        let text = read_text(path, MOST_BYTES).map_err(|error| file(error.to_string()))?;
        Self::parse(registries, &text).map_err(|error| file(error.to_string()))
    }

    /// The configuration in this TOML.
    ///
    /// # Errors
    /// [`ConfigError`] when it is invalid.
    pub fn parse(registries: &Registries, text: &str) -> Result<Self, ConfigError> {
        let table: Table =
            text.parse().map_err(|error| ConfigError::Value(format!("not valid TOML: {error}")))?;
        match table.contains_key("task") {
            true => FitConfig::from_table(registries, table).map(|config| Self::Fit(Box::new(config))),
            false => RunConfig::from_table(registries, table).map(|config| Self::Agent(Box::new(config))),
        }
    }

    /// The number of shards.
    pub(crate) fn shards(&self) -> usize {
        match self {
            Self::Agent(config) => config.shards,
            Self::Fit(config) => config.shards,
        }
    }

    /// The same with these `key=value` settings, for a run that goes on.
    ///
    /// # Errors
    /// As [`RunConfig::with_sets`].
    pub(crate) fn with_sets(&self, registries: &Registries, sets: &[String]) -> Result<Self, ConfigError> {
        Ok(match self {
            Self::Agent(config) => Self::Agent(Box::new(config.with_sets(registries, sets)?)),
            Self::Fit(config) => Self::Fit(Box::new(config.with_sets(registries, sets)?)),
        })
    }

    /// The device, and the threads that share an update.
    pub(crate) fn compute_mut(&mut self) -> (&mut String, &mut u32) {
        match self {
            Self::Agent(config) => (&mut config.device, &mut config.update_threads),
            Self::Fit(config) => (&mut config.device, &mut config.update_threads),
        }
    }
}

impl Settings for AnyConfig {
    fn origin(&self) -> Origin {
        match self {
            Self::Agent(config) => config.origin(),
            Self::Fit(config) => config.origin(),
        }
    }

    fn seed(&self) -> u64 {
        match self {
            Self::Agent(config) => config.seed,
            Self::Fit(config) => config.seed,
        }
    }
}
