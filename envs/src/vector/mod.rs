//! Vector environments: many copies of one environment stepped together.

mod asynchronous;
#[cfg(test)]
mod asynchronous_tests;
mod batch;
mod buffers;
#[cfg(test)]
mod lockstep;
mod normalize;
#[cfg(test)]
mod normalize_tests;
mod pooled;
#[cfg(test)]
mod properties;
mod running;
mod slot;
mod slots;
mod sync;
mod threaded;
#[cfg(test)]
mod walk;
mod worker;

pub use asynchronous::AsyncVectorEnv;
pub(crate) use batch::BatchVectorEnv;
pub(crate) use buffers::{Buffers, check_count};
pub use normalize::{NormalizeObservation, NormalizeReward, ObservationNormalizer};
pub use pooled::SeenStatistics;
pub use running::RunningStatistics;
use slot::StepRow;
pub(crate) use slot::named;
pub use sync::SyncVectorEnv;
pub use threaded::ThreadedVectorEnv;

use std::num::NonZero;
use std::thread;

use serde::{Deserialize, Serialize};

use crate::checks::Warnings;
use crate::{ActionBatch, End, Env, EnvError, EnvState, InfoBatch, ObsBatch, ObsRef, Space};

/// The time at which an environment whose episode has ended starts its next one. Both kinds are Gymnasium's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Autoreset {
    /// Within the same call: the row of `observations` is the first observation of the new episode, and the
    /// last one of the old stands in `final_observations`. Every row of every step is a transition to learn
    /// from.
    #[default]
    SameStep,
    /// With the next call, which ignores the environment's action and resets it instead: the row is then
    /// marked in `resets` and is no transition.
    NextStep,
}

/// The options of a vector environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VectorOptions {
    /// The number of environments.
    pub num_envs: usize,
    /// The number of threads that step them; 0 takes as many as there are cores. The results do not depend on
    /// it. A world with a vector form of its own needs only one.
    pub threads: usize,
    /// The time at which an environment whose episode has ended starts its next one.
    pub autoreset: Autoreset,
}

impl VectorOptions {
    /// `num_envs` environments, stepped in the caller's thread and reset within the same step.
    pub fn new(num_envs: usize) -> Self {
        Self { num_envs, threads: 1, autoreset: Autoreset::SameStep }
    }

    /// The same with this many threads; 0 takes as many as there are cores.
    pub fn threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    /// The same with another time for resets.
    pub fn autoreset(self, autoreset: Autoreset) -> Self {
        Self { autoreset, ..self }
    }

    /// The number of threads that have work.
    fn team_size(&self) -> usize {
        let threads = match self.threads {
            0 => thread::available_parallelism().map_or(1, NonZero::get),
            threads => threads,
        };
        threads.min(self.num_envs)
    }

    /// A vector environment of the single environments that `make` returns.
    ///
    /// # Errors
    /// That of `make`; [`EnvError::Contract`] for no environments, or environments with different spaces;
    /// [`EnvError::World`] when the system has no thread left.
    pub fn of_single(
        &self,
        make: impl FnMut(usize) -> Result<Box<dyn Env>, EnvError>,
    ) -> Result<Box<dyn VectorEnv>, EnvError> {
        Ok(match self.team_size() {
            0 | 1 => Box::new(SyncVectorEnv::with_autoreset(self.num_envs, self.autoreset, make)?),
            threads => Box::new(ThreadedVectorEnv::new(self.num_envs, threads, self.autoreset, make)?),
        })
    }
}

