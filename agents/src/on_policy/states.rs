//! The memory of a recurrent actor-critic: its state while it acts, and its states along a rollout.

use pavlov_envs::StepBatch;
use pavlov_nn::{StateDict, StateView};
use tch::{Device, Tensor};

use crate::core::AgentError;
use crate::core::host::{fill, read, sent};
use crate::networks::Sequences;

/// The state of a policy's memory in each environment.
#[derive(Clone, Debug)]
pub struct PolicyState {
    width: usize,
    /// `[rows, width]`
    states: Vec<f32>,
    /// 1 where an episode begins, whose state is not used: `[rows]`.
    starts: Vec<f32>,
}

impl PolicyState {
    /// A memory of `width` numbers for each environment.
    pub fn new(width: usize) -> Self {
        Self { width, states: Vec::new(), starts: Vec::new() }
    }

    /// Room for so many environments; those that are new begin an episode.
    pub fn resize(&mut self, rows: usize) {
        self.states.resize(rows * self.width, 0.0);
        self.starts.resize(rows, 1.0);
    }

    /// Forgets environment `row`: an episode begins there.
    pub fn forget(&mut self, row: usize) {
        if let Some(start) = self.starts.get_mut(row) {
            *start = 1.0;
        }
    }

    /// Forgets where an episode ended with this step, or begins after it.
    pub fn observe(&mut self, step: &StepBatch) {
        for (row, end) in step.ends.iter().enumerate() {
            if end.is_over() || step.resets[row] {
                self.forget(row);
            }
        }
    }

    /// One step of all environments, as the networks take it.
    pub fn step(&self, device: Device) -> Result<OwnSequences, AgentError> {
        OwnSequences::new(&self.starts, &self.states, 1, self.starts.len(), device)
    }

    /// Writes the state of environment `row`, and 1 after it where an episode begins: `[width + 1]`.
    pub(super) fn write(&self, row: usize, out: &mut [f32]) {
        out[..self.width].copy_from_slice(&self.states[row * self.width..(row + 1) * self.width]);
        out[self.width] = self.starts[row];
    }

    /// Takes over the state of environment `row` after a step, `[width]`.
    pub(super) fn read(&mut self, row: usize, state: &[f32]) {
        self.starts[row] = 0.0;
        self.states[row * self.width..(row + 1) * self.width].copy_from_slice(state);
    }

    /// Takes over the states after a step, f32 `[1, rows, width]`.
    pub fn update(&mut self, states: &Tensor) -> Result<(), AgentError> {
        self.starts.fill(0.0);
        read(states, &mut self.states)
    }

    /// Everything to continue from.
    pub fn state(&self) -> StateDict<'_> {
        let mut state = StateDict::new();
        state.put_slice("states", &[self.starts.len(), self.width], &self.states);
        state.put_slice("starts", &[self.starts.len()], &self.starts);
        state
    }

    /// Continues from a saved state.
    pub fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        self.starts = state.vec("starts")?;
        self.states = vec![0.0; self.starts.len() * self.width];
        fill(state, "states", &mut self.states)
    }
}

/// The starts and first states of sequences, as tensors.
#[derive(Debug)]
pub struct OwnSequences {
    starts: Tensor,
    state: Tensor,
}

impl OwnSequences {
    /// `starts` is `[steps, count]`, `states` `[count, width]`.
    ///
    /// # Errors
    /// [`AgentError`] when they do not fit.
    pub fn new(
        starts: &[f32],
        states: &[f32],
        steps: usize,
        count: usize,
        device: Device,
    ) -> Result<Self, AgentError> {
        let tensor = |numbers: &[f32], rows: usize| -> Result<Tensor, AgentError> {
            let columns = (numbers.len() / rows.max(1)) as i64;
            sent(numbers, &[rows as i64, columns], device)
        };
        Ok(Self { starts: tensor(starts, steps)?, state: tensor(states, count)? })
    }

    /// The sequences as the networks take them.
    pub fn sequences(&self) -> Sequences<'_> {
        Sequences { starts: &self.starts, state: &self.state }
    }
}

/// The numbers of the networks' memories for each environment.
#[derive(Clone, Copy, Debug)]
pub struct MemoryWidths {
    /// Those of the policy's network.
    pub policy: usize,
    /// Those of the value's network.
    pub value: usize,
}

/// The states of the memories along a rollout.
#[derive(Debug)]
pub(super) struct RolloutStates {
    num_envs: usize,
    policy_width: usize,
    value_width: usize,
    /// The policy's state before each step, `[steps, envs, policy width]`.
    policy: Vec<f32>,
    /// The value network's state before each step, known once the rollout is finished: `[steps, envs, value
    /// width]`.
    value: Vec<f32>,
    /// 1 where an episode began, else 0: `[steps + 1, envs]`.
    starts: Vec<f32>,
    /// The value network's state before the first step, `[envs, value width]`.
    value_before: Vec<f32>,
}

impl RolloutStates {
    /// The states of a rollout of so many steps.
    pub fn new(steps: usize, num_envs: usize, widths: MemoryWidths) -> Self {
        let MemoryWidths { policy: policy_width, value: value_width } = widths;
        let rows = steps * num_envs;
        Self {
            num_envs,
            policy_width,
            value_width,
            policy: vec![0.0; rows * policy_width],
            value: vec![0.0; rows * value_width],
            starts: vec![1.0; rows + num_envs],
            value_before: vec![0.0; num_envs * value_width],
        }
    }

