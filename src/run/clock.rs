//! The counters of a run.

use std::time::Instant;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use super::candidates::Choice;
use super::job::{Origin, Values};
use crate::record::Position;

/// The version of the saved state.
const FORMAT: u32 = 5;

/// The progress of a run. Part of a checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Clock {
    format: u32,
    origin: Origin,
    /// Env steps or updates so far.
    pub done: u64,
    pub last_evaluation: Option<f64>,
    pub best_evaluation: Option<f64>,
    pub seconds: f64,
    pub log: Position,
    /// The values of the row whose evaluation was broken off or failed. It is made up for on resuming.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owed: Option<Values>,
    /// Evaluations so far.
    #[serde(default)]
    pub evaluations: u64,
    /// The latest choice of the best weights at an end of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<Choice>,
    /// True if the run has come to its end, for whatever reason but the user's wish to stop it.
    #[serde(default)]
    pub is_finished: bool,
    /// The device of the networks; empty in checkpoints that do not say it.
    #[serde(default)]
    pub device: String,
    /// The start of this process's part of the run.
    #[serde(skip)]
    before: Since,
}

/// The end of a run as its latest checkpoint has it.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Ended {
    /// Env steps or updates so far.
    pub done: u64,
    pub last_evaluation: Option<f64>,
    pub best_evaluation: Option<f64>,
    #[serde(default)]
    pub is_finished: bool,
}

#[derive(Clone, Copy, Debug)]
struct Since {
    started: Instant,
    done: u64,
    seconds: f64,
}

impl Default for Since {
    fn default() -> Self {
        Self { started: Instant::now(), done: 0, seconds: 0.0 }
    }
}

/// A moment of a run.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Env steps or updates so far.
    pub done: u64,
    /// Those of one second, since this process began.
    pub per_second: f64,
    /// Seconds of work, over all resumes.
    pub seconds: f64,
    /// The last evaluation's metric.
    pub last_evaluation: Option<f64>,
    /// The best evaluation's metric.
    pub best_evaluation: Option<f64>,
}

impl Moment {
    /// The moment of a stretch that began at `begun` with so many units, once so many are done.
    pub(crate) fn since(begun: Instant, before: u64, done: u64) -> Self {
        let seconds = begun.elapsed().as_secs_f64();
        let per_second = done.saturating_sub(before) as f64 / seconds.max(1e-9);
        Self { done, per_second, seconds, last_evaluation: None, best_evaluation: None }
    }

    /// The values of every row of the log.
    pub(super) fn values(&self) -> Values {
        Values::from_iter([("time/time_elapsed".to_string(), self.seconds)])
    }
}

impl Clock {
    pub(super) fn new(origin: Origin) -> Self {
        Self {
            format: FORMAT,
            origin,
            done: 0,
            last_evaluation: None,
            best_evaluation: None,
            seconds: 0.0,
            log: Position::default(),
            owed: None,
            evaluations: 0,
            choice: None,
            is_finished: false,
            device: String::new(),
            before: Since::default(),
        }
    }

    /// Continues from saved counters: time counts from now on.
    pub(super) fn go_on(&mut self) {
        self.before = Since { started: Instant::now(), done: self.done, seconds: self.seconds };
    }

    /// The same counters with this time.
    pub(super) fn after(&self, seconds: f64) -> Self {
        Self { seconds, ..self.clone() }
    }

    pub(super) fn check_origin(&self, origin: &Origin) -> Result<()> {
        if self.format != FORMAT {
            bail!("the checkpoint has format {}, this program reads format {FORMAT}", self.format);
        }
        if self.origin != *origin {
            bail!(
                "the checkpoint is of {}, the run is of {origin}: put back the run's own checkpoint",
                self.origin
            );
        }
        Ok(())
    }

    pub(super) fn seconds(&self) -> f64 {
        self.before.seconds + self.before.started.elapsed().as_secs_f64()
    }

    /// The moment at which so many units are done.
    pub(super) fn moment(&self, done: u64) -> Moment {
        let elapsed = self.before.started.elapsed().as_secs_f64();
        Moment {
            done,
            per_second: (done - self.before.done) as f64 / elapsed.max(1e-9),
            seconds: self.before.seconds + elapsed,
            last_evaluation: self.last_evaluation,
            best_evaluation: self.best_evaluation,
        }
    }
}
