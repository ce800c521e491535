//! The actions of soft policies.

use pavlov_common::SeededRng;
use pavlov_envs::{ActionBatch, ObsBatch};
use pavlov_nn::Distribution;
use rand::RngExt;
use rand_distr::StandardNormal;

use super::losses;
use crate::acting::{Inference, PolicyNetwork, RowNetwork};
use crate::core::{ActMode, AgentError};
use crate::off_policy::{Explorer, UnitBox};

/// From a network's outputs to actions: a tanh-squashed Gaussian within bounds, or a choice of discrete ones.
#[derive(Debug)]
pub struct SoftPolicy {
    /// From observations to the distribution's parameters.
    pub network: PolicyNetwork,
    /// The bounds of continuous actions; discrete ones have none.
    pub bounds: Option<UnitBox>,
}

impl SoftPolicy {
    /// A copy with buffers of its own.
    ///
    /// # Errors
    /// [`AgentError`] when memory runs out.
    pub fn twin(&self) -> Result<Self, AgentError> {
        Ok(Self { network: self.network.twin()?, bounds: self.bounds.clone() })
    }
}

impl Explorer for SoftPolicy {
    /// Draws actions, or takes the most likely ones (of a squashed Gaussian the tanh of its mean).
    fn act(
        &mut self,
        inference: Inference<'_>,
        observations: &ObsBatch,
        (mode, _): (ActMode, u64),
        rng: &mut SeededRng,
        actions: &mut ActionBatch,
    ) -> Result<(), AgentError> {
        let count = self.network.net.outputs() as usize;
        let (outputs, encoder) = self.network.evaluate(inference, observations)?;
        match (&self.bounds, actions) {
            (Some(bounds), ActionBatch::Box { points, width }) => {
                let (mut noise, mut unit) = (vec![0.0; *width], vec![0.0; *width]);
                let rows = outputs.chunks_exact(count).zip(points.chunks_exact_mut(*width));
                for (outputs, point) in rows {
                    if mode == ActMode::Explore {
                        noise.fill_with(|| rng.sample(StandardNormal));
                    }
                    losses::draw(outputs, &noise, &mut unit);
                    bounds.to_world(&unit, point);
                }
                Ok(())
            }
            (None, ActionBatch::Discrete(choices)) => {
                let distribution = Distribution::Categorical(count);
                for (row, (logits, choice)) in outputs.chunks_exact(count).zip(choices).enumerate() {
                    let (mask, mut draw) = (encoder.mask(observations.row(row)), [0.0]);
                    let drawn = match mode {
                        ActMode::Explore => distribution.sample_row(logits, mask, rng, &mut draw),
                        ActMode::Exploit => distribution.mode_row(logits, mask, &mut draw),
                    };
                    if !drawn {
                        return Err(AgentError::Diverged(format!("the policy's outputs are {logits:?}")));
                    }
                    *choice = draw[0] as i64;
                }
                Ok(())
            }
            _ => {
                Err(AgentError::Unsupported("the actions are not those that the policy was made for".into()))
            }
        }
    }

    fn twin(&self, _first: usize, _total: usize) -> Result<Box<dyn Explorer>, AgentError> {
        Ok(Box::new(self.twin()?))
    }

    fn network(&self) -> Box<dyn RowNetwork> {
        Box::new(self.network.net.clone())
    }
}
