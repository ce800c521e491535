//! The review of a configuration before its training begins.

use crate::agent::AgentContext;
use crate::core::AgentError;

/// The way in which an agent takes a world's observations and actions, and its settings without effect there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Review {
    /// The ways of observations into the networks and of actions into the world, a line each.
    pub facts: Vec<String>,
    /// Settings without effect, and numbers that are probably not meant so, a sentence each.
    pub warnings: Vec<String>,
}

impl Review {
    /// Adds a warning if the condition holds.
    pub fn warn_if(&mut self, condition: bool, warning: impl FnOnce() -> String) {
        if condition {
            self.warnings.push(warning());
        }
    }
}

/// Refuses a training that ends before its first update, which is due after `first` env steps. `why` says
/// which settings make it so.
///
/// # Errors
/// [`AgentError::Config`] that names them and `env_steps`.
pub(crate) fn refuse_without_updates(
    context: &AgentContext,
    first: u64,
    why: impl FnOnce() -> String,
) -> Result<(), AgentError> {
    let (env_steps, num_envs) = (context.total_env_steps, context.num_envs.max(1) as u64);
    // All environments are stepped together, the last time as well.
    if env_steps.div_ceil(num_envs).saturating_mul(num_envs) >= first {
        return Ok(());
    }
    Err(AgentError::Config(format!(
        "env_steps is {env_steps}, and the first update is due after {first} ({}): nothing would be learned. Raise \
         env_steps (--steps), or lower the others",
        why()
    )))
}
