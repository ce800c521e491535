//! Returns, lengths and infos of training episodes, in the environment's own units, before any wrapper changed them.

use std::collections::VecDeque;

use pavlov_envs::{EpisodeInfos, RunningInfos, StepBatch};
use serde::{Deserialize, Serialize};

use super::infos;
use crate::parallel::Episode;
use crate::run::{Moment, Values};

/// The number of latest episodes for the means, as in Stable-Baselines3.
const WINDOW: usize = 100;

/// Adds up rewards until an episode ends, and keeps the latest whole episodes. Part of a checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Episodes {
    running: Vec<(f64, u64)>,
    latest: VecDeque<(f64, u64)>,
    finished: u64,
    #[serde(default)]
    running_infos: RunningInfos,
    /// Those of the last of the latest episodes; none for worlds without infos.
    #[serde(default)]
    latest_infos: VecDeque<EpisodeInfos>,
}

impl Episodes {
    pub(super) fn new(num_envs: usize) -> Self {
        Self {
            running: vec![(0.0, 0); num_envs],
            latest: VecDeque::new(),
            finished: 0,
            running_infos: RunningInfos::default(),
            latest_infos: VecDeque::new(),
        }
    }

    pub(super) fn observe(&mut self, step: &StepBatch) {
        for row in 0..self.running.len() {
            if step.resets[row] {
                continue;
            }
            let running = &mut self.running[row];
            running.0 += step.raw_rewards[row];
            running.1 += 1;
            self.running_infos.add(row, &step.infos);
            if step.raw_ends[row].is_over() {
                let (sum, length) = std::mem::take(running);
                let infos = self.running_infos.take(row);
                self.add(Episode { sum, length, infos });
            }
        }
    }

    /// Adds a whole episode.
    pub(super) fn add(&mut self, Episode { sum, length, infos }: Episode) {
        if self.latest.len() == WINDOW {
            self.latest.pop_front();
        }
        self.latest.push_back((sum, length));
        self.finished += 1;
        if !infos.is_empty() || !self.latest_infos.is_empty() {
            self.latest_infos.push_back(infos);
        }
        // The two lists end with the same episode.
        if self.latest_infos.len() > WINDOW {
            self.latest_infos.pop_front();
        }
    }

    /// Drops the running episodes, which cannot go on after a resume with new environments.
    pub(super) fn forget_running(&mut self) {
        self.running.fill((0.0, 0));
        self.running_infos.forget();
    }

    /// The latest episodes of all shards: of each the last ones, as many in all as of a single one.
    pub(crate) fn merged(shards: Vec<Self>) -> Option<Self> {
        let window = WINDOW.div_ceil(shards.len().max(1));
        let mut shards = shards.into_iter();
        let mut first = shards.next()?;
        first.keep(window);
        for mut other in shards {
            other.keep(window);
            first.finished += other.finished;
            first.latest.append(&mut other.latest);
            first.latest_infos.append(&mut other.latest_infos);
        }
        Some(first)
    }

    /// Keeps the latest `window` episodes alone.
    fn keep(&mut self, window: usize) {
        self.latest.drain(..self.latest.len().saturating_sub(window));
        self.latest_infos.drain(..self.latest_infos.len().saturating_sub(window));
    }

    /// Their values for the log, and the rate of env steps.
    pub(super) fn values(&self, now: &Moment) -> Values {
        let mut values = Values::new();
        if let Some((mean_return, mean_length)) = self.means() {
            values.insert("rollout/ep_rew_mean".into(), mean_return);
            values.insert("rollout/ep_len_mean".into(), mean_length);
        }
        values.insert("rollout/episodes".into(), self.finished as f64);
        values.insert("time/fps".into(), now.per_second);
        values.extend(infos::values("rollout", &infos::means(&self.latest_infos)));
        values
    }

    /// Mean return and mean length of the latest episodes; `None` before the first has ended.
    pub(super) fn means(&self) -> Option<(f64, f64)> {
        let count = self.latest.len() as f64;
        let sum = |of: fn(&(f64, u64)) -> f64| self.latest.iter().map(of).sum::<f64>();
        (count > 0.0).then(|| (sum(|episode| episode.0) / count, sum(|episode| episode.1 as f64) / count))
    }
}
