//! The plan of a training with actors: what every part of it needs to know, from its start to its end.

use std::sync::Arc;

use pavlov_agents::AgentError;
use pavlov_envs::{EnvFactory, Space, VectorEnv};
use pavlov_group::Group;
use pavlov_nn::Parameters;

use super::pool::Pool;
use crate::config::{ActorConfig, ActorMode, InferenceMode, RunConfig};

/// The parts of the configuration that lanes and threads are made from. It stays the same for the whole
/// training.
pub(super) struct Plan {
    pub actors: ActorConfig,
    pub factory: EnvFactory,
    /// Statistics of the wrappers that normalise, over the environments of all lanes.
    pub pool: Arc<Pool>,
    pub observation_space: Space,
    pub action_space: Space,
    pub seed: u64,
    /// The number of environments of all shards.
    pub num_envs: usize,
    pub envs_per_lane: usize,
    /// The shards, of which this is one.
    pub group: Group,
    pub total_env_steps: u64,
    pub log_every_env_steps: u64,
}

impl Plan {
    /// The plan for this configuration. The spaces are those of `probe`, a vector environment of the same
    /// factory.
    pub fn new(config: &RunConfig, factory: &EnvFactory, probe: &dyn VectorEnv, group: &Group) -> Self {
        Self {
            actors: config.actors,
            factory: factory.clone(),
            pool: Arc::default(),
            observation_space: probe.observation_space().clone(),
            action_space: probe.action_space().clone(),
            seed: config.seed,
            num_envs: config.num_envs,
            envs_per_lane: match config.actors.mode {
                ActorMode::Free => config.envs_of_shard() / config.actors.count,
                ActorMode::Lockstep => 1,
            },
            group: group.clone(),
            total_env_steps: config.env_steps,
            log_every_env_steps: config.log.every_env_steps,
        }
    }

    /// The number of lanes of this shard.
    pub fn num_lanes(&self) -> usize {
        self.num_envs / self.group.shards() / self.envs_per_lane
    }

    /// The number of lane `index`'s first environment among those of all shards.
    pub fn first_env(&self, index: usize) -> usize {
        (self.group.shard() * self.num_lanes() + index) * self.envs_per_lane
    }

    /// The mean of so many env steps over all shards, which count them by themselves.
    ///
    /// # Errors
    /// When a shard is lost.
    pub fn agree(&self, env_steps: u64) -> Result<u64, AgentError> {
        if self.group.is_alone() {
            return Ok(env_steps);
        }
        let mut sum = [env_steps as f64];
        self.group.sum_f64(&mut sum)?;
        Ok((sum[0] / self.group.shards() as f64) as u64)
    }

    /// The reason for which the training must stop, if a shard has one: then all stop. `own` is this one's.
    ///
    /// # Errors
    /// When a shard is lost.
    pub fn agree_on_failure(&self, own: Option<String>) -> Result<Option<String>, AgentError> {
        if self.group.is_alone() {
            return Ok(own);
        }
        let mut failures = [f64::from(u8::from(own.is_some()))];
        self.group.sum_f64(&mut failures)?;
        if failures[0] == 0.0 {
            return Ok(None);
        }
        let all = self.group.gather(own.unwrap_or_default().into_bytes())?;
        let first = all.iter().enumerate().find(|(_, text)| !text.is_empty());
        Ok(first.map(|(shard, text)| format!("in shard {shard} {}", String::from_utf8_lossy(text))))
    }

    /// The weights that a lane acts with; `None` if another thread runs the network. In lock step nobody
    /// changes weights while lanes act, so that lanes can use the learner's own.
    pub fn acting_weights(&self, learned: &Parameters) -> Result<Option<Parameters>, AgentError> {
        Ok(match (self.actors.inference, self.actors.mode) {
            (InferenceMode::Batched, _) => None,
            (InferenceMode::Own, ActorMode::Lockstep) => Some(learned.frozen_view()?),
            (InferenceMode::Own, ActorMode::Free) => Some(learned.frozen_on(tch::Device::Cpu)?),
        })
    }
}
