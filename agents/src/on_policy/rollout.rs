//! A rollout: what one policy did in a number of steps of all environments.

use std::ops::Range;

use pavlov_envs::{End, EnvRng};
use pavlov_nn::{HostBuffer, Parameters, StateDict, StateView};
use rand::RngExt;
use tch::Tensor;

use super::advantages::{Steps, gae};
use super::memory::{RolloutMemory, read_states};
use super::{Actor, Minibatch, OwnSequences};
use crate::{AgentError, Experience};

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
    advantages: Vec<f32>,
    returns: Vec<f32>,
    widths: Widths,
    memory: Option<RolloutMemory>,
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
        actor: &Actor,
    ) -> Result<Self, AgentError> {
        let sequence_length = if sequence_length == 0 { steps } else { sequence_length };
        if actor.memory.is_some() && !steps.is_multiple_of(sequence_length) {
            return Err(AgentError::Config(format!(
                "rollout_steps is {steps}, no multiple of net.sequence_length, {sequence_length}: give one that is, or a \
                 sequence_length of 0 for whole rollouts"
            )));
        }
        let widths = Widths {
            observation: actor.encoder.width(),
            mask: actor.encoder.mask_width(),
            draw: actor.head.distribution().width(),
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
            advantages: vec![0.0; rows],
            returns: vec![0.0; rows],
            widths,
            memory: RolloutMemory::new(steps, num_envs, actor),
            sequence_length,
        })
    }

    /// An empty rollout of as many steps, of so many environments.
    ///
    /// # Errors
    /// [`AgentError`] when memory runs out.
    pub fn of_envs(&self, num_envs: usize, actor: &Actor) -> Result<Self, AgentError> {
        Self::new(self.steps, num_envs, self.sequence_length, actor)
    }

    /// Takes over the full rollout of some of the environments, the first of which has number `first`; says whether
    /// those of all are there now.
    ///
    /// # Errors
    /// [`AgentError::State`] when it is not full or does not fit.
    pub fn join(&mut self, first: usize, part: &Self) -> Result<bool, AgentError> {
        if !part.is_full() || part.steps != self.steps || first + part.num_envs > self.num_envs {
            return Err(AgentError::State("a rollout that is not whole cannot be joined with others".into()));
        }
        let (to, from) = (self.num_envs, part.num_envs);
        let Widths { observation, mask, draw } = self.widths;
        // Row by row of steps: `width` numbers for each environment.
        fn place<T: Copy>(to: &mut [T], from: &[T], (all, some, first): (usize, usize, usize), width: usize) {
            for (to, from) in
                to.chunks_exact_mut((all * width).max(1)).zip(from.chunks_exact((some * width).max(1)))
            {
                to[first * width..(first + some) * width].copy_from_slice(from);
            }
        }
        let envs = (to, from, first);
        place(self.observations.as_mut_slice(), part.observations.as_slice(), envs, observation);
        place(&mut self.masks, &part.masks, envs, mask);
        place(&mut self.draws, &part.draws, envs, draw);
        place(&mut self.log_probs, &part.log_probs, envs, 1);
        place(&mut self.rewards, &part.rewards, envs, 1);
        place(&mut self.ends, &part.ends, envs, 1);
        place(&mut self.resets, &part.resets, envs, 1);
        self.finals.extend_from_slice(&part.finals);
        let moved = |row: &i64| {
            let (step, env) = (*row as usize / from, *row as usize % from);
            (step * to + first + env) as i64
        };
        self.final_rows.extend(part.final_rows.iter().map(moved));
        if let (Some(own), Some(memory)) = (&mut self.memory, &part.memory) {
            own.join(first, memory);
        }
        self.joined += part.num_envs;
        if self.joined == self.num_envs {
            (self.filled, self.joined) = (self.steps, 0);
        }
        Ok(self.is_full())
    }

    /// The episodes are broken off here, for no reason of their own: the last step counts as truncated, with what it led
    /// to as its final observation.
    pub fn cut(&mut self, actor: &mut Actor, led_to: &pavlov_envs::ObsBatch) {
        if self.filled > 0 {
            for (env, row) in self.row_range(self.filled - 1).enumerate() {
                if self.ends[row] == End::No {
                    self.ends[row] = End::Truncated;
                    let start = self.finals.len();
                    self.finals.resize(start + self.widths.observation, 0.0);
                    actor.encoder.encode(led_to.row(env), &mut self.finals[start..]);
                    self.final_rows.push(row as i64);
                }
            }
        }
        (0..self.num_envs).for_each(|env| actor.memory.iter_mut().for_each(|memory| memory.forget(env)));
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
        actor: &mut Actor,
        parameters: &Parameters,
        observations: &pavlov_envs::ObsBatch,
        rng: &mut EnvRng,
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
        actor.encode(observations, inputs, &mut self.masks[masks.clone()]);
        let inputs = self.observations.tensor().f_narrow(0, rows.start as i64, self.num_envs as i64)?;
        if let (Some(memory), Some(own)) = (&mut self.memory, &mut actor.memory) {
            memory.record(own, self.filled);
        }
        let asked = (&inputs, &self.masks[masks]);
        let answers = (&mut self.draws[draws.clone()], &mut self.log_probs[rows]);
        actor.draw(parameters, asked, (crate::ActMode::Explore, rng), answers)?;
        for (row, draw) in self.draws[draws].chunks_exact(self.widths.draw).enumerate() {
            actor.head.write(draw, row, actions);
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
    pub fn observe(&mut self, actor: &mut Actor, experience: Experience<'_>) {
        let rows = self.row_range(self.filled);
        let step = experience.step;
        for (env, row) in rows.clone().enumerate() {
            self.rewards[row] = step.rewards[env] as f32;
            self.ends[row] = step.ends[env];
            self.resets[row] = step.resets[env];
            if step.ends[env] == End::Truncated {
                let start = self.finals.len();
                self.finals.resize(start + self.widths.observation, 0.0);
                actor.encoder.encode(step.next_observation(env), &mut self.finals[start..]);
                self.final_rows.push(row as i64);
            }
        }
        self.filled += 1;
        if let Some(memory) = &mut actor.memory {
            memory.observe(step);
        }
        if self.is_full() {
            if let (Some(memory), Some(own)) = (&mut self.memory, &mut actor.memory) {
                memory.record(own, self.filled);
            }
            // What to act on next: its value is what the last rows are bootstrapped from.
            let width = self.widths.observation;
            let after = &mut self.observations.as_mut_slice()[rows.end * width..];
            for env in 0..self.num_envs {
                let row = &mut after[env * width..(env + 1) * width];
                actor.encoder.encode(step.observations.row(env), row);
            }
        }
    }

    /// Computes the values, advantages and returns of a full rollout.
    ///
    /// # Errors
    /// [`AgentError::Diverged`] when a value is NaN.
    pub fn finish(
        &mut self,
        actor: &Actor,
        parameters: &Parameters,
        (discount, lambda): (f64, f64),
    ) -> Result<(), AgentError> {
        let inputs = self.observations.tensor();
        let whole = self.memory.as_ref().map(|memory| memory.whole(parameters.device())).transpose()?;
        let sequences = whole.as_ref().map(OwnSequences::sequences);
        let states = actor.values(parameters, inputs, sequences, &mut self.values)?;
        let states = read_states(states.as_ref())?;
        let next_values = self.next_values(actor, parameters, &states)?;
        if let Some(memory) = &mut self.memory {
            memory.finish(&states);
        }
        let steps = Steps {
            rewards: &self.rewards,
            values: &self.values[..self.rewards.len()],
            ends: &self.ends,
            num_envs: self.num_envs,
        };
        gae(steps, &next_values, (discount as f32, lambda as f32), &mut self.advantages);
        for (row, returned) in self.returns.iter_mut().enumerate() {
            *returned = self.advantages[row] + self.values[row];
        }
        Ok(())
    }

    /// The value of what truly followed each row: nothing after a termination, the final observation's after a
    /// truncation. `states` is what the value's network remembers after each step.
    fn next_values(
        &self,
        actor: &Actor,
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
            let after = |memory: &RolloutMemory| memory.after(states, &self.final_rows, parameters.device());
            let after = self.memory.as_ref().map(after).transpose()?;
            actor.values(parameters, &finals, after.as_ref().map(OwnSequences::sequences), &mut values)?;
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
    pub fn shuffled(&self, rng: &mut EnvRng) -> Vec<usize> {
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
        let steps = 0..self.sequence_length;
        let rows: Vec<usize> =
            steps.flat_map(|step| chosen.iter().map(move |row| row + step * self.num_envs)).collect();
        self.gather_rows(&rows, minibatch)?;
        minibatch.memory = Some(memory.gather(chosen, self.sequence_length));
        Ok(())
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

    /// The steps so far; nothing is copied but the flags.
    ///
    /// # Errors
    /// [`AgentError`] when a value cannot be expressed.
    pub fn state(&self) -> Result<StateDict<'_>, AgentError> {
        let mut state = StateDict::new();
        let (rows, seen) = (self.filled * self.num_envs, self.seen(self.filled));
        let Widths { observation, mask, draw } = self.widths;
        let observations = &self.observations.as_slice()[..seen * self.num_envs * observation];
        state.put_slice("observations", &[seen * self.num_envs, observation], observations);
        state.put_slice("masks", &[rows, mask], &self.masks[..rows * mask]);
        state.put_slice("draws", &[rows, draw], &self.draws[..rows * draw]);
        state.put_slice("log_probs", &[rows], &self.log_probs[..rows]);
        state.put_slice("rewards", &[rows], &self.rewards[..rows]);
        state.put_slice("finals", &[self.final_rows.len(), observation], &self.finals);
        state.put_slice("final_rows", &[self.final_rows.len()], &self.final_rows);
        state.put_value("filled", &self.filled)?;
        state.put_value("ends", &&self.ends[..rows])?;
        state.put_value("resets", &&self.resets[..rows])?;
        if let Some(memory) = &self.memory {
            state.nest("memory", memory.state(self.filled, seen));
        }
        Ok(state)
    }

    /// Takes over saved steps.
    ///
    /// # Errors
    /// [`AgentError`] when they do not fit.
    pub fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        let filled: usize = state.value("filled")?;
        if filled > self.steps {
            let steps = self.steps;
            return Err(AgentError::State(format!(
                "a rollout of {filled} steps does not fit one of {steps}"
            )));
        }
        let Widths { observation, mask, draw } = self.widths;
        let (rows, seen) = (filled * self.num_envs, self.seen(filled));
        let observations = &mut self.observations.as_mut_slice()[..seen * self.num_envs * observation];
        fill(state, "observations", observations)?;
        fill(state, "masks", &mut self.masks[..rows * mask])?;
        fill(state, "draws", &mut self.draws[..rows * draw])?;
        fill(state, "log_probs", &mut self.log_probs[..rows])?;
        fill(state, "rewards", &mut self.rewards[..rows])?;
        self.final_rows = state.vec("final_rows")?;
        self.finals = vec![0.0; self.final_rows.len() * observation];
        fill(state, "finals", &mut self.finals)?;
        let (ends, resets): (Vec<End>, Vec<bool>) = (state.value("ends")?, state.value("resets")?);
        let fits = ends.len() == rows && resets.len() == rows;
        if !fits || self.final_rows.iter().any(|row| !(0..rows as i64).contains(row)) {
            return Err(AgentError::State("the rollout's flags do not fit its steps".into()));
        }
        self.ends[..rows].copy_from_slice(&ends);
        self.resets[..rows].copy_from_slice(&resets);
        if let Some(memory) = &mut self.memory {
            memory.load_state(&state.part("memory"), filled, seen)?;
        }
        self.filled = filled;
        Ok(())
    }
}

pub(super) fn fill(state: &StateView<'_>, name: &str, to: &mut [f32]) -> Result<(), AgentError> {
    let numbers: Vec<f32> = state.vec(name)?;
    if numbers.len() != to.len() {
        let (have, want) = (numbers.len(), to.len());
        return Err(AgentError::State(format!(
            "the rollout's `{name}` holds {have} numbers, {want} are expected"
        )));
    }
    to.copy_from_slice(&numbers);
    Ok(())
}
