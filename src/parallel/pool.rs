//! Statistics for the wrappers that normalise, gathered over the environments of all lanes.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pavlov_envs::{EnvError, SeenStatistics, VectorEnv};
use pavlov_group::Group;

/// Statistics that lanes gather together. Each lane normalises by the statistics of all lanes as they were
/// when it last handed over, and by its own observations since then.
#[derive(Debug, Default)]
pub(crate) struct Pool(Mutex<Pooled>);

#[derive(Debug, Default)]
struct Pooled {
    all: SeenStatistics,
    /// Those of all shards as they were last exchanged.
    known: SeenStatistics,
    /// Those of this shard since then.
    news: SeenStatistics,
}

impl Pool {
    /// Adds the observations of these environments since the last call for them.
    pub fn add(&self, envs: &mut dyn VectorEnv) {
        let (seen, mut pooled) = (envs.take_seen(), self.lock());
        pooled.all.merge(&seen);
        pooled.news.merge(&seen);
    }

    /// Gathers the statistics of all shards, in their order. A single shard has them already, to the last bit.
    ///
    /// # Errors
    /// When a shard is lost.
    pub fn exchange(&self, group: &Group) -> anyhow::Result<()> {
        if group.is_alone() {
            return Ok(());
        }
        let mut pooled = self.lock();
        let news = serde_json::to_vec(&std::mem::take(&mut pooled.news))?;
        for news in group.gather(news)? {
            pooled.known.merge(&serde_json::from_slice(&news)?);
        }
        pooled.all = pooled.known.clone();
        Ok(())
    }

    /// Gives these environments the statistics of all lanes to go on with.
    pub fn apply_to(&self, envs: &mut dyn VectorEnv) -> Result<(), EnvError> {
        envs.follow_seen(&self.lock().all)
    }

    /// The statistics of all lanes.
    pub fn get(&self) -> SeenStatistics {
        self.lock().all.clone()
    }

    /// Replaces the statistics by saved ones.
    pub fn set(&self, seen: SeenStatistics) {
        *self.lock() = Pooled { known: seen.clone(), all: seen, news: SeenStatistics::default() };
    }

    fn lock(&self) -> MutexGuard<'_, Pooled> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
