//! The configuration of a fit: a task on a data set.

use std::path::PathBuf;

use pavlov_common::tables::merge_tables;
use pavlov_data::{DatasetOptions, SplitConfig, TransformConfig};
use pavlov_tasks::{LearningConfig, TaskError};
use serde::{Deserialize, Serialize};
use toml::Table;

use super::error::{ANY, ConfigError, MOST_OF_A_KIND, MOST_SHARDS, MOST_THREADS, check_counts};
use super::presets::fit_preset;
use super::seed;
use super::tables;
use super::{Overrides, PretrainedConfig, Registries, anchor, auto, one, two};
use crate::run::{Origin, Settings};

/// The keys of a fit's configuration; `--set` takes any other for one of the task's own.
const FIT_KEYS: [&str; 15] = [
    "task",
    "seed",
    "epochs",
    "updates",
    "shards",
    "device",
    "threads",
    "update_threads",
    "data",
    "learning",
    "pretrained",
    "log",
    "validation",
    "checkpoint",
    "hyperparameters",
];

/// Everything that makes a fit what it is. Two fits of one configuration on one machine give the same
/// numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FitConfig {
    /// The task's name.
    pub task: String,
    /// The seed from which every generator is derived.
    #[serde(default, with = "seed")]
    pub seed: u64,
    /// Passes over the training data.
    #[serde(default = "ten")]
    pub epochs: u64,
    /// The length of the fit in updates, instead of epochs; 0 counts epochs.
    #[serde(default)]
    pub updates: u64,
    /// The parts into which every batch is cut; gradients are summed over all of them. One process works on all
    /// of them, or several processes share them out evenly (`pavlov launch`, torchrun): the numbers are the same.
    #[serde(default = "one")]
    pub shards: usize,
    /// The device of the networks: `auto`, `cpu`, `cuda` or `cuda:N`.
    #[serde(default = "auto")]
    pub device: String,
    /// Threads that libtorch may use within one operation. More than one pays for large networks only.
    #[serde(default = "one")]
    pub threads: usize,
    /// Threads that share the passes of small networks, as many as there are cores at most. The numbers do
    /// not depend on it.
    #[serde(default = "two")]
    pub update_threads: u32,
    /// The log.
    #[serde(default)]
    pub log: FitLogConfig,
    /// The measurements on validation data during the fit.
    #[serde(default)]
    pub validation: ValidationConfig,
    /// The checkpoints.
    #[serde(default)]
    pub checkpoint: FitCheckpointConfig,
    /// The data.
    pub data: DataConfig,
    /// The settings of learning.
    #[serde(default)]
    pub learning: LearningConfig,
    /// Weights that the network begins with.
    #[serde(default, skip_serializing_if = "PretrainedConfig::is_none")]
    pub pretrained: PretrainedConfig,
    /// The task's own configuration.
    #[serde(default)]
    pub hyperparameters: Table,
}

fn ten() -> u64 {
    10
}

/// The configuration of a fit's data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// The data set's name.
    pub name: String,
    /// The user's file or folder; empty for data sets that need none.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub path: PathBuf,
    /// Samples of one batch.
    #[serde(default = "sixty_four")]
    pub batch_size: usize,
    /// Batches whose gradients count together in one update.
    #[serde(default = "one")]
    pub accumulate: usize,
    /// Threads that make batches. The numbers do not depend on it.
    #[serde(default = "one")]
    pub loader_threads: usize,
    /// Draw samples of each class equally often.
    #[serde(default)]
    pub balanced: bool,
    /// Leave out the last batch of an epoch where it is smaller than the others.
    #[serde(default)]
    pub drop_last: bool,
    /// Give inputs the mean 0 and the deviation 1, by the statistics of the training samples.
    #[serde(default = "yes")]
    pub normalize: bool,
    /// The shares of the samples to validate and to test with.
    #[serde(default)]
    pub split: SplitConfig,
    /// The transforms of inputs, in order. Those that augment act in training alone.
    #[serde(default)]
    pub transforms: Vec<TransformConfig>,
    /// The data set's own options.
    #[serde(default)]
    pub options: Table,
}

fn sixty_four() -> usize {
    64
}

fn yes() -> bool {
    true
}

fn is_empty(path: &std::path::Path) -> bool {
    path.as_os_str().is_empty()
}

impl DataConfig {
    /// The options that the data set is opened with.
    pub fn options(&self) -> DatasetOptions {
        let path = (!is_empty(&self.path)).then(|| self.path.clone());
        DatasetOptions { path, options: self.options.clone() }
    }
}

/// The configuration of a fit's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FitLogConfig {
    /// Updates from one row of the log to the next.
    pub every_updates: u64,
}

impl Default for FitLogConfig {
    fn default() -> Self {
        Self { every_updates: 50 }
    }
}

/// The configuration of validations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ValidationConfig {
    /// Epochs from one validation to the next; 0 never validates.
    pub every_epochs: u64,
    /// Updates from one validation to the next, instead of epochs; 0 counts epochs.
    pub every_updates: u64,
    /// Validations without progress after which the fit stops; 0 never stops it.
    pub patience: u64,
    /// Record pictures among TensorBoard's images.
    pub pictures: bool,
}

impl Default for ValidationConfig {
    fn default() -> Self {
        Self { every_epochs: 1, every_updates: 0, patience: 0, pictures: true }
    }
}

/// The configuration of a fit's checkpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FitCheckpointConfig {
    /// Updates from one checkpoint to the next; 0 writes one at the end only.
    pub every_updates: u64,
    /// The number of latest checkpoints that are kept.
    pub keep_last: usize,
}

impl Default for FitCheckpointConfig {
    fn default() -> Self {
        Self { every_updates: 500, keep_last: 2 }
    }
}

