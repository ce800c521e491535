//! A replay that is sampled uniformly.

use std::sync::Arc;

use pavlov_envs::{ActionBatch, End, EnvRng, ObsLayout, ObsRef, Space};
use pavlov_nn::{StateDict, StateView};
use rand::RngExt;

use super::Batch;
use super::batch::widths;
use crate::{AgentError, Encoder, Experience};

/// The last `capacity` transitions, sampled uniformly with replacement (Lin 1992; Mnih et al. 2015).
///
/// A struct of arrays. Each transition keeps its own next observation, so that a truncated episode's final
/// observation, which no other transition holds, is not lost. Memory is taken as transitions come.
#[derive(Clone, Debug)]
pub struct UniformReplay {
    capacity: usize,
    layout: Arc<ObsLayout>,
    observations: Rows,
    next_observations: Rows,
    choices: Vec<i64>,
    points: Vec<f32>,
    widths: (usize, usize),
    rewards: Vec<f32>,
    terminated: Vec<u8>,
    head: usize,
}

#[derive(Clone, Debug, Default)]
struct Rows {
    floats: Vec<f32>,
    bytes: Vec<u8>,
}

impl UniformReplay {
    /// An empty replay for transitions with these spaces.
    ///
    /// # Errors
    /// [`AgentError::Config`] for a capacity of 0, [`AgentError::Env`] for a space that no action can have.
    pub fn new(capacity: usize, observations: &Space, actions: &Space) -> Result<Self, AgentError> {
        if capacity == 0 {
            return Err(AgentError::Config("a replay of capacity 0: give at least 1".into()));
        }
        Ok(Self {
            capacity,
            layout: Arc::new(ObsLayout::new(observations)),
            observations: Rows::default(),
            next_observations: Rows::default(),
            choices: Vec::new(),
            points: Vec::new(),
            widths: widths(&ActionBatch::new(actions, 1)?),
            rewards: Vec::new(),
            terminated: Vec::new(),
            head: 0,
        })
    }

    /// How many transitions there are.
    pub fn len(&self) -> usize {
        self.rewards.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rewards.is_empty()
    }

    /// How many transitions there can be.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Adds the transition of each environment, in order; the oldest ones give way. Rows that are resets are none.
    pub fn insert(&mut self, experience: Experience<'_>) {
        for row in 0..experience.observations.rows() {
            if !experience.step.resets[row] {
                self.insert_row(experience, row);
            }
        }
    }

    fn insert_row(&mut self, experience: Experience<'_>, row: usize) {
        let slot = self.head;
        let ObsLayout { floats, bytes, .. } = *self.layout;
        self.observations.put(slot, floats, bytes, experience.observations.row(row));
        self.next_observations.put(slot, floats, bytes, experience.step.next_observation(row));
        match experience.actions {
            ActionBatch::Discrete(choices) => put(&mut self.choices, slot, &choices[row..=row]),
            ActionBatch::MultiDiscrete { choices, width } => {
                put(&mut self.choices, slot, &choices[row * width..(row + 1) * width]);
            }
            ActionBatch::Box { points, width } => {
                put(&mut self.points, slot, &points[row * width..(row + 1) * width]);
            }
        }
        put(&mut self.rewards, slot, &[experience.step.rewards[row] as f32]);
        put(&mut self.terminated, slot, &[u8::from(experience.step.ends[row] == End::Terminated)]);
        self.head = (slot + 1) % self.capacity;
    }

    /// Fills `batch` with `count` transitions drawn uniformly, with replacement. There must be at least one, and room
    /// in the batch.
    ///
    /// # Errors
    /// [`AgentError::State`] when the replay is empty or the batch too small.
    pub fn sample(
        &self,
        rng: &mut EnvRng,
        encoder: &Encoder,
        count: usize,
        batch: &mut Batch,
    ) -> Result<(), AgentError> {
        if self.is_empty() {
            return Err(AgentError::State("an empty replay cannot be sampled".into()));
        }
        let rows = batch.rows_mut(count)?;
        let (width, masks) = (encoder.width(), encoder.mask_width());
        let (choices, points) = self.widths;
        for row in 0..count {
            let slot = rng.random_range(0..self.len());
            let span = row * width..(row + 1) * width;
            encoder.encode(self.observation(slot), &mut rows.observations[span.clone()]);
            encoder.encode(self.next_observation(slot), &mut rows.next_observations[span]);
            let span = row * masks..(row + 1) * masks;
            put_mask(encoder.mask(self.observation(slot)), &mut rows.masks[span.clone()]);
            put_mask(encoder.mask(self.next_observation(slot)), &mut rows.next_masks[span]);
            take(&self.choices, slot, choices, rows.choices, row);
            take(&self.points, slot, points, rows.points, row);
            rows.rewards[row] = self.rewards[slot];
            rows.continues[row] = 1.0 - f32::from(self.terminated[slot]);
        }
        Ok(())
    }

