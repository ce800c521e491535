//! Evaluation: whole episodes on environments of their own, with raw rewards.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use pavlov_agents::{ActMode, Policy};
use pavlov_common::{SeededRng, derive_seed};
use pavlov_envs::{
    ActionBatch, EnvFactory, EpisodeInfos, InfoBatch, InfoTotal, ObsBatch, RowEnvs, RowError, RunningInfos,
    Step,
};
use serde::Serialize;

use super::infos;
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
    /// The most environments that are open at the same time. The returns of a greedy policy do not depend on it.
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
    /// The infos of each episode, by name.
    pub infos: Vec<EpisodeInfos>,
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

    /// The means over the episodes of each info, by name.
    pub fn info_means(&self) -> BTreeMap<String, InfoTotal> {
        infos::means(&self.infos)
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

/// Plays whole episodes, as [`Evaluator::evaluate`] does, on environments that are closed afterwards.
///
/// # Errors
/// As [`Evaluator::evaluate`].
pub fn evaluate(
    policy: &mut dyn Policy,
    factory: &EnvFactory,
    options: &EvaluationOptions<'_>,
) -> Result<Evaluation> {
    Evaluator::new(factory).evaluate(policy, options)
}

/// Evaluates policies on environments that stay open from one episode, and from one evaluation, to the next.
///
/// An episode begins with a reset by its own seed, after which an environment goes as a new one would
/// ([`pavlov_envs::laws`]): the results depend neither on the number of environments nor on what was played before.
pub struct Evaluator {
    factory: EnvFactory,
    envs: Option<Box<dyn RowEnvs>>,
}

impl Evaluator {
    /// An evaluator whose environments are opened when they are needed first.
    pub fn new(factory: &EnvFactory) -> Self {
        Self { factory: factory.clone(), envs: None }
    }

    /// Closes the environments. The next evaluation opens others.
    pub fn close(&mut self) {
        self.envs = None;
    }

    /// Plays whole episodes, of [`MOST_STEPS`] at most. Each has a seed of its own, from that of all and its
    /// number, and is counted once, so that short episodes are not counted more often than long ones.
    ///
    /// # Errors
    /// When an environment or the policy fails, or [`BrokenOff`]. The environments are closed then.
    pub fn evaluate(
        &mut self,
        policy: &mut dyn Policy,
        options: &EvaluationOptions<'_>,
    ) -> Result<Evaluation> {
        let mut result =
            Evaluation { returns: Vec::new(), lengths: Vec::new(), infos: Vec::new(), cut_off: 0 };
        for first in (0..options.episodes).step_by(options.num_envs.max(1)) {
            let numbers = first..options.episodes.min(first + options.num_envs.max(1));
            let part =
                self.open(numbers.len()).and_then(|envs| play_together(policy, envs, numbers, options));
            let part = part.inspect_err(|_| self.close()).context("the evaluation failed")?;
            result.returns.extend(part.returns);
            result.lengths.extend(part.lengths);
            result.infos.extend(part.infos);
            result.cut_off += part.cut_off;
        }
        Ok(result)
    }

    /// The environments of so many episodes.
    fn open(&mut self, count: usize) -> Result<&mut dyn RowEnvs> {
        if self.envs.as_ref().is_none_or(|envs| envs.num_envs() < count) {
            self.close();
        }
        let envs = match self.envs.take() {
            Some(envs) => envs,
            None => self.factory.make_rows(count).map_err(|RowError { row, error }| {
                let number = row + 1;
                anyhow::Error::new(error).context(format!(
                    "environment {number} of {count} cannot be opened; if the world exists once, give a training \
                     evaluation.num_envs=1 and evaluation.share_world=true, and `pavlov eval` --envs 1"
                ))
            })?,
        };
        Ok(self.envs.insert(envs).as_mut())
    }
}

/// Plays the episodes of these numbers at the same time.
fn play_together(
    policy: &mut dyn Policy,
    envs: &mut dyn RowEnvs,
    numbers: Range<usize>,
    options: &EvaluationOptions<'_>,
) -> Result<Evaluation> {
    let EvaluationOptions { mode, seed, .. } = *options;
    let count = numbers.len();
    let named = |RowError { row, error }| {
        anyhow::Error::new(error).context(format!("episode {}", numbers.start + row))
    };
    let mut observations = ObsBatch::new(envs.observation_space(), count);
    let mut actions = ActionBatch::new(envs.action_space(), count)?;
    let mut rng = SeededRng::seeded(derive_seed(seed, "evaluation actions", numbers.start as u64));
    let seed_of = |row: usize| derive_seed(seed, "evaluation env", (numbers.start + row) as u64);
    let seeds: Vec<_> = (0..count).map(|row| (row, Some(seed_of(row)))).collect();
    envs.reset(&seeds, &mut observations).map_err(named)?;
    (0..count).for_each(|row| policy.forget(row));
    let mut result = Evaluation {
        returns: vec![0.0; count],
        lengths: vec![0; count],
        infos: vec![EpisodeInfos::new(); count],
        cut_off: 0,
    };
    let (mut steps, mut infos) = (vec![Step::default(); count], InfoBatch::new(count));
    let (mut running_infos, mut lives_lost) = (RunningInfos::default(), Vec::new());
    let mut running: Vec<usize> = (0..count).collect();
    while !running.is_empty() {
        if options.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            bail!(BrokenOff);
        }
        policy.act(&observations, mode, &mut rng, &mut actions)?;
        envs.step(&running, &actions, &mut steps, &mut observations, &mut infos).map_err(named)?;
        running.retain(|&row| {
            let step = steps[row];
            result.returns[row] += step.raw_reward;
            result.lengths[row] += 1;
            running_infos.add(row, &infos);
            let is_cut_off = result.lengths[row] >= MOST_STEPS && !step.raw_end.is_over();
            result.cut_off += usize::from(is_cut_off);
            let goes_on = !step.raw_end.is_over() && !is_cut_off;
            if !goes_on {
                result.infos[row] = running_infos.take(row);
            } else if step.end.is_over() {
                lives_lost.push((row, None));
            }
            goes_on
        });
        // A wrapper's end, for instance a lost life, is a new start for the agent but not for the world.
        if !lives_lost.is_empty() {
            envs.reset(&lives_lost, &mut observations).map_err(named)?;
            lives_lost.drain(..).for_each(|(row, _)| policy.forget(row));
        }
    }
    Ok(result)
}
