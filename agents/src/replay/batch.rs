//! Transitions on their way from a replay to a learner.

use pavlov_envs::{ActionBatch, Space};
use pavlov_nn::{HostBuffer, HostElement};
use tch::{Device, Tensor};

use super::ring::Widths;
use crate::core::AgentError;
use crate::networks::Encoder;

/// Room for transitions, gathered in ordinary memory.
///
/// Numbers are encoded as they are gathered, bytes wait until they are where the network is: a quarter of the
/// way to go, and often shared by an observation and the next.
#[derive(Debug)]
pub struct Batch {
    count: usize,
    encoder: Encoder,
    observations: HostBuffer<f32>,
    next_observations: HostBuffer<f32>,
    planes: HostBuffer<u8>,
    frames: Frames,
    masks: HostBuffer<f32>,
    next_masks: HostBuffer<f32>,
    choices: HostBuffer<i64>,
    points: HostBuffer<f32>,
    extras: HostBuffer<f32>,
    rewards: HostBuffer<f32>,
    continues: HostBuffer<f32>,
    weights: HostBuffer<f32>,
    /// Where each transition was found, and which one it was: the place may have been taken by another since.
    pub(super) origins: Vec<Origin>,
}

/// Where a transition of a batch comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Origin {
    pub slot: usize,
    pub number: u64,
}

/// The layout of observations' bytes in a batch: each row has `per_row` planes of `length` bytes, of which
/// the first `count` are the observation, and `count` from `next` on the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Frames {
    pub count: usize,
    pub length: usize,
    pub per_row: usize,
    pub next: usize,
}

/// A batch's memory, row by row.
pub(super) struct RowsMut<'a> {
    pub observations: &'a mut [f32],
    pub next_observations: &'a mut [f32],
    pub planes: &'a mut [u8],
    pub masks: &'a mut [f32],
    pub next_masks: &'a mut [f32],
    pub choices: &'a mut [i64],
    pub points: &'a mut [f32],
    pub extras: &'a mut [f32],
    pub rewards: &'a mut [f32],
    pub continues: &'a mut [f32],
    pub weights: &'a mut [f32],
}

impl Batch {
    /// Room for `capacity` transitions with observations as `encoder` writes them and actions of `space`, to
    /// be learned from on the CPU.
    ///
    /// # Errors
    /// [`AgentError`] for a space that no action can have, or when memory runs out.
    pub fn new(capacity: usize, encoder: &Encoder, space: &Space) -> Result<Self, AgentError> {
        Self::bound_for(Device::Cpu, capacity, encoder, space)
    }

    /// The same, to be learned from on `device`: a GPU fetches the transitions while the learner goes on.
    ///
    /// # Errors
    /// [`AgentError`] for a space that no action can have, or when memory runs out.
    pub fn bound_for(
        device: Device,
        capacity: usize,
        encoder: &Encoder,
        space: &Space,
    ) -> Result<Self, AgentError> {
        let Widths { choices, points, .. } = widths(&ActionBatch::new(space, 1)?);
        let rows = capacity as i64;
        let numbers = |width: usize| HostBuffer::bound_for(device, &[rows, width as i64]);
        let small = || HostBuffer::bound_for(device, &[rows]);
        Ok(Self {
            count: 0,
            encoder: encoder.clone(),
            observations: numbers(encoder.numbers_width())?,
            next_observations: numbers(encoder.numbers_width())?,
            planes: HostBuffer::bound_for(device, &[rows, 2 * encoder.bytes_width() as i64])?,
            frames: Frames::default(),
            masks: numbers(encoder.mask_width())?,
            next_masks: numbers(encoder.mask_width())?,
            choices: HostBuffer::bound_for(device, &[rows, choices as i64])?,
            points: numbers(points)?,
            extras: numbers(0)?,
            rewards: small()?,
            continues: small()?,
            weights: small()?,
            origins: Vec::with_capacity(capacity),
        })
    }

    /// The same batch with room for `width` numbers a transition that the policy added when it acted.
    ///
    /// # Errors
    /// [`AgentError`] when memory runs out.
    pub fn with_extras(self, device: Device, width: usize) -> Result<Self, AgentError> {
        let shape = [self.capacity() as i64, width as i64];
        Ok(Self { extras: HostBuffer::bound_for(device, &shape)?, ..self })
    }

    /// The number of transitions that there is room for.
    pub fn capacity(&self) -> usize {
        self.rewards.as_slice().len()
    }