    /// What was acted on in transition `slot`.
    pub fn observation(&self, slot: usize) -> ObsRef<'_> {
        self.observations.get(slot, &self.layout)
    }

    /// What truly followed in transition `slot`.
    pub fn next_observation(&self, slot: usize) -> ObsRef<'_> {
        self.next_observations.get(slot, &self.layout)
    }

    /// Reward of transition `slot`, and whether the world ended with it.
    pub fn outcome(&self, slot: usize) -> (f32, bool) {
        (self.rewards[slot], self.terminated[slot] == 1)
    }

    /// All transitions and the place of the next one; nothing is copied.
    ///
    /// # Errors
    /// [`AgentError`] when a value cannot be expressed.
    pub fn state(&self) -> Result<StateDict<'_>, AgentError> {
        let mut state = StateDict::new();
        put_array(&mut state, "observations.floats", self.len(), &self.observations.floats);
        put_array(&mut state, "observations.bytes", self.len(), &self.observations.bytes);
        put_array(&mut state, "next_observations.floats", self.len(), &self.next_observations.floats);
        put_array(&mut state, "next_observations.bytes", self.len(), &self.next_observations.bytes);
        put_array(&mut state, "choices", self.len(), &self.choices);
        put_array(&mut state, "points", self.len(), &self.points);
        put_array(&mut state, "rewards", self.len(), &self.rewards);
        put_array(&mut state, "terminated", self.len(), &self.terminated);
        state.put_value("head", &self.head)?;
        Ok(state)
    }

    /// Takes over saved transitions.
    ///
    /// # Errors
    /// [`AgentError`] when they belong to other spaces or do not fit the capacity.
    pub fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        let rewards: Vec<f32> = state.vec("rewards")?;
        let len = rewards.len();
        let head: usize = state.value("head")?;
        let wrapped = len == self.capacity && head < len;
        if !(wrapped || (len < self.capacity && head == len)) {
            let capacity = self.capacity;
            let message = format!("a replay of {len} transitions does not fit a capacity of {capacity}");
            return Err(AgentError::State(message));
        }
        let ObsLayout { floats, bytes, .. } = *self.layout;
        let rows = |name: &str| -> Result<Rows, AgentError> {
            Ok(Rows {
                floats: array(state, &format!("{name}.floats"), len * floats)?,
                bytes: array(state, &format!("{name}.bytes"), len * bytes)?,
            })
        };
        self.observations = rows("observations")?;
        self.next_observations = rows("next_observations")?;
        self.choices = array(state, "choices", len * self.widths.0)?;
        self.points = array(state, "points", len * self.widths.1)?;
        self.terminated = array(state, "terminated", len)?;
        self.rewards = rewards;
        self.head = head;
        Ok(())
    }
}

impl Rows {
    fn put(&mut self, slot: usize, floats: usize, bytes: usize, row: ObsRef<'_>) {
        debug_assert!(row.floats.len() == floats && row.bytes.len() == bytes);
        put(&mut self.floats, slot, row.floats);
        put(&mut self.bytes, slot, row.bytes);
    }

    fn get(&self, slot: usize, layout: &ObsLayout) -> ObsRef<'_> {
        let (f, b) = (layout.floats, layout.bytes);
        ObsRef {
            floats: &self.floats[slot * f..(slot + 1) * f],
            bytes: &self.bytes[slot * b..(slot + 1) * b],
        }
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

fn put_mask(known: Option<&[f32]>, mask: &mut [f32]) {
    match known {
        Some(known) => mask.copy_from_slice(known),
        None => mask.fill(1.0),
    }
}

fn take<T: Copy>(array: &[T], slot: usize, width: usize, out: &mut [T], row: usize) {
    out[row * width..(row + 1) * width].copy_from_slice(&array[slot * width..(slot + 1) * width]);
}

fn put_array<'a, T: pavlov_nn::ArrayElement>(
    state: &mut StateDict<'a>,
    name: &str,
    rows: usize,
    array: &'a [T],
) {
    state.put_slice(name, &[rows, array.len() / rows.max(1)], array);
}

fn array<T: pavlov_nn::ArrayElement>(
    state: &StateView<'_>,
    name: &str,
    len: usize,
) -> Result<Vec<T>, AgentError> {
    let array: Vec<T> = state.vec(name)?;
    if array.len() == len {
        return Ok(array);
    }
    let have = array.len();
    Err(AgentError::State(format!("the replay's `{name}` holds {have} numbers where {len} are expected")))
}
