//! The counters of a training, and the log that they go into while actors run.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use super::episodes::Episodes;
use super::progress::{Progress, Report, ThreadsReport};
use crate::config::RunConfig;
use crate::parallel::Listener;
use crate::record::{Position, Recorder, Row};

/// The version of the saved state.
const FORMAT: u32 = 4;

/// The progress of a training. Part of a checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Clock {
    format: u32,
    agent: String,
    environment: String,
    pub env_steps: u64,
    pub episodes: Episodes,
    pub last_evaluation: Option<f64>,
    pub best_evaluation: Option<f64>,
    pub seconds: f64,
    pub log: Position,
    /// The start of this process's part of the training.
    #[serde(skip)]
    before: Since,
}

#[derive(Clone, Copy, Debug)]
struct Since {
    started: Instant,
    env_steps: u64,
    seconds: f64,
}

impl Default for Since {
    fn default() -> Self {
        Self { started: Instant::now(), env_steps: 0, seconds: 0.0 }
    }
}

impl Clock {
    pub(super) fn new(config: &RunConfig) -> Self {
        Self {
            format: FORMAT,
            agent: config.agent.clone(),
            environment: config.environment.clone(),
            env_steps: 0,
            episodes: Episodes::new(config.num_envs),
            last_evaluation: None,
            best_evaluation: None,
            seconds: 0.0,
            log: Position::default(),
            before: Since::default(),
        }
    }

    /// Continues from saved counters: time counts from now on.
    pub(super) fn go_on(&mut self) {
        self.before = Since { started: Instant::now(), env_steps: self.env_steps, seconds: self.seconds };
    }

    /// The same counters with this time.
    pub(super) fn after(&self, seconds: f64) -> Self {
        Self { seconds, ..self.clone() }
    }

    pub(super) fn check_origin(&self, config: &RunConfig) -> Result<()> {
        if self.format != FORMAT {
            bail!("the checkpoint has format {}, this program reads format {FORMAT}", self.format);
        }
        if self.agent != config.agent || self.environment != config.environment {
            bail!(
                "the checkpoint is of {} on {}, the run is of {} on {}: put back the run's own checkpoint",
                self.agent,
                self.environment,
                config.agent,
                config.environment
            );
        }
        Ok(())
    }

    pub(super) fn seconds(&self) -> f64 {
        self.before.seconds + self.before.started.elapsed().as_secs_f64()
    }

    fn steps_per_second(&self, env_steps: u64) -> f64 {
        (env_steps - self.before.env_steps) as f64 / self.before.started.elapsed().as_secs_f64().max(1e-9)
    }

    /// The values of every row of the log, after so many env steps.
    pub(super) fn values(&self, env_steps: u64) -> BTreeMap<String, f64> {
        let mut values = BTreeMap::new();
        if let Some((mean_return, mean_length)) = self.episodes.means() {
            values.insert("rollout/ep_rew_mean".into(), mean_return);
            values.insert("rollout/ep_len_mean".into(), mean_length);
        }
        values.insert("rollout/episodes".into(), self.episodes.finished() as f64);
        values.insert("time/fps".into(), self.steps_per_second(env_steps));
        values.insert("time/time_elapsed".into(), self.seconds());
        values
    }

    pub(super) fn report(&self, env_steps: u64, config: &RunConfig) -> Report {
        Report {
            env_steps,
            total_env_steps: config.env_steps,
            steps_per_second: self.steps_per_second(env_steps),
            mean_return: self.episodes.means().map(|means| means.0),
            evaluation: self.last_evaluation,
            threads: None,
        }
    }
}

/// Writes the log while actors run.
pub(super) struct PhaseLog<'a> {
    pub clock: &'a mut Clock,
    pub config: &'a RunConfig,
    pub recorder: &'a Recorder,
    pub progress: &'a mut dyn Progress,
    /// The env steps at which the phase ends. The session itself writes that row.
    pub until: u64,
    /// The env steps of the last row.
    pub logged: u64,
    /// Further values of the next row.
    pub pending: &'a mut BTreeMap<String, f64>,
    pub threads: ThreadsReport,
    /// The updates at the learner's last report, and its time.
    pub last_updates: u64,
    pub last_learned: Instant,
}

impl Listener for PhaseLog<'_> {
    fn episode(&mut self, episode_return: f64, length: u64) {
        self.clock.episodes.add(episode_return, length);
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
            self.threads.updates_per_second = Some(rate);
            self.pending.insert("time/updates_per_second".into(), rate);
        }
        self.pending.extend(metrics);
    }

    fn tick(&mut self, env_steps: u64) {
        let threads = Some(self.threads);
        self.progress.report(&Report { threads, ..self.clock.report(env_steps, self.config) });
        let every = self.config.log.every_env_steps;
        if env_steps / every > self.logged / every && env_steps < self.until {
            self.logged = env_steps;
            let mut values = self.clock.values(env_steps);
            values.append(self.pending);
            self.recorder.row(Row { env_steps, values });
        }
    }

    fn warn(&mut self, message: &str) {
        self.progress.warn(message);
    }
}
