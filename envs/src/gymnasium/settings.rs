//! The settings of a Gymnasium environment: its options, read and checked.

use std::env;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use toml::{Table, Value};

use crate::{Autoreset, EnvError, EnvOptions};

pub(super) const OPTIONS: &[&str] =
    &["python", "kwargs", "wrappers", "envs_per_worker", "timeout_seconds", "atari_vector"];

const TIMEOUT_SECONDS: f64 = 60.0;
/// Longer than any run.
const LONGEST_TIMEOUT_SECONDS: f64 = 1e8;

/// The settings with which workers are started.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// The interpreter.
    pub python: String,
    /// The longest time that a reset or a step may take.
    pub timeout: Duration,
    /// The number of environments of a vector environment that share a process, if given.
    pub envs_per_worker: Option<usize>,
    /// The request that a worker gets.
    pub request: Request,
}

/// The environments that a worker is asked to make, in the form in which it gets the request.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Request {
    pub id: String,
    pub kwargs: Table,
    pub wrappers: Vec<PythonWrapper>,
    pub max_episode_steps: Option<u32>,
    pub atari_vector: bool,
    /// The threads of ALE's own vector environment; 0 takes as many as there are cores.
    pub threads: usize,
    pub count: usize,
    pub autoreset: WorkerAutoreset,
    /// True if pictures of the environment may be asked for.
    pub pictures: bool,
}

/// The time at which a worker resets an environment whose episode has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WorkerAutoreset {
    /// On request: a single environment, and those of an evaluation.
    None,
    SameStep,
    NextStep,
}

impl From<Autoreset> for WorkerAutoreset {
    fn from(autoreset: Autoreset) -> Self {
        match autoreset {
            Autoreset::SameStep => Self::SameStep,
            Autoreset::NextStep => Self::NextStep,
        }
    }
}

/// A wrapper on the Python side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct PythonWrapper {
    pub name: String,
    pub arguments: Table,
}

impl Settings {
    /// The settings of one environment by itself.
    pub fn single(id: &str, options: &EnvOptions) -> Result<Self, EnvError> {
        // An option takes the place of the world's own limit; a value that cannot be a limit is refused where
        // it is enforced.
        let limit = u32::try_from(options.integer("max_episode_steps", 0)?).ok().filter(|limit| *limit > 0);
        let mut settings = Self::vector(id, options, limit)?;
        settings.request.pictures = true;
        Ok(settings)
    }

    /// The settings of the environments of a vector environment; their number and the kind of autoreset are
    /// filled in later.
    pub fn vector(id: &str, options: &EnvOptions, max_episode_steps: Option<u32>) -> Result<Self, EnvError> {
        let wrappers = options.list("wrappers")?.iter().map(wrapper).collect::<Result<Vec<_>, _>>()?;
        let atari_vector = options.flag("atari_vector", false)?;
        if atari_vector && !id.starts_with("ALE/") {
            return refuse(format!(
                "`atari_vector` is for ids that begin with `gym:ALE/`, not for `gym:{id}`"
            ));
        }
        if atari_vector && !wrappers.is_empty() {
            return refuse("`atari_vector` preprocesses by itself: give it `kwargs` in place of `wrappers`");
        }
        Ok(Self {
            python: interpreter(&options.text("python", "")?),
            timeout: timeout(options)?,
            envs_per_worker: envs_per_worker(options)?,
            request: Request {
                id: id.into(),
                kwargs: options.table("kwargs")?,
                wrappers,
                max_episode_steps,
                atari_vector,
                threads: 1,
                count: 1,
                autoreset: WorkerAutoreset::None,
                pictures: false,
            },
        })
    }

    /// The same for `count` environments of a vector environment.
    pub fn share(&self, count: usize, threads: usize, autoreset: WorkerAutoreset) -> Self {
        let request = Request { count, threads, autoreset, ..self.request.clone() };
        Self { request, ..self.clone() }
    }

    /// The number of environments of each worker, when `num_envs` of them are stepped by this many threads.
    pub fn shares(&self, num_envs: usize, threads: usize) -> Vec<usize> {
        if self.request.atari_vector {
            // ALE's vector environment has threads of its own.
            return vec![num_envs];
        }
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let workers = match self.envs_per_worker {
            Some(each) => num_envs.div_ceil(each),
            None if threads == 0 => cores().min(num_envs),
            None => threads.min(num_envs),
        };
        (0..workers).map(|worker| num_envs / workers + usize::from(worker < num_envs % workers)).collect()
    }
}

