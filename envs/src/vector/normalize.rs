//! Normalisation of observations and rewards by running statistics over all environments.
//!
//! They belong to the training: an evaluation applies the observations' statistics as they stand
//! ([`VectorEnv::observation_normalizer`]) and adds nothing to them, and its rewards are the world's own.

use std::ops::Range;

use super::pooled::Pooled;
use super::{RunningStatistics, SeenStatistics, StepBatch, VectorEnv};
use crate::checks::Warnings;
use crate::{ACTION_MASK, ActionBatch, Dtype, EnvError, EnvState, ObsBatch, ObsLayout, ObsMut, Space};

/// The normaliser of single observations, usable without the environments.
#[derive(Clone, Debug, PartialEq)]
pub struct ObservationNormalizer {
    statistics: Pooled,
    /// The places of the boxes of `f32`. Bytes, choices and masks are left as they are.
    numbers: Vec<usize>,
    clip: f32,
    epsilon: f64,
}

impl ObservationNormalizer {
    /// A normaliser for observations of `space`, without statistics.
    ///
    /// # Errors
    /// [`EnvError::Option`] when there is nothing to normalise, or for a clip or an epsilon that makes no
    /// sense.
    pub fn new(space: &Space, clip: f32, epsilon: f64) -> Result<Self, EnvError> {
        check_settings(f64::from(clip), epsilon)?;
        let numbers: Vec<usize> = box_ranges(space).into_iter().flatten().collect();
        if numbers.is_empty() {
            return Err(EnvError::Option(format!(
                "nothing in {space} can be normalised: there is no box of f32"
            )));
        }
        Ok(Self { statistics: Pooled::new(numbers.len()), numbers, clip, epsilon })
    }

    /// The statistics of the observations so far.
    pub fn statistics(&self) -> &RunningStatistics {
        self.statistics.all()
    }

    /// Goes on with these statistics.
    ///
    /// # Errors
    /// [`EnvError::State`] when they are of other observations.
    pub fn set_statistics(&mut self, statistics: &RunningStatistics) -> Result<(), EnvError> {
        self.statistics.set(statistics)
    }

    /// Normalises an observation in place.
    pub fn apply(&self, observation: ObsMut<'_>) {
        let all = self.statistics();
        let moments = all.mean().iter().zip(all.variance());
        for (&place, (mean, variance)) in self.numbers.iter().zip(moments) {
            let number = &mut observation.floats[place];
            let normal = (f64::from(*number) - mean) / (variance + self.epsilon).sqrt();
            *number = (normal as f32).clamp(-self.clip, self.clip);
        }
    }

    fn update(&mut self, observations: &ObsBatch, rows: &[usize]) {
        let numbers = &self.numbers;
        let number = |index: usize, column: usize| observations.row(rows[index]).floats[numbers[column]];
        self.statistics.update(rows.len(), |row, column| f64::from(number(row, column)));
    }
}

fn check_settings(clip: f64, epsilon: f64) -> Result<(), EnvError> {
    if clip.is_finite() && clip > 0.0 && epsilon.is_finite() && epsilon > 0.0 {
        return Ok(());
    }
    let message = format!("normalising with clip {clip} and epsilon {epsilon}: give two numbers above 0");
    Err(EnvError::Option(message))
}

/// The places of the boxes of `f32`.
fn box_ranges(space: &Space) -> Vec<Range<usize>> {
    let mut boxes = Vec::new();
    collect(space, "", &mut boxes);
    let leaves = ObsLayout::new(space).leaves;
    leaves.into_iter().zip(boxes).filter(|(_, is_box)| *is_box).map(|(leaf, _)| leaf.range).collect()
}

/// Marks the leaves that are boxes of `f32`, in the order of the layout.
fn collect(space: &Space, key: &str, boxes: &mut Vec<bool>) {
    match space {
        Space::Dict(entries) => entries.iter().for_each(|(key, entry)| collect(entry, key, boxes)),
        leaf => {
            boxes.push(matches!(leaf, Space::Box(space) if space.dtype == Dtype::F32) && key != ACTION_MASK)
        }
    }
}

