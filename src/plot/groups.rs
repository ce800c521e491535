//! Groups of runs: those of one agent on one environment, or one task on one data set, with the same settings but
//! for the seed.

use std::collections::BTreeMap;

use toml::Table;

use super::Curve;
use crate::config::AnyConfig;
use crate::run::{Settings, leaves};

/// Runs that differ by their seeds alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The words that tell the group from the others.
    pub name: String,
    /// The runs' curves.
    pub curves: Vec<Curve>,
}

impl Group {
    /// The mean, the lowest and the highest value of its runs at a step that lies within all of them.
    pub fn spread_at(&self, step: u64) -> Option<[f64; 3]> {
        let values = self.curves.iter().map(|curve| curve.value_at(step)).collect::<Option<Vec<_>>>()?;
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (!values.is_empty()).then_some([mean, lowest, highest])
    }

    /// The steps at which a run of the group has a value and all of them have begun and not ended.
    pub fn steps(&self) -> Vec<u64> {
        let points = self.curves.iter().flat_map(|curve| &curve.points);
        let mut steps: Vec<u64> = points.map(|point| point.0).collect();
        steps.sort_unstable();
        steps.dedup();
        steps.retain(|&step| self.curves.iter().all(|curve| curve.value_at(step).is_some()));
        steps
    }
}

/// Settings by which runs of one group may differ: the seed, and what changes no number.
const WITHIN: [&str; 8] = [
    "seed",
    "device",
    "threads",
    "env_threads",
    "update_threads",
    "checkpoint",
    "log",
    "data.loader_threads",
];
/// The most characters of a setting's value in a name.
const MOST: usize = 40;

/// Puts the curves of runs of these configurations into groups, in the order in which the runs are given. A group is
/// named by what tells it from the others: agent, environment, and the settings that differ.
pub fn group(runs: impl IntoIterator<Item = (AnyConfig, Curve)>) -> Vec<Group> {
    let runs: Vec<_> = runs.into_iter().map(|(config, curve)| (Run::new(&config), curve)).collect();
    let several = |of: fn(&Run) -> &str| runs.iter().any(|(run, _)| of(run) != of(&runs[0].0));
    let (agents, worlds) = (several(|run| &run.name), several(|run| &run.on));
    let mut groups: Vec<(&Run, Vec<Curve>)> = Vec::new();
    for (run, curve) in &runs {
        match groups.iter_mut().find(|(first, _)| first.is_same(run)) {
            Some((_, curves)) => curves.push(curve.clone()),
            None => groups.push((run, vec![curve.clone()])),
        }
    }
    let name = |run: &Run| {
        let mut parts = Vec::new();
        match (agents, worlds) {
            (true, true) => parts.push(format!("{} on {}", run.name, run.on)),
            (true, false) => parts.push(run.name.clone()),
            (false, true) => parts.push(run.on.clone()),
            (false, false) => {}
        }
        let siblings: Vec<&Run> =
            groups.iter().map(|(other, _)| *other).filter(|other| other.is_sibling(run)).collect();
        parts.extend(run.differing(&siblings));
        if parts.is_empty() { run.name.clone() } else { parts.join(", ") }
    };
    let mut named: Vec<Group> =
        groups.iter().map(|(run, curves)| Group { name: name(run), curves: curves.clone() }).collect();
    // Values that were cut may leave two names the same.
    let names: Vec<String> = named.iter().map(|group| group.name.clone()).collect();
    for (index, group) in named.iter_mut().enumerate() {
        let before = names[..index].iter().filter(|name| **name == group.name).count();
        if before > 0 {
            group.name.push_str(&format!(" ({})", before + 1));
        }
    }
    named
}

/// A run as its configuration describes it.
struct Run {
    name: String,
    on: String,
    /// Its settings but for those within a group.
    settings: BTreeMap<String, String>,
}

