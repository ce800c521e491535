//! The interfaces of all layers and networks.
//!
//! A [`Module`] maps a batch to a batch; a [`Memory`] maps sequences to sequences and keeps its state
//! outside. Both are descriptions: they hold the places of their parameters in a [`Layout`](crate::Layout),
//! and are called with the numbers in a [`Pass`]. One description serves the trained network, its target and
//! every actor's copy, from any thread.

use std::fmt;

use tch::Tensor;

use crate::layers::Fusible;
use crate::recurrent::read_from_empty;
use crate::{NnError, Pass, Sequence, SequenceOutputs};

/// A layer or a network: from a batch to a batch.
pub trait Module: fmt::Debug + Send + Sync {
    /// The output for `x`, whose first dimension is the batch. Each module documents its shapes.
    ///
    /// # Errors
    /// [`NnError::Shape`] for an input of another shape or type.
    fn forward(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError>;

    /// The module's kind, for a [`Sequential`](crate::layers::Sequential) that runs neighbours as one node
    /// where it can; `None` for kinds that it does not know.
    fn fusible(&self) -> Option<Fusible> {
        None
    }
}

/// A recurrent layer or network: from sequences to sequences. The state stays with the caller, one row for
/// each sequence.
pub trait Memory: fmt::Debug + Send + Sync {
    /// The number of inputs at each step.
    fn inputs(&self) -> i64;

    /// The number of outputs at each step.
    fn outputs(&self) -> i64;

    /// The number of numbers that are remembered of each sequence.
    fn state_width(&self) -> i64;

    /// The outputs for sequences; a single step is a sequence of one.
    ///
    /// # Errors
    /// [`NnError::Shape`] when shapes or types do not fit.
    fn forward(&self, pass: &mut Pass<'_>, sequence: &Sequence<'_>) -> Result<SequenceOutputs, NnError>;

    /// The outputs for whole sequences, f32 `[steps, batch, inputs]`, each of which begins with an empty memory
    /// and has no other episode in it.
    ///
    /// # Errors
    /// As [`Memory::forward`].
    fn read(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        read_from_empty(self, pass, x)
    }
}
