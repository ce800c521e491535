//! Progress of a training, for people and scripts: a live line, lines of JSON, or warnings alone.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

/// The progress at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Env steps so far.
    pub env_steps: u64,
    /// Env steps in all.
    pub total_env_steps: u64,
    /// Env steps per second since this process began.
    pub steps_per_second: f64,
    /// Mean return of the latest episodes of training.
    pub mean_return: Option<f64>,
    /// Mean return of the last evaluation.
    pub evaluation: Option<f64>,
    /// The state of actors and learner, where there are any.
    pub threads: Option<ThreadsReport>,
}

/// The state of actors and learner since the last report. A number that the training does not have, or has
/// not reported yet, is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ThreadsReport {
    /// Updates per second.
    pub updates_per_second: Option<f64>,
    /// The mean number of updates between the acting policy and the learner's.
    pub policy_lag: Option<f64>,
    /// Samples learned from for each transition that came in.
    pub samples_per_insert: Option<f64>,
    /// Segments that wait for the replay.
    pub queue_depth: Option<f64>,
    /// The share of the time that the actors wait, 0 to 1.
    pub actors_idle: Option<f64>,
    /// The share of the time that the learner waits, 0 to 1.
    pub learner_idle: Option<f64>,
}

/// Receives the progress of a training.
pub trait Progress {
    /// Called often; must be cheap.
    fn report(&mut self, report: &Report);
    /// A message for the user.
    fn warn(&mut self, message: &str);
    /// The training is over.
    fn finish(&mut self);
}

/// Prints nothing but warnings.
#[derive(Debug, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn report(&mut self, _report: &Report) {}

    fn warn(&mut self, message: &str) {
        eprintln!("warning: {message}");
    }

    fn finish(&mut self) {}
}

/// A line of JSON each second, on the standard output: for scripts.
#[derive(Debug)]
pub struct Json {
    last: Option<Instant>,
    latest: Report,
}

impl Json {
    /// A reporter that has printed nothing yet.
    pub fn new() -> Self {
        Self { last: None, latest: Report::default() }
    }

    fn print(&mut self) {
        if let Ok(line) = serde_json::to_string(&self.latest) {
            // The reader may have closed the pipe; the training goes on.
            let _ = writeln!(std::io::stdout(), "{line}");
        }
        self.last = Some(Instant::now());
    }
}

impl Default for Json {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress for Json {
    fn report(&mut self, report: &Report) {
        self.latest = *report;
        if self.last.is_none_or(|last| last.elapsed() > Duration::from_secs(1)) {
            self.print();
        }
    }

    fn warn(&mut self, message: &str) {
        eprintln!("warning: {message}");
    }

    fn finish(&mut self) {
        self.print();
    }
}

/// A live line in a terminal; a line every few seconds where the output is no terminal.
#[derive(Debug)]
pub struct Terminal {
    bar: ProgressBar,
    live: bool,
    printed: Instant,
    latest: Report,
}

impl Terminal {
    /// Seconds between two lines where the output is no terminal.
    const PAUSE: Duration = Duration::from_secs(5);

    /// A line on the standard error.
    pub fn new() -> Self {
        let live = std::io::stderr().is_terminal();
        let bar = if live { ProgressBar::new(1) } else { ProgressBar::hidden() };
        if live {
            bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        }
        let style = ProgressStyle::with_template("{bar:24.green} {pos}/{len} steps  {msg}  {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, live, printed: Instant::now(), latest: Report::default() }
    }

    fn text(report: &Report) -> String {
        let mut parts = vec![
            format!("return {}", shown(report.mean_return, 1)),
            format!("evaluation {}", shown(report.evaluation, 1)),
            format!("{:.0} steps/s", report.steps_per_second),
        ];
        if let Some(threads) = report.threads {
            let share = |share: Option<f64>| {
                share.map_or_else(|| "-".into(), |share| format!("{:.0} %", share * 100.0))
            };
            let (actors, learner) = (share(threads.actors_idle), share(threads.learner_idle));
            parts.push(format!("{} updates/s", shown(threads.updates_per_second, 0)));
            parts.push(format!("idle: actors {actors}, learner {learner}"));
            parts.push(format!("lag {}", shown(threads.policy_lag, 1)));
            parts.extend(threads.samples_per_insert.map(|ratio| format!("{ratio:.2} samples/insert")));
            parts.extend(threads.queue_depth.map(|depth| format!("queue {depth:.0}")));
        }
        parts.join("  ")
    }
}

/// The number with so many decimals, or a dash if there is none yet.
fn shown(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.decimals$}"))
}

impl Default for Terminal {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress for Terminal {
    fn report(&mut self, report: &Report) {
        self.latest = *report;
        if self.live {
            self.bar.set_length(report.total_env_steps);
            self.bar.set_position(report.env_steps);
            self.bar.set_message(Self::text(report));
        } else if self.printed.elapsed() > Self::PAUSE {
            self.printed = Instant::now();
            eprintln!("{}/{} steps  {}", report.env_steps, report.total_env_steps, Self::text(report));
        }
    }

    fn warn(&mut self, message: &str) {
        self.bar.suspend(|| eprintln!("warning: {message}"));
    }

    fn finish(&mut self) {
        if self.live {
            self.bar.abandon();
        } else {
            eprintln!(
                "{}/{} steps  {}",
                self.latest.env_steps,
                self.latest.total_env_steps,
                Self::text(&self.latest)
            );
        }
    }
}