/// The same space without bounds where numbers are normalised.
fn normalized(space: &Space, clip: f32) -> Space {
    match space {
        Space::Box(inner) if inner.dtype == Dtype::F32 => {
            let (low, high) = (vec![-clip; inner.len()], vec![clip; inner.len()]);
            Space::Box(crate::BoxSpace { low, high, ..inner.clone() })
        }
        Space::Dict(entries) => {
            Space::Dict(entries.iter().map(|(key, entry)| (key.clone(), normalized(entry, clip))).collect())
        }
        other => other.clone(),
    }
}

/// Normalises the observations of a vector environment. Every observation that it returns has been counted.
pub struct NormalizeObservation {
    inner: Box<dyn VectorEnv>,
    space: Space,
    normalizer: ObservationNormalizer,
    /// All rows, and those whose episode ended with the step.
    rows: Vec<usize>,
    ended: Vec<usize>,
}

impl NormalizeObservation {
    /// `inner` with normalised observations within `-clip..clip`.
    ///
    /// # Errors
    /// As [`ObservationNormalizer::new`].
    pub fn new(inner: Box<dyn VectorEnv>, clip: f32, epsilon: f64) -> Result<Self, EnvError> {
        let normalizer = ObservationNormalizer::new(inner.observation_space(), clip, epsilon)?;
        let space = normalized(inner.observation_space(), clip);
        let rows: Vec<usize> = (0..inner.num_envs()).collect();
        Ok(Self { inner, space, normalizer, ended: Vec::with_capacity(rows.len()), rows })
    }
}

impl VectorEnv for NormalizeObservation {
    fn num_envs(&self) -> usize {
        self.inner.num_envs()
    }

    fn observation_space(&self) -> &Space {
        &self.space
    }

    fn action_space(&self) -> &Space {
        self.inner.action_space()
    }

    fn reset(&mut self, seed: Option<u64>, observations: &mut ObsBatch) -> Result<(), EnvError> {
        self.inner.reset(seed, observations)?;
        self.normalizer.update(observations, &self.rows);
        self.rows.iter().for_each(|&row| self.normalizer.apply(observations.row_mut(row)));
        Ok(())
    }

    fn step(&mut self, actions: &ActionBatch, out: &mut StepBatch) -> Result<(), EnvError> {
        self.inner.step(actions, out)?;
        self.ended.clear();
        self.ended.extend(self.rows.iter().filter(|&&row| out.ends[row].is_over()));
        self.normalizer.update(&out.observations, &self.rows);
        self.normalizer.update(&out.final_observations, &self.ended);
        self.rows.iter().for_each(|&row| self.normalizer.apply(out.observations.row_mut(row)));
        self.ended.iter().for_each(|&row| self.normalizer.apply(out.final_observations.row_mut(row)));
        Ok(())
    }

    fn observation_normalizer(&self) -> Option<&ObservationNormalizer> {
        Some(&self.normalizer)
    }

    fn watch(&mut self, warnings: &Warnings) {
        self.inner.watch(warnings);
    }

    fn seen(&self) -> SeenStatistics {
        SeenStatistics { observations: Some(self.normalizer.statistics().clone()), ..self.inner.seen() }
    }

    fn take_seen(&mut self) -> SeenStatistics {
        SeenStatistics { observations: self.normalizer.statistics.take_news(), ..self.inner.take_seen() }
    }

    fn follow_seen(&mut self, all: &SeenStatistics) -> Result<(), EnvError> {
        self.normalizer.statistics.follow(all.observations.as_ref())?;
        self.inner.follow_seen(all)
    }

    fn save_state(&self) -> Option<EnvState> {
        EnvState::pack(&(self.inner.save_state()?, &self.normalizer.statistics))
    }

    fn load_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let (inner, saved): (EnvState, Pooled) = state.unpack()?;
        self.normalizer.statistics.load(saved)?;
        self.inner.load_state(&inner)
    }
}

