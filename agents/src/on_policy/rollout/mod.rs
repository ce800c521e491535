//! A rollout: the steps that one policy made in all environments. It stores them and what follows from them
//! by arithmetic; the networks are asked elsewhere (`collect`).

mod join;
mod state;

use std::ops::Range;

use pavlov_common::SeededRng;
use pavlov_common::bounds::product;
use pavlov_envs::{End, ObsBatch};
use pavlov_group::Group;
use rand::RngExt;
use tch::{Device, Tensor};

use super::Minibatch;
use super::advantages::{Moments, StepTensors, Steps, VtraceClips, gae, moments_over_shards, vtrace};
use super::observations::{ObservationList, ObservationRows, StoredObservation};
use super::states::{MemoryWidths, OwnSequences, PolicyState, RolloutStates};
use crate::core::checks::fits;
use crate::core::host::sent;
use crate::core::{AgentError, Experience};
use crate::networks::Encoder;

/// The sizes of a rollout.
#[derive(Clone, Copy, Debug)]
pub struct RolloutShape {
    /// Steps of each environment.
    pub steps: usize,
    /// The number of environments.
    pub num_envs: usize,
    /// Steps of the sequences to learn from, where there is a memory; 0 for all.
    pub sequence_length: usize,
    /// The numbers of a draw.
    pub draw_width: usize,
    /// The memories of the networks, where they have one.
    pub memory: Option<MemoryWidths>,
    /// The device that learns from the rollout.
    pub device: Device,
}

/// The steps of one policy, `[steps, envs]`, and, once they are all there, their advantages and returns.
///
/// There is one step more of observations than of actions: those that the last actions led to.
#[derive(Debug)]
pub struct Rollout {
    shape: RolloutShape,
    encoder: Encoder,
    /// The number of steps that are there.
    filled: usize,
    /// The number of environments whose whole rollouts were joined so far.
    joined: usize,
    observations: ObservationRows,
    masks: Vec<f32>,
    draws: Vec<f32>,
    log_probs: Vec<f32>,
    rewards: Vec<f32>,
    ends: Vec<End>,
    /// Rows in whose place the environment was reset: there is nothing to learn from them.
    resets: Vec<bool>,
    /// The final observations of truncated episodes, and the rows that they belong to.
    finals: ObservationList,
    final_rows: Vec<i64>,
    values: Vec<f32>,
    /// The value of the observation that truly followed each row.
    next_values: Vec<f32>,
    advantages: Vec<f32>,
    returns: Vec<f32>,
    memory: Option<RolloutStates>,
}

/// The next step of a rollout: the observations and masks to act on, and room for the draws.
#[derive(Debug)]
pub(super) struct StepMut<'a> {
    /// f32 `[envs, width]` on the device that was asked for
    pub inputs: Tensor,
    /// `[envs, choices]`
    pub masks: &'a [f32],
    /// `[envs, draw]`
    pub draws: &'a mut [f32],
    /// `[envs]`
    pub log_probs: &'a mut [f32],
}

/// Bytes of a row beside observation, mask and draw, about.
const BESIDE_OBSERVATIONS: usize = 40;

