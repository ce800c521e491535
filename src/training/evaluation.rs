//! Evaluation: whole episodes on environments of their own, with raw rewards.

use anyhow::{Context, Result};
use pavlov_agents::{ActMode, Policy};
use pavlov_common::{SeededRng, derive_seed};
use pavlov_envs::{ActionBatch, End, Env, EnvFactory, ObsBatch};
use serde::Serialize;

/// Environments that are stepped together in an evaluation.
const TOGETHER: usize = 32;
/// The steps after which an episode is cut off, since a policy may never end it in a world without a limit.
/// Half an hour of a game of 60 frames a second, four to a step.
const MOST_STEPS: u64 = 27_000;

/// The results of an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// The return of each episode: the sum of its raw rewards.
    pub returns: Vec<f64>,
    /// The steps of each episode.
    pub lengths: Vec<u64>,
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

    /// The mean number of steps of an episode.
    pub fn mean_length(&self) -> f64 {
        self.lengths.iter().sum::<u64>() as f64 / self.lengths.len() as f64
    }
}

/// Plays `episodes` whole episodes, of 27,000 steps at most. Each has an environment of its own, seeded from
/// `seed` and its number, so that short episodes are not counted more often than long ones.
///
/// # Errors
/// When an environment or the policy fails.
pub fn evaluate(
    policy: &mut dyn Policy,
    factory: &EnvFactory,
    episodes: usize,
    mode: ActMode,
    seed: u64,
) -> Result<Evaluation> {
    let mut result = Evaluation { returns: Vec::new(), lengths: Vec::new() };
    for first in (0..episodes).step_by(TOGETHER) {
        let numbers = first..episodes.min(first + TOGETHER);
        let part = play_together(policy, factory, numbers, mode, seed).context("the evaluation failed")?;
        result.returns.extend(part.returns);
        result.lengths.extend(part.lengths);
    }
    Ok(result)
}

fn play_together(
    policy: &mut dyn Policy,
    factory: &EnvFactory,
    numbers: std::ops::Range<usize>,
    mode: ActMode,
    seed: u64,
) -> Result<Evaluation> {
    let count = numbers.len();
    let episode = |row: usize| format!("episode {}", numbers.start + row);
    let mut envs = (0..count).map(|_| factory.make()).collect::<Result<Vec<Box<dyn Env>>, _>>()?;
    let mut observations = ObsBatch::new(envs[0].observation_space(), count);
    let mut actions = ActionBatch::new(envs[0].action_space(), count)?;
    let mut rng = SeededRng::seeded(derive_seed(seed, "evaluation actions", numbers.start as u64));
    for (row, env) in envs.iter_mut().enumerate() {
        let seed = derive_seed(seed, "evaluation env", (numbers.start + row) as u64);
        env.reset(Some(seed), observations.row_mut(row)).with_context(|| episode(row))?;
        policy.forget(row);
    }
    let mut result = Evaluation { returns: vec![0.0; count], lengths: vec![0; count] };
    let mut ends = vec![End::No; count];
    while ends.contains(&End::No) {
        policy.act(&observations, mode, &mut rng, &mut actions)?;
        for (row, env) in envs.iter_mut().enumerate() {
            if ends[row].is_over() {
                continue;
            }
            let step = env.step(actions.row(row), observations.row_mut(row)).with_context(|| episode(row))?;
            result.returns[row] += step.raw_reward;
            result.lengths[row] += 1;
            ends[row] = if result.lengths[row] < MOST_STEPS { step.raw_end } else { End::Truncated };
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
