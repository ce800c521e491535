//! The part of a shard in a row of the log.

use serde::{Deserialize, Serialize};

use super::job::Values;
use crate::training::Episodes;

/// The part of one shard in a row of the log, or of all of them together.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RowPart {
    /// Numbers by tag.
    #[serde(with = "bits")]
    pub values: Values,
    /// The latest episodes of a training; `None` for a fit.
    pub(crate) episodes: Option<Episodes>,
}

/// The share of a shard's time that it waits for the others.
pub(crate) const GROUP_IDLE_SHARE: &str = "group/idle_share";
/// The numbers that add up over shards; of the others the row has the mean.
const SUMS: [&str; 2] = ["train/replay_size", "actors/queue_depth"];

impl RowPart {
    /// The parts of all shards as one. A number that not every shard has is the mean of those that have it.
    pub(crate) fn merged(parts: Vec<Self>) -> Self {
        let mut gathered = std::collections::BTreeMap::<String, Vec<f64>>::new();
        for (tag, value) in parts.iter().flat_map(|part| &part.values) {
            gathered.entry(tag.clone()).or_default().push(*value);
        }
        let together = |(tag, values): (String, Vec<f64>)| {
            let sum: f64 = values.iter().sum();
            // A number that all have alike stays what it is to the last bit.
            let value = match values.iter().all(|value| value.to_bits() == values[0].to_bits()) {
                _ if SUMS.contains(&tag.as_str()) => sum,
                true => values[0],
                false => sum / values.len() as f64,
            };
            (tag, value)
        };
        Self {
            values: gathered.into_iter().map(together).collect(),
            episodes: Episodes::merged(parts.into_iter().filter_map(|part| part.episodes).collect()),
        }
    }
}

/// Numbers by their bits: JSON has no NaN.
mod bits {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use crate::run::Values;

    pub fn serialize<S: Serializer>(values: &Values, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(values.iter().map(|(tag, value)| (tag, value.to_bits())))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Values, D::Error> {
        let bits = BTreeMap::<String, u64>::deserialize(deserializer)?;
        Ok(bits.into_iter().map(|(tag, bits)| (tag, f64::from_bits(bits))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_and_the_rest_is_the_mean() {
        let part = |values: &[(&str, f64)]| RowPart {
            values: values.iter().map(|(tag, value)| (tag.to_string(), *value)).collect(),
            episodes: None,
        };
        let merged = RowPart::merged(vec![
            part(&[("train/replay_size", 10.0), ("train/loss", 1.0), ("train/learning_rate", 0.1)]),
            part(&[("train/replay_size", 12.0), ("train/loss", 2.0), ("train/learning_rate", 0.1)]),
            part(&[("train/replay_size", 11.0), ("train/loss", 6.0), ("train/learning_rate", 0.1)]),
            part(&[("train/learning_rate", 0.1)]),
        ]);
        let expected =
            part(&[("train/replay_size", 33.0), ("train/loss", 3.0), ("train/learning_rate", 0.1)]);
        assert_eq!(merged.values, expected.values);
        assert!(merged.episodes.is_none());
    }
}
