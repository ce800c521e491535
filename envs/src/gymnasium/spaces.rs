//! Gymnasium's spaces, as a worker describes them.

use serde::Deserialize;

use crate::{BoxSpace, Dtype, EnvError, Space};

/// The spaces of an environment.
#[derive(Debug, Deserialize)]
pub(super) struct Description {
    observations: Described,
    actions: Described,
    /// The steps after which Python truncates an episode, if it says so.
    #[serde(default)]
    limit: Option<u32>,
}

/// A space. Numbers are counted from 0: the worker adds the start of Gymnasium's discrete spaces.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Described {
    Discrete {
        n: i64,
    },
    MultiDiscrete {
        counts: Vec<i64>,
    },
    MultiBinary {
        n: usize,
    },
    /// Bounds are one for each number, or one for all; `None` stands for an infinite one.
    Box {
        bytes: bool,
        shape: Vec<usize>,
        low: Vec<Option<f32>>,
        high: Vec<Option<f32>>,
    },
    Dict {
        entries: Vec<(String, Described)>,
    },
    Other {
        text: String,
    },
}

/// The spaces of observations and actions.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spaces {
    pub observations: Space,
    pub actions: Space,
    /// The steps after which Python truncates an episode, if it says so.
    pub limit: Option<u32>,
}

impl Description {
    /// Both spaces.
    ///
    /// # Errors
    /// A sentence for a space that cannot be expressed here.
    pub fn spaces(self) -> Result<Spaces, EnvError> {
        let actions = match self.actions {
            Described::Dict { .. } => {
                let message =
                    "a Dict or Tuple cannot be an action space: flatten it with a wrapper in Python";
                return Err(EnvError::Contract(message.into()));
            }
            // Actions are floats on this side, whatever their type in Python.
            Described::Box { shape, low, high, .. } => boxed(false, shape, &low, &high)?,
            other => other.space("action")?,
        };
        Ok(Spaces { observations: self.observations.space("observation")?, actions, limit: self.limit })
    }
}

impl Described {
    fn space(self, what: &str) -> Result<Space, EnvError> {
        match self {
            Self::Discrete { n } => Ok(Space::Discrete(n)),
            Self::MultiDiscrete { counts } => Ok(Space::MultiDiscrete(counts)),
            Self::MultiBinary { n } => Ok(Space::MultiBinary(n)),
            Self::Box { bytes, shape, low, high } => boxed(bytes, shape, &low, &high),
            Self::Dict { entries } => {
                let space = |(key, entry): (String, Self)| Ok((key, entry.space(what)?));
                Ok(Space::Dict(entries.into_iter().map(space).collect::<Result<_, EnvError>>()?))
            }
            Self::Other { text } => Err(EnvError::Contract(format!(
                "{text} cannot be an {what} space: use Discrete, MultiDiscrete, MultiBinary, Box, or a Dict or Tuple \
                 of them"
            ))),
        }
    }
}

fn boxed(
    bytes: bool,
    shape: Vec<usize>,
    low: &[Option<f32>],
    high: &[Option<f32>],
) -> Result<Space, EnvError> {
    let count = shape.iter().product();
    let bounds = |bounds: &[Option<f32>], infinite: f32| -> Vec<f32> {
        match bounds {
            [one] => vec![one.unwrap_or(infinite); count],
            each => each.iter().map(|bound| bound.unwrap_or(infinite)).collect(),
        }
    };
    let dtype = if bytes { Dtype::U8 } else { Dtype::F32 };
    let (low, high) = (bounds(low, f32::NEG_INFINITY), bounds(high, f32::INFINITY));
    Ok(Space::Box(BoxSpace::new(low, high, &shape, dtype)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spaces(observations: &str, actions: &str) -> Result<Spaces, EnvError> {
        let text = format!("{{\"observations\": {observations}, \"actions\": {actions}}}");
        serde_json::from_str::<Description>(&text).unwrap().spaces()
    }

    const DISCRETE: &str = r#"{"kind": "discrete", "n": 3}"#;
    const PIXELS: &str =
        r#"{"kind": "box", "bytes": true, "shape": [2, 2, 3], "low": [0.0], "high": [255.0]}"#;

    #[test]
    fn every_kind_of_space_is_read() {
        let floats =
            r#"{"kind": "box", "bytes": false, "shape": [2], "low": [null, -1.5], "high": [null, 2.0]}"#;
        let dict = format!(
            r#"{{"kind": "dict", "entries": [["a", {PIXELS}], ["0", {floats}], ["b", {{"kind": "multi_binary", "n": 4}}]]}}"#
        );
        let read = spaces(&dict, DISCRETE).unwrap();
        let (low, high) = (vec![f32::NEG_INFINITY, -1.5], vec![f32::INFINITY, 2.0]);
        let expected = Space::Dict(vec![
            ("a".into(), Space::pixels(&[2, 2, 3])),
            ("0".into(), Space::Box(BoxSpace::new(low, high, &[2], Dtype::F32).unwrap())),
            ("b".into(), Space::MultiBinary(4)),
        ]);
        assert_eq!(read, Spaces { observations: expected, actions: Space::Discrete(3), limit: None });
        let read = spaces(DISCRETE, r#"{"kind": "multi_discrete", "counts": [2, 3]}"#).unwrap();
        assert_eq!(read.actions, Space::MultiDiscrete(vec![2, 3]));
    }

    #[test]
    fn actions_of_bytes_are_floats() {
        let Space::Box(actions) = spaces(DISCRETE, PIXELS).unwrap().actions else { panic!("no box") };
        assert_eq!((actions.dtype, actions.len()), (Dtype::F32, 12));
    }

    #[test]
    fn spaces_without_a_form_are_refused_in_a_sentence() {
        let text = r#"{"kind": "other", "text": "Text(1, 9)"}"#;
        let message = spaces(text, DISCRETE).unwrap_err().to_string();
        assert!(message.contains("Text(1, 9) cannot be an observation space: use"), "{message}");
        let nested = format!(r#"{{"kind": "dict", "entries": [["0", {text}]]}}"#);
        assert!(spaces(&nested, DISCRETE).is_err());
        let message = spaces(DISCRETE, r#"{"kind": "dict", "entries": []}"#).unwrap_err().to_string();
        assert!(message.contains("flatten it"), "{message}");
        let short = r#"{"kind": "box", "bytes": false, "shape": [3], "low": [0.0, 0.0], "high": [1.0]}"#;
        assert!(spaces(short, DISCRETE).is_err());
    }
}
