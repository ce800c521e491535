//! A policy that was trained on normalised observations, together with the normaliser.

use anyhow::Result;
use pavlov_agents::{ActMode, AgentError, Policy};
use pavlov_common::SeededRng;
use pavlov_envs::{ActionBatch, ObsBatch, ObservationNormalizer, RunningStatistics};
use pavlov_nn::{StateDict, StateView};

const NAME: &str = "observation_normalizer";

/// Normalises observations before the policy sees them. The statistics are constant.
pub(super) struct Normalized {
    policy: Box<dyn Policy>,
    normalizer: ObservationNormalizer,
    seen: Option<ObsBatch>,
}

/// `policy` behind the normaliser, if there is one.
pub(super) fn normalized(
    policy: Box<dyn Policy>,
    normalizer: Option<ObservationNormalizer>,
) -> Box<dyn Policy> {
    match normalizer {
        None => policy,
        Some(normalizer) => Box::new(Normalized { policy, normalizer, seen: None }),
    }
}

impl Policy for Normalized {
    fn act(
        &mut self,
        observations: &ObsBatch,
        mode: ActMode,
        rng: &mut SeededRng,
        actions: &mut ActionBatch,
    ) -> Result<(), AgentError> {
        let seen = self.seen.get_or_insert_with(|| observations.clone());
        if seen.rows() != observations.rows() {
            *seen = observations.clone();
        }
        for row in 0..observations.rows() {
            seen.copy_row(row, observations.row(row));
            self.normalizer.apply(seen.row_mut(row));
        }
        self.policy.act(seen, mode, rng, actions)
    }

    fn forget(&mut self, row: usize) {
        self.policy.forget(row);
    }
}

/// Adds the statistics to the state to be saved.
pub(super) fn put(state: &mut StateDict<'_>, normalizer: Option<&ObservationNormalizer>) -> Result<()> {
    let Some(statistics) = normalizer.map(ObservationNormalizer::statistics) else { return Ok(()) };
    let tensor = |numbers: &[f64]| tch::Tensor::f_from_slice(numbers);
    state.put_tensor(&format!("{NAME}.mean"), &tensor(statistics.mean())?)?;
    state.put_tensor(&format!("{NAME}.variance"), &tensor(statistics.variance())?)?;
    state.put_tensor(&format!("{NAME}.count"), &tensor(&[statistics.count()])?)?;
    Ok(())
}

/// The weights of a saved state without the statistics, for the network, which takes its own arrays alone.
pub(super) fn without_statistics(state: &StateDict<'static>) -> StateDict<'static> {
    let arrays = state.arrays.iter().filter(|(name, _)| !is_statistic(name));
    let mut weights = StateDict::new();
    weights.arrays.extend(arrays.map(|(name, array)| (name.clone(), array.clone())));
    weights
}

/// True for the names of the statistics' arrays.
pub(super) fn is_statistic(name: &str) -> bool {
    name.strip_prefix(NAME).is_some_and(|rest| rest.starts_with('.'))
}

/// Takes over saved statistics.
pub(super) fn load(state: &StateView<'_>, normalizer: &mut ObservationNormalizer) -> Result<()> {
    let array = |part: &str| state.vec::<f64>(&format!("{NAME}.{part}"));
    let count = array("count")?.first().copied().unwrap_or_default();
    let statistics = RunningStatistics::from_parts(array("mean")?, array("variance")?, count)?;
    Ok(normalizer.set_statistics(&statistics)?)
}