    /// Keeps the policy's state before step `step`, and the starts of episodes; of the step after the last
    /// one the starts alone.
    pub fn record(&mut self, memory: &mut PolicyState, step: usize) {
        memory.resize(self.num_envs);
        let rows = step * self.num_envs..(step + 1) * self.num_envs;
        self.starts[rows.clone()].copy_from_slice(&memory.starts);
        let width = self.policy_width;
        if let Some(states) = self.policy.get_mut(rows.start * width..rows.end * width) {
            states.copy_from_slice(&memory.states);
        }
    }

    /// Takes over the policy's states of some environments, the first of which has number `first`.
    pub fn join(&mut self, first: usize, part: &Self) {
        let (to, from) = (self.num_envs, part.num_envs);
        let place = |to_rows: &mut [f32], from_rows: &[f32], width: usize| {
            let steps = to_rows
                .chunks_exact_mut((to * width).max(1))
                .zip(from_rows.chunks_exact((from * width).max(1)));
            steps.for_each(|(row, part)| row[first * width..(first + from) * width].copy_from_slice(part));
        };
        place(&mut self.policy, &part.policy, self.policy_width);
        place(&mut self.starts, &part.starts, 1);
    }

    /// The whole rollout and one step more, for the value network.
    pub fn whole(&self, device: Device) -> Result<OwnSequences, AgentError> {
        let steps = self.starts.len() / self.num_envs;
        OwnSequences::new(&self.starts, &self.value_before, steps, self.num_envs, device)
    }

    /// The same once the rollout is finished and the value network's memory has gone on.
    pub fn whole_again(&self, device: Device) -> Result<OwnSequences, AgentError> {
        let steps = self.starts.len() / self.num_envs;
        let before = &self.value[..self.num_envs * self.value_width];
        OwnSequences::new(&self.starts, before, steps, self.num_envs, device)
    }

    /// The value network's states after the steps of these rows: the first states of sequences of one step.
    pub fn after(&self, states: &[f32], rows: &[i64], device: Device) -> Result<OwnSequences, AgentError> {
        let width = self.value_width;
        let each = rows.iter().flat_map(|&row| &states[row as usize * width..(row as usize + 1) * width]);
        let states: Vec<f32> = each.copied().collect();
        OwnSequences::new(&vec![0.0; rows.len()], &states, 1, rows.len(), device)
    }

    /// Takes in the value network's states after each step of the rollout, `[steps + 1, envs, value width]`.
    pub fn finish(&mut self, states: &[f32]) {
        let first = self.num_envs * self.value_width;
        let last = self.value.len();
        self.value[..first].copy_from_slice(&self.value_before);
        self.value[first..].copy_from_slice(&states[..last - first]);
        self.value_before.copy_from_slice(&states[last - first..last]);
    }

    /// The first states and the starts of sequences of `steps` steps, given by the rows at which they begin.
    pub fn gather(&self, firsts: &[usize], steps: usize) -> GatheredStates {
        let pick = |from: &[f32], width: usize| -> Vec<f32> {
            firsts.iter().flat_map(|row| &from[row * width..(row + 1) * width]).copied().collect()
        };
        let each = |step: usize| firsts.iter().map(move |row| self.starts[row + step * self.num_envs]);
        GatheredStates {
            steps,
            count: firsts.len(),
            starts: (0..steps).flat_map(each).collect(),
            policy: pick(&self.policy, self.policy_width),
            value: pick(&self.value, self.value_width),
        }
    }

    pub fn state(&self, filled: usize, seen: usize) -> StateDict<'_> {
        let (rows, width) = (filled * self.num_envs, self.policy_width);
        let mut state = StateDict::new();
        state.put_slice("policy", &[rows, width], &self.policy[..rows * width]);
        let starts = &self.starts[..seen * self.num_envs];
        state.put_slice("starts", &[starts.len()], starts);
        state.put_slice("value_before", &[self.num_envs, self.value_width], &self.value_before);
        state
    }

    pub fn load_state(
        &mut self,
        state: &StateView<'_>,
        filled: usize,
        seen: usize,
    ) -> Result<(), AgentError> {
        let (rows, width) = (filled * self.num_envs, self.policy_width);
        fill(state, "policy", &mut self.policy[..rows * width])?;
        fill(state, "starts", &mut self.starts[..seen * self.num_envs])?;
        fill(state, "value_before", &mut self.value_before)
    }
}

/// The starts and first states of a minibatch's sequences.
#[derive(Debug)]
pub(super) struct GatheredStates {
    pub steps: usize,
    pub count: usize,
    starts: Vec<f32>,
    policy: Vec<f32>,
    value: Vec<f32>,
}

impl GatheredStates {
    /// For the policy's and for the value's network.
    pub fn on(&self, device: Device) -> Result<(OwnSequences, OwnSequences), AgentError> {
        let of = |states: &[f32]| OwnSequences::new(&self.starts, states, self.steps, self.count, device);
        Ok((of(&self.policy)?, of(&self.value)?))
    }
}

/// The states of a value network's memory, as plain numbers.
pub(super) fn read_states(states: Option<&Tensor>) -> Result<Vec<f32>, AgentError> {
    let mut numbers = Vec::new();
    states.map_or(Ok(()), |states| read(states, &mut numbers))?;
    Ok(numbers)
}
