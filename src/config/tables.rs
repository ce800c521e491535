//! `--set key=value` and options, read into tables, with messages that name the nearest right key.

use pavlov_agents::AgentError;
use pavlov_common::{did_you_mean, tables};
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::error::ConfigError;

/// The keys of a run's configuration; `--set` takes any other for one of the agent's hyper-parameters.
pub(super) const RUN_KEYS: [&str; 18] = [
    "agent",
    "environment",
    "seed",
    "env_steps",
    "num_envs",
    "shards",
    "env_threads",
    "actors",
    "device",
    "threads",
    "update_threads",
    "log",
    "evaluation",
    "checkpoint",
    "environment_options",
    "wrappers",
    "pretrained",
    "hyperparameters",
];

/// `a.b=1` as a table: at the top for the keys of a run, else below `hyperparameters`. The value is TOML, or
/// else a string.
pub(super) fn parse_set(set: &str, run_keys: &[&str]) -> Result<Table, ConfigError> {
    let Some((key, value)) = set.split_once('=') else {
        return Err(ConfigError::Key(format!(
            "--set {set}: write key=value, for instance --set discount=0.95"
        )));
    };
    let (key, value) = (key.trim(), value.trim());
    if key.is_empty() || key.split('.').any(str::is_empty) {
        return Err(ConfigError::Key(format!("--set {set}: the key is empty")));
    }
    // The network's own key, by which one looks for it; its path belongs to the run, which reads files.
    let key = if key == "net.pretrained" { "pretrained.path" } else { key };
    let mut value = parse_value(key, value)?;
    let mut path: Vec<&str> = key.split('.').collect();
    if !run_keys.contains(&path[0]) {
        path.insert(0, "hyperparameters");
    }
    for key in path[1..].iter().rev() {
        value = Value::Table(Table::from_iter([(key.to_string(), value)]));
    }
    Ok(Table::from_iter([(path[0].to_string(), value)]))
}

/// The table with every key written out, as `pavlov config` prints it, so that one part of a value can be set
/// whose short form a preset has: the end of a learning rate `"lin_1e-3"`. A table that is not valid yet stays
/// as it is, and so does what is not written out, since it says nothing yet.
pub(super) fn written_out<C: serde::Serialize>(
    mut table: Table,
    resolve: impl Fn(Table) -> Result<C, ConfigError>,
) -> Table {
    let whole = resolve(table.clone()).ok().and_then(|config| Table::try_from(config).ok());
    tables::merge_tables(&mut table, whole.unwrap_or_default());
    table
}

/// A configuration as a table with these settings.
pub(super) fn with_sets(
    config: &impl serde::Serialize,
    sets: &[String],
    run_keys: &[&str],
) -> Result<Table, ConfigError> {
    let mut table = Table::try_from(config).map_err(|error| ConfigError::Value(error.to_string()))?;
    for set in sets {
        tables::merge_tables(&mut table, parse_set(set, run_keys)?);
    }
    Ok(table)
}

/// An environment's option, `key=value`. The value is TOML, or else a string.
///
/// # Errors
/// [`ConfigError::Key`] when there is no `=` or the key is empty.
pub(crate) fn parse_option(option: &str) -> Result<(String, Value), ConfigError> {
    let Some((key, value)) = option.split_once('=') else {
        return Err(ConfigError::Key(format!("--option {option}: write key=value")));
    };
    let (key, value) = (key.trim(), value.trim());
    if key.is_empty() {
        return Err(ConfigError::Key(format!("--option {option}: the key is empty")));
    }
    Ok((key.into(), parse_value(key, value)?))
}

/// TOML, or else a word without quotes; text that begins as a list, a table or a string is one.
fn parse_value(key: &str, value: &str) -> Result<Value, ConfigError> {
    let parsed = format!("value = {value}").parse::<Table>();
    match parsed {
        Ok(mut table) if table.len() == 1 => {
            Ok(table.remove("value").unwrap_or_else(|| Value::String(value.into())))
        }
        Err(error) if value.starts_with(['[', '{', '"', '\'']) => {
            let message = error.message().lines().next().unwrap_or_default().to_owned();
            Err(ConfigError::Key(format!("{key}: the value is no TOML: {message}")))
        }
        _ => Ok(Value::String(value.into())),
    }
}

/// Refuses a file that names another agent or environment than the command line.
pub(super) fn agrees(given: &Table, key: &str, asked: &str, file: &str) -> Result<(), ConfigError> {
    match given.get(key).and_then(Value::as_str) {
        Some(named) if named != asked => Err(ConfigError::File {
            name: file.into(),
            message: format!("it is for {key} `{named}`, but `{asked}` was asked for: change one of the two"),
        }),
        _ => Ok(()),
    }
}

/// The table as a `T`; an error names the path of the wrong key.
pub(super) fn typed<T: DeserializeOwned>(table: Table) -> Result<T, ConfigError> {
    tables::typed(table).map_err(|wrong| ConfigError::Key(explain(&wrong.to_string())))
}

/// The same explanation for an agent's error about its hyper-parameters.
pub(super) fn explain_agent(result: Result<Table, AgentError>) -> Result<Table, ConfigError> {
    result.map_err(|error| match error {
        AgentError::Config(message) => ConfigError::Key(explain(&message)),
        other => other.into(),
    })
}

/// serde's "unknown field `x`, expected one of `a`, `b`" in Pavlov's words, with the nearest name.
pub(super) fn explain(message: &str) -> String {
    let message = message.trim();
    for (serde_word, our_word) in [("unknown field", "key"), ("unknown variant", "word")] {
        let Some(start) = message.find(serde_word) else { continue };
        let (place, rest) = message.split_at(start);
        // serde names the place once more, in a line of its own.
        let rest = rest.lines().next().unwrap_or_default();
        let quoted: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
        let Some((name, known)) = quoted.split_first() else { continue };
        let hint = did_you_mean(name, known.iter().copied());
        let own = match known.contains(&"hyperparameters") {
            true => "; an agent's or a task's own keys, such as those of net, stand under [hyperparameters]",
            false => "",
        };
        return format!("{place}unknown {our_word} `{name}`{hint}; there are: {}{own}", known.join(", "));
    }
    message.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_takes_toml_values_and_bare_words() {
        let parsed = |set| parse_set(set, &RUN_KEYS).unwrap();
        assert_eq!(parsed("seed=3").to_string(), "seed = 3\n");
        assert_eq!(
            parsed("net.hidden_sizes=[8, 8]")["hyperparameters"]["net"]["hidden_sizes"][1].as_integer(),
            Some(8)
        );
        assert_eq!(
            parsed("net.activation=tanh")["hyperparameters"]["net"]["activation"].as_str(),
            Some("tanh")
        );
        assert_eq!(parsed("evaluation.episodes=5")["evaluation"]["episodes"].as_integer(), Some(5));
        for wrong in ["seed", "=1", "a..b=1"] {
            assert!(parse_set(wrong, &RUN_KEYS).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_unknown_key_is_explained() {
        let message = explain("unknown field `discont`, expected one of `discount`, `loss`");
        assert_eq!(message, "unknown key `discont` (did you mean `discount`?); there are: discount, loss");
    }
}
