//! Failures that a worker reports.

use serde::Deserialize;

use super::PREFIX;
use super::settings::Settings;
use crate::EnvError;
use pavlov_common::{did_you_mean, nearest};

/// A failure, as the worker sends it.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Failure {
    /// A package is missing.
    Missing { message: String, package: String },
    /// Gymnasium does not know the id; `ids` are those that it knows.
    UnknownId { message: String, ids: Vec<String> },
    /// The wrapper does not exist; `ids` are those in `gymnasium.wrappers`.
    UnknownWrapper { message: String, name: String, ids: Vec<String> },
    /// The environment's own code raised an exception.
    Raised { message: String, row: Option<usize> },
}

impl Failure {
    /// The environment whose own code failed, among the worker's.
    pub fn row(&self) -> Option<usize> {
        match self {
            Self::Raised { row, .. } => *row,
            _ => None,
        }
    }

    /// The error, for the environments that a worker with these settings was asked for. In a vector
    /// environment the worker's first one is number `first`.
    pub fn into_error(self, settings: &Settings, first: Option<usize>) -> EnvError {
        let (id, python) = (&settings.request.id, &settings.python);
        match self {
            Self::Missing { message, package } if package.is_empty() => {
                EnvError::World(format!("{PREFIX}{id}: {python} lacks what it needs ({message})"))
            }
            Self::Missing { message, package } => {
                let brings = if package == "gymnasium" { ", which brings numpy as well" } else { "" };
                EnvError::World(format!(
                    "{PREFIX}{id}: {python} lacks a package ({message}). Run `{python} -m pip install \
                     \"{package}\"`{brings}, or name another interpreter by the option `python` or the environment \
                     variable PAVLOV_PYTHON"
                ))
            }
            Self::UnknownId { message, ids } => {
                let hint = match nearest(id, ids.iter().map(String::as_str)) {
                    Some(nearest) => format!(" (did you mean `{PREFIX}{nearest}`?)"),
                    None => format!(": {message}"),
                };
                EnvError::UnknownId { id: format!("{PREFIX}{id}"), hint }
            }
            Self::UnknownWrapper { message, name, ids } => {
                let hint = did_you_mean(&name, ids.iter().map(String::as_str));
                EnvError::Option(format!("there is no wrapper `{name}` in Python{hint}: {message}"))
            }
            Self::Raised { message, row } => EnvError::World(match first.zip(row) {
                Some((first, row)) => format!("environment {}: {message}", first + row),
                None => format!("{PREFIX}{id}: {message}"),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EnvOptions;

    fn error(told: &str) -> String {
        let options = EnvOptions::new("python = \"/opt/python\"".parse().unwrap());
        let settings = Settings::single("CartPol-v1", &options).unwrap();
        serde_json::from_str::<Failure>(told).unwrap().into_error(&settings, Some(6)).to_string()
    }

    #[test]
    fn errors_say_what_to_do() {
        let missing = error(r#"{"kind": "missing", "message": "no mujoco", "package": "gymnasium[mujoco]"}"#);
        assert!(missing.contains("`/opt/python -m pip install \"gymnasium[mujoco]\"`"), "{missing}");
        let unknown =
            error(r#"{"kind": "unknown_id", "message": "not found", "ids": ["Taxi-v3", "CartPole-v1"]}"#);
        assert_eq!(unknown, "unknown environment `gym:CartPol-v1` (did you mean `gym:CartPole-v1`?)");
        let unknown = error(r#"{"kind": "unknown_id", "message": "not found", "ids": []}"#);
        assert_eq!(unknown, "unknown environment `gym:CartPol-v1`: not found");
        let raised = error(r#"{"kind": "raised", "message": "ValueError: x", "row": null}"#);
        assert!(raised.ends_with("gym:CartPol-v1: ValueError: x"), "{raised}");
        let raised = error(r#"{"kind": "raised", "message": "ValueError: x", "row": 2}"#);
        assert!(raised.ends_with("environment 8: ValueError: x"), "{raised}");
    }
}
