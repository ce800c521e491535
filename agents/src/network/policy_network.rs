//! Asking a policy's network.

use pavlov_envs::ObsBatch;
use pavlov_nn::HostBuffer;

use super::Network;
use crate::host::read;
use crate::{AgentError, Encoder, Inference, RowNetwork};

/// A policy's network with the buffers to ask it with; who runs it is said with each call.
#[derive(Debug)]
pub struct PolicyNetwork {
    /// From encoded observations to the policy's outputs.
    pub net: Network,
    /// From observations to the network's input.
    pub encoder: Encoder,
    rows: HostBuffer<f32>,
    outputs: Vec<f32>,
}

impl PolicyNetwork {
    /// Puts the two together.
    ///
    /// # Errors
    /// [`AgentError`] when memory runs out.
    pub fn new(net: Network, encoder: Encoder) -> Result<Self, AgentError> {
        Ok(Self { rows: HostBuffer::new(&[0, net.inputs()])?, net, encoder, outputs: Vec::new() })
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
            return Err(AgentError::Diverged("the policy's outputs are not numbers".into()));
        }
        Ok((&mut self.outputs, &self.encoder))
    }
}