impl Rollout {
    /// An empty rollout of observations as this encoder writes them.
    ///
    /// # Errors
    /// [`AgentError::Config`] when the steps cannot be cut into sequences, another when memory runs out.
    pub fn new(shape: RolloutShape, encoder: &Encoder) -> Result<Self, AgentError> {
        let RolloutShape { steps, num_envs, .. } = shape;
        let sequence_length = if shape.sequence_length == 0 { steps } else { shape.sequence_length };
        if shape.memory.is_some() && !steps.is_multiple_of(sequence_length) {
            return Err(AgentError::Config(format!(
                "rollout_steps is {steps}, no multiple of net.sequence_length, {sequence_length}: give one that is, or a \
                 sequence_length of 0 for whole rollouts"
            )));
        }
        let width = encoder.bytes_width() + 4 * (encoder.numbers_width() + encoder.mask_width());
        let row = width + 4 * shape.draw_width + BESIDE_OBSERVATIONS;
        fits("rollout_steps", steps, product([steps, num_envs, row]))?;
        let rows = steps * num_envs;
        Ok(Self {
            shape: RolloutShape { sequence_length, ..shape },
            encoder: encoder.clone(),
            filled: 0,
            joined: 0,
            observations: ObservationRows::new(rows + num_envs, encoder, Device::Cpu)?,
            masks: vec![1.0; rows * encoder.mask_width()],
            draws: vec![0.0; rows * shape.draw_width],
            log_probs: vec![0.0; rows],
            rewards: vec![0.0; rows],
            ends: vec![End::No; rows],
            resets: vec![false; rows],
            finals: ObservationList::default(),
            final_rows: Vec::new(),
            values: vec![0.0; rows + num_envs],
            next_values: Vec::new(),
            advantages: vec![0.0; rows],
            returns: vec![0.0; rows],
            memory: shape.memory.map(|widths| RolloutStates::new(steps, num_envs, widths)),
        })
    }

    /// True if all steps are there.
    pub fn is_full(&self) -> bool {
        self.filled == self.shape.steps
    }

    /// The number of env steps that are there, over all environments.
    pub fn env_steps(&self) -> u64 {
        (self.filled * self.shape.num_envs) as u64
    }

    /// The number of environments.
    pub fn num_envs(&self) -> usize {
        self.shape.num_envs
    }

    /// The number of rows of a whole rollout.
    pub fn rows(&self) -> usize {
        self.shape.steps * self.shape.num_envs
    }

    /// The value of each row's observation, `[steps, envs]`, once the rollout is finished.
    pub fn values(&self) -> &[f32] {
        &self.values[..self.rows()]
    }

    /// The return of each row: advantage plus value, `[steps, envs]`.
    pub fn returns(&self) -> &[f32] {
        &self.returns
    }

    /// The advantage of each row, `[steps, envs]`.
    pub fn advantages(&self) -> &[f32] {
        &self.advantages
    }

    /// Stores the observations of the next step, and the policy's memory before it.
    ///
    /// # Errors
    /// [`AgentError::State`] when the rollout is full or of another number of environments.
    pub(super) fn begin_step(
        &mut self,
        observations: &ObsBatch,
        memory: Option<&mut PolicyState>,
    ) -> Result<(), AgentError> {
        if self.is_full() {
            return Err(AgentError::State("a full rollout takes no more steps".into()));
        }
        if observations.rows() != self.num_envs() {
            let (have, want) = (observations.rows(), self.num_envs());
            return Err(AgentError::State(format!(
                "observations of {have} environments, the agent was made for {want}: make it for as many"
            )));
        }
        let (rows, bits) = (self.row_range(self.filled), self.encoder.mask_width());
        self.observations.store(rows.start, (0..rows.len()).map(|env| observations.row(env)));
        let masks = self.masks[rows.start * bits..rows.end * bits].chunks_exact_mut(bits.max(1));
        for (env, mask) in masks.enumerate() {
            match self.encoder.mask(observations.row(env)) {
                Some(known) => mask.copy_from_slice(known),
                None => mask.fill(1.0),
            }
        }
        if let (Some(states), Some(memory)) = (&mut self.memory, memory) {
            states.record(memory, self.filled);
        }
        Ok(())
    }

