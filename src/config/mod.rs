//! The configuration of a run: typed, checked, and written out whole into the run's folder.
//!
//! It is put together from the agent's defaults, then the preset for agent and environment, then a file
//! (`--config`), then single keys (`--set key=value`); each overrides the ones before it. A key that does not
//! exist is an error that names the nearest one that does.

mod actors;
mod any;
mod error;
mod fit;
mod presets;
mod pretrained;
mod seed;
mod tables;

use std::path::PathBuf;

use pavlov_agents::{AgentRegistry, NetworkRegistry};
use pavlov_common::optional;
use pavlov_common::tables::merge_tables;
use pavlov_data::{DataError, DatasetRegistry, DatasetSpec};
use pavlov_envs::wrappers::WrapperConfig;
use pavlov_envs::{EnvFactory, EnvOptions, Registry};
use pavlov_tasks::TaskRegistry;
use serde::{Deserialize, Serialize};
use toml::Table;

use crate::run::{CallbackRegistry, Origin, Settings};

/// The most episodes of one evaluation.
const MOST_EPISODES: u64 = 1_000_000;

pub use actors::{ActorConfig, ActorMode, InferenceMode};
pub use any::AnyConfig;
pub use error::ConfigError;
use error::{ANY, MOST_OF_A_KIND, MOST_SHARDS, MOST_THREADS, at_most, check_counts};
pub use fit::{DataConfig, FitCheckpointConfig, FitConfig, FitLogConfig, ValidationConfig};
pub use presets::{Presets, pairs as presets, preset};
pub use pretrained::PretrainedConfig;
pub(crate) use tables::parse_option;

/// The registries of everything that is used by name.
#[derive(Clone, Debug)]
pub struct Registries {
    /// The environments.
    pub envs: Registry,
    /// The agents.
    pub agents: AgentRegistry,
    /// The backbones that `net.backbone` can name.
    pub networks: NetworkRegistry,
    /// The tasks.
    pub tasks: TaskRegistry,
    /// The data sets.
    pub datasets: DatasetRegistry,
    /// The callbacks of every run.
    pub callbacks: CallbackRegistry,
    /// The presets of agents, a program's own among them.
    pub presets: Presets,
}

impl Registries {
    /// The registries of everything that Pavlov brings along.
    pub fn bundled() -> Self {
        let envs = Registry::bundled();
        let mut datasets = DatasetRegistry::bundled();
        // No other set has its name: the bundled ones are known.
        let _ = datasets.register(crate::fitting::frames(&envs));
        Self {
            envs,
            agents: AgentRegistry::bundled(),
            networks: NetworkRegistry::new(),
            tasks: TaskRegistry::bundled(),
            datasets,
            callbacks: CallbackRegistry::default(),
            presets: Presets::default(),
        }
    }

    /// Adds presets for `agent`: a text as the files in `src/presets/` are, each preset a `[[presets]]` with its
    /// `environments`. What it sets is the default of `pavlov train` for this pair, before a bundled preset.
    /// The agent and the environments must be registered.
    ///
    /// ```
    /// # use pavlov::{Overrides, Registries, RunConfig};
    /// let mut registries = Registries::bundled();
    /// let text = r#"
    ///     [[presets]]
    ///     environments = ["CartPole-v1"]
    ///     env_steps = 20_000
    ///     hyperparameters.learning_rate = 1e-3
    /// "#;
    /// registries.add_presets("dqn", text)?;
    /// let config = RunConfig::resolve(&registries, "dqn", "CartPole-v1", &Overrides::default())?;
    /// assert_eq!(config.env_steps, 20_000);
    /// # Ok::<(), pavlov::config::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// [`ConfigError`] for a text of another form, an unknown name, or a key that no configuration has.
    pub fn add_presets(&mut self, agent: &str, text: &str) -> Result<(), ConfigError> {
        self.agents.get(agent)?;
        let mut presets = self.presets.clone();
        let added = presets.add(agent, text)?;
        let before = std::mem::replace(&mut self.presets, presets);
        for environment in added {
            if let Err(error) = RunConfig::resolve(self, agent, &environment, &Overrides::default()) {
                self.presets = before;
                let name = format!("presets for {agent} on {environment}");
                return Err(ConfigError::File { name, message: error.to_string() });
            }
        }
        Ok(())
    }

