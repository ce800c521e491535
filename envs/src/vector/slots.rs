//! Environments in a row, stepped one after the other: all of a vector environment, or one thread's share.

use super::slot::{Slot, SlotState, named};
use super::{Autoreset, StepBatch, buffers};
use crate::checks::Warnings;
use crate::{ActionBatch, Env, EnvError, EnvState, ObsBatch, Space, derive_seed};

/// Environments with consecutive numbers. Their rows in the given buffers begin with row 0. The error of one
/// environment does not keep the others from their steps, so that the results do not depend on how
/// environments are shared out.
pub(super) struct Slots {
    /// The number of the first one.
    first: usize,
    slots: Vec<Slot>,
    autoreset: Autoreset,
}

impl Slots {
    /// The environments that `make` returns for the numbers from 0 to `num_envs - 1`.
    ///
    /// # Errors
    /// That of `make`; [`EnvError::Contract`] for no environments, or environments with different spaces.
    pub fn new(
        num_envs: usize,
        autoreset: Autoreset,
        make: impl FnMut(usize) -> Result<Box<dyn Env>, EnvError>,
    ) -> Result<Self, EnvError> {
        buffers::check_count(num_envs)?;
        let envs = (0..num_envs).map(make);
        let mut slots = envs.map(|env| env.and_then(Slot::new)).collect::<Result<Vec<_>, _>>()?;
        let first = slots[0].env();
        let same = |env: &dyn Env| {
            env.observation_space() == first.observation_space() && env.action_space() == first.action_space()
        };
        if !slots.iter().all(|slot| same(slot.env())) {
            let message = "the environments of a vector environment need the same spaces";
            return Err(EnvError::Contract(message.into()));
        }
        if let Some((first, others)) = slots.split_first_mut() {
            others.iter_mut().for_each(|slot| slot.share_rules(first));
        }
        Ok(Self { first: 0, slots, autoreset })
    }

    /// Keeps the first `count` here and returns the others.
    pub fn split_off(&mut self, count: usize) -> Self {
        let slots = self.slots.split_off(count);
        Self { first: self.first + count, slots, autoreset: self.autoreset }
    }

    /// Adds warnings about the environments to these from now on.
    pub fn watch(&mut self, warnings: &Warnings) {
        self.slots.iter_mut().for_each(|slot| slot.watch(warnings));
    }

    /// The environments themselves.
    pub fn into_inner(self) -> Vec<Slot> {
        self.slots
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn observation_space(&self) -> &Space {
        self.slots[0].env().observation_space()
    }

    pub fn action_space(&self) -> &Space {
        self.slots[0].env().action_space()
    }

    pub fn reset(&mut self, seed: Option<u64>, observations: &mut ObsBatch) -> Result<(), EnvError> {
        self.each(|row, number, slot| {
            let seed = seed.map(|seed| derive_seed(seed, "env", number as u64));
            slot.reset(seed, observations.row_mut(row))
        })
    }

    pub fn step(&mut self, actions: &ActionBatch, out: &mut StepBatch) -> Result<(), EnvError> {
        let autoreset = self.autoreset;
        self.each(|row, _, slot| slot.step(actions.row(row), autoreset, out.row_mut(row)))
    }

    pub fn save(&self) -> Option<Vec<SlotState>> {
        self.slots.iter().map(Slot::save).collect()
    }

    pub fn load(&mut self, states: &[SlotState]) -> Result<(), EnvError> {
        self.each(|row, _, slot| slot.load(&states[row]))
    }

    /// Calls `act` for each environment, its row and its number; returns the first error.
    fn each(
        &mut self,
        mut act: impl FnMut(usize, usize, &mut Slot) -> Result<(), EnvError>,
    ) -> Result<(), EnvError> {
        let mut outcome = Ok(());
        for (row, slot) in self.slots.iter_mut().enumerate() {
            let number = self.first + row;
            if let Err(error) = act(row, number, slot) {
                outcome = outcome.and(Err(named(number, error)));
            }
        }
        outcome
    }
}

/// The states of all environments of a vector environment as one.
pub(super) fn save_slots(states: &[SlotState]) -> Option<EnvState> {
    EnvState::pack(&states)
}

/// The states of the `count` environments of a vector environment.
pub(super) fn read_states(state: &EnvState, count: usize) -> Result<Vec<SlotState>, EnvError> {
    let states: Vec<SlotState> = state.unpack()?;
    if states.len() != count {
        let saved = states.len();
        return Err(EnvError::State(format!("{saved} states were saved for {count} environments")));
    }
    Ok(states)
}
