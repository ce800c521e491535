//! The agent of a training.

use anyhow::Result;
use pavlov_agents::{Agent, AgentContext};
use pavlov_envs::Space;
use pavlov_group::Group;

use crate::config::{Registries, RunConfig};

/// The agent of a configuration, untrained.
pub(super) fn build_agent(
    config: &RunConfig,
    registries: &Registries,
    context: &AgentContext,
) -> Result<Box<dyn Agent>> {
    Ok(registries.agents.get(&config.agent)?.build(&config.hyperparameters, context)?)
}

/// The circumstances of one shard's agent.
pub(super) fn agent_context(
    config: &RunConfig,
    registries: &Registries,
    (observation_space, action_space): (&Space, &Space),
    group: &Group,
) -> Result<AgentContext> {
    Ok(AgentContext {
        observation_space: observation_space.clone(),
        action_space: action_space.clone(),
        num_envs: config.num_envs / group.shards(),
        total_env_steps: config.env_steps,
        seed: config.seed,
        device: pavlov_nn::device::parse(&config.device)?,
        networks: registries.networks.clone(),
        group: group.clone(),
    })
}
