//! The runner of a policy's network: the one that acts, or another that runs it for many at once.

use pavlov_nn::{Parameters, Pass};
use tch::Tensor;

use crate::core::AgentError;
use crate::networks::Network;

/// The way of an acting half to its network's outputs.
#[derive(Clone, Copy)]
pub enum Inference<'a> {
    /// It runs the network itself, with these weights.
    Own(&'a Parameters),
    /// It asks somebody who runs it for many at once, with the latest weights.
    Batched(&'a dyn BatchedInference),
}

/// Runs a [`RowNetwork`] for many that act.
pub trait BatchedInference {
    /// Writes what the network gives for `count` rows, `[count, inputs]`, into `outputs`: `[count, outputs]`.
    ///
    /// # Errors
    /// [`AgentError`] when the network fails or nobody runs it any more.
    fn infer(&self, rows: &[f32], count: usize, outputs: &mut Vec<f32>) -> Result<(), AgentError>;
}

/// A policy's network as a function from one row of numbers for each environment to another, so that the rows
/// of many environments can be put through it together. All that it needs to know of an environment is in its
/// row.
pub trait RowNetwork: Send {
    /// The numbers of inputs and of outputs for each environment.
    fn widths(&self) -> (usize, usize);

    /// From f32 `[rows, inputs]` to f32 `[rows, outputs]`, where the weights live.
    ///
    /// # Errors
    /// [`AgentError`] when the rows do not fit.
    fn forward(&self, weights: &Parameters, rows: &Tensor) -> Result<Tensor, AgentError>;

    /// Where the numbers of these rows stop being finite, for the message of a network that has given NaN;
    /// `None` where that is not known.
    ///
    /// # Errors
    /// As [`RowNetwork::forward`].
    fn find_non_finite(&self, _weights: &Parameters, _rows: &Tensor) -> Result<Option<String>, AgentError> {
        Ok(None)
    }
}

impl RowNetwork for Network {
    fn widths(&self) -> (usize, usize) {
        (self.inputs() as usize, self.outputs() as usize)
    }

    fn forward(&self, weights: &Parameters, rows: &Tensor) -> Result<Tensor, AgentError> {
        let _guard = tch::no_grad_guard();
        Ok(Network::forward(self, &mut Pass::eval(weights), rows)?)
    }

    fn find_non_finite(&self, weights: &Parameters, rows: &Tensor) -> Result<Option<String>, AgentError> {
        let _guard = tch::no_grad_guard();
        Ok(self.front().find_non_finite(&mut Pass::eval(weights), rows)?)
    }
}
