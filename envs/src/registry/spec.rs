//! A registered environment: its description, and its constructors.

use std::fmt;
use std::sync::Arc;

use super::EnvOptions;
use crate::wrappers::{TimeLimit, Wrapped};
use crate::{Env, EnvError, RowEnvs, RowError, SingleRows, VectorEnv, VectorOptions};

/// The option that every environment has.
pub(super) const LIMIT: &str = "max_episode_steps";

/// Makes an environment from its options. Shared between threads: every actor makes its own environments.
pub type Constructor = dyn Fn(&EnvOptions) -> Result<Box<dyn Env>, EnvError> + Send + Sync;

/// Makes many copies of an environment at once, from its options, the number of steps after which an episode
/// is truncated (if ever), and the kind of vector environment.
pub type VectorConstructor =
    dyn Fn(&EnvOptions, Option<u32>, &VectorOptions) -> Result<Box<dyn VectorEnv>, EnvError> + Send + Sync;

/// Makes environments side by side, from their options, the number of steps after which an episode is truncated
/// (if ever), and their number.
type RowsConstructor =
    dyn Fn(&EnvOptions, Option<u32>, usize) -> Result<Box<dyn RowEnvs>, RowError> + Send + Sync;

/// A registered environment.
#[derive(Clone)]
pub struct EnvSpec {
    /// The id, as in Gymnasium: name and version.
    pub id: String,
    /// One line on the agent's task, with the source of the dynamics.
    pub summary: String,
    /// The rewards, in a few words.
    pub reward: String,
    /// The number of steps after which an episode is truncated, if ever.
    pub max_episode_steps: Option<u32>,
    /// The mean return from which the environment counts as solved, if there is such a number.
    pub reward_threshold: Option<f64>,
    /// True if numbers of its observations are known to leave the bounds of their box, which are kept as they
    /// are published. It is not warned of then.
    pub has_loose_bounds: bool,
    /// The options of its own.
    pub options: &'static [&'static str],
    constructor: Arc<Constructor>,
    vector_constructor: Option<Arc<VectorConstructor>>,
    rows_constructor: Option<Arc<RowsConstructor>>,
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
            reward: String::new(),
            max_episode_steps: None,
            reward_threshold: None,
            has_loose_bounds: false,
            options: &[],
            constructor: Arc::new(constructor),
            vector_constructor: None,
            rows_constructor: None,
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

    /// Says that numbers of its observations may leave the bounds of their box.
    pub fn loose_bounds(mut self) -> Self {
        self.has_loose_bounds = true;
        self
    }

    /// Sets the line on the agent's task.
    pub fn summary(mut self, summary: impl Into<String>) -> Self {
        self.summary = summary.into();
        self
    }

    /// Sets the few words on the rewards.
    pub fn reward(mut self, reward: impl Into<String>) -> Self {
        self.reward = reward.into();
        self
    }

    /// Names the options that the constructor reads.
    pub fn options(mut self, options: &'static [&'static str]) -> Self {
        self.options = options;
        self
    }

    /// Gives the environment a vector form of its own, with the same results as many single ones, but faster.
    pub fn vectorized(
        mut self,
        constructor: impl Fn(&EnvOptions, Option<u32>, &VectorOptions) -> Result<Box<dyn VectorEnv>, EnvError>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.vector_constructor = Some(Arc::new(constructor));
        self
    }

    /// Gives the environment a form of its own for environments side by side, with the same results as single
    /// ones, but faster.
    pub(crate) fn side_by_side(
        mut self,
        constructor: impl Fn(&EnvOptions, Option<u32>, usize) -> Result<Box<dyn RowEnvs>, RowError>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.rows_constructor = Some(Arc::new(constructor));
        self
    }

    /// Makes the environment, with its time limit or the one that the options give.
    ///
    /// # Errors
    /// [`EnvError::Option`] for an unknown option or a wrong value, and the constructor's own errors.
    pub fn make(&self, options: &EnvOptions) -> Result<Box<dyn Env>, EnvError> {
        options.check_names(&self.id, self.options)?;
        let env = (self.constructor)(options)?;
        Ok(match self.limit(options)? {
            None => env,
            Some(limit) => Box::new(Wrapped::new(env, TimeLimit::new(limit)?)),
        })
    }

    /// Makes a vector environment of it: its own vector form if it has one, else one of single environments.
    ///
    /// # Errors
    /// As [`EnvSpec::make`].
    pub fn make_vector(
        &self,
        options: &EnvOptions,
        vector: &VectorOptions,
    ) -> Result<Box<dyn VectorEnv>, EnvError> {
        let Some(constructor) = &self.vector_constructor else {
            return vector.of_single(|_| self.make(options));
        };
        options.check_names(&self.id, self.options)?;
        constructor(options, self.limit(options)?, vector)
    }

    /// Makes so many environments side by side: in its own form if it has one, else single environments.
    ///
    /// # Errors
    /// As [`EnvSpec::make`].
    pub fn make_rows(&self, options: &EnvOptions, num_envs: usize) -> Result<Box<dyn RowEnvs>, RowError> {
        let Some(constructor) = &self.rows_constructor else {
            return Ok(Box::new(SingleRows::new(num_envs, || self.make(options))?));
        };
        let refused = |error| RowError { row: 0, error };
        options.check_names(&self.id, self.options).map_err(refused)?;
        constructor(options, self.limit(options).map_err(refused)?, num_envs)
    }

    /// Returns true if [`EnvSpec::make_rows`] has a form of its own.
    pub(crate) fn has_rows(&self) -> bool {
        self.rows_constructor.is_some()
    }

    /// The time limit: the option's, or else the one that belongs to the id.
    pub(crate) fn limit(&self, options: &EnvOptions) -> Result<Option<u32>, EnvError> {
        if !options.has(LIMIT) {
            return Ok(self.max_episode_steps);
        }
        let limit = u32::try_from(options.integer(LIMIT, 0)?).ok().filter(|limit| *limit > 0);
        let message = || format!("`{LIMIT}` is out of range: give a number from 1 to {}", u32::MAX);
        limit.map(Some).ok_or_else(|| EnvError::Option(message()))
    }
}

impl fmt::Debug for EnvSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvSpec").field("id", &self.id).finish_non_exhaustive()
    }
}
