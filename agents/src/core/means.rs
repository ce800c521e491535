//! Means to log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Sums of named numbers since the last log. Part of an agent's state, so that a resumed run logs what the
/// uninterrupted one would have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Means(BTreeMap<String, (f64, u64)>);

impl Means {
    /// Adds one number.
    pub fn add(&mut self, tag: &'static str, number: f64) {
        match self.0.get_mut(tag) {
            Some((sum, count)) => {
                *sum += number;
                *count += 1;
            }
            None => drop(self.0.insert(tag.into(), (number, 1))),
        }
    }

    /// The mean of each of these tags that numbers were added to, which are forgotten.
    pub fn take(&mut self, tags: &[&'static str]) -> Vec<(&'static str, f64)> {
        let mut mean =
            |tag: &&'static str| self.0.remove(*tag).map(|(sum, count)| (*tag, sum / count as f64));
        tags.iter().filter_map(&mut mean).collect()
    }
}
