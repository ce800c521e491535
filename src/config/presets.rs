//! Tuned hyper-parameters for an agent on an environment, embedded in the binary.
//!
//! A file per agent holds a list of `[[presets]]`. Each names its `environments` and sets what differs from
//! the agent's defaults, or from the preset of the environment that it is `like`.

use pavlov_common::tables::merge_tables;
use toml::{Table, Value};

const FILES: &[(&str, &str)] = &[
    ("a2c", include_str!("../presets/a2c.toml")),
    ("apex", include_str!("../presets/apex.toml")),
    ("ddpg", include_str!("../presets/ddpg.toml")),
    ("dqn", include_str!("../presets/dqn.toml")),
    ("impala", include_str!("../presets/impala.toml")),
    ("ppo", include_str!("../presets/ppo.toml")),
    ("reinforce", include_str!("../presets/reinforce.toml")),
    ("sac", include_str!("../presets/sac.toml")),
    ("td3", include_str!("../presets/td3.toml")),
];

/// The presets of tasks, each with `datasets` where an agent's has `environments`. The entry for `*` is for
/// all data sets; that of a data set itself comes on top of it.
const TASK_FILES: &[(&str, &str)] = &[
    ("autoencoder", include_str!("../presets/tasks/autoencoder.toml")),
    ("classifier", include_str!("../presets/tasks/classifier.toml")),
    ("gan", include_str!("../presets/tasks/gan.toml")),
    ("language", include_str!("../presets/tasks/language.toml")),
    ("speech", include_str!("../presets/tasks/speech.toml")),
];

/// Agents whose settings include those of another agent, whose preset they use where they have none of their
/// own.
const KIN: &[(&str, &str)] = &[("apex", "dqn"), ("impala", "a2c")];

/// The beginning of the ids of worlds in Python, which take the preset of the bundled world of the same name.
const OF_PYTHON: &str = "gym:";

/// The preset for this pair, if there is one: the fields of a configuration.
pub fn preset(agent: &str, environment: &str) -> Option<Table> {
    let id = preset_id(agent, environment)?;
    let mut preset = preset_of(agent, id)?;
    if id != environment {
        // The options are those of the bundled world.
        preset.remove("environment_options");
    }
    Some(preset)
}

/// The environment whose preset this pair takes, if there is one: `CartPole-v1` for `gym:CartPole-v1`.
pub fn preset_id<'e>(agent: &str, environment: &'e str) -> Option<&'e str> {
    let candidates = [Some(environment), environment.strip_prefix(OF_PYTHON)];
    candidates.into_iter().flatten().find(|id| preset_of(agent, id).is_some())
}

fn preset_of(agent: &str, environment: &str) -> Option<Table> {
    let own = presets_of(agent)
        .into_iter()
        .find(|preset| names(preset, "environments").any(|id| id == environment));
    let Some(mut preset) = own else {
        let (_, other) = KIN.iter().find(|(name, _)| *name == agent)?;
        return preset_of(other, environment);
    };
    preset.remove("environments");
    let Some(Value::String(like)) = preset.remove("like") else { return Some(preset) };
    let mut table = preset_of(agent, &like)?;
    merge_tables(&mut table, preset);
    Some(table)
}

/// The preset for a task on a data set: the fields of a configuration, none where there is no preset.
pub fn fit_preset(task: &str, data: &str) -> Table {
    let mut table = Table::new();
    for wanted in ["*", data] {
        let found = presets_in(TASK_FILES, task).into_iter();
        let found = found.filter(|preset| names(preset, "datasets").any(|name| name == wanted));
        for mut preset in found {
            preset.remove("datasets");
            merge_tables(&mut table, preset);
        }
    }
    table
}

/// All pairs that have a preset.
pub fn pairs() -> impl Iterator<Item = (&'static str, String)> {
    FILES.iter().flat_map(|(agent, _)| {
        let other = KIN.iter().find(|(name, _)| name == agent).map(|(_, other)| *other);
        let mut ids: Vec<String> = Vec::new();
        for agent in [Some(*agent), other].into_iter().flatten() {
            for preset in presets_of(agent) {
                let new = names(&preset, "environments").filter(|id| !ids.iter().any(|known| known == id));
                let new: Vec<String> = new.map(str::to_string).collect();
                ids.extend(new);
            }
        }
        ids.into_iter().map(|id| (*agent, id)).collect::<Vec<_>>()
    })
}

fn presets_of(agent: &str) -> Vec<Table> {
    presets_in(FILES, agent)
}

fn presets_in(files: &[(&str, &str)], agent: &str) -> Vec<Table> {
    let Some((_, text)) = files.iter().find(|(name, _)| *name == agent) else { return Vec::new() };
    // The validity of the files is tested, below and in the tests of all agents.
    let Some(Value::Array(presets)) = text.parse().ok().and_then(|mut file: Table| file.remove("presets"))
    else {
        return Vec::new();
    };
    presets.into_iter().filter_map(|preset| preset.try_into().ok()).collect()
}

/// The environments or data sets that a preset is for.
fn names<'p>(preset: &'p Table, key: &str) -> impl Iterator<Item = &'p str> {
    preset.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_file_is_toml_and_names_each_environment_once() {
        for (agent, text) in FILES {
            let file: Table = text.parse().unwrap();
            let count = file["presets"].as_array().unwrap().len();
            assert_eq!((file.len(), presets_of(agent).len()), (1, count), "{agent}");
            assert!(
                presets_of(agent).iter().all(|preset| names(preset, "environments").next().is_some()),
                "{agent}"
            );
        }
        let mut seen = HashSet::new();
        for pair in pairs() {
            assert!(preset(pair.0, &pair.1).is_some(), "{pair:?}");
            assert!(seen.insert(pair.clone()), "{pair:?} twice");
        }
    }

    #[test]
    fn a_world_in_python_takes_the_preset_of_its_name() {
        for (agent, id) in pairs() {
            let bridged = format!("{OF_PYTHON}{id}");
            assert_eq!(preset(agent, &bridged), preset(agent, &id), "{agent} {id}");
            assert_eq!(preset_id(agent, &bridged), Some(id.as_str()));
        }
        assert_eq!(preset_id("dqn", "CartPole-v1"), Some("CartPole-v1"));
        for other in ["gym:mine:CartPole-v1", "gym:CartPole-v9", "other:CartPole-v1"] {
            assert_eq!((preset("dqn", other), preset_id("dqn", other)), (None, None), "{other}");
        }
    }

    #[test]
    fn a_preset_like_another_changes_only_what_it_says() {
        let (with, without) =
            (preset("dqn", "MountainCar-v0").unwrap(), preset("dqn", "MountainCarNoVel-v0").unwrap());
        assert_eq!(with["hyperparameters"], without["hyperparameters"]);
        assert!(!with.contains_key("wrappers") && without.contains_key("wrappers"));
    }
}
