//! What the environments of all lanes have seen, where wrappers normalise.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pavlov_envs::{EnvError, SeenStatistics, VectorEnv};

/// Statistics that lanes gather together: each normalises by what all had seen when it last handed over, and by what it
/// has seen itself since then.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<SeenStatistics>);

impl Pool {
    /// Adds what these environments have seen since the last time.
    pub fn add(&self, envs: &mut dyn VectorEnv) {
        self.lock().merge(&envs.take_seen());
    }

    /// These environments go on with what all have seen.
    pub fn lead(&self, envs: &mut dyn VectorEnv) -> Result<(), EnvError> {
        envs.follow_seen(&self.lock())
    }

    /// What all have seen.
    pub fn get(&self) -> SeenStatistics {
        self.lock().clone()
    }

    /// Goes on with what was saved.
    pub fn set(&self, seen: SeenStatistics) {
        *self.lock() = seen;
    }

    fn lock(&self) -> MutexGuard<'_, SeenStatistics> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
