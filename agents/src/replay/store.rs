//! The latest transitions.

use std::sync::Arc;

use pavlov_common::SeededRng;
use pavlov_envs::{Action, ActionBatch, End, ObsLayout, ObsRef, Space};
use pavlov_nn::{StateDict, StateView, gather};
use rand::RngExt;

use super::ReplayConfig;
use super::batch::{Batch, Frames, Origin, RowsMut, widths};
use super::observations::{Observations, Places};
use super::priorities::Priorities;
use super::ring::{Ring, Widths};
use super::streams::{Start, Stream};
use crate::core::{AgentError, Experience};
use crate::networks::Encoder;

/// The latest `capacity` transitions, drawn uniformly with replacement (Lin 1992; Mnih et al. 2015), or by
/// priority (Schaul et al. 2016), of one step or of several (Sutton 1988).
///
/// A struct of arrays. Observations are kept once, in parts: what a transition leads to is what the next one
/// begins with, and of a stack of frames only the newest is new. The final observation of an episode, which
/// no other transition begins with, is kept like any other. Memory is taken as transitions come.
#[derive(Clone, Debug)]
pub struct Replay {
    config: ReplayConfig,
    discount: f32,
    encoder: Encoder,
    observations: Observations,
    streams: Vec<Stream>,
    ring: Ring,
    priorities: Option<Priorities>,
    /// Room for the places of an observation.
    places: Vec<u32>,
    slots: Vec<usize>,
}

/// One step of an environment.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// The observation that was acted on.
    pub observation: ObsRef<'a>,
    /// The action.
    pub action: Action<'a>,
    /// The reward.
    pub reward: f32,
    /// The end of the episode with it, if there was one.
    pub end: End,
    /// The observation that truly followed: the final one, if the episode ended.
    pub next: ObsRef<'a>,
    /// The numbers that the policy added when it acted: they belong to the action, such as the state of its
    /// memory or the action's probability.
    pub extras: &'a [f32],
}

impl<'a> Step<'a> {
    /// The steps of an experience, each with its row; `extras` is `[rows, width]`. Rows that are resets are
    /// none.
    pub fn each(experience: Experience<'a>, extras: &'a [f32]) -> impl Iterator<Item = (usize, Self)> {
        let Experience { observations, actions, step } = experience;
        let rows = (0..observations.rows()).filter(|&row| !step.resets[row]);
        let width = extras.len() / observations.rows().max(1);
        rows.map(move |row| {
            let step = Self {
                observation: observations.row(row),
                action: actions.row(row),
                reward: step.rewards[row] as f32,
                end: step.ends[row],
                next: step.next_observation(row),
                extras: &extras[row * width..(row + 1) * width],
            };
            (row, step)
        })
    }
}

impl Replay {
    /// An empty replay for the steps of environments with these spaces.
    ///
    /// # Errors
    /// [`AgentError::Config`] for a capacity of 0, [`AgentError::Env`] for a space that no action can have.
    pub fn new(
        (capacity, config): (usize, ReplayConfig),
        discount: f64,
        observations: &Space,
        actions: &Space,
    ) -> Result<Self, AgentError> {
        if capacity == 0 {
            return Err(AgentError::Config("a replay of capacity 0: give at least 1".into()));
        }
        let layout = Arc::new(ObsLayout::new(observations));
        let parts = Observations::new(layout, capacity);
        Ok(Self {
            config,
            discount: discount as f32,
            encoder: Encoder::new(observations),
            streams: Vec::new(),
            ring: Ring::new(capacity, parts.width(), widths(&ActionBatch::new(actions, 1)?)),
            priorities: config.priority_exponent.map(|exponent| Priorities::new(exponent, capacity)),
            places: vec![0; parts.width()],
            observations: parts,
            slots: Vec::new(),
        })
    }

    /// The same replay, which encodes what it is asked for by this encoder of its observations.
    pub fn with_encoder(self, encoder: Encoder) -> Self {
        Self { encoder, ..self }
    }

    /// The same replay, which keeps `width` numbers beside each action that the policy adds when it acts.
    pub fn with_extras(mut self, width: usize) -> Self {
        self.ring.widths.extras = width;
        self
    }

    /// The number of transitions.
    pub fn len(&self) -> usize {
        self.ring.rewards.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.ring.rewards.is_empty()
    }

    /// The largest number of transitions.
    pub fn capacity(&self) -> usize {
        self.ring.capacity()
    }

    /// The number of transitions that there have ever been.
    pub fn written(&self) -> u64 {
        self.ring.written
    }

    /// Adds a step of each environment, in order. Rows that are resets are none.
    pub fn insert(&mut self, experience: Experience<'_>) {
        Step::each(experience, &[]).for_each(|(row, step)| self.push(row, step));
    }

