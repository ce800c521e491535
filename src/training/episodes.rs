//! Returns and lengths of training episodes, in the environment's own units, before any wrapper changed them.

use std::collections::VecDeque;

use pavlov_envs::StepBatch;
use serde::{Deserialize, Serialize};

use crate::run::{Moment, Values};

/// The number of latest episodes for the means, as in Stable-Baselines3.
const WINDOW: usize = 100;

/// Adds up rewards until an episode ends, and keeps the latest whole episodes. Part of a checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Episodes {
    running: Vec<(f64, u64)>,
    latest: VecDeque<(f64, u64)>,
    finished: u64,
}

impl Episodes {
    pub(super) fn new(num_envs: usize) -> Self {
        Self { running: vec![(0.0, 0); num_envs], latest: VecDeque::new(), finished: 0 }
    }

    pub(super) fn observe(&mut self, step: &StepBatch) {
        for (row, running) in self.running.iter_mut().enumerate() {
            if step.resets[row] {
                continue;
            }
            running.0 += step.raw_rewards[row];
            running.1 += 1;
            if step.raw_ends[row].is_over() {
                let (sum, steps) = std::mem::take(running);
                add(&mut self.latest, &mut self.finished, sum, steps);
            }
        }
    }

    /// Adds an episode that has been added up elsewhere.
    pub(super) fn add(&mut self, sum: f64, steps: u64) {
        add(&mut self.latest, &mut self.finished, sum, steps);
    }

    /// Drops the running episodes, which cannot go on after a resume with new environments.
    pub(super) fn forget_running(&mut self) {
        self.running.fill((0.0, 0));
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
        values
    }

    /// Mean return and mean length of the latest episodes; `None` before the first has ended.
    pub(super) fn means(&self) -> Option<(f64, f64)> {
        let count = self.latest.len() as f64;
        let sum = |of: fn(&(f64, u64)) -> f64| self.latest.iter().map(of).sum::<f64>();
        (count > 0.0).then(|| (sum(|episode| episode.0) / count, sum(|episode| episode.1 as f64) / count))
    }
}

fn add(latest: &mut VecDeque<(f64, u64)>, finished: &mut u64, sum: f64, steps: u64) {
    if latest.len() == WINDOW {
        latest.pop_front();
    }
    latest.push_back((sum, steps));
    *finished += 1;
}
