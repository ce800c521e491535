//! A rollout: what one policy did in a number of steps of all environments.

mod join;
mod state;

use std::ops::Range;

use pavlov_common::SeededRng;
use pavlov_envs::End;
use pavlov_nn::{HostBuffer, Parameters};
use rand::RngExt;
use tch::{Device, Tensor};

use super::advantages::{StepTensors, Steps, VtraceClips, gae, vtrace};
use super::states::{RolloutStates, read_states};
use super::{Minibatch, OwnSequences, PolicySampler};
use crate::acting::Inference;
use crate::core::host::sent;
use crate::core::{AgentError, Experience};

/// The steps of one policy, `[steps, envs]`, and, once they are all there, their advantages and returns.
///
/// Observations are held as the networks take them. One step more of them than there are actions: what the last actions
/// led to.
#[derive(Debug)]
pub struct Rollout {
    steps: usize,
    num_envs: usize,
    /// How many steps are there.
    filled: usize,
    /// How many environments' whole rollouts were joined so far.
    joined: usize,
    observations: HostBuffer<f32>,
    masks: Vec<f32>,
    draws: Vec<f32>,
    log_probs: Vec<f32>,
    rewards: Vec<f32>,
    ends: Vec<End>,
    /// Rows in whose place the environment was reset: nothing to learn from.
    resets: Vec<bool>,
    /// The final observations of truncated episodes, and the rows that they belong to.
    finals: Vec<f32>,
    final_rows: Vec<i64>,
    values: Vec<f32>,
    /// The value of what truly followed each row.
    next_values: Vec<f32>,
    advantages: Vec<f32>,
    returns: Vec<f32>,
    widths: Widths,
    memory: Option<RolloutStates>,
    /// Steps of the sequences to learn from, where there is a memory.
    sequence_length: usize,
}

#[derive(Clone, Copy, Debug)]
struct Widths {
    observation: usize,
    mask: usize,
    draw: usize,
}

impl Rollout {
    /// Room for `steps` steps of `num_envs` environments. An actor with a memory learns from sequences of
    /// `sequence_length` steps, or of all with 0.
    ///
    /// # Errors
    /// [`AgentError::Config`] when the steps cannot be cut into sequences, another when memory runs out.
    pub fn new(
        steps: usize,
        num_envs: usize,
        sequence_length: usize,
        sampler: &PolicySampler,
    ) -> Result<Self, AgentError> {
        let sequence_length = if sequence_length == 0 { steps } else { sequence_length };
        if sampler.memory.is_some() && !steps.is_multiple_of(sequence_length) {
            return Err(AgentError::Config(format!(
                "rollout_steps is {steps}, no multiple of net.sequence_length, {sequence_length}: give one that is, or a \
                 sequence_length of 0 for whole rollouts"
            )));
        }
        let widths = Widths {
            observation: sampler.encoder.width(),
            mask: sampler.encoder.mask_width(),
            draw: sampler.head.distribution().width(),
        };
        let rows = steps * num_envs;
        Ok(Self {
            steps,
            num_envs,
            filled: 0,
            joined: 0,
            observations: HostBuffer::new(&[(rows + num_envs) as i64, widths.observation as i64])?,
            masks: vec![1.0; rows * widths.mask],
            draws: vec![0.0; rows * widths.draw],
            log_probs: vec![0.0; rows],
            rewards: vec![0.0; rows],
            ends: vec![End::No; rows],
            resets: vec![false; rows],
            finals: Vec::new(),
            final_rows: Vec::new(),
            values: vec![0.0; rows + num_envs],
            next_values: Vec::new(),
            advantages: vec![0.0; rows],
            returns: vec![0.0; rows],
            widths,
            memory: RolloutStates::new(steps, num_envs, sampler),
            sequence_length,
        })
    }

    /// Whether all steps are there.
    pub fn is_full(&self) -> bool {
        self.filled == self.steps
    }

    /// How many env steps are there, over all environments.
    pub fn env_steps(&self) -> u64 {
        (self.filled * self.num_envs) as u64
    }

    /// How many environments it is of.
    pub fn num_envs(&self) -> usize {
        self.num_envs
    }

    /// How many rows a whole rollout has.
    pub fn rows(&self) -> usize {
        self.steps * self.num_envs
    }

    /// The value of each row's observation, `[steps, envs]`, as [`Rollout::finish`] found them.
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

