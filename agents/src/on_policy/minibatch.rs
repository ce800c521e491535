//! A minibatch of a rollout.

use tch::{Device, Tensor};

use super::advantages::{self, Moments};
use super::observations::ObservationRows;
use super::states::GatheredStates;
use crate::core::AgentError;
use crate::core::host::sent;
use crate::networks::Encoder;

/// Some rows of a rollout, gathered to learn from.
#[derive(Debug, Default)]
pub struct Minibatch {
    observations: Option<ObservationRows>,
    /// The number of observations that were gathered.
    gathered: usize,
    /// `[batch, choices]`, or empty where the environment gives no masks.
    pub masks: Vec<f32>,
    /// The draws, `[batch, width]`.
    pub draws: Vec<f32>,
    /// The logarithm of each draw's probability to the policy that drew it, `[batch]`.
    pub log_probs: Vec<f32>,
    /// The value of the observation to the network of that time, `[batch]`.
    pub values: Vec<f32>,
    /// `[batch]`
    pub advantages: Vec<f32>,
    /// The return of each row, which the value should be: `[batch]`.
    pub returns: Vec<f32>,
    /// Rows that belong to a sequence but are nothing to learn from, `[batch]`; empty where there are none.
    pub skipped: Vec<bool>,
    pub(super) memory: Option<GatheredStates>,
}

/// The numbers of a minibatch that losses on tensors are computed from, each f32 `[batch]` on the device.
#[derive(Debug)]
pub struct MinibatchTensors {
    /// The logarithm of each action's probability to the policy that drew it.
    pub log_probs: Tensor,
    /// The value of each observation to the network of that time.
    pub values: Tensor,
    /// The advantage of each action.
    pub advantages: Tensor,
    /// The return of each row, which the value should be.
    pub returns: Tensor,
    /// The share of each row in a mean: 1 over the number of rows to learn from, or 0 for a row that is
    /// skipped.
    pub shares: Tensor,
}

impl MinibatchTensors {
    /// The mean of a number of each row, f32 `[batch]`, over the rows to learn from: f32 `[]`.
    ///
    /// # Errors
    /// [`AgentError::Nn`] when the shape does not fit.
    pub fn mean(&self, numbers: &Tensor) -> Result<Tensor, AgentError> {
        Ok(numbers.f_dot(&self.shares)?)
    }
}

impl Minibatch {
    /// The number of rows.
    pub fn len(&self) -> usize {
        self.advantages.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.advantages.is_empty()
    }

    /// The observations as the networks take them, f32 `[batch, width]` on the device. The caller does not
    /// wait for the copy to a GPU.
    ///
    /// # Errors
    /// [`AgentError`] when nothing was gathered or the device's memory runs out.
    pub fn observations(&self, device: Device) -> Result<Tensor, AgentError> {
        match &self.observations {
            Some(rows) => rows.tensor(0..self.gathered, device),
            None => Err(AgentError::State("a minibatch that nothing was gathered into has no rows".into())),
        }
    }

    /// True if row `row` is skipped: there is nothing to learn from it.
    pub fn is_skipped(&self, row: usize) -> bool {
        self.skipped.get(row).is_some_and(|skipped| *skipped)
    }

    /// The number of rows to learn from.
    pub fn learned(&self) -> usize {
        self.len() - self.skipped.iter().filter(|skipped| **skipped).count()
    }

    /// Brings the advantages to mean 0 and deviation 1.
    pub fn normalize_advantages(&mut self) {
        if self.learned() == self.len() {
            return advantages::normalize(&mut self.advantages);
        }
        let taken = |(advantage, skipped): (&f32, &bool)| (!skipped).then_some(*advantage);
        let mut own: Vec<f32> = self.advantages.iter().zip(&self.skipped).filter_map(taken).collect();
        advantages::normalize(&mut own);
        let mut own = own.into_iter();
        for (advantage, skipped) in self.advantages.iter_mut().zip(&self.skipped) {
            *advantage = if *skipped { 0.0 } else { own.next().unwrap_or(0.0) };
        }
    }

    /// Brings the advantages to mean 0 and deviation 1 by the moments of all shards. Without moments this is
    /// [`Minibatch::normalize_advantages`].
    pub fn normalize_advantages_by(&mut self, moments: Option<Moments>) {
        let Some(moments) = moments else { return self.normalize_advantages() };
        for row in 0..self.len() {
            let normalized = (f64::from(self.advantages[row]) - moments.mean) / moments.deviation;
            self.advantages[row] = if self.is_skipped(row) { 0.0 } else { normalized as f32 };
        }
    }

    /// The small numbers of the rows on the device, sent together in one copy that the caller does not wait
    /// for.
    ///
    /// # Errors
    /// [`AgentError::Nn`] when the device's memory runs out.
    pub fn tensors(&self, device: Device) -> Result<MinibatchTensors, AgentError> {
        let (rows, share) = (self.len(), 1.0 / self.learned() as f32);
        let shares = (0..rows).map(|row| if self.is_skipped(row) { 0.0 } else { share });
        let given = [&self.log_probs, &self.values, &self.advantages, &self.returns];
        let all: Vec<f32> = given.into_iter().flatten().copied().chain(shares).collect();
        let columns = sent(&all, &[5, rows as i64], device)?;
        Ok(MinibatchTensors {
            log_probs: columns.f_get(0)?,
            values: columns.f_get(1)?,
            advantages: columns.f_get(2)?,
            returns: columns.f_get(3)?,
            shares: columns.f_get(4)?,
        })
    }

    /// Room for `rows` observations of this encoder, to be learned from on `device`.
    pub(crate) fn observations_mut(
        &mut self,
        rows: usize,
        encoder: &Encoder,
        device: Device,
    ) -> Result<&mut ObservationRows, AgentError> {
        let room = match self.observations.take() {
            Some(room) if room.fits(rows, encoder, device) => room,
            _ => ObservationRows::to_learn_from(rows, encoder, device)?,
        };
        self.gathered = rows;
        Ok(self.observations.insert(room))
    }
}