/// The outcome of one step of a vector environment. The caller owns it and hands it in again for every step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepBatch {
    /// The observations to act on next, `[num_envs]` rows.
    pub observations: ObsBatch,
    /// The last observation of each episode that ended with this step; rows of other environments are stale.
    pub final_observations: ObsBatch,
    /// The reward of each environment, to learn from.
    pub rewards: Vec<f64>,
    /// The end of each environment's episode with this step, if it ended, as the agent is to see it.
    pub ends: Vec<End>,
    /// The reward of each environment in its own units, before any wrapper changed it.
    pub raw_rewards: Vec<f64>,
    /// The end of each world's own episode with this step, if it ended.
    pub raw_ends: Vec<End>,
    /// True for environments that were reset in place of a step: their rows are no transitions. Under
    /// next-step autoreset only, or for the first observations that an [`AsyncVectorEnv`] returns.
    pub resets: Vec<bool>,
    /// The worlds' infos of this step; of an episode's last step, those before its reset.
    pub infos: InfoBatch,
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
            raw_rewards: vec![0.0; num_envs],
            raw_ends: vec![End::No; num_envs],
            resets: vec![false; num_envs],
            infos: InfoBatch::new(num_envs),
        }
    }

    /// Row `row`, for the environment that writes it.
    fn row_mut(&mut self, row: usize) -> StepRow<'_> {
        StepRow {
            observation: self.observations.row_mut(row),
            final_observation: self.final_observations.row_mut(row),
            reward: &mut self.rewards[row],
            end: &mut self.ends[row],
            raw_reward: &mut self.raw_rewards[row],
            raw_end: &mut self.raw_ends[row],
            reset: &mut self.resets[row],
            infos: &mut self.infos,
            number: row,
        }
    }

    /// Copies the rows of `source` over those of the environments from `first` on; of final observations only
    /// those of episodes that ended.
    pub fn copy_rows(&mut self, first: usize, source: &StepBatch) {
        let rows = first..first + source.rewards.len();
        self.observations.copy_rows(first, &source.observations);
        self.rewards[rows.clone()].copy_from_slice(&source.rewards);
        self.ends[rows.clone()].copy_from_slice(&source.ends);
        self.raw_rewards[rows.clone()].copy_from_slice(&source.raw_rewards);
        self.raw_ends[rows.clone()].copy_from_slice(&source.raw_ends);
        self.resets[rows].copy_from_slice(&source.resets);
        self.infos.copy_rows(first, &source.infos);
        let ended = source.ends.iter().enumerate().filter(|(_, end)| end.is_over());
        for (row, _) in ended {
            self.final_observations.copy_row(first + row, source.final_observations.row(row));
        }
    }

    /// The observation that truly followed the action of environment `row`: the final one if its episode
    /// ended. Values are bootstrapped from this one, never from the reset observation.
    pub fn next_observation(&self, row: usize) -> ObsRef<'_> {
        if self.ends[row].is_over() { self.final_observations.row(row) } else { self.observations.row(row) }
    }
}

/// Many environments of one kind, stepped together. Object safe.
pub trait VectorEnv: Send {
    /// The number of environments.
    fn num_envs(&self) -> usize;

    /// The space of one environment's observations.
    fn observation_space(&self) -> &Space;

    /// The space of one environment's actions.
    fn action_space(&self) -> &Space;

    /// Starts a new episode everywhere. With a seed, environment `i` gets
    /// [`derive_seed(seed, "env", i)`](crate::derive_seed).
    ///
    /// # Errors
    /// That of the first environment that fails, which is named in it.
    fn reset(&mut self, seed: Option<u64>, observations: &mut ObsBatch) -> Result<(), EnvError>;

    /// Steps every environment with its action and resets those whose episode ended, at the time that
    /// [`Autoreset`] says.
    ///
    /// # Errors
    /// That of the first environment that fails, which is named in it; also NaN in an observation or a
    /// reward.
    fn step(&mut self, actions: &ActionBatch, out: &mut StepBatch) -> Result<(), EnvError>;

    /// The normaliser of the observations, if a wrapper normalises them: for an evaluation on environments of
    /// its own.
    fn observation_normalizer(&self) -> Option<&ObservationNormalizer> {
        None
    }

    /// The statistics of normalising wrappers so far.
    fn seen(&self) -> SeenStatistics {
        SeenStatistics::default()
    }

    /// The statistics of normalising wrappers since the last call, once [`VectorEnv::follow_seen`] was
    /// called: this vector environment's share in statistics that several gather together.
    fn take_seen(&mut self) -> SeenStatistics {
        SeenStatistics::default()
    }

    /// Gives normalising wrappers these statistics to go on with. They add their own observations to them.
    ///
    /// # Errors
    /// [`EnvError::State`] when they are of other observations.
    fn follow_seen(&mut self, _all: &SeenStatistics) -> Result<(), EnvError> {
        Ok(())
    }

    /// Adds warnings about what the environments give to these from now on.
    fn watch(&mut self, _warnings: &Warnings) {}

    /// The state of all environments; `None` if one of them cannot be saved.
    fn save_state(&self) -> Option<EnvState>;

    /// Continues from a state that [`VectorEnv::save_state`] returned.
    ///
    /// # Errors
    /// [`EnvError::State`] when it does not fit.
    fn load_state(&mut self, state: &EnvState) -> Result<(), EnvError>;
}