    /// Draws the actions of the next step, writes them for the environments and keeps what was drawn.
    ///
    /// # Errors
    /// [`AgentError`] when the rollout is full or the network gives NaN.
    pub fn act(
        &mut self,
        sampler: &mut PolicySampler,
        inference: Inference<'_>,
        observations: &pavlov_envs::ObsBatch,
        rng: &mut SeededRng,
        actions: &mut pavlov_envs::ActionBatch,
    ) -> Result<(), AgentError> {
        if self.is_full() {
            return Err(AgentError::State("a full rollout takes no more steps".into()));
        }
        if observations.rows() != self.num_envs {
            let (have, want) = (observations.rows(), self.num_envs);
            return Err(AgentError::State(format!(
                "observations of {have} environments, the agent was made for {want}: make it for as many"
            )));
        }
        let rows = self.row_range(self.filled);
        let masks = rows.start * self.widths.mask..rows.end * self.widths.mask;
        let draws = rows.start * self.widths.draw..rows.end * self.widths.draw;
        let inputs = rows.start * self.widths.observation..rows.end * self.widths.observation;
        let inputs = &mut self.observations.as_mut_slice()[inputs];
        sampler.encode(observations, inputs, &mut self.masks[masks.clone()]);
        let inputs = self.observations.tensor().f_narrow(0, rows.start as i64, self.num_envs as i64)?;
        if let (Some(memory), Some(own)) = (&mut self.memory, &mut sampler.memory) {
            memory.record(own, self.filled);
        }
        let asked = (&inputs, &self.masks[masks]);
        let answers = (&mut self.draws[draws.clone()], &mut self.log_probs[rows]);
        sampler.draw(inference, asked, (crate::core::ActMode::Explore, rng), answers)?;
        for (row, draw) in self.draws[draws].chunks_exact(self.widths.draw).enumerate() {
            sampler.head.write(draw, row, actions);
        }
        Ok(())
    }

    /// What the last [`Rollout::act`] saw and drew for environment `env`: the network's input, the mask and the draw.
    pub fn drawn(&self, env: usize) -> (&[f32], &[f32], &[f32]) {
        let row = self.filled * self.num_envs + env;
        let Widths { observation, mask, draw } = self.widths;
        (
            &self.observations.as_slice()[row * observation..(row + 1) * observation],
            &self.masks[row * mask..(row + 1) * mask],
            &self.draws[row * draw..(row + 1) * draw],
        )
    }

    /// Takes in what came of the actions that [`Rollout::act`] drew last.
    pub fn observe(&mut self, sampler: &mut PolicySampler, experience: Experience<'_>) {
        let rows = self.row_range(self.filled);
        let step = experience.step;
        for (env, row) in rows.clone().enumerate() {
            self.rewards[row] = step.rewards[env] as f32;
            self.ends[row] = step.ends[env];
            self.resets[row] = step.resets[env];
            if step.ends[env] == End::Truncated {
                let start = self.finals.len();
                self.finals.resize(start + self.widths.observation, 0.0);
                sampler.encoder.encode(step.next_observation(env), &mut self.finals[start..]);
                self.final_rows.push(row as i64);
            }
        }
        self.filled += 1;
        if let Some(memory) = &mut sampler.memory {
            memory.observe(step);
        }
        if self.is_full() {
            if let (Some(memory), Some(own)) = (&mut self.memory, &mut sampler.memory) {
                memory.record(own, self.filled);
            }
            // What to act on next: its value is what the last rows are bootstrapped from.
            let width = self.widths.observation;
            let after = &mut self.observations.as_mut_slice()[rows.end * width..];
            for env in 0..self.num_envs {
                let row = &mut after[env * width..(env + 1) * width];
                sampler.encoder.encode(step.observations.row(env), row);
            }
        }
    }

    /// Computes the values, advantages and returns of a full rollout.
    ///
    /// # Errors
    /// [`AgentError::Diverged`] when a value is NaN.
    pub fn finish(
        &mut self,
        sampler: &PolicySampler,
        parameters: &Parameters,
        (discount, lambda): (f64, f64),
    ) -> Result<(), AgentError> {
        let inputs = self.observations.tensor();
        let whole = self.memory.as_ref().map(|memory| memory.whole(parameters.device())).transpose()?;
        let sequences = whole.as_ref().map(OwnSequences::sequences);
        let states = sampler.values(parameters, inputs, sequences, &mut self.values)?;
        let states = read_states(states.as_ref())?;
        self.next_values = self.values_of_next(sampler, parameters, &states)?;
        if let Some(memory) = &mut self.memory {
            memory.finish(&states);
        }
        let steps = steps(&self.rewards, &self.values, &self.ends, self.num_envs);
        gae(steps, &self.next_values, (discount as f32, lambda as f32), &mut self.advantages);
        for (row, returned) in self.returns.iter_mut().enumerate() {
            *returned = self.advantages[row] + self.values[row];
        }
        Ok(())
    }

    /// Finds the values of a finished rollout anew, by these weights.
    ///
    /// # Errors
    /// [`AgentError::Diverged`] when a value is NaN.
    pub fn value_again(
        &mut self,
        sampler: &PolicySampler,
        parameters: &Parameters,
    ) -> Result<(), AgentError> {
        let inputs = self.observations.tensor();
        let whole = self.memory.as_ref().map(|memory| memory.whole_again(parameters.device())).transpose()?;
        let sequences = whole.as_ref().map(OwnSequences::sequences);
        let states = sampler.values(parameters, inputs, sequences, &mut self.values)?;
        let states = read_states(states.as_ref())?;
        self.next_values = self.values_of_next(sampler, parameters, &states)?;
        Ok(())
    }