    /// The step that [`Rollout::begin_step`] began, to be acted in: its observations on this device.
    pub(super) fn step_mut(&mut self, device: Device) -> Result<StepMut<'_>, AgentError> {
        let (rows, bits, width) =
            (self.row_range(self.filled), self.encoder.mask_width(), self.shape.draw_width);
        Ok(StepMut {
            inputs: self.observations.tensor(rows.clone(), device)?,
            masks: &self.masks[rows.start * bits..rows.end * bits],
            draws: &mut self.draws[rows.start * width..rows.end * width],
            log_probs: &mut self.log_probs[rows],
        })
    }

    /// The observation, the mask and the draw of environment `env` in the step under way.
    pub fn drawn(&self, env: usize) -> (StoredObservation<'_>, &[f32], &[f32]) {
        let (row, bits, width) =
            (self.filled * self.num_envs() + env, self.encoder.mask_width(), self.shape.draw_width);
        (
            self.observations.row(row),
            &self.masks[row * bits..(row + 1) * bits],
            &self.draws[row * width..(row + 1) * width],
        )
    }

    /// Stores the outcome of the step under way. After the last step the observations that it led to are
    /// stored too.
    pub(super) fn end_step(&mut self, experience: Experience<'_>, memory: Option<&mut PolicyState>) {
        let rows = self.row_range(self.filled);
        let step = experience.step;
        for (env, row) in rows.clone().enumerate() {
            self.rewards[row] = step.rewards[env] as f32;
            self.ends[row] = step.ends[env];
            self.resets[row] = step.resets[env];
            if step.ends[env] == End::Truncated {
                self.finals.push(&self.encoder, step.next_observation(env));
                self.final_rows.push(row as i64);
            }
        }
        self.filled += 1;
        let mut memory = memory;
        if let Some(memory) = &mut memory {
            memory.observe(step);
        }
        if self.is_full() {
            if let (Some(states), Some(memory)) = (&mut self.memory, memory) {
                states.record(memory, self.filled);
            }
            // Their values are what the last rows are bootstrapped from.
            self.observations.store(rows.end, (0..rows.len()).map(|env| step.observations.row(env)));
        }
    }

    /// The last step counts as truncated, with `led_to` as the final observations of the episodes that go on.
    pub(super) fn cut(&mut self, led_to: &ObsBatch) {
        if self.filled == 0 {
            return;
        }
        for (env, row) in self.row_range(self.filled - 1).enumerate() {
            if self.ends[row] == End::No {
                self.ends[row] = End::Truncated;
                self.finals.push(&self.encoder, led_to.row(env));
                self.final_rows.push(row as i64);
            }
        }
    }

    /// All observations of a full rollout, f32 `[(steps + 1) envs, width]` on the device.
    pub(super) fn observations(&self, device: Device) -> Result<Tensor, AgentError> {
        self.observations.tensor(0..self.rows() + self.num_envs(), device)
    }

    /// The final observations of truncated episodes, f32 `[finals, width]` on the device.
    pub(super) fn finals(&self, device: Device) -> Result<Tensor, AgentError> {
        self.finals.tensor(self.num_finals(), &self.encoder, device)
    }

    /// The number of episodes that were truncated.
    pub(super) fn num_finals(&self) -> usize {
        self.final_rows.len()
    }

    /// The sequences of the whole rollout for the value's network; `again` once it is finished and the
    /// network's memory has gone on.
    pub(super) fn sequences(&self, again: bool, device: Device) -> Result<Option<OwnSequences>, AgentError> {
        let whole = |memory: &RolloutStates| match again {
            true => memory.whole_again(device),
            false => memory.whole(device),
        };
        self.memory.as_ref().map(whole).transpose()
    }

    /// The sequences of one step that the final observations are. `states` is the memory of the value's
    /// network after each step.
    pub(super) fn sequences_of_finals(
        &self,
        states: &[f32],
        device: Device,
    ) -> Result<Option<OwnSequences>, AgentError> {
        self.memory.as_ref().map(|memory| memory.after(states, &self.final_rows, device)).transpose()
    }

    /// Room for the value of each observation, `[steps + 1, envs]`.
    pub(super) fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// Sets the values of the observations that truly followed each row: 0 after a termination, that of the
    /// final observation, of which `finals` are the values, after a truncation.
    pub(super) fn set_next_values(&mut self, finals: &[f32]) {
        let num_envs = self.num_envs();
        self.next_values.clear();
        self.next_values.extend_from_slice(&self.values[num_envs..]);
        for (next, end) in self.next_values.iter_mut().zip(&self.ends) {
            if *end == End::Terminated {
                *next = 0.0;
            }
        }
        self.final_rows.iter().zip(finals).for_each(|(row, value)| self.next_values[*row as usize] = *value);
    }

    /// Keeps the memory of the value's network after each step, `[steps + 1, envs, width]`.
    pub(super) fn remember(&mut self, states: &[f32]) {
        if let Some(memory) = &mut self.memory {
            memory.finish(states);
        }
    }

    /// Computes the advantages and returns of a rollout whose values are there.
    pub(super) fn estimate_advantages(&mut self, discount: f64, lambda: f64) {
        let steps = steps(&self.rewards, &self.values, &self.ends, self.shape.num_envs);
        gae(steps, &self.next_values, (discount as f32, lambda as f32), &mut self.advantages);
        for (row, returned) in self.returns.iter_mut().enumerate() {
            *returned = self.advantages[row] + self.values[row];
        }
    }

    /// Computes V-trace's targets and advantages of a finished rollout. `log_ratios` (`[steps, envs]`) are
    /// the logarithms of each action's probability now over that when it was drawn.
    pub fn vtrace(&mut self, log_ratios: &[f32], (discount, lambda): (f64, f64), clips: VtraceClips) {
        let steps = steps(&self.rewards, &self.values, &self.ends, self.shape.num_envs);
        let how = (discount as f32, lambda as f32);
        let of = (&mut self.returns[..], &mut self.advantages[..]);
        vtrace(steps, &self.next_values, log_ratios, how, clips, of);
    }

    /// The steps of a finished rollout on a device, f32 `[steps, envs]` each.
    ///
    /// # Errors
    /// [`AgentError`] when the device's memory runs out.
    pub fn step_tensors(&self, device: Device) -> Result<StepTensors, AgentError> {
        let goes_on = self.ends.iter().map(|end| f32::from(u8::from(*end == End::No)));
        let given = [&self.rewards[..], self.values(), &self.next_values];
        let all: Vec<f32> = given.into_iter().flatten().copied().chain(goes_on).collect();
        let all = sent(&all, &[4, self.shape.steps as i64, self.shape.num_envs as i64], device)?;
        Ok(StepTensors {
            rewards: all.f_get(0)?,
            values: all.f_get(1)?,
            next_values: all.f_get(2)?,
            goes_on: all.f_get(3)?,
        })
    }

    /// The rows to learn from, in order, without those in whose place an environment was reset; or, where
    /// there is a memory, the rows at which sequences begin.
    pub fn learnable(&self) -> Vec<usize> {
        match self.memory {
            None => (0..self.rows()).filter(|row| !self.resets[*row]).collect(),
            Some(_) => {
                let firsts = (0..self.shape.steps).step_by(self.shape.sequence_length);
                firsts.flat_map(|step| self.row_range(step)).collect()
            }
        }
    }

    /// [`Rollout::learnable`] in a random order.
    pub fn shuffled(&self, rng: &mut SeededRng) -> Vec<usize> {
        let mut rows = self.learnable();
        for last in (1..rows.len()).rev() {
            rows.swap(last, rng.random_range(0..=last));
        }
        rows
    }

    /// These entries of [`Rollout::learnable`] cut into parts of `share` entries. Their number is the same for
    /// every rollout, whatever there is to learn from: the last ones may be empty.
    pub fn parts<'r>(&self, order: &'r [usize], share: usize) -> Vec<&'r [usize]> {
        let together = if self.memory.is_some() { self.shape.sequence_length } else { 1 };
        let count = (self.rows() / together).div_ceil(share);
        let bound = |place: usize| (place * share).min(order.len());
        (0..count).map(|place| &order[bound(place)..bound(place + 1)]).collect()
    }

    /// The mean and the deviation of the advantages of each part over all shards of the group; `None` for each
    /// where there is one shard, whose minibatches have their own.
    ///
    /// # Errors
    /// When a shard is lost.
    pub fn moments(&self, parts: &[&[usize]], group: &Group) -> Result<Vec<Option<Moments>>, AgentError> {
        if group.is_alone() {
            return Ok(vec![None; parts.len()]);
        }
        let learned = parts.iter().map(|part| {
            let rows = self.gathered_rows(part).into_iter();
            rows.filter(|row| !self.resets[*row]).map(|row| self.advantages[row])
        });
        Ok(moments_over_shards(group, learned)?.into_iter().map(Some).collect())
    }

    /// The number of entries of [`Rollout::learnable`] that make a minibatch of about so many rows: sequences
    /// stay whole.
    pub fn share_of(&self, minibatch_size: usize) -> usize {
        match self.memory {
            None => minibatch_size,
            Some(_) => (minibatch_size / self.shape.sequence_length).max(1),
        }
    }

    /// Gathers some of [`Rollout::learnable`] into a minibatch.
    ///
    /// # Errors
    /// [`AgentError`] when memory runs out.
    pub fn gather(&self, chosen: &[usize], minibatch: &mut Minibatch) -> Result<(), AgentError> {
        let Some(memory) = &self.memory else { return self.gather_rows(chosen, minibatch) };
        self.gather_rows(&self.gathered_rows(chosen), minibatch)?;
        minibatch.memory = Some(memory.gather(chosen, self.shape.sequence_length));
        Ok(())
    }

    /// The row of the rollout that each row of a minibatch is, which [`Rollout::gather`] made of these.
    pub fn gathered_rows(&self, chosen: &[usize]) -> Vec<usize> {
        let steps = if self.memory.is_some() { self.shape.sequence_length } else { 1 };
        (0..steps).flat_map(|step| chosen.iter().map(move |row| row + step * self.shape.num_envs)).collect()
    }

    fn gather_rows(&self, rows: &[usize], minibatch: &mut Minibatch) -> Result<(), AgentError> {
        fn pick<T: Copy>(from: &[T], rows: &[usize], width: usize, to: &mut Vec<T>) {
            to.clear();
            rows.iter().for_each(|row| to.extend_from_slice(&from[row * width..(row + 1) * width]));
        }
        let room = minibatch.observations_mut(rows.len(), &self.encoder, self.shape.device)?;
        room.gather(&self.observations, rows)?;
        pick(&self.masks, rows, self.encoder.mask_width(), &mut minibatch.masks);
        pick(&self.draws, rows, self.shape.draw_width, &mut minibatch.draws);
        pick(&self.log_probs, rows, 1, &mut minibatch.log_probs);
        pick(&self.values, rows, 1, &mut minibatch.values);
        pick(&self.advantages, rows, 1, &mut minibatch.advantages);
        pick(&self.returns, rows, 1, &mut minibatch.returns);
        pick(&self.resets, rows, 1, &mut minibatch.skipped);
        Ok(())
    }

    /// Forgets all steps.
    pub fn clear(&mut self) {
        self.filled = 0;
        self.finals.clear();
        self.final_rows.clear();
    }

    /// The number of steps whose observations are there: one more in a full rollout, for those that the last
    /// actions led to.
    fn seen(&self, filled: usize) -> usize {
        filled + usize::from(filled == self.shape.steps)
    }

    fn row_range(&self, step: usize) -> Range<usize> {
        step * self.shape.num_envs..(step + 1) * self.shape.num_envs
    }
}

/// A rollout as advantages are computed from it; there is a value more for each environment.
fn steps<'a>(rewards: &'a [f32], values: &'a [f32], ends: &'a [End], num_envs: usize) -> Steps<'a> {
    Steps { rewards, values: &values[..rewards.len()], ends, num_envs }
}
