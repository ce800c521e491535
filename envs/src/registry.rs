//! Environments by id.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use toml::{Table, Value};

use crate::wrappers::TimeLimit;
use crate::{Env, EnvError, classic, did_you_mean, memory, minatar, probes, toy_text};

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
    /// [`EnvError::Option`] when it is given and no number, NaN or infinite.
    pub fn number(&self, name: &str, default: f64) -> Result<f64, EnvError> {
        self.get(name, default, |value| number(value).filter(|x| x.is_finite()), "a finite number")
    }

    /// What the word of this name stands for among the `choices`, or `default` where it is not given.
    ///
    /// # Errors
    /// [`EnvError::Option`] when it is given and none of the choices.
    pub fn choice<T: Copy>(&self, name: &str, default: T, choices: &[(&str, T)]) -> Result<T, EnvError> {
        let chosen = |value: &Value| {
            let word = value.as_str()?;
            choices.iter().find(|(choice, _)| *choice == word).map(|(_, meaning)| *meaning)
        };
        let words: Vec<_> = choices.iter().map(|(choice, _)| format!("\"{choice}\"")).collect();
        self.get(name, default, chosen, &words.join(" or "))
    }

    /// The text of this name, or `default` where it is not given.
    ///
    /// # Errors
    /// [`EnvError::Option`] when it is given and no text.
    pub fn text(&self, name: &str, default: &str) -> Result<String, EnvError> {
        self.get(name, default.into(), |value| value.as_str().map(String::from), "a text in quotes")
    }

    /// The list of texts of this name, or `None` where it is not given.
    ///
    /// # Errors
    /// [`EnvError::Option`] when it is given and no list of texts.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<String>>, EnvError> {
        let text = |value: &Value| value.as_str().map(String::from);
        let texts = |value: &Value| value.as_array()?.iter().map(text).collect::<Option<Vec<_>>>().map(Some);
        self.get(name, None, texts, "a list of texts in quotes")
    }

    /// The `N` numbers of this name, or `default` where they are not given.
    ///
    /// # Errors
    /// [`EnvError::Option`] when they are given and are no list of `N` numbers.
    pub fn numbers<const N: usize>(&self, name: &str, default: [f64; N]) -> Result<[f64; N], EnvError> {
        let numbers = |value: &Value| {
            let numbers: Option<Vec<_>> = value.as_array()?.iter().map(number).collect();
            numbers?.try_into().ok()
        };
        self.get(name, default, numbers, &format!("a list of {N} numbers"))
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

fn number(value: &Value) -> Option<f64> {
    value.as_float().or_else(|| value.as_integer().map(|number| number as f64))
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
        let families =
            [classic::specs(), toy_text::specs(), minatar::specs(), memory::specs(), probes::specs()];
        let specs = families.into_iter().flatten();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> EnvOptions {
        EnvOptions::new(text.parse().unwrap())
    }

    #[test]
    fn options_of_every_kind_are_read() {
        let options = options("name = \"a\"\nlist = [\"b\", \"c\"]\nnumbers = [1, 2.5]");
        assert_eq!(options.text("name", "z"), Ok("a".into()));
        assert_eq!(options.text("other", "z"), Ok("z".into()));
        assert_eq!(options.texts("list"), Ok(Some(vec!["b".into(), "c".into()])));
        assert_eq!(options.texts("other"), Ok(None));
        assert_eq!(options.numbers("numbers", [0.0; 2]), Ok([1.0, 2.5]));
        assert_eq!(options.numbers("other", [3.0]), Ok([3.0]));
    }

    #[test]
    fn a_value_of_another_kind_is_refused() {
        let options = options("name = 1\nlist = [\"b\", 2]\nnumbers = [1, 2.5]");
        let message = |given: &str| format!("environment option: {given}");
        let error = options.text("name", "z").unwrap_err().to_string();
        assert_eq!(error, message("`name` is 1: give a text in quotes"));
        let error = options.texts("list").unwrap_err().to_string();
        assert_eq!(error, message("`list` is [\"b\", 2]: give a list of texts in quotes"));
        let error = options.numbers("numbers", [0.0; 3]).unwrap_err().to_string();
        assert_eq!(error, message("`numbers` is [1, 2.5]: give a list of 3 numbers"));
    }
}
