//! Environments by id.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use toml::{Table, Value};

use crate::wrappers::TimeLimit;
use crate::{Env, EnvError, box2d, classic, did_you_mean, probes};

/// The options with which an environment is made, as they stand in a configuration file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EnvOptions(Table);

impl EnvOptions {
    /// Options from a table.
    pub fn new(table: Table) -> Self {
        Self(table)
    }

    /// The flag of this name, or `default` where it is not given.
    ///
    /// # Errors
    /// [`EnvError::Option`] when it is given and no true or false.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, EnvError> {
        self.get(name, default, Value::as_bool, "true or false")
    }

    /// The whole number of this name, or `default` where it is not given.
    ///
    /// # Errors
    /// [`EnvError::Option`] when it is given and no whole number.
    pub fn integer(&self, name: &str, default: i64) -> Result<i64, EnvError> {
        self.get(name, default, Value::as_integer, "a whole number")
    }

    /// The number of this name, or `default` where it is not given.
    ///
    /// # Errors
    /// [`EnvError::Option`] when it is given and no number.
    pub fn number(&self, name: &str, default: f64) -> Result<f64, EnvError> {
        let number = |value: &Value| value.as_float().or_else(|| value.as_integer().map(|n| n as f64));
        self.get(name, default, number, "a number")
    }

    fn get<T>(
        &self,
        name: &str,
        default: T,
        read: impl Fn(&Value) -> Option<T>,
        what: &str,
    ) -> Result<T, EnvError> {
        match self.0.get(name) {
            None => Ok(default),
            Some(value) => {
                read(value).ok_or_else(|| EnvError::Option(format!("`{name}` is {value}: give {what}")))
            }
        }
    }

    fn check_names(&self, id: &str, known: &[&str]) -> Result<(), EnvError> {
        let known = || known.iter().copied().chain([LIMIT]);
        let Some(wrong) = self.0.keys().find(|key| known().all(|name| name != key.as_str())) else {
            return Ok(());
        };
        let (hint, known) = (did_you_mean(wrong, known()), known().collect::<Vec<_>>().join(", "));
        Err(EnvError::Option(format!("{id} has no option `{wrong}`{hint}; there are: {known}")))
    }
}

/// The option that every environment has.
const LIMIT: &str = "max_episode_steps";

/// Makes an environment from its options. Shared between threads: every actor makes its own environments.
pub type Constructor = dyn Fn(&EnvOptions) -> Result<Box<dyn Env>, EnvError> + Send + Sync;

/// A registered environment.
#[derive(Clone)]
pub struct EnvSpec {
    /// The id, as in Gymnasium: name and version.
    pub id: String,
    /// One line that says what the agent has to do, and which source the dynamics follow.
    pub summary: String,
    /// After how many steps an episode is truncated, if ever.
    pub max_episode_steps: Option<u32>,
    /// The mean return from which the environment counts as solved, if there is such a number.
    pub reward_threshold: Option<f64>,
    /// The options of its own that it takes.
    pub options: &'static [&'static str],
    constructor: Arc<Constructor>,
}

impl EnvSpec {
    /// An environment that `constructor` makes, without a time limit.
    pub fn new(
        id: impl Into<String>,
        constructor: impl Fn(&EnvOptions) -> Result<Box<dyn Env>, EnvError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            id: id.into(),
            summary: String::new(),
            max_episode_steps: None,
            reward_threshold: None,
            options: &[],
            constructor: Arc::new(constructor),
        }
    }

    /// Truncates episodes after this many steps.
    pub fn max_episode_steps(mut self, steps: u32) -> Self {
        self.max_episode_steps = Some(steps);
        self
    }

    /// Counts as solved from this mean return.
    pub fn reward_threshold(mut self, threshold: f64) -> Self {
        self.reward_threshold = Some(threshold);
        self
    }

    /// Says in one line what the agent has to do.
    pub fn summary(mut self, summary: impl Into<String>) -> Self {
        self.summary = summary.into();
        self
    }

    /// Names the options that the constructor reads.
    pub fn options(mut self, options: &'static [&'static str]) -> Self {
        self.options = options;
        self
    }

    /// Makes the environment, with its time limit or the one that the options give.
    ///
    /// # Errors
    /// [`EnvError::Option`] for an unknown option or a wrong value, and the constructor's own errors.
    pub fn make(&self, options: &EnvOptions) -> Result<Box<dyn Env>, EnvError> {
        options.check_names(&self.id, self.options)?;
        let env = (self.constructor)(options)?;
        let limit = match options.0.get(LIMIT) {
            None => self.max_episode_steps,
            Some(_) => Some(options.integer(LIMIT, 0)?.try_into().map_err(|_| {
                EnvError::Option(format!("`{LIMIT}` is out of range: give a number from 1 to {}", u32::MAX))
            })?),
        };
        Ok(match limit {
            None => env,
            Some(limit) => Box::new(TimeLimit::new(env, limit)?),
        })
    }
}

impl fmt::Debug for EnvSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvSpec").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The environments that can be asked for by id.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    specs: BTreeMap<String, EnvSpec>,
}

impl Registry {
    /// A registry without environments.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The environments of this crate.
    pub fn bundled() -> Self {
        let specs = classic::specs().into_iter().chain(box2d::specs()).chain(probes::specs());
        Self { specs: specs.map(|spec| (spec.id.clone(), spec)).collect() }
    }

    /// Adds an environment.
    ///
    /// # Errors
    /// [`EnvError::Contract`] when the id is taken or empty.
    pub fn register(&mut self, spec: EnvSpec) -> Result<(), EnvError> {
        if spec.id.trim().is_empty() || self.specs.contains_key(&spec.id) {
            let message = format!("the id `{}` is empty or taken: give the environment another", spec.id);
            return Err(EnvError::Contract(message));
        }
        self.specs.insert(spec.id.clone(), spec);
        Ok(())
    }

    /// The environments, by id.
    pub fn specs(&self) -> impl Iterator<Item = &EnvSpec> {
        self.specs.values()
    }

    /// The environment of this id.
    ///
    /// # Errors
    /// [`EnvError::UnknownId`], with the nearest id that there is.
    pub fn spec(&self, id: &str) -> Result<&EnvSpec, EnvError> {
        self.specs.get(id).ok_or_else(|| {
            let hint = did_you_mean(id, self.specs.keys().map(String::as_str));
            EnvError::UnknownId { id: id.into(), hint }
        })
    }

    /// Makes the environment of this id with its own time limit and options.
    ///
    /// # Errors
    /// As [`Registry::spec`] and [`EnvSpec::make`].
    pub fn make(&self, id: &str) -> Result<Box<dyn Env>, EnvError> {
        self.make_with(id, &EnvOptions::default())
    }

    /// Makes the environment of this id with these options.
    ///
    /// # Errors
    /// As [`Registry::spec`] and [`EnvSpec::make`].
    pub fn make_with(&self, id: &str, options: &EnvOptions) -> Result<Box<dyn Env>, EnvError> {
        self.spec(id)?.make(options)
    }
}
