//! A batch as the networks take it.

use pavlov_data::{Batch, Input, Target};
use tch::{Device, Tensor};

use super::error::TaskError;

/// A batch on the device of the networks.
#[derive(Debug)]
pub struct Tensors {
    /// The number of samples.
    pub rows: i64,
    /// The inputs: f32 `[rows, ...shape]`, or tokens, i64 `[rows, length]`.
    pub inputs: Tensor,
    /// The classes, i64 `[rows]`, or the tokens that follow those of the input, i64 `[rows, length]`; without
    /// numbers where there are neither.
    pub classes: Tensor,
    /// The targets that are numbers, f32 `[rows, width]`.
    pub targets: Tensor,
    /// The samples' places in the data set.
    pub indices: Vec<usize>,
}

impl Tensors {
    /// The tensors of a batch.
    ///
    /// # Errors
    /// [`TaskError::Nn`] when there is no memory.
    pub fn of(batch: &Batch, input: &Input, target: &Target, device: Device) -> Result<Self, TaskError> {
        let rows = batch.rows as i64;
        let shape: Vec<i64> =
            std::iter::once(rows).chain(input.shape().iter().map(|&side| side as i64)).collect();
        let tokens = || Ok::<_, TaskError>(Tensor::f_from_slice(&batch.tokens)?.f_view([rows, -1])?);
        let (inputs, classes) = match (input, target) {
            (Input::Tokens { length, .. }, Target::Next) => {
                let (tokens, length) = (tokens()?, *length as i64);
                (
                    tokens.f_narrow(1, 0, length)?.f_contiguous()?,
                    tokens.f_narrow(1, 1, length)?.f_contiguous()?,
                )
            }
            (Input::Tokens { .. }, _) => (tokens()?, Tensor::f_from_slice(&batch.classes)?),
            _ => (
                Tensor::f_from_slice(&batch.numbers)?.f_view(shape.as_slice())?,
                Tensor::f_from_slice(&batch.classes)?,
            ),
        };
        let targets = Tensor::f_from_slice(&batch.targets)?;
        let targets = if targets.numel() > 0 { targets.f_view([rows, -1])? } else { targets };
        Ok(Self {
            rows,
            inputs: inputs.f_to(device)?,
            classes: classes.f_to(device)?,
            targets: targets.f_to(device)?,
            indices: batch.indices.clone(),
        })
    }

    /// Several batches as one.
    ///
    /// # Errors
    /// [`TaskError::Nn`] when there is no memory.
    pub fn joined(batches: &[Self]) -> Result<Self, TaskError> {
        let all = |of: fn(&Self) -> &Tensor| -> Result<Tensor, TaskError> {
            Ok(Tensor::f_cat(&batches.iter().map(of).collect::<Vec<_>>(), 0)?)
        };
        Ok(Self {
            rows: batches.iter().map(|batch| batch.rows).sum(),
            inputs: all(|batch| &batch.inputs)?,
            classes: all(|batch| &batch.classes)?,
            targets: all(|batch| &batch.targets)?,
            indices: batches.iter().flat_map(|batch| batch.indices.clone()).collect(),
        })
    }
}
