//! Tuned hyper-parameters for an agent on an environment, embedded in the binary.
//!
//! A file per agent holds a list of `[[presets]]`. Each names its `environments` and sets what differs from
//! the agent's defaults, or from the preset of the environment that it is `like`. A program adds presets of
//! its own in the same form ([`super::Registries::add_presets`]); they come before the embedded ones.

use pavlov_common::tables::merge_tables;
use toml::{Table, Value};

use super::ConfigError;

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

/// The presets of a program: its own, and those that Pavlov brings along.
#[derive(Clone, Debug, Default)]
pub struct Presets {
    /// Agent, environment and the whole preset of the two. The last one of a pair counts.
    own: Vec<(String, String, Table)>,
}

impl Presets {
    /// Adds the presets of a text for `agent`, and returns their environments.
    ///
    /// # Errors
    /// [`ConfigError::File`] when the text has another form than the embedded files, or a preset is `like`
    /// one that does not exist.
    pub(super) fn add(&mut self, agent: &str, text: &str) -> Result<Vec<String>, ConfigError> {
        let fail = |message: String| ConfigError::File { name: format!("presets for {agent}"), message };
        let mut file: Table = text.parse().map_err(|error| fail(format!("not valid TOML: {error}")))?;
        let list = file.remove("presets").and_then(|list| list.try_into::<Vec<Table>>().ok());
        let Some(list) = list.filter(|list| !list.is_empty() && file.is_empty()) else {
            return Err(fail(
                "begin each preset with a line `[[presets]]`, and write nothing before the first".into(),
            ));
        };
        let mut added = Vec::new();
        for mut preset in list {
            let environments =
                preset.remove("environments").and_then(|list| list.try_into::<Vec<String>>().ok());
            let Some(environments) = environments.filter(|list| !list.is_empty()) else {
                return Err(fail(
                    "each preset wants its environments: `environments = [\"MyWorld-v0\"]`".into(),
                ));
            };
            if let Some(like) = preset.remove("like") {
                let found = like.as_str().and_then(|like| self.get(agent, like));
                let mut table = found.ok_or_else(|| {
                    fail(format!("there is no preset for {agent} that one could be `like`: {like}"))
                })?;
                merge_tables(&mut table, preset);
                preset = table;
            }
            let pairs = environments.iter().map(|id| (agent.to_string(), id.clone(), preset.clone()));
            self.own.extend(pairs);
            added.extend(environments);
        }
        Ok(added)
    }

    /// The preset for this pair, if there is one: the fields of a configuration.
    pub fn get(&self, agent: &str, environment: &str) -> Option<Table> {
        let (id, mut preset) = self.find(agent, environment)?;
        if id != environment {
            // The options are those of the bundled world.
            preset.remove("environment_options");
        }
        Some(preset)
    }

    /// The environment whose preset this pair takes, if there is one: `CartPole-v1` for `gym:CartPole-v1`.
    pub fn id<'e>(&self, agent: &str, environment: &'e str) -> Option<&'e str> {
        self.find(agent, environment).map(|(id, _)| id)
    }

    fn find<'e>(&self, agent: &str, environment: &'e str) -> Option<(&'e str, Table)> {
        let candidates = [Some(environment), environment.strip_prefix(OF_PYTHON)];
        candidates.into_iter().flatten().find_map(|id| Some((id, self.of(agent, id)?)))
    }

    fn of(&self, agent: &str, environment: &str) -> Option<Table> {
        let mut own = self.own.iter().rev().filter(|(name, ..)| name == agent);
        let own = own.find(|(_, id, _)| id == environment).map(|(.., table)| table.clone());
        own.or_else(|| embedded(agent, environment)).or_else(|| self.of(kin(agent)?, environment))
    }

    /// All pairs of agent and environment that have a preset, each once.
    pub fn pairs(&self) -> Vec<(String, String)> {
        let mut pairs: Vec<_> = pairs().map(|(agent, id)| (agent.to_string(), id)).collect();
        for (agent, id, _) in &self.own {
            let relatives = KIN.iter().filter(|(_, other)| other == agent).map(|(name, _)| *name);
            for name in [agent.as_str()].into_iter().chain(relatives) {
                let pair = (name.to_string(), id.clone());
                if !pairs.contains(&pair) {
                    pairs.push(pair);
                }
            }
        }
        pairs
    }
}

/// The bundled preset for this pair, if there is one: the fields of a configuration.
pub fn preset(agent: &str, environment: &str) -> Option<Table> {
    Presets::default().get(agent, environment)
}