/// Divides rewards by the running deviation of their discounted sum, as in Stable-Baselines3's VecNormalize.
/// Their mean, which separates good from bad, is kept. The sum starts anew with each episode.
pub struct NormalizeReward {
    inner: Box<dyn VectorEnv>,
    discount: f64,
    clip: f64,
    epsilon: f64,
    statistics: Pooled,
    /// The discounted sum of each environment's episode so far.
    sums: Vec<f64>,
    /// The environments that made a step in the last call, instead of being reset.
    stepped: Vec<usize>,
}

impl NormalizeReward {
    /// `inner` with normalised rewards within `-clip..clip`.
    ///
    /// # Errors
    /// [`EnvError::Option`] for settings that make no sense.
    pub fn new(inner: Box<dyn VectorEnv>, discount: f64, clip: f64, epsilon: f64) -> Result<Self, EnvError> {
        check_settings(clip, epsilon)?;
        if !(0.0..=1.0).contains(&discount) {
            return Err(EnvError::Option(format!("a discount of {discount}: give a number from 0 to 1")));
        }
        let (sums, stepped) = (vec![0.0; inner.num_envs()], Vec::with_capacity(inner.num_envs()));
        Ok(Self { inner, discount, clip, epsilon, statistics: Pooled::new(1), sums, stepped })
    }

    /// The statistics of the discounted sums so far.
    pub fn statistics(&self) -> &RunningStatistics {
        self.statistics.all()
    }
}

impl VectorEnv for NormalizeReward {
    fn num_envs(&self) -> usize {
        self.inner.num_envs()
    }

    fn observation_space(&self) -> &Space {
        self.inner.observation_space()
    }

    fn action_space(&self) -> &Space {
        self.inner.action_space()
    }

    fn reset(&mut self, seed: Option<u64>, observations: &mut ObsBatch) -> Result<(), EnvError> {
        self.inner.reset(seed, observations)?;
        self.sums.fill(0.0);
        Ok(())
    }

    fn step(&mut self, actions: &ActionBatch, out: &mut StepBatch) -> Result<(), EnvError> {
        self.inner.step(actions, out)?;
        self.stepped.clear();
        for (row, sum) in self.sums.iter_mut().enumerate().filter(|(row, _)| !out.resets[*row]) {
            *sum = *sum * self.discount + out.rewards[row];
            self.stepped.push(row);
        }
        self.statistics.update(self.stepped.len(), |index, _| self.sums[self.stepped[index]]);
        let deviation = (self.statistics().variance()[0] + self.epsilon).sqrt();
        for (row, sum) in self.sums.iter_mut().enumerate() {
            out.rewards[row] = (out.rewards[row] / deviation).clamp(-self.clip, self.clip);
            if out.ends[row].is_over() {
                *sum = 0.0;
            }
        }
        Ok(())
    }

    fn observation_normalizer(&self) -> Option<&ObservationNormalizer> {
        self.inner.observation_normalizer()
    }

    fn watch(&mut self, warnings: &Warnings) {
        self.inner.watch(warnings);
    }

    fn seen(&self) -> SeenStatistics {
        SeenStatistics { returns: Some(self.statistics.all().clone()), ..self.inner.seen() }
    }

    fn take_seen(&mut self) -> SeenStatistics {
        SeenStatistics { returns: self.statistics.take_news(), ..self.inner.take_seen() }
    }

    fn follow_seen(&mut self, all: &SeenStatistics) -> Result<(), EnvError> {
        self.statistics.follow(all.returns.as_ref())?;
        self.inner.follow_seen(all)
    }

    fn save_state(&self) -> Option<EnvState> {
        EnvState::pack(&(self.inner.save_state()?, &self.statistics, &self.sums))
    }

    fn load_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let (inner, saved, sums): (EnvState, Pooled, Vec<f64>) = state.unpack()?;
        if sums.len() != self.sums.len() {
            return Err(EnvError::State("the saved rewards are of another number of environments".into()));
        }
        self.statistics.load(saved)?;
        self.sums = sums;
        self.inner.load_state(&inner)
    }
}