    /// Makes V-trace's targets and advantages of a finished rollout. `log_ratios` (`[steps, envs]`) are the logarithms of
    /// how much likelier each action has become since it was drawn.
    pub fn vtrace(&mut self, log_ratios: &[f32], (discount, lambda): (f64, f64), clips: VtraceClips) {
        let steps = steps(&self.rewards, &self.values, &self.ends, self.num_envs);
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
        let all = sent(&all, &[4, self.steps as i64, self.num_envs as i64], device)?;
        Ok(StepTensors {
            rewards: all.f_get(0)?,
            values: all.f_get(1)?,
            next_values: all.f_get(2)?,
            goes_on: all.f_get(3)?,
        })
    }

    /// The value of what truly followed each row: nothing after a termination, the final observation's after a
    /// truncation. `states` is what the value's network remembers after each step.
    fn values_of_next(
        &self,
        sampler: &PolicySampler,
        parameters: &Parameters,
        states: &[f32],
    ) -> Result<Vec<f32>, AgentError> {
        let mut next = self.values[self.num_envs..].to_vec();
        for (next, end) in next.iter_mut().zip(&self.ends) {
            if *end == End::Terminated {
                *next = 0.0;
            }
        }
        if !self.final_rows.is_empty() {
            let finals =
                Tensor::f_from_slice(&self.finals)?.f_reshape([-1, self.widths.observation as i64])?;
            let mut values = vec![0.0; self.final_rows.len()];
            let after = |memory: &RolloutStates| memory.after(states, &self.final_rows, parameters.device());
            let after = self.memory.as_ref().map(after).transpose()?;
            sampler.values(parameters, &finals, after.as_ref().map(OwnSequences::sequences), &mut values)?;
            self.final_rows.iter().zip(values).for_each(|(row, value)| next[*row as usize] = value);
        }
        Ok(next)
    }

    /// What there is to learn from, in order: the rows, but those in whose place an environment was reset; or, where there
    /// is a memory, the rows at which sequences begin.
    pub fn learnable(&self) -> Vec<usize> {
        match self.memory {
            None => (0..self.rows()).filter(|row| !self.resets[*row]).collect(),
            Some(_) => {
                let firsts = (0..self.steps).step_by(self.sequence_length);
                firsts.flat_map(|step| self.row_range(step)).collect()
            }
        }
    }

    /// The same in a random order.
    pub fn shuffled(&self, rng: &mut SeededRng) -> Vec<usize> {
        let mut rows = self.learnable();
        for last in (1..rows.len()).rev() {
            rows.swap(last, rng.random_range(0..=last));
        }
        rows
    }

    /// How many of [`Rollout::learnable`] make a minibatch of about so many rows: sequences stay whole.
    pub fn share_of(&self, minibatch_size: usize) -> usize {
        match self.memory {
            None => minibatch_size,
            Some(_) => (minibatch_size / self.sequence_length).max(1),
        }
    }

    /// Gathers some of [`Rollout::learnable`] into a minibatch.
    ///
    /// # Errors
    /// [`AgentError`] when memory runs out.
    pub fn gather(&self, chosen: &[usize], minibatch: &mut Minibatch) -> Result<(), AgentError> {
        let Some(memory) = &self.memory else { return self.gather_rows(chosen, minibatch) };
        self.gather_rows(&self.gathered_rows(chosen), minibatch)?;
        minibatch.memory = Some(memory.gather(chosen, self.sequence_length));
        Ok(())
    }

    /// Which row each of a minibatch's is, that [`Rollout::gather`] made of these.
    pub fn gathered_rows(&self, chosen: &[usize]) -> Vec<usize> {
        let steps = if self.memory.is_some() { self.sequence_length } else { 1 };
        (0..steps).flat_map(|step| chosen.iter().map(move |row| row + step * self.num_envs)).collect()
    }

    fn gather_rows(&self, rows: &[usize], minibatch: &mut Minibatch) -> Result<(), AgentError> {
        fn pick<T: Copy>(from: &[T], rows: &[usize], width: usize, to: &mut Vec<T>) {
            to.clear();
            rows.iter().for_each(|row| to.extend_from_slice(&from[row * width..(row + 1) * width]));
        }
        let width = self.widths.observation;
        let observations = self.observations.as_slice();
        let inputs = minibatch.observations_mut(rows.len(), width)?.chunks_exact_mut(width);
        inputs
            .zip(rows)
            .for_each(|(to, row)| to.copy_from_slice(&observations[row * width..(row + 1) * width]));
        pick(&self.masks, rows, self.widths.mask, &mut minibatch.masks);
        pick(&self.draws, rows, self.widths.draw, &mut minibatch.draws);
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

    /// Of how many steps the observations are there: of a full rollout also what the last actions led to.
    fn seen(&self, filled: usize) -> usize {
        filled + usize::from(filled == self.steps)
    }

    fn row_range(&self, step: usize) -> Range<usize> {
        step * self.num_envs..(step + 1) * self.num_envs
    }
}

/// A rollout as advantages are computed from it; there is a value more for each environment.
fn steps<'a>(rewards: &'a [f32], values: &'a [f32], ends: &'a [End], num_envs: usize) -> Steps<'a> {
    Steps { rewards, values: &values[..rewards.len()], ends, num_envs }
}