    /// The data set of this name. `frames` plays the environments that are registered now, a program's own
    /// included.
    ///
    /// # Errors
    /// [`DataError::Unknown`], with the nearest name that there is.
    pub fn dataset(&self, name: &str) -> Result<DatasetSpec, DataError> {
        Ok(match self.datasets.get(name)? {
            spec if spec.name == crate::fitting::FRAMES => crate::fitting::frames(&self.envs),
            spec => spec.clone(),
        })
    }
}

/// Everything that makes a run what it is. Two runs of one configuration on one machine give the same
/// numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// The agent's name.
    pub agent: String,
    /// The environment's id.
    pub environment: String,
    /// The seed from which every generator is derived.
    #[serde(default, with = "seed")]
    pub seed: u64,
    /// The env steps of the whole training, counted over all environments.
    #[serde(default = "default_env_steps")]
    pub env_steps: u64,
    /// The number of environments that are stepped together.
    #[serde(default = "one")]
    pub num_envs: usize,
    /// The parts into which the training is cut, each with its share of the environments, of the replay and of
    /// every batch; gradients are summed over all of them. One process works on all of them, or several
    /// processes share them out evenly (`pavlov launch`, torchrun): the numbers are the same.
    #[serde(default = "one")]
    pub shards: usize,
    /// Threads that step the environments; 0 takes as many as there are cores. The numbers do not depend on
    /// it, and more than one pays for slow environments only.
    #[serde(default = "one")]
    pub env_threads: usize,
    /// Threads that step the environments while the agent learns.
    #[serde(default)]
    pub actors: ActorConfig,
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
    pub log: LogConfig,
    /// The evaluations during training.
    #[serde(default)]
    pub evaluation: EvaluationConfig,
    /// The checkpoints.
    #[serde(default)]
    pub checkpoint: CheckpointConfig,
    /// The environment's own options.
    #[serde(default)]
    pub environment_options: Table,
    /// The wrappers around the environment, the innermost first.
    #[serde(default)]
    pub wrappers: Vec<WrapperConfig>,
    /// Weights that the policy's network begins with.
    #[serde(default, skip_serializing_if = "PretrainedConfig::is_none")]
    pub pretrained: PretrainedConfig,
    /// The agent's own configuration.
    #[serde(default)]
    pub hyperparameters: Table,
}

fn default_env_steps() -> u64 {
    100_000
}

fn one() -> usize {
    1
}

fn two() -> u32 {
    2
}

fn auto() -> String {
    "auto".into()
}

/// The configuration of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// Env steps from one row of the log to the next.
    pub every_env_steps: u64,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { every_env_steps: 1_000 }
    }
}

/// The configuration of evaluations: greedy episodes on environments and seeds of their own, with raw
/// rewards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluationConfig {
    /// Env steps from one evaluation to the next; 0 never evaluates.
    pub every_env_steps: u64,
    /// Episodes of one evaluation.
    pub episodes: usize,
    /// At the end of the training, the weights of the three best evaluations play this many new episodes each, and
    /// the winner's become the best weights: a metric that is the best of many owes part of it to luck. All of
    /// them together play half as many episodes as the evaluations did at most; 0 keeps the weights of the
    /// best evaluation.
    pub final_episodes: usize,
    /// The most environments that an evaluation opens at the same time, each for one episode after the other. They
    /// stay open for the next evaluation.
    pub num_envs: usize,
    /// Closes the training's environments for the time of an evaluation, for a world that exists once: a
    /// simulator on a fixed port, a robot. Where they cannot be saved, their episodes are cut off. The evaluation's
    /// own are closed after it.
    pub share_world: bool,
    /// Evaluations from one film of an episode among TensorBoard's images to the next; 0 records none.
    pub film_every_evaluations: u64,
    /// The mean return at which training stops early, or "off".
    #[serde(with = "optional")]
    pub until_return: Option<f64>,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self {
            every_env_steps: 5_000,
            episodes: 10,
            final_episodes: 100,
            num_envs: 32,
            share_world: false,
            film_every_evaluations: 0,
            until_return: None,
        }
    }
}