impl FitConfig {
    /// The configuration for `task` on `data` with the user's overrides, resolved and checked.
    ///
    /// # Errors
    /// [`ConfigError`] that names the key and the remedy.
    pub fn resolve(
        registries: &Registries,
        task: &str,
        data: &str,
        overrides: &Overrides,
    ) -> Result<Self, ConfigError> {
        registries.dataset(data)?;
        let defaults = registries.tasks.get(task)?.resolve(&Table::new())?;
        let learning = Table::try_from(LearningConfig::default());
        let learning = learning.map_err(|error| ConfigError::Value(error.to_string()))?;
        // Defaults lie below all else, so that one field of a nested table can be set alone.
        let mut table = Table::from_iter([
            ("hyperparameters".to_string(), defaults.into()),
            ("learning".to_string(), learning.into()),
        ]);
        merge_tables(&mut table, fit_preset(task, data));
        if let Some(given) = overrides.table()? {
            let name = overrides.file.as_ref().map_or("", |file| &file.name);
            tables::agrees(&given, "task", task, name)?;
            merge_tables(&mut table, given);
        }
        let named = Table::from_iter([("name".to_string(), data.into())]);
        let names = [("task".to_string(), task.into()), ("data".to_string(), named.into())];
        merge_tables(&mut table, Table::from_iter(names));
        let mut table = tables::written_out(table, |table| Self::from_table(registries, table));
        for set in &overrides.sets {
            merge_tables(&mut table, tables::parse_set(set, &FIT_KEYS)?);
        }
        Self::from_table(registries, table)
    }

    /// The same with other data or another device: each of `sets` is `data.KEY=VALUE`, of its path, its options
    /// or its reading, or `device=NAME`.
    ///
    /// # Errors
    /// [`ConfigError`] that names the key and the remedy; a key that changes how the model was fitted is
    /// refused.
    pub fn with_data(&self, registries: &Registries, sets: &[String]) -> Result<Self, ConfigError> {
        let mut table = Table::try_from(self).map_err(|error| ConfigError::Value(error.to_string()))?;
        for set in sets {
            let given = tables::parse_set(set, &FIT_KEYS)?;
            let key = set.split('=').next().unwrap_or_default().trim();
            if key == "device" {
                merge_tables(&mut table, given);
                continue;
            }
            let key = key.strip_prefix("data.").and_then(|key| key.split('.').next());
            if !key.is_some_and(|key| ["path", "options", "batch_size", "loader_threads"].contains(&key)) {
                return Err(ConfigError::Key(format!(
                    "--set {set}: a fitted model is as it was fitted; of its data data.path, data.options.KEY, \
                     data.batch_size and data.loader_threads can be set"
                )));
            }
            merge_tables(&mut table, given);
        }
        Self::from_table(registries, table)
    }

    /// The same with these `key=value` settings, for a fit that goes on.
    ///
    /// # Errors
    /// As [`FitConfig::resolve`].
    pub fn with_sets(&self, registries: &Registries, sets: &[String]) -> Result<Self, ConfigError> {
        Self::from_table(registries, tables::with_sets(self, sets, &FIT_KEYS)?)
    }

    pub(super) fn from_table(registries: &Registries, table: Table) -> Result<Self, ConfigError> {
        let mut config: Self = tables::typed(table)?;
        let spec = registries.tasks.get(&config.task)?;
        config.hyperparameters = spec.resolve(&config.hyperparameters).map_err(explain_task)?;
        config.validate()?;
        Ok(config)
    }

    fn validate(&self) -> Result<(), ConfigError> {
        let counts = [
            ("threads", self.threads as u64, MOST_THREADS),
            ("update_threads", u64::from(self.update_threads), MOST_THREADS),
            ("shards", self.shards as u64, MOST_SHARDS),
            ("data.batch_size", self.data.batch_size as u64, ANY),
            ("data.accumulate", self.data.accumulate as u64, MOST_OF_A_KIND),
            ("data.loader_threads", self.data.loader_threads as u64, MOST_THREADS),
            ("log.every_updates", self.log.every_updates, ANY),
            ("checkpoint.keep_last", self.checkpoint.keep_last as u64, ANY),
        ];
        check_counts(&counts)?;
        if self.epochs == 0 && self.updates == 0 {
            return Err(ConfigError::Value("epochs and updates are 0: give at least 1 of one".into()));
        }
        if !self.data.batch_size.is_multiple_of(self.shards) {
            return Err(ConfigError::Value(format!(
                "data.batch_size is {}, which {} shards cannot share evenly: give a multiple of shards",
                self.data.batch_size, self.shards
            )));
        }
        if self.validation.patience > 0 && !self.validates() {
            let message = "validation.patience needs validations, and validation.every_epochs is 0";
            return Err(ConfigError::Value(message.into()));
        }
        Ok(self.learning.validate()?)
    }

    /// The same with absolute paths: a run is resumed from any folder.
    ///
    /// # Errors
    /// When the present folder is gone.
    pub fn anchored(mut self) -> anyhow::Result<Self> {
        anchor([&mut self.data.path, &mut self.pretrained.path])?;
        Ok(self)
    }

    /// True if there are validations.
    pub fn validates(&self) -> bool {
        self.validation.every_epochs > 0 || self.validation.every_updates > 0
    }
}

fn explain_task(error: TaskError) -> ConfigError {
    match error {
        TaskError::Config(message) => ConfigError::Key(tables::explain(&message)),
        other => other.into(),
    }
}

impl Settings for FitConfig {
    fn origin(&self) -> Origin {
        Origin { kind: "task".into(), name: self.task.clone(), on: self.data.name.clone() }
    }

    fn seed(&self) -> u64 {
        self.seed
    }
}
