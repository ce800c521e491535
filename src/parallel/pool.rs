//! Statistics for the wrappers that normalise, gathered over the environments of all lanes.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pavlov_envs::{EnvError, SeenStatistics, VectorEnv};

/// Statistics that lanes gather together. Each lane normalises by the statistics of all lanes as they were
/// when it last handed over, and by its own observations since then.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<SeenStatistics>);

impl Pool {
    /// Adds the observations of these environments since the last call for them.
    pub fn add(&self, envs: &mut dyn VectorEnv) {
        self.lock().merge(&envs.take_seen());
    }

    /// Gives these environments the statistics of all lanes to go on with.
    pub fn apply_to(&self, envs: &mut dyn VectorEnv) -> Result<(), EnvError> {
        envs.follow_seen(&self.lock())
    }

    /// The statistics of all lanes.
    pub fn get(&self) -> SeenStatistics {
        self.lock().clone()
    }

    /// Replaces the statistics by saved ones.
    pub fn set(&self, seen: SeenStatistics) {
        *self.lock() = seen;
    }

    fn lock(&self) -> MutexGuard<'_, SeenStatistics> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
