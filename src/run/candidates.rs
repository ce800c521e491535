//! The candidates for the best weights: those of the best evaluations, which are compared once more at the end
//! of a run.
//!
//! The metric of an evaluation is a mean over few episodes. The highest of many such means belongs to good weights
//! that were lucky; new episodes, the same for all candidates, tell which of them are the best.

use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use pavlov_nn::StateDict;
use serde::{Deserialize, Serialize};

use super::clock::Moment;
use super::job::{FinalComparison, Job, Values};

/// The most candidates.
const MOST: usize = 3;
/// The list of candidates in a checkpoint, and the start of the names of their arrays.
const NAME: &str = "candidates";

/// The choice of the best weights among candidates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Env steps or updates of the run when it was made.
    pub at: u64,
    /// Env steps or updates after which the chosen weights were evaluated.
    pub chosen: u64,
    /// The metric of the chosen weights in the comparison: an agent's mean return.
    pub metric: f64,
    /// Episodes of each candidate.
    pub episodes: usize,
    /// The number of candidates.
    pub candidates: usize,
}

impl Choice {
    /// Its values for the log.
    pub(super) fn values(&self) -> Values {
        let values = [("eval/final_mean_reward", self.metric), ("eval/final_chosen", self.chosen as f64)];
        values.map(|(tag, value)| (tag.to_string(), value)).into()
    }
}

/// The weights of the best evaluations so far, the best first. Part of a checkpoint.
#[derive(Debug, Default)]
pub(super) struct Candidates(Vec<Candidate>);

#[derive(Debug)]
struct Candidate {
    entry: Entry,
    weights: StateDict<'static>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    /// Env steps or updates after which the weights were evaluated.
    done: u64,
    metric: f64,
}

impl Candidates {
    /// Takes up the job's present weights, if their evaluation is among the best. An evaluation that is made up
    /// for takes its own place. Of equal metrics, the earlier one stands first.
    pub(super) fn add(&mut self, done: u64, metric: f64, job: &dyn Job) -> Result<()> {
        self.0.retain(|candidate| candidate.entry.done != done);
        if metric.is_nan() {
            return Ok(());
        }
        let plan = job.plan();
        let place = self.0.iter().position(|candidate| plan.is_better(metric, candidate.entry.metric));
        let place = place.unwrap_or(self.0.len());
        if place < MOST {
            let mut weights = StateDict::new();
            let given = job.weights()?.arrays.into_iter();
            weights.arrays.extend(given.map(|(name, array)| (name, array.into_owned())));
            self.0.insert(place, Candidate { entry: Entry { done, metric }, weights });
            self.0.truncate(MOST);
        }
        Ok(())
    }

    /// Lets the candidates play again, after so many evaluations, and gives the choice with its weights; `None`
    /// where there is too little to choose from.
    pub(super) fn choose(
        &self,
        comparison: FinalComparison,
        evaluations: u64,
        job: &mut dyn Job,
        now: &Moment,
        stop: &AtomicBool,
    ) -> Result<Option<(Choice, &StateDict<'static>)>> {
        let Some((count, episodes)) = extent(comparison, evaluations, self.0.len()) else {
            return Ok(None);
        };
        let weights: Vec<_> = self.0[..count].iter().map(|candidate| &candidate.weights).collect();
        let metrics = job.compare(&weights, episodes, now, stop)?;
        let plan = job.plan();
        let mut best: Option<(f64, &Candidate)> = None;
        for (metric, candidate) in metrics.into_iter().zip(&self.0) {
            // The first of equals has the better evaluation.
            if !metric.is_nan() && best.is_none_or(|(best, _)| plan.is_better(metric, best)) {
                best = Some((metric, candidate));
            }
        }
        Ok(best.map(|(metric, Candidate { entry, weights })| {
            let choice = Choice { at: now.done, chosen: entry.done, metric, episodes, candidates: count };
            (choice, weights)
        }))
    }

    /// Adds them to a checkpoint.
    pub(super) fn put<'a>(&'a self, state: &mut StateDict<'a>) -> Result<()> {
        let entries: Vec<_> = self.0.iter().map(|candidate| candidate.entry).collect();
        state.put_value(NAME, &entries)?;
        for Candidate { entry, weights } in &self.0 {
            let arrays = weights.arrays.iter();
            let named = arrays.map(|(name, array)| (format!("{}{name}", prefix(entry)), array.borrowed()));
            state.arrays.extend(named);
        }
        Ok(())
    }

    /// Those of a checkpoint; one that has none says nothing of them.
    pub(super) fn load(state: &StateDict<'static>) -> Result<Self> {
        if !state.values.contains_key(NAME) {
            return Ok(Self::default());
        }
        let entries: Vec<Entry> = state.view().value(NAME).context("the candidates for the best weights")?;
        let candidates = entries.into_iter().map(|entry| {
            let prefix = prefix(&entry);
            let own = state.arrays.range(prefix.clone()..);
            let own = own.map_while(|(name, array)| Some((name.strip_prefix(&prefix)?.to_string(), array)));
            let mut weights = StateDict::new();
            weights.arrays.extend(own.map(|(name, array)| (name, array.clone())));
            Candidate { entry, weights }
        });
        Ok(Self(candidates.collect()))
    }
}

fn prefix(entry: &Entry) -> String {
    format!("{NAME}.{}.", entry.done)
}

/// The number of candidates and the episodes of each. All of them play half as many episodes as all evaluations
/// did at most, so that a run becomes no longer than by half of what its evaluations took; and each of them at
/// least as many as one evaluation has, or they would be told apart by more luck than before.
fn extent(comparison: FinalComparison, evaluations: u64, candidates: usize) -> Option<(usize, usize)> {
    let FinalComparison { episodes, per_evaluation } = comparison;
    let count = (candidates.min(MOST) as u64).min(evaluations / 2);
    if count < 2 {
        return None;
    }
    let most = evaluations.saturating_mul(per_evaluation) / 2 / count;
    Some((count as usize, episodes.max(per_evaluation).min(most) as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comparison_is_no_longer_than_half_of_the_evaluations() {
        for (evaluations, candidates, episodes, per_evaluation, expected) in [
            (20, 3, 100, 20, Some((3, 66))),
            (100, 3, 100, 20, Some((3, 100))),
            (100, 3, 10, 20, Some((3, 20))),
            (100, 2, 100, 20, Some((2, 100))),
            (4, 3, 100, 20, Some((2, 20))),
            (6, 3, 100, 7, Some((3, 7))),
            (3, 3, 100, 20, None),
            (20, 1, 100, 20, None),
            (0, 0, 100, 20, None),
        ] {
            let comparison = FinalComparison { episodes, per_evaluation };
            assert_eq!(extent(comparison, evaluations, candidates), expected, "{evaluations} {candidates}");
            if let Some((count, episodes)) = expected {
                assert!(2 * (count * episodes) as u64 <= evaluations * per_evaluation);
            }
        }
    }
}
