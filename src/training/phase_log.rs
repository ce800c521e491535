//! The log of a training while actors run.

use std::collections::BTreeMap;
use std::time::Instant;

use super::episodes::Episodes;
use super::report::{Report, ThreadsReport};
use crate::config::RunConfig;
use crate::parallel::{Episode, Listener};
use crate::run::{Log, Values};

/// Collects what actors and learner report in one phase, and writes the rows that become due in it.
pub(super) struct PhaseLog<'a> {
    pub log: &'a mut dyn Log,
    pub config: &'a RunConfig,
    pub episodes: &'a mut Episodes,
    /// Further values of the next row.
    pub pending: &'a mut Values,
    pub threads: ThreadsReport,
    /// The updates at the learner's last report, and its time.
    pub last_updates: u64,
    pub last_learned: Instant,
}

impl Listener for PhaseLog<'_> {
    fn episode(&mut self, episode: Episode) {
        self.episodes.add(episode);
    }

    fn learned(&mut self, metrics: BTreeMap<String, f64>) {
        let latest = |tag: &str, last: Option<f64>| metrics.get(tag).copied().or(last);
        self.threads = ThreadsReport {
            updates_per_second: self.threads.updates_per_second,
            policy_lag: latest("actors/policy_lag_mean", self.threads.policy_lag),
            samples_per_insert: latest("replay/samples_per_insert", self.threads.samples_per_insert),
            queue_depth: latest("actors/queue_depth", self.threads.queue_depth),
            actors_idle: latest("actors/idle_share", self.threads.actors_idle),
            learner_idle: latest("learner/idle_share", self.threads.learner_idle),
        };
        if let Some(&updates) = metrics.get("train/n_updates") {
            let made = updates as u64 - self.last_updates;
            let rate = made as f64 / self.last_learned.elapsed().as_secs_f64().max(1e-9);
            (self.last_updates, self.last_learned) = (updates as u64, Instant::now());
            self.log.updated(self.last_updates);
            self.threads.updates_per_second = Some(rate);
            self.pending.insert("time/updates_per_second".into(), rate);
        }
        self.pending.extend(metrics);
    }

    fn tick(&mut self, env_steps: u64) {
        let now = self.log.moment(env_steps);
        let threads = Some(self.threads);
        self.log.report(&Report { threads, ..Report::new(&now, self.episodes, self.config) });
        if self.log.is_due(env_steps) {
            let mut values = self.episodes.values(&now);
            values.append(self.pending);
            self.log.row(env_steps, values);
        }
    }

    fn wants_stop(&self) -> bool {
        self.log.wants_stop()
    }

    fn warn(&mut self, message: &str) {
        self.log.warn(message);
    }
}
