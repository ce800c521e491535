//! Vector environments: many copies of one environment stepped together.

#[cfg(test)]
mod properties;
mod sync;

pub use sync::SyncVectorEnv;

use crate::{ActionBatch, End, EnvError, EnvState, ObsBatch, ObsRef, Space};

/// What one step of a vector environment gives back. The caller owns it and hands it in again for every step.
///
/// Autoreset is of the same-step kind: an environment whose episode ends is reset within the same call. Its row of
/// `observations` is then the first observation of the new episode, and the true final observation of the old one
/// stands in `final_observations`. No dummy step is ever taken, so every row is a transition to learn from.
#[derive(Clone, Debug, PartialEq)]
pub struct StepBatch {
    /// What to act on next, `[num_envs]` rows.
    pub observations: ObsBatch,
    /// The last observation of each episode that ended with this step; rows of other environments are stale.
    pub final_observations: ObsBatch,
    /// The reward of each environment.
    pub rewards: Vec<f64>,
    /// Whether, and how, each environment's episode ended with this step.
    pub ends: Vec<End>,
}

impl StepBatch {
    /// Buffers for the steps of `num_envs` environments with observations from `space`.
    pub fn new(space: &Space, num_envs: usize) -> Self {
        let observations = ObsBatch::new(space, num_envs);
        Self {
            final_observations: observations.clone(),
            observations,
            rewards: vec![0.0; num_envs],
            ends: vec![End::No; num_envs],
        }
    }

    /// The observation that truly followed the action of environment `row`: the final one if its episode ended.
    /// This, never the reset observation, is what a value is bootstrapped from.
    pub fn next_observation(&self, row: usize) -> ObsRef<'_> {
        if self.ends[row].is_over() { self.final_observations.row(row) } else { self.observations.row(row) }
    }
}

/// Many environments of one kind, stepped together. Object safe.
pub trait VectorEnv: Send {
    /// How many environments there are.
    fn num_envs(&self) -> usize;

    /// What the observations of one environment look like.
    fn observation_space(&self) -> &Space;

    /// What the actions of one environment look like.
    fn action_space(&self) -> &Space;

    /// Starts a new episode everywhere. With a seed, environment `i` gets
    /// [`derive_seed(seed, "env", i)`](crate::derive_seed).
    ///
    /// # Errors
    /// That of the first environment that fails, which is named in it.
    fn reset(&mut self, seed: Option<u64>, observations: &mut ObsBatch) -> Result<(), EnvError>;

    /// Steps every environment with its action and resets the ones whose episode ended.
    ///
    /// # Errors
    /// That of the first environment that fails, which is named in it; also NaN in an observation or a reward.
    fn step(&mut self, actions: &ActionBatch, out: &mut StepBatch) -> Result<(), EnvError>;

    /// The state of each environment; `None` if one of them cannot be saved.
    fn save_states(&self) -> Option<Vec<EnvState>>;

    /// Continues from states that [`VectorEnv::save_states`] has given.
    ///
    /// # Errors
    /// [`EnvError::State`] when their number or content does not fit.
    fn load_states(&mut self, states: &[EnvState]) -> Result<(), EnvError>;
}
