//! The review of an agent that learns from a replay.

use super::{OffPolicySetup, due};
use crate::agent::AgentContext;
use crate::core::AgentError;
use crate::networks;
use crate::replay::ReplayConfig;
use crate::review::{Review, refuse_without_updates};

/// Reviews the settings that agents share which learn from a replay.
///
/// # Errors
/// [`AgentError::Config`] for a training that ends before its first update, or networks that do not fit the
/// observations.
pub fn replay_review(setup: &OffPolicySetup, context: &AgentContext) -> Result<Review, AgentError> {
    let OffPolicySetup { warmup_env_steps, train_every_env_steps, ref replay, .. } = *setup;
    let first = first_update(warmup_env_steps, train_every_env_steps, context.num_envs);
    refuse_without_updates(context, first, || {
        format!("warmup_env_steps is {warmup_env_steps}, train_every_env_steps {train_every_env_steps}")
    })?;
    let mut review = networks::review(&setup.net, &context.observation_space)?;
    let importance = replay.importance_exponent != ReplayConfig::default().importance_exponent;
    review.warn_if(importance && replay.priority_exponent.is_none(), || {
        "replay.importance_exponent has no effect: replay.priority_exponent is \"off\"".into()
    });
    Ok(review)
}

/// The updates of a whole training.
pub fn total_updates(setup: &OffPolicySetup, context: &AgentContext) -> u64 {
    let every = setup.train_every_env_steps;
    let before = setup.warmup_env_steps.saturating_sub(1).min(context.total_env_steps);
    let phases = due(before, context.total_env_steps, every);
    phases.saturating_mul(setup.updates_per_phase.count(every))
}

/// The env steps after which the first update is due.
fn first_update(warmup: u64, every: u64, num_envs: usize) -> u64 {
    let num_envs = num_envs.max(1) as u64;
    let seen_at = |due: u64| due.div_ceil(num_envs).saturating_mul(num_envs);
    let mut due = (warmup.saturating_sub(num_envs - 1) / every).max(1).saturating_mul(every);
    while seen_at(due) < warmup {
        due = due.saturating_add(every);
    }
    seen_at(due)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::off_policy::{Pace, UpdatesPerPhase};

    #[test]
    fn the_first_update_is_when_the_pace_makes_it() {
        for warmup in [0, 1, 3, 10, 100, 101] {
            for every in [1, 4, 7, 64] {
                for num_envs in [1, 3, 16] {
                    let setup = OffPolicySetup {
                        warmup_env_steps: warmup,
                        train_every_env_steps: every,
                        updates_per_phase: UpdatesPerPhase::Count(1),
                        ..crate::dqn::DqnConfig::default().setup()
                    };
                    let mut pace = Pace::new(&setup, 1000);
                    let made = loop {
                        pace.observe(num_envs as u64);
                        let (before, now) = pace.observed();
                        if pace.updates_due(before, now) > 0 {
                            break now;
                        }
                    };
                    assert_eq!(first_update(warmup, every, num_envs), made, "{warmup} {every} {num_envs}");
                }
            }
        }
    }
}
