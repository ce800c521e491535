//! Asking a policy's network.

use pavlov_envs::ObsBatch;
use pavlov_nn::HostBuffer;

use crate::acting::{Inference, RowNetwork};
use crate::core::AgentError;
use crate::core::host::read;
use crate::networks::{Encoder, Network};

/// A policy's network with the buffers to ask it with; who runs it is said with each call.
#[derive(Debug)]
pub struct PolicyNetwork<N = Network> {
    /// From encoded observations to the policy's outputs.
    pub net: N,
    /// From observations to the network's input.
    pub encoder: Encoder,
    rows: HostBuffer<f32>,
    outputs: Vec<f32>,
}

impl<N: RowNetwork + Clone> PolicyNetwork<N> {
    /// Puts the two together.
    ///
    /// # Errors
    /// [`AgentError`] when memory runs out.
    pub fn new(net: N, encoder: Encoder) -> Result<Self, AgentError> {
        Ok(Self { rows: HostBuffer::new(&[0, net.widths().0 as i64])?, net, encoder, outputs: Vec::new() })
    }

    /// The same network with buffers of its own.
    ///
    /// # Errors
    /// [`AgentError`] when memory runs out.
    pub fn twin(&self) -> Result<Self, AgentError> {
        Self::new(self.net.clone(), self.encoder.clone())
    }

    /// The outputs for each observation, `[rows, outputs]`, and the encoder, which knows the masks.
    ///
    /// # Errors
    /// [`AgentError::Diverged`] when one of them is NaN.
    pub fn evaluate(
        &mut self,
        inference: Inference<'_>,
        observations: &ObsBatch,
    ) -> Result<(&mut [f32], &Encoder), AgentError> {
        let (rows, width) = (observations.rows(), self.encoder.width());
        if self.rows.tensor().size()[0] != rows as i64 {
            self.rows = HostBuffer::new(&[rows as i64, width as i64])?;
        }
        let encoded = self.rows.as_mut_slice();
        for row in 0..rows {
            self.encoder.encode(observations.row(row), &mut encoded[row * width..(row + 1) * width]);
        }
        match inference {
            Inference::Own(weights) => {
                let inputs = self.rows.rows_on(rows, weights.device())?;
                read(&RowNetwork::forward(&self.net, weights, &inputs)?, &mut self.outputs)?;
            }
            Inference::Batched(others) => others.infer(self.rows.as_slice(), rows, &mut self.outputs)?,
        }
        if self.outputs.iter().any(|output| output.is_nan()) {
            return Err(self.explain_nan(inference, rows));
        }
        Ok((&mut self.outputs, &self.encoder))
    }

    /// The error for outputs of NaN, which names the place in the network where they come from if that can be
    /// found.
    fn explain_nan(&self, inference: Inference<'_>, rows: usize) -> AgentError {
        let place = match inference {
            Inference::Own(weights) => self
                .rows
                .rows_on(rows, weights.device())
                .map_err(AgentError::from)
                .and_then(|inputs| self.net.find_non_finite(weights, &inputs))
                .unwrap_or(None),
            Inference::Batched(_) => None,
        };
        AgentError::Diverged(place.unwrap_or_else(|| "the policy's outputs are NaN".into()))
    }
}