/// The agent whose presets serve this one too.
fn kin(agent: &str) -> Option<&'static str> {
    KIN.iter().find(|(name, _)| *name == agent).map(|(_, other)| *other)
}

/// The preset of the agent's own file.
fn embedded(agent: &str, environment: &str) -> Option<Table> {
    let mut presets = presets_of(agent).into_iter();
    let mut preset = presets.find(|preset| names(preset, "environments").any(|id| id == environment))?;
    preset.remove("environments");
    let Some(Value::String(like)) = preset.remove("like") else { return Some(preset) };
    let mut table = embedded(agent, &like)?;
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
        let mut ids: Vec<String> = Vec::new();
        for agent in [Some(*agent), kin(agent)].into_iter().flatten() {
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
        let all = Presets::default();
        for (agent, id) in pairs() {
            let bridged = format!("{OF_PYTHON}{id}");
            assert_eq!(preset(agent, &bridged), preset(agent, &id), "{agent} {id}");
            assert_eq!(all.id(agent, &bridged), Some(id.as_str()));
        }
        assert_eq!(all.id("dqn", "CartPole-v1"), Some("CartPole-v1"));
        for other in ["gym:mine:CartPole-v1", "gym:CartPole-v9", "other:CartPole-v1"] {
            assert_eq!((preset("dqn", other), all.id("dqn", other)), (None, None), "{other}");
        }
    }

    #[test]
    fn a_preset_like_another_changes_only_what_it_says() {
        let (with, without) =
            (preset("dqn", "MountainCar-v0").unwrap(), preset("dqn", "MountainCarNoVel-v0").unwrap());
        assert_eq!(with["hyperparameters"], without["hyperparameters"]);
        assert!(!with.contains_key("wrappers") && without.contains_key("wrappers"));
    }
    const OWN: &str = r#"
        [[presets]]
        environments = ["Mine-v0"]
        env_steps = 10
        hyperparameters.learning_rate = 0.5

        [[presets]]
        environments = ["Mine-v1", "CartPole-v1"]
        like = "Mine-v0"
        env_steps = 20
    "#;

    #[test]
    fn presets_of_ones_own_come_before_the_bundled_ones() {
        let mut presets = Presets::default();
        let bundled = presets.pairs();
        assert_eq!(presets.add("dqn", OWN).unwrap(), ["Mine-v0", "Mine-v1", "CartPole-v1"]);
        let steps = |agent, id| presets.get(agent, id).unwrap()["env_steps"].as_integer();
        assert_eq!((steps("dqn", "Mine-v0"), steps("dqn", "Mine-v1")), (Some(10), Some(20)));
        assert_eq!(steps("dqn", "CartPole-v1"), Some(20), "it replaces the bundled one");
        let rate = &presets.get("dqn", "Mine-v1").unwrap()["hyperparameters"]["learning_rate"];
        assert_eq!(rate.as_float(), Some(0.5));
        assert_eq!(steps("apex", "Mine-v0"), Some(10), "as for the bundled ones");
        assert_eq!(presets.get("dqn", "Acrobot-v1"), preset("dqn", "Acrobot-v1"));
        assert!(presets.get("ppo", "Mine-v0").is_none());
        let new: Vec<_> = presets.pairs().into_iter().skip(bundled.len()).collect();
        let pairs = [("dqn", "Mine-v0"), ("apex", "Mine-v0"), ("dqn", "Mine-v1"), ("apex", "Mine-v1")];
        assert_eq!(new, pairs.map(|(agent, id)| (agent.to_string(), id.to_string())));
    }

    #[test]
    fn a_text_that_is_no_list_of_presets_is_refused() {
        let refuse = |text: &str, words: &str| {
            let message = Presets::default().add("dqn", text).unwrap_err().to_string();
            assert!(message.contains("presets for dqn") && message.contains(words), "{message}");
        };
        refuse("", "[[presets]]");
        refuse("presets = 3", "[[presets]]");
        refuse("env_steps = 3\n[[presets]]\nenvironments = [\"Mine-v0\"]", "before the first");
        refuse("[[presets]]\nenv_steps = 3", "environments = [");
        refuse("[[presets]]\nenvironments = []", "environments = [");
        refuse("[[presets]]\nenvironments = [\"Mine-v0\"]\nlike = \"Mine-v0\"", "`like`");
        refuse("[[presets", "not valid TOML");
    }
}
