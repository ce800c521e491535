//! A deterministic policy with noise on top.

use pavlov_envs::{ActionBatch, EnvRng, ObsBatch};
use pavlov_nn::Parameters;

use crate::off_policy::{ActionNoise, UnitBox};
use crate::{ActMode, AgentError, Policy, PolicyNetwork};

/// Maps observations to actions between -1 and 1, disturbs them where it explores, and stretches them to the bounds of
/// the environment.
#[derive(Debug)]
pub struct DeterministicPolicy {
    /// From observations to numbers between -1 and 1.
    pub network: PolicyNetwork,
    /// What is added where it explores.
    pub noise: ActionNoise,
    /// The environment's bounds.
    pub bounds: UnitBox,
}

impl DeterministicPolicy {
    /// Writes one action for each observation, by the network with these weights.
    ///
    /// # Errors
    /// [`AgentError::Diverged`] when the network gives NaN.
    pub fn act_by(
        &mut self,
        parameters: &Parameters,
        observations: &ObsBatch,
        (mode, rng): (ActMode, &mut EnvRng),
        actions: &mut ActionBatch,
    ) -> Result<(), AgentError> {
        let ActionBatch::Box { points, width } = actions else {
            return Err(AgentError::Unsupported("a deterministic policy needs continuous actions".into()));
        };
        let (outputs, _) = self.network.evaluate(parameters, observations)?;
        let rows = outputs.chunks_exact_mut(*width).zip(points.chunks_exact_mut(*width));
        for (row, (unit, point)) in rows.enumerate() {
            if mode == ActMode::Explore {
                self.noise.disturb(row, unit, rng);
            }
            self.bounds.to_world(unit, point);
        }
        Ok(())
    }
}

/// The policy with weights of its own.
#[derive(Debug)]
pub(super) struct OwnPolicy {
    pub policy: DeterministicPolicy,
    pub parameters: Parameters,
}

impl Policy for OwnPolicy {
    fn act(
        &mut self,
        observations: &ObsBatch,
        mode: ActMode,
        rng: &mut EnvRng,
        actions: &mut ActionBatch,
    ) -> Result<(), AgentError> {
        self.policy.act_by(&self.parameters, observations, (mode, rng), actions)
    }
}
