//! The work of a run: training an agent, fitting a model. A session drives it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use pavlov_agents::Policy;
use pavlov_nn::{StateDict, StateView};
use serde::{Deserialize, Serialize};
use tch::Device;

use super::Settings;
use super::clock::Moment;
use super::log::Log;
use super::outcome::StopReason;
use super::progress::Status;
use super::row_part::RowPart;
use crate::record::Note;
use crate::training::Evaluation;

/// Values for the log, by tag.
pub type Values = BTreeMap<String, f64>;

/// A run's kind, and the two names that say what it works on. Part of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// `agent` or `task`.
    pub kind: String,
    /// The agent's or the task's name.
    pub name: String,
    /// The environment or the data set.
    pub on: String,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.name, self.on)
    }
}

/// The unit in which the progress of a run is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Steps of environments.
    EnvSteps,
    /// Gradient steps.
    Updates,
}

impl Unit {
    /// The first column of the run's log.
    pub fn column(self) -> &'static str {
        match self {
            Self::EnvSteps => "time/total_timesteps",
            Self::Updates => "time/total_updates",
        }
    }

    /// The unit in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::EnvSteps => "env steps",
            Self::Updates => "updates",
        }
    }
}

/// The length of a run, and when what is due, in the run's unit. 0 is never, but at the end.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The unit of the others.
    pub unit: Unit,
    /// The length of the whole run.
    pub total: u64,
    /// From one row of the log to the next; at least 1.
    pub log_every: u64,
    /// From one evaluation to the next; 0 has none at the end either.
    pub evaluate_every: u64,
    /// From one checkpoint to the next.
    pub checkpoint_every: u64,
    /// The number of latest checkpoints that are kept.
    pub keep_last: usize,
    /// From one report of progress to the next; at least 1.
    pub report_every: u64,
    /// True if the weights with the highest evaluation are the best ones, false if those with the lowest.
    pub highest_is_best: bool,
}

impl Plan {
    /// True if an evaluation with this metric is better than another. A metric that is no number never is.
    pub fn is_better(&self, metric: f64, than: f64) -> bool {
        if self.highest_is_best { metric > than } else { metric < than }
    }

    /// The end of the present stretch: the next evaluation or checkpoint, or the end of the run.
    pub fn next_due(&self, done: u64) -> u64 {
        let every = [self.evaluate_every, self.checkpoint_every];
        let next = every.iter().filter(|every| **every > 0).map(|every| (done / every + 1) * every);
        next.fold(self.total, u64::min)
    }
}

/// The configuration of a run, for TensorBoard's pages of texts and of hyper-parameters.
#[derive(Clone, Debug)]
pub struct Description {
    /// All of it, as TOML.
    pub text: String,
    /// The same, as a table.
    pub table: toml::Table,
    /// The tags by which runs are compared.
    pub metrics: Vec<&'static str>,
}

impl Description {
    /// The description of a run of this configuration.
    ///
    /// # Errors
    /// When a number cannot be written as TOML.
    pub fn of(config: &impl Settings, metrics: &[&'static str]) -> Result<Self> {
        let table = toml::Table::try_from(config)?;
        Ok(Self { text: config.to_toml()?, table, metrics: metrics.to_vec() })
    }
}

/// The end of a stretch of work.
#[derive(Debug, Default)]
pub struct Advance {
    /// The units that are done in all.
    pub done: u64,
    /// The reason for which the run must stop, with a checkpoint that it can be resumed from.
    pub failure: Option<String>,
}

/// An evaluation, to be logged.
#[derive(Debug)]
pub struct Evaluated {
    /// The number that the best weights are chosen by.
    pub metric: f64,
    /// Values for the log.
    pub values: Values,
    /// Pictures for the log.
    pub notes: Vec<Note>,
    /// The episodes that an agent played; `None` for a fit.
    pub episodes: Option<Evaluation>,
}

/// The episodes by which weights are compared at the end of a run, since the best of many evaluations owes part
/// of its metric to luck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinalComparison {
    /// Episodes of each candidate, if the evaluations of the run were long enough for it.
    pub episodes: u64,
    /// Episodes of each evaluation of the run.
    pub per_evaluation: u64,
}

/// The error of an evaluation that was not brought to its end, since the user asked the run to stop.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the evaluation was broken off")]
pub struct BrokenOff;

