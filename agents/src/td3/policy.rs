//! A deterministic policy with noise on top.

use pavlov_common::SeededRng;
use pavlov_envs::{ActionBatch, ObsBatch, StepBatch};
use pavlov_nn::{StateDict, StateView};

use crate::acting::{Inference, PolicyNetwork, RowNetwork};
use crate::core::{ActMode, AgentError};
use crate::off_policy::{ActionNoise, Explorer, UnitBox};

/// Maps observations to actions between -1 and 1, disturbs them where it explores, and stretches them to the
/// bounds of the environment.
#[derive(Debug)]
pub struct DeterministicPolicy {
    /// From observations to numbers between -1 and 1.
    pub network: PolicyNetwork,
    /// The noise that is added where it explores.
    pub noise: ActionNoise,
    /// The environment's bounds.
    pub bounds: UnitBox,
}

impl DeterministicPolicy {
    /// A copy with buffers and noise of its own.
    ///
    /// # Errors
    /// [`AgentError`] when memory runs out.
    pub fn twin(&self) -> Result<Self, AgentError> {
        Ok(Self { network: self.network.twin()?, noise: self.noise.fresh(), bounds: self.bounds.clone() })
    }
}

impl Explorer for DeterministicPolicy {
    fn act(
        &mut self,
        inference: Inference<'_>,
        observations: &ObsBatch,
        (mode, _): (ActMode, u64),
        rng: &mut SeededRng,
        actions: &mut ActionBatch,
    ) -> Result<(), AgentError> {
        let ActionBatch::Box { points, width } = actions else {
            return Err(AgentError::Unsupported("a deterministic policy needs continuous actions".into()));
        };
        let (outputs, _) = self.network.evaluate(inference, observations)?;
        let rows = outputs.chunks_exact_mut(*width).zip(points.chunks_exact_mut(*width));
        for (row, (unit, point)) in rows.enumerate() {
            if mode == ActMode::Explore {
                self.noise.disturb(row, unit, rng);
            }
            self.bounds.to_world(unit, point);
        }
        Ok(())
    }

    fn observe(&mut self, step: &StepBatch) {
        self.noise.observe(step);
    }

    fn twin(&self, _first: usize, _total: usize) -> Result<Box<dyn Explorer>, AgentError> {
        Ok(Box::new(self.twin()?))
    }

    fn network(&self) -> Box<dyn RowNetwork> {
        Box::new(self.network.net.clone())
    }

    fn state(&self) -> Result<StateDict<'_>, AgentError> {
        self.noise.state()
    }

    fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        self.noise.load_state(state)
    }
}