    /// The memory, of which `count` rows are about to be written, with bytes in this form.
    pub(super) fn rows_mut(&mut self, count: usize, frames: Frames) -> Result<RowsMut<'_>, AgentError> {
        let capacity = self.capacity();
        if count > capacity {
            let message = format!("a batch with room for {capacity} transitions cannot take {count}");
            return Err(AgentError::State(message));
        }
        self.count = count;
        self.frames = frames;
        Ok(RowsMut {
            observations: self.observations.as_mut_slice(),
            next_observations: self.next_observations.as_mut_slice(),
            planes: self.planes.as_mut_slice(),
            masks: self.masks.as_mut_slice(),
            next_masks: self.next_masks.as_mut_slice(),
            choices: self.choices.as_mut_slice(),
            points: self.points.as_mut_slice(),
            extras: self.extras.as_mut_slice(),
            rewards: self.rewards.as_mut_slice(),
            continues: self.continues.as_mut_slice(),
            weights: self.weights.as_mut_slice(),
        })
    }

    /// The transitions as tensors. On the CPU they share the batch's memory: they are to be used before it is
    /// filled anew. On a GPU they are copies, whose fetching the batch waits for before it is filled anew.
    ///
    /// # Errors
    /// [`AgentError::Nn`] when the device's memory runs out.
    pub fn transitions(&self, device: Device) -> Result<Transitions, AgentError> {
        let (observations, next_observations) = self.seen(device)?;
        Ok(Transitions {
            observations,
            next_observations,
            masks: self.tensor(&self.masks, device)?,
            next_masks: self.tensor(&self.next_masks, device)?,
            choices: self.tensor(&self.choices, device)?,
            points: self.tensor(&self.points, device)?,
            extras: self.tensor(&self.extras, device)?,
            rewards: self.tensor(&self.rewards, device)?,
            continues: self.tensor(&self.continues, device)?,
            weights: self.tensor(&self.weights, device)?,
        })
    }

    /// The observations that were acted on, and those that followed.
    fn seen(&self, device: Device) -> Result<(Tensor, Tensor), AgentError> {
        let numbers = self.tensor(&self.observations, device)?;
        let next_numbers = self.tensor(&self.next_observations, device)?;
        if self.encoder.bytes_width() == 0 {
            return Ok((numbers, next_numbers));
        }
        let planes = self.planes.on(&self.planes()?, device)?;
        let of = |first: usize, numbers: &Tensor| -> Result<Tensor, AgentError> {
            let planes = planes.f_narrow(1, first as i64, self.frames.count as i64)?;
            Ok(self.encoder.assemble(numbers, &planes)?)
        };
        Ok((of(0, &numbers)?, of(self.frames.next, &next_numbers)?))
    }

    /// The bytes of the observations, u8 `[batch, planes, length]`; the next observations' are among them.
    fn planes(&self) -> Result<Tensor, AgentError> {
        let Frames { per_row, length, .. } = self.frames;
        let (count, per_row, length) = (self.count as i64, per_row as i64, length as i64);
        let all = self.planes.tensor().f_view([-1])?.f_narrow(0, 0, count * per_row * length)?;
        Ok(all.f_view([count, per_row, length])?)
    }

    /// The bytes of what was acted on and of what followed, as they are, u8 `[batch, planes, length]` each;
    /// views of the batch's memory.
    ///
    /// # Errors
    /// [`AgentError::Nn`] when libtorch fails.
    pub fn bytes(&self) -> Result<(Tensor, Tensor), AgentError> {
        let (planes, count) = (self.planes()?, self.frames.count as i64);
        Ok((planes.f_narrow(1, 0, count)?, planes.f_narrow(1, self.frames.next as i64, count)?))
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
            extras: filled(&self.extras, self.count),
            rewards: filled(&self.rewards, self.count),
            continues: filled(&self.continues, self.count),
            weights: filled(&self.weights, self.count),
        }
    }

    fn tensor<T: HostElement>(&self, buffer: &HostBuffer<T>, device: Device) -> Result<Tensor, AgentError> {
        Ok(buffer.rows_on(self.count, device)?)
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
    /// `[batch, extras]`
    pub extras: &'a [f32],
    /// `[batch]`
    pub rewards: &'a [f32],
    /// `[batch]`
    pub continues: &'a [f32],
    /// `[batch]`
    pub weights: &'a [f32],
}

/// Transitions as tensors.
#[derive(Debug)]
pub struct Transitions {
    /// The observations that were acted on, f32 `[batch, width]`.
    pub observations: Tensor,
    /// The observations that truly followed after as many steps as rewards were added up over, the final
    /// observation of an episode included: f32 `[batch, width]`.
    pub next_observations: Tensor,
    /// The discrete actions that made sense then, 1 or 0, at least one of them: f32 `[batch, actions]`;
    /// `[batch, 0]` where the environment does not say.
    pub masks: Tensor,
    /// The discrete actions that make sense after it, 1 or 0, at least one of them: f32 `[batch, actions]`;
    /// `[batch, 0]` where the environment does not say.
    pub next_masks: Tensor,
    /// Discrete actions, i64 `[batch, 1]`; multi-discrete ones `[batch, dimensions]`; else `[batch, 0]`.
    pub choices: Tensor,
    /// Continuous actions, f32 `[batch, dimensions]`, else `[batch, 0]`.
    pub points: Tensor,
    /// The numbers that the policy added to each action when it acted (its memory's state, the action's
    /// probability), f32 `[batch, extras]`; `[batch, 0]` where it adds nothing.
    pub extras: Tensor,
    /// The reward, or the discounted sum of several: f32 `[batch]`
    pub rewards: Tensor,
    /// The factor of the discounted next value: 0 where the world ended (terminated); else 1 after one
    /// step, and `discount ^ (k - 1)` after `k`, also where the episode was merely cut off. f32 `[batch]`.
    pub continues: Tensor,
    /// The weight of each one's loss: 1, or less for those that were drawn more often than others. f32
    /// `[batch]`.
    pub weights: Tensor,
}

/// The number of numbers of these actions.
pub(super) fn widths(actions: &ActionBatch) -> Widths {
    let (choices, points) = match actions {
        ActionBatch::Discrete(_) => (1, 0),
        ActionBatch::MultiDiscrete { width, .. } => (*width, 0),
        ActionBatch::Box { width, .. } => (0, *width),
    };
    Widths { choices, points, extras: 0 }
}