/// The work of a run. Whoever implements it owns what is trained and knows how to go on with it; the session
/// knows when to log, evaluate and save.
pub trait Job {
    /// The run's kind and names.
    fn origin(&self) -> Origin;

    /// The length of the run, and when what is due.
    fn plan(&self) -> Plan;

    /// The device of the networks.
    fn device(&self) -> Device;

    /// The configuration, for TensorBoard.
    ///
    /// # Errors
    /// When a number cannot be written as TOML.
    fn describe(&self) -> Result<Description>;

    /// Begins from the start.
    ///
    /// # Errors
    /// When an environment fails.
    fn start(&mut self) -> Result<()>;

    /// Goes on from `done`, by at least one unit and at most to `until`, but for the last few units that
    /// belong together. Rows that become due before `until` are written by the job itself, through `log`, if
    /// it does more than `plan().report_every` units at once.
    ///
    /// # Errors
    /// When the work cannot go on; nothing more is saved then.
    fn advance(&mut self, until: u64, stop: &AtomicBool, log: &mut dyn Log) -> Result<Advance>;

    /// New warnings for the user.
    fn take_warnings(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// The gradient steps that were made in all.
    fn updates(&self) -> u64;

    /// This job's part of the next row of the log: means since the last one.
    ///
    /// # Errors
    /// When a loss is no longer finite.
    fn row_part(&mut self) -> Result<RowPart>;

    /// The values of the next row of the log, from the parts of all shards: a job that is its training's only
    /// one gets its own.
    ///
    /// # Errors
    /// When a loss is no longer finite.
    fn values(&mut self, now: &Moment, part: RowPart) -> Result<Values>;

    /// The progress, for people and scripts.
    fn status(&self, now: &Moment) -> Box<dyn Status>;

    /// Evaluates what has been learned so far, unless `stop` is set meanwhile.
    ///
    /// # Errors
    /// When the evaluation fails: a checkpoint is written, and a resumed run evaluates again. [`BrokenOff`] when
    /// `stop` was set.
    fn evaluate(&mut self, now: &Moment, stop: &AtomicBool) -> Result<Evaluated>;

    /// Takes note of an evaluation's metric, and of the best one before it. In a training of several shards, one
    /// evaluates and all take note.
    ///
    /// # Errors
    /// When a shard is lost.
    fn validated(&mut self, _metric: f64, _best_before: Option<f64>) -> Result<()> {
        Ok(())
    }

    /// The reason to stop after an evaluation with this metric, if there is one.
    fn stops_after(&self, metric: f64) -> Option<StopReason>;

    /// The comparison of the best evaluations' weights at the end; `None` where an evaluation has no luck in it,
    /// or the user wants none.
    fn final_comparison(&self) -> Option<FinalComparison> {
        None
    }

    /// The metric of each of these weights, which [`Job::weights`] gave at other times, over `episodes` episodes
    /// that are the same for all of them. What is trained stays as it is.
    ///
    /// # Errors
    /// As [`Job::evaluate`].
    fn compare(
        &mut self,
        _weights: &[&StateDict<'static>],
        _episodes: usize,
        _now: &Moment,
        _stop: &AtomicBool,
    ) -> Result<Vec<f64>> {
        Ok(Vec::new())
    }

    /// A policy with a copy of the present weights; `None` for a job without a policy.
    ///
    /// # Errors
    /// When memory runs out.
    fn policy(&self) -> Result<Option<Box<dyn Policy>>> {
        Ok(None)
    }

    /// The weights that are needed to use what was learned.
    ///
    /// # Errors
    /// When a tensor cannot be copied.
    fn weights(&self) -> Result<StateDict<'_>>;

    /// The run has come to its end, or was stopped as asked; its last checkpoint is written.
    fn end(&mut self) {}

    /// Adds everything that is needed to go on exactly.
    ///
    /// # Errors
    /// When a tensor cannot be copied.
    fn put_state<'a>(&'a self, state: &mut StateDict<'a>) -> Result<()>;

    /// Goes on from a saved state. Returns a warning for the user if that is not exact.
    ///
    /// # Errors
    /// When the state does not fit.
    fn load_state(&mut self, state: &StateView<'_>, done: u64) -> Result<Option<String>>;
}