fn refuse<T>(message: impl Into<String>) -> Result<T, EnvError> {
    Err(EnvError::Option(message.into()))
}

fn timeout(options: &EnvOptions) -> Result<Duration, EnvError> {
    let seconds = options.number("timeout_seconds", TIMEOUT_SECONDS)?;
    if seconds > 0.0 && seconds <= LONGEST_TIMEOUT_SECONDS {
        // A timeout that rounds to 0 would mean none.
        return Ok(Duration::from_secs_f64(seconds).max(Duration::from_millis(1)));
    }
    refuse(format!(
        "`timeout_seconds` is {seconds}: give a number above 0 and up to {LONGEST_TIMEOUT_SECONDS}"
    ))
}

fn envs_per_worker(options: &EnvOptions) -> Result<Option<usize>, EnvError> {
    if !options.has("envs_per_worker") {
        return Ok(None);
    }
    let each = options.integer("envs_per_worker", 1)?;
    match usize::try_from(each) {
        Ok(each) if each > 0 => Ok(Some(each)),
        _ => refuse(format!("`envs_per_worker` is {each}: give a number from 1 on")),
    }
}

/// A name, or a table with a name and the wrapper's arguments.
fn wrapper(value: &Value) -> Result<PythonWrapper, EnvError> {
    if let Some(name) = value.as_str() {
        return Ok(PythonWrapper { name: name.into(), arguments: Table::new() });
    }
    let mut arguments = value.as_table().cloned().unwrap_or_default();
    match arguments.remove("name") {
        Some(Value::String(name)) => Ok(PythonWrapper { name, arguments }),
        _ => refuse(format!(
            "`wrappers` has {value}: give \"Name\" or {{ name = \"Name\", argument = 1 }} for each"
        )),
    }
}

/// The interpreter that the option names, or else the nearest at hand.
fn interpreter(asked: &str) -> String {
    let given = |name| env::var(name).ok().filter(|value| !value.is_empty());
    if !asked.is_empty() {
        return asked.into();
    }
    if let Some(python) = given("PAVLOV_PYTHON") {
        return python;
    }
    let of_folder = |folder| Path::new(&folder).join("bin/python").to_string_lossy().into_owned();
    given("VIRTUAL_ENV").map_or_else(|| "python3".into(), of_folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Result<Settings, EnvError> {
        Settings::vector("ALE/Pong-v5", &EnvOptions::new(text.parse().unwrap()), None)
    }

    #[test]
    fn wrappers_are_names_or_tables() {
        let wrappers = settings("wrappers = [\"A\", { name = \"b.C\", size = 4 }]").unwrap().request.wrappers;
        let arguments = "size = 4".parse().unwrap();
        let expected = [("A", Table::new()), ("b.C", arguments)];
        let expected = expected.map(|(name, arguments)| PythonWrapper { name: name.into(), arguments });
        assert_eq!(wrappers, expected);
        for wrong in ["[1]", "[{ size = 4 }]", "[{ name = 4 }]"] {
            let message = settings(&format!("wrappers = {wrong}")).unwrap_err().to_string();
            assert!(message.contains("{ name = \"Name\", argument = 1 }"), "{message}");
        }
    }

    #[test]
    fn impossible_options_are_refused() {
        for (text, word) in [
            ("timeout_seconds = 0", "above 0"),
            ("timeout_seconds = 1e300", "up to"),
            ("envs_per_worker = 0", "from 1 on"),
            ("atari_vector = true\nwrappers = [\"A\"]", "in place of `wrappers`"),
        ] {
            let message = settings(text).unwrap_err().to_string();
            assert!(message.contains(word), "{message}");
        }
        let options = EnvOptions::new("atari_vector = true".parse().unwrap());
        let message = Settings::single("CartPole-v1", &options).unwrap_err().to_string();
        assert!(message.contains("gym:ALE/"), "{message}");
    }

    #[test]
    fn environments_are_shared_out_evenly() {
        let free = settings("").unwrap();
        assert_eq!(free.shares(8, 3), [3, 3, 2]);
        assert_eq!(free.shares(2, 5), [1, 1]);
        assert_eq!(free.shares(5, 0).iter().sum::<usize>(), 5);
        assert_eq!(settings("envs_per_worker = 3").unwrap().shares(8, 1), [3, 3, 2]);
        assert_eq!(settings("atari_vector = true").unwrap().shares(8, 4), [8]);
    }

    #[test]
    fn the_interpreter_that_is_asked_for_is_taken() {
        assert_eq!(interpreter("/opt/python"), "/opt/python");
    }
}
