//! `pavlov envs`, `agents`, `tasks`, `datasets` and `config`: the commands that list and print.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use super::args::{ConfigArgs, EnvsArgs, ListArgs};
use super::say::say;
use super::train;
use crate::config::Registries;
use crate::files::check_ending;
use crate::play::contact_sheet;
use crate::run::Settings;
use crate::tell::tell;
use crate::training::Training;

pub(super) fn envs(registries: &Registries, args: &EnvsArgs) -> Result<ExitCode> {
    if let Some(path) = &args.pictures {
        check_ending("--pictures", path, "png")?;
        let count = contact_sheet(&registries.envs, path)?;
        say!("pictures of {count} environments in {}", path.display());
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = Vec::new();
    let presets = registries.presets.pairs();
    for spec in registries.envs.specs() {
        let env = spec.make(&Default::default())?;
        let agents: Vec<_> =
            presets.iter().filter(|(_, id)| *id == spec.id).map(|(agent, _)| agent).collect();
        rows.push(json!({
            "id": spec.id,
            "observations": env.observation_space().to_string(),
            "pictures": env.observation_space().pictures(),
            "actions": env.action_space().to_string(),
            "reward": spec.reward,
            "max_episode_steps": spec.max_episode_steps,
            "reward_threshold": spec.reward_threshold,
            "options": spec.options,
            "presets": agents,
            "summary": spec.summary,
        }));
    }
    if args.markdown {
        say!("| id | what to do | reward | observations | actions | step limit | solved from |");
        say!("|---|---|---|---|---|---|---|");
        rows.iter().for_each(|row| say!("{}", markdown(row)));
        return Ok(ExitCode::SUCCESS);
    }
    print(args.list.json, &rows, |row| {
        let limit = row["max_episode_steps"].as_u64().map_or("-".into(), |limit| limit.to_string());
        let (mut observations, actions) = (text(&row["observations"]).to_string(), text(&row["actions"]));
        for picture in row["pictures"].as_array().into_iter().flatten() {
            observations.push_str(&format!(" ({})", text(picture)));
        }
        format!(
            "{:<28} {}\n{:<28} observations {observations}, actions {actions}, step limit {limit}",
            text(&row["id"]),
            text(&row["summary"]),
            ""
        )
    })
}

/// An environment as a row of a table.
fn markdown(row: &serde_json::Value) -> String {
    let cell = |value: &serde_json::Value| match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text.replace('|', "\\|"),
        other => other.to_string(),
    };
    let columns = ["summary", "reward", "observations", "actions", "max_episode_steps", "reward_threshold"];
    let cells = columns.map(|column| cell(&row[column]));
    format!("| {} | {} |", text(&row["id"]), cells.join(" | "))
}

pub(super) fn agents(registries: &Registries, args: &ListArgs) -> Result<ExitCode> {
    let pairs = registries.presets.pairs();
    let row = |spec: &pavlov_agents::AgentSpec| {
        let presets: Vec<_> =
            pairs.iter().filter(|(agent, _)| *agent == spec.name).map(|(_, id)| id).collect();
        json!({ "name": spec.name, "summary": spec.summary, "presets": presets })
    };
    let rows: Vec<_> = registries.agents.specs().iter().map(row).collect();
    print(args.json, &rows, |row| {
        let presets: Vec<_> = row["presets"].as_array().into_iter().flatten().map(text).collect();
        format!(
            "{:<12} {}\n{:<12} presets for {}",
            text(&row["name"]),
            text(&row["summary"]),
            "",
            presets.join(", ")
        )
    })
}

pub(super) fn tasks(registries: &Registries, args: &ListArgs) -> Result<ExitCode> {
    let specs = registries.tasks.specs().iter();
    let rows: Vec<_> = specs.map(|spec| json!({ "name": spec.name, "summary": spec.summary })).collect();
    print(args.json, &rows, |row| format!("{:<14} {}", text(&row["name"]), text(&row["summary"])))
}

pub(super) fn datasets(registries: &Registries, args: &ListArgs) -> Result<ExitCode> {
    let row = |spec: &pavlov_data::DatasetSpec| {
        let (name, summary, needs_path) = (&spec.name, &spec.summary, spec.needs_path);
        json!({ "name": name, "summary": summary, "needs_path": needs_path })
    };
    let rows: Vec<_> = registries.datasets.specs().map(row).collect();
    print(args.json, &rows, |row| {
        let path = if row["needs_path"] == true { "  (--data PATH)" } else { "" };
        format!("{:<14} {}{path}", text(&row["name"]), text(&row["summary"]))
    })
}

pub(super) fn config(registries: &Registries, args: &ConfigArgs) -> Result<ExitCode> {
    let config = train::resolve(registries, &args.run)?;
    say!("{}", config.to_toml()?.trim_end());
    // As comments of the file: what the configuration makes of the environment's observations and actions.
    match Training::review(&config, registries) {
        Ok(review) => {
            say!("");
            review.facts.iter().for_each(|fact| say!("# {fact}"));
            review.warnings.iter().for_each(|warning| tell(format_args!("warning: {warning}")));
        }
        Err(error) => {
            tell(format_args!("warning: a training of this configuration does not start: {error:#}"))
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the rows as one JSON array, or each as the text that `line` returns.
fn print(
    as_json: bool,
    rows: &[serde_json::Value],
    line: impl Fn(&serde_json::Value) -> String,
) -> Result<ExitCode> {
    if as_json {
        say!("{}", serde_json::to_string_pretty(rows)?);
    } else {
        rows.iter().for_each(|row| say!("{}", line(row)));
    }
    Ok(ExitCode::SUCCESS)
}

fn text(value: &serde_json::Value) -> &str {
    value.as_str().unwrap_or_default()
}
