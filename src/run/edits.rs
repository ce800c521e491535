//! Edits of a run's configuration from one resume to the next.

use anyhow::{Result, bail};
use toml::{Table, Value};

use super::job::Plan;
use super::notes::{Difference, differences};

/// The keys of a run's length.
const LENGTH: [&str; 3] = ["env_steps", "epochs", "updates"];
/// Keys and tables that do not change what is learned.
const BESIDE_LEARNING: [&str; 6] =
    ["log", "checkpoint", "evaluation", "validation", "env_threads", "update_threads"];
/// The device is told by where the run computes in truth.
const DEVICE: &str = "device";

/// The settings that are others than when the checkpoint was written.
#[derive(Debug)]
pub(super) struct Edits(Vec<Edit>);

#[derive(Debug, PartialEq)]
struct Edit {
    key: String,
    was: Option<String>,
    is: Option<String>,
}

impl Edits {
    /// The edits from one configuration, as TOML, to another. A checkpoint that has none says of no edit.
    pub(super) fn between(was: &str, is: &Table) -> Self {
        let was: Table = was.parse().unwrap_or_default();
        if was.is_empty() {
            return Self(Vec::new());
        }
        let edits = differences(&was, is).into_iter().filter(|edit| edit.key != DEVICE);
        let in_words = |value: Option<&Value>| value.map(Value::to_string);
        let edits =
            edits.map(|Difference { key, one, other }| Edit { key, was: in_words(one), is: in_words(other) });
        Self(edits.collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses a new length that has been reached already.
    pub(super) fn check_length(&self, plan: &Plan, done: u64) -> Result<()> {
        match self.0.iter().find(|edit| LENGTH.contains(&edit.key.as_str())) {
            Some(edit) if plan.total <= done => {
                let (key, unit, total) = (&edit.key, plan.unit.words(), plan.total);
                bail!("the run has done {done} {unit} already, and {key} asks for {total}: give more")
            }
            _ => Ok(()),
        }
    }

    /// The context of a checkpoint that does not fit the configuration.
    pub(super) fn as_cause(&self) -> String {
        let edits = list(self.0.iter());
        format!("the settings are not those of the checkpoint ({edits}): put them back")
    }

    /// The edits in words, those that change what is learned first.
    pub(super) fn warnings(&self, plan: &Plan, done: u64) -> Vec<String> {
        let (beside, learning): (Vec<_>, Vec<_>) = self.0.iter().partition(|edit| edit.is_beside_learning());
        let mut warnings = Vec::new();
        if !learning.is_empty() {
            warnings.push(format!(
                "settings are others than until now, from here on: {}",
                list(learning.iter().copied())
            ));
        }
        if learning.iter().any(|edit| LENGTH.contains(&edit.key.as_str())) {
            let (unit, total) = (plan.unit.words(), plan.total);
            let share = 100.0 * done as f64 / total as f64;
            warnings.push(format!(
                "schedules run over the whole length: they stand at {share:.1} % of {total} {unit} now"
            ));
        }
        if !beside.is_empty() {
            let beside = list(beside.into_iter());
            warnings.push(format!("settings without effect on what is learned are others: {beside}"));
        }
        warnings
    }
}

impl Edit {
    fn is_beside_learning(&self) -> bool {
        let table = self.key.split('.').next().unwrap_or_default();
        BESIDE_LEARNING.contains(&table)
    }
}

fn list<'a>(edits: impl Iterator<Item = &'a Edit>) -> String {
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "unset".into());
    edits
        .map(|edit| format!("{} {} -> {}", edit.key, shown(&edit.was), shown(&edit.is)))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Unit;

    fn plan(total: u64) -> Plan {
        Plan {
            unit: Unit::EnvSteps,
            total,
            log_every: 1,
            evaluate_every: 0,
            checkpoint_every: 0,
            keep_last: 1,
            report_every: 1,
            highest_is_best: true,
        }
    }

    const BEFORE: &str = "env_steps = 100\ndevice = 'auto'\n[log]\nevery = 5\n[hyperparameters]\nrate = 0.1\n[hyperparameters.net]\nsizes = [4, 4]";

    fn edits(from: &str, to: &str) -> Edits {
        Edits::between(BEFORE, &BEFORE.replace(from, to).parse().unwrap())
    }

    #[test]
    fn what_matters_is_told_apart() {
        assert!(edits("'auto'", "'cpu'").is_empty());
        for (from, to, words) in [
            ("0.1", "0.2", "from here on: rate 0.1 -> 0.2"),
            ("[4, 4]", "[8]", "from here on: net.sizes [4, 4] -> [8]"),
            ("every = 5", "every = 6", "without effect on what is learned are others: log.every 5 -> 6"),
            ("every = 5", "", "log.every 5 -> unset"),
            ("100", "200", "schedules run over the whole length: they stand at 25.0 % of 200 env steps"),
        ] {
            let told = edits(from, to).warnings(&plan(200), 50).join("\n");
            assert!(told.contains(words), "{told}");
        }
        assert!(Edits::between("", &BEFORE.parse().unwrap()).is_empty(), "a checkpoint that does not say it");
    }

    #[test]
    fn a_length_that_is_reached_is_refused() {
        let longer = edits("100", "200");
        longer.check_length(&plan(200), 100).unwrap();
        let error = longer.check_length(&plan(200), 200).unwrap_err().to_string();
        assert!(error.contains("has done 200 env steps already, and env_steps asks for 200"), "{error}");
        edits("0.1", "0.2").check_length(&plan(100), 104).unwrap();
    }
}
