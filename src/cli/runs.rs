//! `pavlov runs`: the runs in a folder as a table.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::args::RunsArgs;
use super::say::say;
use super::table;
use crate::config::{AnyConfig, Registries};
use crate::record::{Row, read_csv};
use crate::run::{Ended, RUNS, RunFolder, Settings};
use crate::tell::short_count;

/// The evaluations' metric of an agent.
const RETURN: &str = "eval/mean_reward";

/// A run as the list tells of it.
struct Listed {
    run: PathBuf,
    /// The last sign of life.
    changed: SystemTime,
    state: State,
    config: Option<AnyConfig>,
    /// Env steps or updates so far, and in all.
    done: u64,
    total: Option<u64>,
    /// The best evaluation and where it was, and the last one.
    best: Option<(f64, Option<u64>)>,
    last: Option<f64>,
    /// The latest row of the log.
    latest: Option<Row>,
    /// The reason why a part of it cannot be read.
    problem: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Finished,
    Interrupted,
    Damaged,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Interrupted => "interrupted",
            Self::Damaged => "damaged",
        }
    }
}

pub(super) fn runs(registries: &Registries, args: &RunsArgs) -> Result<ExitCode> {
    let (root, words) = place(&args.words)?;
    let found = RunFolder::find(&root).with_context(|| format!("{} cannot be read", root.display()))?;
    let count = found.len();
    let mut listed: Vec<_> = found.iter().map(|run| look(registries, run)).collect();
    listed.retain(|run| words.iter().all(|word| run.matches(word)));
    listed.sort_by(|a, b| (a.changed, &a.run).cmp(&(b.changed, &b.run)));
    if args.json {
        let rows: Vec<_> = listed.iter().map(Listed::json).collect();
        say!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(ExitCode::SUCCESS);
    }
    if listed.is_empty() {
        let of = if words.is_empty() { String::new() } else { format!(" match `{}`", words.join(" ")) };
        say!("none of the {count} runs in {}{of}", root.display());
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<_> = listed.iter().map(Listed::cells).collect();
    let head = ["agent", "on", "seed", "done", "best", "last", "status", "age", "run"];
    table::lines(&head, &rows, table::width()).iter().for_each(|line| say!("{line}"));
    for run in &listed {
        if let Some(problem) = &run.problem {
            say!("{}: {problem}", run.run.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The folder to look in, and the words that runs must have.
fn place(given: &[String]) -> Result<(PathBuf, &[String])> {
    match given.split_first() {
        Some((first, words)) if Path::new(first).is_dir() => Ok((first.into(), words)),
        Some((first, _)) if !Path::new(RUNS).is_dir() => {
            bail!(
                "there is no folder {first}, and no folder {RUNS} to look for that word in: train something first"
            )
        }
        Some((first, _)) if first.contains('/') => bail!("there is no folder {first}"),
        None if !Path::new(RUNS).is_dir() => bail!("there is no folder {RUNS}: train something first"),
        _ => Ok((RUNS.into(), given)),
    }
}

/// All that can be found out about a run without working on it.
fn look(registries: &Registries, run: &RunFolder) -> Listed {
    let config = run.any_config(registries);
    let mut problem = config.as_ref().err().map(|error| format!("{error:#}"));
    let rows = match read_csv(&run.log()) {
        Ok((_, rows)) => rows,
        Err(error) => {
            if error.kind() != std::io::ErrorKind::NotFound {
                problem.get_or_insert_with(|| format!("the log: {error}"));
            }
            Vec::new()
        }
    };
    let ended = run.ended();
    let logged = rows.last().map_or(0, |row| row.step);
    let done = ended.as_ref().map_or(0, |ended| ended.done).max(logged);
    let total = match &config {
        Ok(AnyConfig::Agent(config)) => Some(config.env_steps),
        Ok(AnyConfig::Fit(config)) if config.updates > 0 => Some(config.updates),
        _ => None,
    };
    let (best, last) = evaluations(&rows, ended.as_ref());
    let state = match (&config, run.is_in_progress()) {
        (Err(_), _) => State::Damaged,
        (_, true) => State::Running,
        _ if ended.as_ref().is_some_and(|ended| ended.is_finished) => State::Finished,
        _ if total.is_some_and(|total| done >= total) => State::Finished,
        _ => State::Interrupted,
    };
    let modified = |path: PathBuf| fs::metadata(path).and_then(|data| data.modified()).ok();
    let times = [run.log(), run.path().join("checkpoints"), run.path().to_path_buf()].map(modified);
    Listed {
        run: run.path().to_path_buf(),
        changed: times.into_iter().flatten().next().unwrap_or(SystemTime::UNIX_EPOCH),
        state,
        config: config.ok(),
        done,
        total,
        best,
        last,
        latest: rows.into_iter().next_back(),
        problem,
    }
}

/// The best evaluation with its place, and the last one: of an agent from the log, of a fit, whose tasks have
/// metrics of their own, from the latest checkpoint.
fn evaluations(rows: &[Row], ended: Option<&Ended>) -> (Option<(f64, Option<u64>)>, Option<f64>) {
    let returns = || rows.iter().filter_map(|row| Some((row.step, *row.values.get(RETURN)?)));
    let best = returns().filter(|(_, value)| !value.is_nan());
    let best = best.reduce(|best, other| if other.1 > best.1 { other } else { best });
    if let Some((step, value)) = best {
        return (Some((value, Some(step))), returns().next_back().map(|(_, value)| value));
    }
    let Some(ended) = ended else { return (None, None) };
    let has = |row: &&Row, best: f64| {
        row.values.iter().any(|(tag, value)| tag.starts_with("eval/") && *value == best)
    };
    let place = |best| rows.iter().find(|row| has(row, best)).map(|row| row.step);
    (ended.best_evaluation.map(|best| (best, place(best))), ended.last_evaluation)
}

impl Listed {
    /// True if the word is part of what is shown of the run.
    fn matches(&self, word: &str) -> bool {
        let mut text = format!("{} {}", self.run.display(), self.state.word());
        if let Some(config) = &self.config {
            text.push_str(&format!(" {}", config.origin()));
        }
        text.to_lowercase().contains(&word.to_lowercase())
    }

    fn seed(&self) -> Option<u64> {
        self.config.as_ref().map(|config| match config {
            AnyConfig::Agent(config) => config.seed(),
            AnyConfig::Fit(config) => config.seed(),
        })
    }

    fn is_agent(&self) -> bool {
        matches!(self.config, Some(AnyConfig::Agent(_)))
    }

    fn value(&self, tag: &str) -> Option<f64> {
        self.latest.as_ref()?.values.get(tag).copied()
    }

    /// The cells of its row in the table.
    fn cells(&self) -> Vec<String> {
        let dash = || "-".to_string();
        let origin = self.config.as_ref().map(AnyConfig::origin);
        let metric = |value: f64| match self.is_agent() {
            true => format!("{value:.1}"),
            false => format!("{value:.4}"),
        };
        let best = self.best.map_or_else(dash, |(value, at)| {
            let at = at.map_or(String::new(), |at| format!(" at {}", short_count(at)));
            format!("{}{at}", metric(value))
        });
        vec![
            origin.as_ref().map_or_else(dash, |origin| origin.name.clone()),
            origin.as_ref().map_or_else(dash, |origin| origin.on.clone()),
            self.seed().map_or_else(dash, |seed| seed.to_string()),
            self.progress(),
            best,
            self.last.map_or_else(dash, metric),
            self.state.word().into(),
            table::age(self.changed.elapsed().unwrap_or(Duration::ZERO)),
            self.run.display().to_string(),
        ]
    }

    /// The steps, updates or epochs that are done, and their number in all.
    fn progress(&self) -> String {
        if let Some(AnyConfig::Fit(config)) = &self.config
            && config.updates == 0
        {
            let epoch = self.value("train/epoch").unwrap_or_default();
            return match epoch >= config.epochs as f64 {
                true => format!("{} epochs", config.epochs),
                false => format!("{epoch:.1}/{} epochs", config.epochs),
            };
        }
        if self.config.is_none() && self.done == 0 {
            return "-".into();
        }
        let unit = if self.is_agent() { "" } else { " updates" };
        let done = short_count(self.done);
        match self.total {
            Some(total) if self.done < total => format!("{done}/{}{unit}", short_count(total)),
            _ => format!("{done}{unit}"),
        }
    }

    fn json(&self) -> serde_json::Value {
        let mut row = json!({
            "run": self.run,
            "problem": self.problem,
            "status": self.state.word(),
            "seed": self.seed(),
            "best_evaluation": self.best.map(|(value, _)| value),
            "best_at": self.best.and_then(|(_, at)| at),
            "last_evaluation": self.last,
            "age_seconds": self.changed.elapsed().unwrap_or(Duration::ZERO).as_secs(),
        });
        let more = match &self.config {
            None => json!({}),
            Some(AnyConfig::Agent(config)) => json!({
                "agent": config.agent,
                "environment": config.environment,
                "env_steps": self.done,
                "total_env_steps": config.env_steps,
                "mean_return": self.value("rollout/ep_rew_mean"),
            }),
            Some(AnyConfig::Fit(config)) => json!({
                "task": config.task,
                "data": config.data.name,
                "updates": self.done,
                "total_updates": self.total,
                "epoch": self.value("train/epoch"),
                "total_epochs": (config.updates == 0).then_some(config.epochs),
                "loss": self.value("train/loss"),
            }),
        };
        if let (Some(row), Some(more)) = (row.as_object_mut(), more.as_object()) {
            row.extend(more.clone());
        }
        row
    }
}
