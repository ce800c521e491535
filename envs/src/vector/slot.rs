//! One environment of a vector environment: its step, and its reset when one is due.

use serde::{Deserialize, Serialize};

use super::Autoreset;
use crate::checks::{Checked, Warnings, guarded};
use crate::{Action, End, Env, EnvError, EnvState, InfoBatch, ObsMut};

/// The place for the outcome of one environment's step: its row of a [`StepBatch`](super::StepBatch).
pub(super) struct StepRow<'a> {
    pub observation: ObsMut<'a>,
    pub final_observation: ObsMut<'a>,
    pub reward: &'a mut f64,
    pub end: &'a mut End,
    pub raw_reward: &'a mut f64,
    pub raw_end: &'a mut End,
    pub reset: &'a mut bool,
    pub infos: &'a mut InfoBatch,
    /// The row's own number, among `infos`.
    pub number: usize,
}

/// An environment in its place, under check.
pub(super) struct Slot {
    env: Checked,
    /// True if the next call resets the environment, since its episode is over.
    due: bool,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SlotState {
    pub env: EnvState,
    pub due: bool,
}

impl Slot {
    /// # Errors
    /// [`EnvError::Contract`] for an action mask that no agent would see.
    pub fn new(env: Box<dyn Env>) -> Result<Self, EnvError> {
        Ok(Self { env: Checked::new(env)?, due: false })
    }

    pub fn env(&self) -> &dyn Env {
        &self.env
    }

    /// Shares the rules of checks with another slot, whose environment has the same spaces.
    pub fn share_rules(&mut self, other: &Self) {
        self.env.share_rules(&other.env);
    }

    pub fn watch(&mut self, warnings: &Warnings) {
        self.env.watch(warnings);
    }

    pub fn reset(&mut self, seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        self.env.reset(seed, observation)?;
        self.due = false;
        Ok(())
    }

    pub fn step(
        &mut self,
        action: Action<'_>,
        autoreset: Autoreset,
        mut row: StepRow<'_>,
    ) -> Result<(), EnvError> {
        *row.reset = self.due;
        if self.due {
            (*row.reward, *row.raw_reward) = (0.0, 0.0);
            (*row.end, *row.raw_end) = (End::No, End::No);
            row.infos.clear_row(row.number);
            return self.reset(None, row.observation);
        }
        let step = self.env.step(action, row.observation.reborrow())?;
        (*row.reward, *row.raw_reward) = (step.reward, step.raw_reward);
        (*row.end, *row.raw_end) = (step.end, step.raw_end);
        guarded(|| {
            row.infos.record(row.number, |visit| self.env.visit_info(visit));
            Ok(())
        })?;
        if !step.end.is_over() {
            return Ok(());
        }
        row.final_observation.copy_from(row.observation.as_ref());
        match autoreset {
            Autoreset::SameStep => self.reset(None, row.observation),
            Autoreset::NextStep => {
                self.due = true;
                Ok(())
            }
        }
    }

    pub fn save(&self) -> Option<SlotState> {
        Some(SlotState { env: self.env.save_state()?, due: self.due })
    }

    pub fn load(&mut self, state: &SlotState) -> Result<(), EnvError> {
        self.due = state.due;
        self.env.load_state(&state.env)
    }
}

/// The error of environment `row`, with its number in the message.
pub(crate) fn named(row: usize, error: EnvError) -> EnvError {
    let name = |message: String| {
        let at_step = message.starts_with("step ") || message.starts_with("reset: ");
        format!("environment {row}{} {message}", if at_step { "," } else { ":" })
    };
    match error {
        EnvError::World(message) => EnvError::World(name(message)),
        EnvError::Contract(message) => EnvError::Contract(name(message)),
        other => other,
    }
}