/// The configuration of checkpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointConfig {
    /// Env steps from one checkpoint to the next; 0 writes one at the end only.
    pub every_env_steps: u64,
    /// The number of latest checkpoints that are kept.
    pub keep_last: usize,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { every_env_steps: 10_000, keep_last: 2 }
    }
}

/// Makes the paths that are given absolute.
fn anchor<'p>(paths: impl IntoIterator<Item = &'p mut PathBuf>) -> anyhow::Result<()> {
    for path in paths.into_iter().filter(|path| !path.as_os_str().is_empty()) {
        *path = std::path::absolute(&*path)?;
    }
    Ok(())
}

/// A configuration file that has been read.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    /// The file's name, for messages.
    pub name: String,
    /// The file's text, in TOML.
    pub text: String,
}

/// The user's settings beyond the preset.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// A configuration file.
    pub file: Option<ConfigFile>,
    /// `key=value` pairs in the order given.
    pub sets: Vec<String>,
}

impl Overrides {
    /// True if the user sets this key of the whole configuration.
    ///
    /// # Errors
    /// [`ConfigError::File`] when the file is no TOML.
    pub(crate) fn names(&self, key: &str) -> Result<bool, ConfigError> {
        let is_key = |set: &String| set.split('=').next().is_some_and(|name| name.trim() == key);
        Ok(self.sets.iter().any(is_key) || self.table()?.is_some_and(|table| table.contains_key(key)))
    }

    /// The file as a table.
    fn table(&self) -> Result<Option<Table>, ConfigError> {
        let Some(ConfigFile { name, text }) = &self.file else { return Ok(None) };
        let parsed = text.parse().map_err(|error| ConfigError::File {
            name: name.clone(),
            message: format!("not valid TOML: {error}"),
        });
        parsed.map(Some)
    }
}

impl RunConfig {
    /// The configuration for `agent` on `environment` with the user's overrides, resolved and checked.
    ///
    /// # Errors
    /// [`ConfigError`] that names the key and the remedy.
    pub fn resolve(
        registries: &Registries,
        agent: &str,
        environment: &str,
        overrides: &Overrides,
    ) -> Result<Self, ConfigError> {
        let is_swapped =
            registries.envs.spec(environment).is_err() && registries.agents.get(environment).is_ok();
        if is_swapped {
            return Err(ConfigError::Value(format!(
                "`{environment}` is an agent and stands in the environment's place: the agent comes first, then the \
                 environment"
            )));
        }
        registries.envs.spec(environment)?;
        // The agent's defaults lie below all else, so that one field of a nested table can be set alone.
        let defaults = registries.agents.get(agent)?.resolve(&Table::new())?;
        let mut table = Table::from_iter([("hyperparameters".to_string(), defaults.into())]);
        merge_tables(&mut table, registries.presets.get(agent, environment).unwrap_or_default());
        if let Some(given) = overrides.table()? {
            let name = overrides.file.as_ref().map_or("", |file| &file.name);
            tables::agrees(&given, "agent", agent, name)?;
            tables::agrees(&given, "environment", environment, name)?;
            merge_tables(&mut table, given);
        }
        table.insert("agent".into(), agent.into());
        table.insert("environment".into(), environment.into());
        let parsed = overrides.sets.iter().map(|set| tables::parse_set(set, &tables::RUN_KEYS));
        let sets = parsed.collect::<Result<Vec<_>, _>>()?;
        let asked = sets.iter().any(|set| set.contains_key("num_envs"));
        let mut table = tables::written_out(table, |table| Self::from_table(registries, table));
        sets.into_iter().for_each(|set| merge_tables(&mut table, set));
        if !asked {
            actors::give_each_an_environment(&mut table);
        }
        Self::from_table(registries, table)
    }

    /// The same with these `key=value` settings, for a run that goes on.
    ///
    /// # Errors
    /// As [`RunConfig::resolve`].
    pub fn with_sets(&self, registries: &Registries, sets: &[String]) -> Result<Self, ConfigError> {
        Self::from_table(registries, tables::with_sets(self, sets, &tables::RUN_KEYS)?)
    }

