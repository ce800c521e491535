//! Runs of others: what of a configuration would execute a program that the run's folder names.

use std::path::Path;

use anyhow::{Result, bail};
use toml::{Table, Value};

use super::args::OpenArgs;
use crate::config::{AnyConfig, Registries};
use crate::fitting::FRAMES;
use crate::run::RunFolder;

/// The run in this folder with its configuration, if nothing of it needs a trust that is not given.
///
/// # Errors
/// When there is no run, its configuration is damaged, or trust is needed.
pub(super) fn open(registries: &Registries, run: &Path, args: &OpenArgs) -> Result<(RunFolder, AnyConfig)> {
    let folder = RunFolder::open(run)?;
    let config = folder.any_config(registries)?;
    check(&config, run, args.trust)?;
    Ok((folder, config))
}

/// Refuses a run whose environment would run a program or import a module of Python that its configuration names,
/// unless the user trusts it.
///
/// # Errors
/// When it would, and `trusted` is false.
fn check(config: &AnyConfig, run: &Path, trusted: bool) -> Result<()> {
    let reason = match config {
        AnyConfig::Agent(config) => of_environment(&config.environment, &config.environment_options),
        AnyConfig::Fit(config) if config.data.name == FRAMES => {
            let options = &config.data.options;
            let text = |key: &str| options.get(key).and_then(Value::as_str).unwrap_or_default();
            let none = Table::new();
            let own = options.get("environment_options").and_then(Value::as_table).unwrap_or(&none);
            of_environment(text("environment"), own)
        }
        AnyConfig::Fit(_) => None,
    };
    match reason {
        Some(reason) if !trusted => bail!(
            "{reason}, and whoever made {} may have put anything there: look at its config.toml, then give --trust if \
             the run is your own or you know where it comes from",
            run.display()
        ),
        _ => Ok(()),
    }
}

/// The program that an environment of Python would run beside Gymnasium itself.
fn of_environment(id: &str, options: &Table) -> Option<String> {
    let gymnasium = id.strip_prefix("gym:")?;
    if let Some((module, _)) = gymnasium.split_once(':') {
        return Some(format!("the environment `{id}` imports Python's module `{module}`"));
    }
    let given = |key: &str| options.get(key).filter(|value| !is_empty(value));
    if let Some(python) = given("python") {
        return Some(format!("the environment's option `python` runs the program {python}"));
    }
    given("wrappers")
        .map(|wrappers| format!("the environment's option `wrappers` imports {wrappers} in Python"))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_a_program_of_the_folder_is_named() {
        for (id, options, part) in [
            ("gym:mine:World-v0", "", Some("module `mine`")),
            ("gym:CartPole-v1", "python = '/tmp/x'", Some("/tmp/x")),
            ("gym:CartPole-v1", "wrappers = ['mine:Wrapper']", Some("mine:Wrapper")),
            ("gym:CartPole-v1", "python = ''\nwrappers = []", None),
            ("gym:ALE/Pong-v5", "timeout_seconds = 3.0", None),
            ("CartPole-v1", "python = '/tmp/x'", None),
        ] {
            let reason = of_environment(id, &options.parse().unwrap());
            match part {
                Some(part) => assert!(reason.unwrap().contains(part), "{id}"),
                None => assert_eq!(reason, None, "{id} {options}"),
            }
        }
    }
}
