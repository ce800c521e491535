//! Evaluation: whole episodes on environments of their own, with raw rewards.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use pavlov_agents::{ActMode, Policy};
use pavlov_common::{SeededRng, derive_seed};
use pavlov_envs::{ActionBatch, End, Env, EnvFactory, ObsBatch};
use serde::Serialize;

use crate::play::MOST_STEPS;
use crate::run::BrokenOff;

/// The way in which episodes are played in an evaluation.
#[derive(Clone, Copy, Debug)]
pub struct EvaluationOptions<'a> {
    /// The number of whole episodes.
    pub episodes: usize,
    /// Greedy, or as in training.
    pub mode: ActMode,
    /// The seed of all episodes.
    pub seed: u64,
    /// The most environments that are open at the same time, each for one episode. The returns of a greedy
    /// policy do not depend on it.
    pub num_envs: usize,
    /// Breaks the evaluation off once it is true.
    pub stop: Option<&'a AtomicBool>,
}

impl Default for EvaluationOptions<'_> {
    /// Ten greedy episodes of the seed 0, 32 at a time.
    fn default() -> Self {
        Self { episodes: 10, mode: ActMode::Exploit, seed: 0, num_envs: 32, stop: None }
    }
}

/// The results of an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// The return of each episode: the sum of its raw rewards.
    pub returns: Vec<f64>,
    /// The steps of each episode.
    pub lengths: Vec<u64>,
    /// The episodes that were cut off after [`MOST_STEPS`].
    pub cut_off: usize,
}

impl Evaluation {
    /// The mean return.
    pub fn mean(&self) -> f64 {
        self.returns.iter().sum::<f64>() / self.returns.len() as f64
    }

    /// The standard deviation of the returns.
    pub fn deviation(&self) -> f64 {
        let mean = self.mean();
        let squares = self.returns.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        (squares / self.returns.len() as f64).sqrt()
    }

    /// The standard error of the mean return, from the deviation of a sample; `None` of one episode.
    pub fn standard_error(&self) -> Option<f64> {
        let others = self.returns.len().checked_sub(1).filter(|others| *others > 0)?;
        Some(self.deviation() / (others as f64).sqrt())
    }

    /// The mean number of steps of an episode: of the agent's, for each of which `frame_skip` makes several of the
    /// world.
    pub fn mean_length(&self) -> f64 {
        self.lengths.iter().sum::<u64>() as f64 / self.lengths.len() as f64
    }
}

/// Words on episodes that were cut off.
pub(crate) fn cut_off(count: usize, of: usize) -> String {
    format!("{count} of {of} episodes had no end and were cut off after {MOST_STEPS} steps")
}

/// Plays whole episodes, of [`MOST_STEPS`] at most. Each has an environment of its own, seeded from the seed and
/// its number, so that short episodes are not counted more often than long ones.
///
/// # Errors
/// When an environment or the policy fails, or [`BrokenOff`].
pub fn evaluate(
    policy: &mut dyn Policy,
    factory: &EnvFactory,
    options: &EvaluationOptions<'_>,
) -> Result<Evaluation> {
    let mut result = Evaluation { returns: Vec::new(), lengths: Vec::new(), cut_off: 0 };
    for first in (0..options.episodes).step_by(options.num_envs.max(1)) {
        let numbers = first..options.episodes.min(first + options.num_envs.max(1));
        let part = play_together(policy, factory, numbers, options).context("the evaluation failed")?;
        result.returns.extend(part.returns);
        result.lengths.extend(part.lengths);
        result.cut_off += part.cut_off;
    }
    Ok(result)
}

/// The environments of so many episodes.
fn open(factory: &EnvFactory, count: usize) -> Result<Vec<Box<dyn Env>>> {
    let hint = |number: usize| {
        format!(
            "environment {number} of {count} cannot be opened; if the world exists once, give a training \
             evaluation.num_envs=1 and evaluation.share_world=true, and `pavlov eval` --envs 1"
        )
    };
    (0..count).map(|row| factory.make().with_context(|| hint(row + 1))).collect()
}

fn play_together(
    policy: &mut dyn Policy,
    factory: &EnvFactory,
    numbers: Range<usize>,
    options: &EvaluationOptions<'_>,
) -> Result<Evaluation> {
    let EvaluationOptions { mode, seed, .. } = *options;
    let count = numbers.len();
    let episode = |row: usize| format!("episode {}", numbers.start + row);
    let mut envs = open(factory, count)?;
    let mut observations = ObsBatch::new(envs[0].observation_space(), count);
    let mut actions = ActionBatch::new(envs[0].action_space(), count)?;
    let mut rng = SeededRng::seeded(derive_seed(seed, "evaluation actions", numbers.start as u64));
    for (row, env) in envs.iter_mut().enumerate() {
        let seed = derive_seed(seed, "evaluation env", (numbers.start + row) as u64);
        env.reset(Some(seed), observations.row_mut(row)).with_context(|| episode(row))?;
        policy.forget(row);
    }
    let mut result = Evaluation { returns: vec![0.0; count], lengths: vec![0; count], cut_off: 0 };
    let mut ends = vec![End::No; count];
    while ends.contains(&End::No) {
        if options.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            bail!(BrokenOff);
        }
        policy.act(&observations, mode, &mut rng, &mut actions)?;
        for (row, env) in envs.iter_mut().enumerate() {
            if ends[row].is_over() {
                continue;
            }
            let step = env.step(actions.row(row), observations.row_mut(row)).with_context(|| episode(row))?;
            result.returns[row] += step.raw_reward;
            result.lengths[row] += 1;
            ends[row] = step.raw_end;
            if result.lengths[row] >= MOST_STEPS && !ends[row].is_over() {
                ends[row] = End::Truncated;
                result.cut_off += 1;
            }
            if step.end.is_over() && !ends[row].is_over() {
                // A wrapper's end, for instance a lost life, is a new start for the agent but not for the
                // world.
                env.reset(None, observations.row_mut(row)).with_context(|| episode(row))?;
                policy.forget(row);
            }
        }
    }
    Ok(result)
}