    fn from_table(registries: &Registries, table: Table) -> Result<Self, ConfigError> {
        let mut config: Self = tables::typed(table)?;
        let spec = registries.agents.get(&config.agent)?;
        config.hyperparameters = tables::explain_agent(spec.resolve(&config.hyperparameters))?;
        config.validate()?;
        Ok(config)
    }

    fn validate(&self) -> Result<(), ConfigError> {
        let counts = [
            ("env_steps", self.env_steps, ANY),
            ("num_envs", self.num_envs as u64, MOST_OF_A_KIND),
            ("shards", self.shards as u64, MOST_SHARDS),
            ("threads", self.threads as u64, MOST_THREADS),
            ("update_threads", u64::from(self.update_threads), MOST_THREADS),
            ("log.every_env_steps", self.log.every_env_steps, ANY),
            ("evaluation.num_envs", self.evaluation.num_envs as u64, MOST_OF_A_KIND),
            ("checkpoint.keep_last", self.checkpoint.keep_last as u64, ANY),
        ];
        self.actors.validate_counts()?;
        check_counts(&counts)?;
        at_most("env_threads", self.env_threads as u64, MOST_THREADS)?;
        at_most("evaluation.episodes", self.evaluation.episodes as u64, MOST_EPISODES)?;
        at_most("evaluation.final_episodes", self.evaluation.final_episodes as u64, MOST_EPISODES)?;
        self.actors.validate(self.num_envs, self.shards)?;
        let evaluation = &self.evaluation;
        if evaluation.every_env_steps > 0 && evaluation.episodes == 0 {
            let message = "evaluation.episodes is 0: give at least 1, or set evaluation.every_env_steps = 0";
            return Err(ConfigError::Value(message.into()));
        }
        if evaluation.share_world && self.actors.count > 0 {
            let message = "evaluation.share_world closes the environments for an evaluation, and those of actors stay open: \
                           train without actors";
            return Err(ConfigError::Value(message.into()));
        }
        if evaluation.share_world && self.shards > 1 {
            let message = "evaluation.share_world is for a world that exists once, and each shard has its own: train in one shard";
            return Err(ConfigError::Value(message.into()));
        }
        if evaluation.until_return.is_some_and(f64::is_nan) {
            return Err(ConfigError::Value(
                "evaluation.until_return is NaN: give a number or \"off\"".into(),
            ));
        }
        if evaluation.until_return.is_some() && evaluation.every_env_steps == 0 {
            let message = "evaluation.until_return needs evaluations, and evaluation.every_env_steps is 0";
            return Err(ConfigError::Value(message.into()));
        }
        Ok(())
    }

    /// The same with an absolute path: a run is resumed from any folder.
    ///
    /// # Errors
    /// When the present folder is gone.
    pub fn anchored(mut self) -> anyhow::Result<Self> {
        anchor([&mut self.pretrained.path])?;
        Ok(self)
    }

    /// The environments of one shard.
    pub fn envs_of_shard(&self) -> usize {
        self.num_envs / self.shards
    }

    /// The factory of the run's environments.
    ///
    /// # Errors
    /// [`ConfigError::Env`] for an unknown environment, or wrappers in an order that makes no sense.
    pub fn factory(&self, registries: &Registries) -> Result<EnvFactory, ConfigError> {
        let spec = registries.envs.spec(&self.environment)?;
        let options = EnvOptions::new(self.environment_options.clone());
        let mut wrappers = self.wrappers.clone();
        for wrapper in &mut wrappers {
            if let WrapperConfig::NormalizeReward { discount, .. } = wrapper {
                *discount = discount.or(self.discount());
            }
        }
        Ok(EnvFactory::new(spec, options, &wrappers)?)
    }

    /// The agent's discount, if it has one.
    pub(crate) fn discount(&self) -> Option<f64> {
        let discount = self.hyperparameters.get("discount")?;
        discount.as_float().or_else(|| discount.as_integer().map(|whole| whole as f64))
    }
}

impl Settings for RunConfig {
    fn origin(&self) -> Origin {
        Origin { kind: "agent".into(), name: self.agent.clone(), on: self.environment.clone() }
    }

    fn seed(&self) -> u64 {
        self.seed
    }
}