    /// Adds a step of environment `env`. The oldest transitions give way to those that it completes.
    pub fn push(&mut self, env: usize, step: Step<'_>) {
        if self.streams.len() <= env {
            self.streams.resize_with(env + 1, Stream::default);
        }
        let mut stream = std::mem::take(&mut self.streams[env]);
        if stream.going_on && !self.observations.is(&stream.latest, step.observation) {
            // The environment was set to another place in between.
            self.cut_stream(&mut stream);
        }
        let mut start = stream.spare.pop().unwrap_or_default();
        self.begin(&mut stream, step, &mut start);
        self.observations.put(step.next, Some(&start.observation), &mut self.places);
        stream.starts.push_back(start);

        let (of, places) = ((self.config.n_steps, self.discount), std::mem::take(&mut self.places));
        stream.advance((step.reward, step.end), of, &places, |start, outcome| {
            self.ring.write(&mut self.observations, self.priorities.as_mut(), start, outcome);
        });
        stream.going_on = !step.end.is_over();
        if stream.going_on {
            stream.latest.clear();
            stream.latest.extend_from_slice(&places);
        } else {
            self.observations.release(&places);
        }
        self.places = places;
        self.streams[env] = stream;
    }

    /// A start at what the step acted on.
    fn begin(&mut self, stream: &mut Stream, step: Step<'_>, start: &mut Start) {
        start.observation.resize(self.places.len(), 0);
        match stream.going_on {
            // The stream's ownership goes over to the start.
            true => start.observation.copy_from_slice(&stream.latest),
            false => self.observations.put(step.observation, None, &mut start.observation),
        }
        start.choices.clear();
        start.points.clear();
        start.extras.clear();
        start.extras.extend_from_slice(step.extras);
        match step.action {
            Action::Discrete(choice) => start.choices.push(choice),
            Action::MultiDiscrete(choices) => start.choices.extend_from_slice(choices),
            Action::Box(point) => start.points.extend_from_slice(point),
        }
        (start.rewards, start.discount, start.steps) = (0.0, 1.0, 0);
    }

    /// Environment `env` goes on somewhere else, though its episode has not ended: what it was in the middle
    /// of counts as truncated.
    pub fn cut(&mut self, env: usize) {
        let Some(stream) = self.streams.get_mut(env) else { return };
        let mut stream = std::mem::take(stream);
        if stream.going_on {
            self.cut_stream(&mut stream);
        }
        self.streams[env] = stream;
    }

    fn cut_stream(&mut self, stream: &mut Stream) {
        stream.cut(self.discount, |start, outcome| {
            self.ring.write(&mut self.observations, self.priorities.as_mut(), start, outcome);
        });
        self.observations.release(&stream.latest);
    }

    /// Fills `batch` with `count` transitions. `progress` is the share of training that is done.
    ///
    /// # Errors
    /// [`AgentError::State`] when the replay is empty or the batch too small.
    pub fn sample(
        &mut self,
        rng: &mut SeededRng,
        progress: f64,
        count: usize,
        batch: &mut Batch,
    ) -> Result<(), AgentError> {
        if self.is_empty() {
            return Err(AgentError::State("an empty replay cannot be sampled".into()));
        }
        let mut slots = std::mem::take(&mut self.slots);
        match &self.priorities {
            Some(priorities) => priorities.draw(count, rng, &mut slots),
            None => {
                slots.clear();
                slots.extend((0..count).map(|_| rng.random_range(0..self.len())));
            }
        }
        let frames = self.frames(&slots);
        batch.origins.clear();
        batch.origins.extend(slots.iter().map(|&slot| Origin { slot, number: self.ring.number(slot) }));
        let mut rows = batch.rows_mut(count, frames)?;
        for (row, &slot) in slots.iter().enumerate() {
            self.gather(slot, row, &mut rows);
        }
        self.gather_planes(&slots, frames, rows.planes);
        self.weigh(&slots, progress, &mut rows.weights[..count]);
        self.slots = slots;
        Ok(())
    }

    /// `(N P)^-beta`, divided by the largest of them.
    fn weigh(&self, slots: &[usize], progress: f64, weights: &mut [f32]) {
        let Some(priorities) = &self.priorities else { return weights.fill(1.0) };
        let exponent = self.config.importance_exponent.value(progress);
        let least = slots.iter().map(|&slot| priorities.of(slot)).fold(f64::INFINITY, f64::min);
        for (weight, &slot) in weights.iter_mut().zip(slots) {
            *weight = (least / priorities.of(slot)).powf(exponent) as f32;
        }
    }

    /// By how much the values of a batch's transitions turned out to be wrong. Those that were overwritten
    /// since are left alone.
    pub fn learned(&mut self, batch: &Batch, errors: &[f32]) {
        let Some(priorities) = &mut self.priorities else { return };
        for (origin, &error) in batch.origins.iter().zip(errors) {
            if self.ring.number(origin.slot) == origin.number {
                priorities.learned(origin.slot, error);
            }
        }
    }

    /// True if the errors that updates find are of use.
    pub fn is_prioritized(&self) -> bool {
        self.priorities.is_some()
    }

    /// The mean age of a batch's transitions, in transitions.
    pub fn age(&self, batch: &Batch) -> f64 {
        let ages = batch.origins.iter().map(|origin| (self.ring.written - origin.number) as f64);
        ages.sum::<f64>() / batch.origins.len().max(1) as f64
    }

