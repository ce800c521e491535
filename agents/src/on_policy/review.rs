//! The review of an agent that learns from its own fresh experience.

use pavlov_envs::Space;

use super::{ActionHead, ExplorationConfig, OnPolicySetup};
use crate::agent::AgentContext;
use crate::core::AgentError;
use crate::networks::{self, Encoder, NetConfig};
use crate::review::{Review, refuse_without_updates};

/// Reviews the settings that agents share which learn from rollouts.
///
/// # Errors
/// [`AgentError::Config`] for a training that ends before its first rollout is full, or networks that do not
/// fit the observations.
pub fn rollout_review(setup: &OnPolicySetup<'_>, context: &AgentContext) -> Result<Review, AgentError> {
    let (steps, num_envs) = (setup.rollout_steps as u64, context.num_envs as u64);
    refuse_without_updates(context, steps.saturating_mul(num_envs), || {
        format!("rollout_steps is {steps}, num_envs {num_envs}")
    })?;
    review_networks(setup.net, setup.exploration, context)
}

/// Reviews networks and exploration of a policy gradient.
pub(crate) fn review_networks(
    net: &NetConfig,
    exploration: &ExplorationConfig,
    context: &AgentContext,
) -> Result<Review, AgentError> {
    let mut review = networks::review(net, &context.observation_space)?;
    let actions = &context.action_space;
    let encoder = Encoder::for_networks(&context.observation_space, net)?;
    if let Some(fact) = ActionHead::new(actions, &encoder)?.rescaling() {
        review.facts.push(format!("the action, {actions}: {fact}"));
    }
    let is_box = matches!(actions, Space::Box(_));
    review.warn_if(!is_box && *exploration != ExplorationConfig::default(), || {
        format!(
            "exploration.* has no effect: it is for continuous actions, and the environment's are {actions}"
        )
    });
    review.warn_if(exploration.resample_steps > 0 && !exploration.state_dependent && is_box, || {
        "exploration.resample_steps has no effect: exploration.state_dependent is false".into()
    });
    Ok(review)
}
