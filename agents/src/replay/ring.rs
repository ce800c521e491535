//! The transitions themselves: arrays that wrap around.

use pavlov_nn::{ArrayElement, StateDict, StateView};

use super::observations::{Observations, Places};
use super::priorities::Priorities;
use super::streams::{Outcome, Start};
use crate::core::AgentError;

/// The number of a transition's numbers, of each kind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Widths {
    /// The widths of discrete actions and of continuous ones; one of them is 0.
    pub choices: usize,
    pub points: usize,
    /// The width of what the policy adds when it acts.
    pub extras: usize,
}

/// The transitions, by slot.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    capacity: usize,
    /// Where an observation's parts are, `[slots, width]` both.
    observations: Vec<u32>,
    nexts: Vec<u32>,
    width: usize,
    pub choices: Vec<i64>,
    pub points: Vec<f32>,
    /// `[slots, extras]`
    pub extras: Vec<f32>,
    pub widths: Widths,
    pub rewards: Vec<f32>,
    pub continues: Vec<f32>,
    /// The number of transitions that there have ever been: the next one's slot is this modulo the capacity.
    pub written: u64,
}

impl Ring {
    pub fn new(capacity: usize, width: usize, widths: Widths) -> Self {
        Self {
            capacity,
            observations: Vec::new(),
            nexts: Vec::new(),
            width,
            choices: Vec::new(),
            points: Vec::new(),
            extras: Vec::new(),
            widths,
            rewards: Vec::new(),
            continues: Vec::new(),
            written: 0,
        }
    }

    /// The largest number of slots.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Adds a transition, which takes over the start's ownership of its observation.
    pub fn write(
        &mut self,
        observations: &mut Observations,
        priorities: Option<&mut Priorities>,
        start: &Start,
        outcome: Outcome<'_>,
    ) {
        let slot = (self.written % self.capacity as u64) as usize;
        if slot < self.rewards.len() {
            let (observation, next) = self.places(slot);
            observations.release(observation);
            observations.release(next);
        }
        observations.retain(outcome.next);
        put(&mut self.observations, slot, &start.observation);
        put(&mut self.nexts, slot, outcome.next);
        put(&mut self.choices, slot, &start.choices);
        put(&mut self.points, slot, &start.points);
        put(&mut self.extras, slot, &start.extras);
        put(&mut self.rewards, slot, &[start.rewards]);
        put(&mut self.continues, slot, &[outcome.continues]);
        self.written += 1;
        priorities.into_iter().for_each(|priorities| priorities.welcome(slot));
    }

    /// Where the parts of the two observations of a transition are.
    pub fn places(&self, slot: usize) -> (&Places, &Places) {
        let span = slot * self.width..(slot + 1) * self.width;
        (&self.observations[span.clone()], &self.nexts[span])
    }

    /// The number of transitions before the one in this slot.
    pub fn number(&self, slot: usize) -> u64 {
        let (capacity, head) = (self.capacity as u64, self.written % self.capacity as u64);
        let round = self.written / capacity;
        if (slot as u64) < head {
            round * capacity + slot as u64
        } else {
            (round - 1) * capacity + slot as u64
        }
    }

    pub fn put_state<'a>(&'a self, state: &mut StateDict<'a>) -> Result<(), AgentError> {
        let len = self.rewards.len();
        put_array(state, "from", len, &self.observations);
        put_array(state, "to", len, &self.nexts);
        put_array(state, "choices", len, &self.choices);
        put_array(state, "points", len, &self.points);
        put_array(state, "extras", len, &self.extras);
        put_array(state, "rewards", len, &self.rewards);
        put_array(state, "continues", len, &self.continues);
        Ok(state.put_value("written", &self.written)?)
    }

    pub fn load_state(
        &mut self,
        state: &StateView<'_>,
        observations: &mut Observations,
    ) -> Result<(), AgentError> {
        let rewards: Vec<f32> = state.vec("rewards")?;
        let len = rewards.len();
        let written: u64 = state.value("written")?;
        if len as u64 != written.min(self.capacity as u64) {
            let capacity = self.capacity;
            let message = format!("a replay of {len} transitions does not fit a capacity of {capacity}");
            return Err(AgentError::State(message));
        }
        self.observations = array(state, "from", len * self.width)?;
        self.nexts = array(state, "to", len * self.width)?;
        self.choices = array(state, "choices", len * self.widths.choices)?;
        self.points = array(state, "points", len * self.widths.points)?;
        self.extras = array(state, "extras", len * self.widths.extras)?;
        self.continues = array(state, "continues", len)?;
        self.rewards = rewards;
        self.written = written;
        (0..len).try_for_each(|slot| {
            let (observation, next) = self.places(slot);
            observations.adopt(observation)?;
            observations.adopt(next)
        })
    }
}

/// Writes row `slot` of an array that still grows, or already wraps around.
fn put<T: Copy>(array: &mut Vec<T>, slot: usize, row: &[T]) {
    let start = slot * row.len();
    if start == array.len() {
        array.extend_from_slice(row);
    } else {
        array[start..start + row.len()].copy_from_slice(row);
    }
}

fn put_array<'a, T: ArrayElement>(state: &mut StateDict<'a>, name: &str, rows: usize, array: &'a [T]) {
    state.put_slice(name, &[rows, array.len() / rows.max(1)], array);
}

fn array<T: ArrayElement>(state: &StateView<'_>, name: &str, len: usize) -> Result<Vec<T>, AgentError> {
    let array: Vec<T> = state.vec(name)?;
    if array.len() == len {
        return Ok(array);
    }
    let have = array.len();
    Err(AgentError::State(format!("the replay's `{name}` holds {have} numbers where {len} are expected")))
}