impl Run {
    fn new(config: &AnyConfig) -> Self {
        let origin = config.origin();
        let table = match config {
            AnyConfig::Agent(config) => Table::try_from(config.as_ref()),
            AnyConfig::Fit(config) => Table::try_from(config.as_ref()),
        };
        let table = table.unwrap_or_default();
        let is_within = |key: &str| {
            WITHIN.iter().any(|within| {
                key.strip_prefix(within).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
        };
        let settings = leaves(&table).into_iter().filter(|(key, _)| !is_within(key));
        let settings = settings.map(|(key, value)| (key, value.to_string())).collect();
        Self { name: origin.name, on: origin.on, settings }
    }

    fn is_sibling(&self, other: &Run) -> bool {
        (&self.name, &self.on) == (&other.name, &other.on)
    }

    fn is_same(&self, other: &Run) -> bool {
        self.is_sibling(other) && self.settings == other.settings
    }

    /// The settings in which it differs from one of these.
    fn differing(&self, others: &[&Run]) -> Vec<String> {
        let keys = others.iter().flat_map(|other| other.settings.keys());
        let keys: std::collections::BTreeSet<&String> = keys.chain(self.settings.keys()).collect();
        let differs =
            |key: &&String| others.iter().any(|other| other.settings.get(*key) != self.settings.get(*key));
        keys.into_iter()
            .filter(differs)
            .map(|key| format!("{key} {}", shown(self.settings.get(key))))
            .collect()
    }
}

fn shown(value: Option<&String>) -> String {
    let Some(value) = value else { return "unset".into() };
    let plain = value.trim_matches('"').replace('\n', " ");
    match plain.chars().count() > MOST {
        true => plain.chars().take(MOST - 3).chain("...".chars()).collect(),
        false => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::curve;
    use super::*;
    use crate::config::{Overrides, Registries, RunConfig};

    fn run(agent: &str, sets: &[&str]) -> (AnyConfig, Curve) {
        let sets = sets.iter().map(|set| set.to_string()).collect();
        let overrides = Overrides { file: None, sets };
        let config = RunConfig::resolve(&Registries::bundled(), agent, "CartPole-v1", &overrides);
        (AnyConfig::Agent(Box::new(config.unwrap())), curve("run", &[(1, 1.0)]))
    }

    #[test]
    fn runs_that_differ_by_their_seeds_are_one_group() {
        let names = |runs: Vec<(AnyConfig, Curve)>| {
            let groups = group(runs);
            groups.into_iter().map(|group| (group.name, group.curves.len())).collect::<Vec<_>>()
        };
        let seeds = || vec![run("dqn", &["seed=1"]), run("dqn", &["seed=2", "checkpoint.keep_last=9"])];
        assert_eq!(names(seeds()), [("dqn".into(), 2)]);
        let with_others = [seeds(), vec![run("ppo", &[]), run("dqn", &["discount=0.9"])]].concat();
        let expected = [("dqn, discount 0.99", 2), ("ppo", 1), ("dqn, discount 0.9", 1)];
        assert_eq!(names(with_others), expected.map(|(name, count)| (name.to_string(), count)));
        let sizes = [run("dqn", &["net.hidden_sizes=[8]"]), run("dqn", &["net.hidden_sizes=[64, 64]"])];
        let named = names(sizes.to_vec());
        assert_eq!(named[1], ("net.hidden_sizes [64, 64]".into(), 1));
        assert!(names(Vec::new()).is_empty());
    }

    #[test]
    fn the_spread_is_known_where_all_runs_are() {
        let curves = vec![curve("a", &[(0, 0.0), (10, 10.0)]), curve("b", &[(5, 1.0), (20, 4.0)])];
        let group = Group { name: "g".into(), curves };
        assert_eq!(group.steps(), [5, 10]);
        assert_eq!(group.spread_at(10), Some([6.0, 2.0, 10.0]));
        assert_eq!((group.spread_at(0), group.spread_at(20)), (None, None));
    }
}
