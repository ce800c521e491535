//! The progress of an agent's training.

use serde::Serialize;

use super::episodes::Episodes;
use crate::config::RunConfig;
use crate::run::{Moment, Status, shown};

/// The progress of an agent's training at one moment.
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

impl Report {
    pub(super) fn new(now: &Moment, episodes: &Episodes, config: &RunConfig) -> Self {
        Self {
            env_steps: now.done,
            total_env_steps: config.env_steps,
            steps_per_second: now.per_second,
            mean_return: episodes.means().map(|means| means.0),
            evaluation: now.last_evaluation,
            threads: None,
        }
    }
}

impl Status for Report {
    fn done(&self) -> u64 {
        self.env_steps
    }

    fn total(&self) -> u64 {
        self.total_env_steps
    }

    fn unit(&self) -> &'static str {
        "steps"
    }

    fn per_second(&self) -> f64 {
        self.steps_per_second
    }

    fn text(&self) -> String {
        let mut parts = vec![
            format!("return {}", shown(self.mean_return, 1)),
            format!("evaluation {}", shown(self.evaluation, 1)),
            format!("{:.0} steps/s", self.steps_per_second),
        ];
        if let Some(threads) = self.threads {
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

    fn json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}
