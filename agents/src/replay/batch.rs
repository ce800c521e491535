//! Transitions on their way from a replay to a learner.

use pavlov_envs::{ActionBatch, Space};
use pavlov_nn::{HostBuffer, HostElement};
use tch::{Device, Tensor};

use crate::{AgentError, Encoder};

/// Room for transitions, gathered in ordinary memory.
#[derive(Debug)]
pub struct Batch {
    count: usize,
    observations: HostBuffer<f32>,
    next_observations: HostBuffer<f32>,
    masks: HostBuffer<f32>,
    next_masks: HostBuffer<f32>,
    choices: HostBuffer<i64>,
    points: HostBuffer<f32>,
    rewards: HostBuffer<f32>,
    continues: HostBuffer<f32>,
}

/// A batch's memory, row by row.
pub(super) struct RowsMut<'a> {
    pub observations: &'a mut [f32],
    pub next_observations: &'a mut [f32],
    pub masks: &'a mut [f32],
    pub next_masks: &'a mut [f32],
    pub choices: &'a mut [i64],
    pub points: &'a mut [f32],
    pub rewards: &'a mut [f32],
    pub continues: &'a mut [f32],
}

impl Batch {
    /// Room for `capacity` transitions with observations as `encoder` writes them and actions of `space`.
    ///
    /// # Errors
    /// [`AgentError`] for a space that no action can have, or when memory runs out.
    pub fn new(capacity: usize, encoder: &Encoder, space: &Space) -> Result<Self, AgentError> {
        let (choices, points) = widths(&ActionBatch::new(space, 1)?);
        let (rows, width) = (capacity as i64, encoder.width() as i64);
        Ok(Self {
            count: 0,
            observations: HostBuffer::new(&[rows, width])?,
            next_observations: HostBuffer::new(&[rows, width])?,
            masks: HostBuffer::new(&[rows, encoder.mask_width() as i64])?,
            next_masks: HostBuffer::new(&[rows, encoder.mask_width() as i64])?,
            choices: HostBuffer::new(&[rows, choices as i64])?,
            points: HostBuffer::new(&[rows, points as i64])?,
            rewards: HostBuffer::new(&[rows])?,
            continues: HostBuffer::new(&[rows])?,
        })
    }

    /// How many transitions there is room for.
    pub fn capacity(&self) -> usize {
        self.rewards.as_slice().len()
    }

    /// The memory, of which `count` rows are about to be written.
    pub(super) fn rows_mut(&mut self, count: usize) -> Result<RowsMut<'_>, AgentError> {
        let capacity = self.capacity();
        if count > capacity {
            let message = format!("a batch with room for {capacity} transitions cannot take {count}");
            return Err(AgentError::State(message));
        }
        self.count = count;
        Ok(RowsMut {
            observations: self.observations.as_mut_slice(),
            next_observations: self.next_observations.as_mut_slice(),
            masks: self.masks.as_mut_slice(),
            next_masks: self.next_masks.as_mut_slice(),
            choices: self.choices.as_mut_slice(),
            points: self.points.as_mut_slice(),
            rewards: self.rewards.as_mut_slice(),
            continues: self.continues.as_mut_slice(),
        })
    }

    /// The transitions as tensors. On the CPU they share the batch's memory: they are to be used before it is filled
    /// anew.
    ///
    /// # Errors
    /// [`AgentError::Nn`] when the device's memory runs out.
    pub fn transitions(&self, device: Device) -> Result<Transitions, AgentError> {
        Ok(Transitions {
            observations: self.tensor(&self.observations, device)?,
            next_observations: self.tensor(&self.next_observations, device)?,
            masks: self.tensor(&self.masks, device)?,
            next_masks: self.tensor(&self.next_masks, device)?,
            choices: self.tensor(&self.choices, device)?,
            points: self.tensor(&self.points, device)?,
            rewards: self.tensor(&self.rewards, device)?,
            continues: self.tensor(&self.continues, device)?,
        })
    }

    /// The small numbers of the transitions as slices of ordinary memory.
    pub fn numbers(&self) -> Numbers<'_> {
        fn filled<T: HostElement>(buffer: &HostBuffer<T>, count: usize) -> &[T] {
            let slice = buffer.as_slice();
            let rows = buffer.tensor().size()[0].max(1) as usize;
            &slice[..slice.len() / rows * count]
        }
        Numbers {
            masks: filled(&self.masks, self.count),
            next_masks: filled(&self.next_masks, self.count),
            choices: filled(&self.choices, self.count),
            points: filled(&self.points, self.count),
            rewards: filled(&self.rewards, self.count),
            continues: filled(&self.continues, self.count),
        }
    }

    fn tensor<T: HostElement>(&self, buffer: &HostBuffer<T>, device: Device) -> Result<Tensor, AgentError> {
        let filled = buffer.tensor().f_narrow(0, 0, self.count as i64)?;
        Ok(if device == Device::Cpu { filled } else { filled.f_to_device(device)? })
    }
}

/// The small numbers of transitions, row-major; each is what [`Transitions`] has by the same name.
#[derive(Clone, Copy, Debug)]
pub struct Numbers<'a> {
    /// `[batch, actions]` or `[batch, 0]`
    pub masks: &'a [f32],
    /// `[batch, actions]` or `[batch, 0]`
    pub next_masks: &'a [f32],
    /// `[batch, dimensions]` or `[batch, 0]`
    pub choices: &'a [i64],
    /// `[batch, dimensions]` or `[batch, 0]`
    pub points: &'a [f32],
    /// `[batch]`
    pub rewards: &'a [f32],
    /// `[batch]`
    pub continues: &'a [f32],
}

/// Transitions as tensors.
#[derive(Debug)]
pub struct Transitions {
    /// What was acted on, f32 `[batch, width]`.
    pub observations: Tensor,
    /// What truly followed, the final observation of an episode included: f32 `[batch, width]`.
    pub next_observations: Tensor,
    /// Which discrete actions made sense then, 1 or 0, at least one of them: f32 `[batch, actions]`; `[batch, 0]` where the
    /// environment does not say.
    pub masks: Tensor,
    /// Which discrete actions make sense after it, 1 or 0, at least one of them: f32 `[batch, actions]`; `[batch, 0]`
    /// where the environment does not say.
    pub next_masks: Tensor,
    /// Discrete actions, i64 `[batch, 1]`; multi-discrete ones `[batch, dimensions]`; else `[batch, 0]`.
    pub choices: Tensor,
    /// Continuous actions, f32 `[batch, dimensions]`, else `[batch, 0]`.
    pub points: Tensor,
    /// f32 `[batch]`
    pub rewards: Tensor,
    /// 0 where the world ended with the step (terminated), 1 where it goes on or was merely cut off: what the next
    /// value is multiplied with. f32 `[batch]`.
    pub continues: Tensor,
}

/// The widths of discrete and of continuous actions; one of them is 0.
pub(super) fn widths(actions: &ActionBatch) -> (usize, usize) {
    match actions {
        ActionBatch::Discrete(_) => (1, 0),
        ActionBatch::MultiDiscrete { width, .. } => (*width, 0),
        ActionBatch::Box { width, .. } => (0, *width),
    }
}