    fn gather(&self, slot: usize, row: usize, rows: &mut RowsMut<'_>) {
        let (width, masks) = (self.encoder.numbers_width(), self.encoder.mask_width());
        let (observation, next) = (self.observation_floats(slot), self.next_floats(slot));
        let span = row * width..(row + 1) * width;
        self.encoder.encode_numbers(observation, &mut rows.observations[span.clone()]);
        self.encoder.encode_numbers(next, &mut rows.next_observations[span]);
        if masks > 0 {
            let span = row * masks..(row + 1) * masks;
            put_mask(&self.encoder, observation, &mut rows.masks[span.clone()]);
            put_mask(&self.encoder, next, &mut rows.next_masks[span]);
        }
        let Widths { choices, points, extras } = self.ring.widths;
        take(&self.ring.choices, slot, choices, rows.choices, row);
        take(&self.ring.points, slot, points, rows.points, row);
        take(&self.ring.extras, slot, extras, rows.extras, row);
        rows.rewards[row] = self.ring.rewards[slot];
        rows.continues[row] = self.ring.continues[slot];
    }

    /// The way of these transitions' planes into a batch: those that an observation shares with the next one
    /// once, if that is so for all of them.
    fn frames(&self, slots: &[usize]) -> Frames {
        let (count, length) = self.observations.planes();
        let shared = |shift: usize| {
            slots.iter().all(|&slot| {
                let (now, next) = self.plane_places(slot);
                now[shift..] == next[..count - shift]
            })
        };
        let shift = (0..count).find(|&shift| shared(shift)).unwrap_or(count);
        Frames { count, length, per_row: count + shift, next: shift }
    }

    fn gather_planes(&self, slots: &[usize], frames: Frames, out: &mut [u8]) {
        let Frames { count, length, per_row, next } = frames;
        if count == 0 {
            return;
        }
        let mut planes = Vec::with_capacity(slots.len() * per_row);
        for &slot in slots {
            let (first, second) = self.plane_places(slot);
            let places = first.iter().chain(&second[count - next..]);
            planes.extend(places.map(|&place| self.observations.plane(place)));
        }
        gather(&planes, &mut out[..slots.len() * per_row * length]);
    }

    fn plane_places(&self, slot: usize) -> (&Places, &Places) {
        let (first, second) = self.ring.places(slot);
        (self.observations.plane_places(first), self.observations.plane_places(second))
    }

    /// The floats of what was acted on in transition `slot`.
    pub fn observation_floats(&self, slot: usize) -> &[f32] {
        self.observations.floats(self.ring.places(slot).0)
    }

    /// The floats of what transition `slot` led to.
    pub fn next_floats(&self, slot: usize) -> &[f32] {
        self.observations.floats(self.ring.places(slot).1)
    }

    /// The reward of transition `slot`, and what the discounted next value is multiplied with.
    pub fn outcome(&self, slot: usize) -> (f32, f32) {
        (self.ring.rewards[slot], self.ring.continues[slot])
    }

    /// The numbers of rows of floats and of planes that are held.
    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize) {
        self.observations.held()
    }

    /// All transitions and what the environments are in the middle of; the large arrays are not copied.
    ///
    /// # Errors
    /// [`AgentError`] when a value cannot be expressed.
    pub fn state(&self) -> Result<StateDict<'_>, AgentError> {
        let mut state = StateDict::new();
        state.nest("observations", self.observations.state()?);
        self.ring.put_state(&mut state)?;
        state.put_value("streams", &self.streams.len())?;
        for (index, stream) in self.streams.iter().enumerate() {
            stream.put_state(&mut state, &format!("stream.{index}"))?;
        }
        if let Some(priorities) = &self.priorities {
            state.nest("priorities", priorities.state(self.len())?);
        }
        Ok(state)
    }

    /// Takes over saved transitions.
    ///
    /// # Errors
    /// [`AgentError`] when they belong to other spaces or do not fit the capacity.
    pub fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        self.observations.load_state(&state.part("observations"))?;
        self.ring.load_state(state, &mut self.observations)?;
        let streams: usize = state.value("streams")?;
        self.streams = (0..streams)
            .map(|index| Stream::load_state(state, &format!("stream.{index}"), &mut self.observations))
            .collect::<Result<_, _>>()?;
        self.observations.settle();
        match &mut self.priorities {
            Some(priorities) => priorities.load_state(&state.part("priorities"), self.ring.rewards.len()),
            None => Ok(()),
        }
    }
}

fn put_mask(encoder: &Encoder, floats: &[f32], mask: &mut [f32]) {
    match encoder.mask(ObsRef { floats, bytes: &[] }) {
        Some(known) => mask.copy_from_slice(known),
        None => mask.fill(1.0),
    }
}

fn take<T: Copy>(array: &[T], slot: usize, width: usize, out: &mut [T], row: usize) {
    out[row * width..(row + 1) * width].copy_from_slice(&array[slot * width..(slot + 1) * width]);
}
