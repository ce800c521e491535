//! One environment of a vector environment: its step, its reset when one is due, and the check of its
//! results.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Deserialize, Serialize};

use super::Autoreset;
use crate::{Action, End, Env, EnvError, EnvState, ObsMut};

/// The place for the outcome of one environment's step: its row of a [`StepBatch`](super::StepBatch).
pub(super) struct StepRow<'a> {
    pub observation: ObsMut<'a>,
    pub final_observation: ObsMut<'a>,
    pub reward: &'a mut f64,
    pub end: &'a mut End,
    pub raw_reward: &'a mut f64,
    pub raw_end: &'a mut End,
    pub reset: &'a mut bool,
}

/// An environment in its place. Its faults are caught here: a panic, NaN in an observation or a reward that
/// is not finite become an error.
pub(super) struct Slot {
    env: Box<dyn Env>,
    /// True if the next call resets the environment, since its episode is over.
    due: bool,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SlotState {
    pub env: EnvState,
    pub due: bool,
}

impl Slot {
    pub fn new(env: Box<dyn Env>) -> Self {
        Self { env, due: false }
    }

    pub fn env(&self) -> &dyn Env {
        self.env.as_ref()
    }

    pub fn reset(&mut self, seed: Option<u64>, mut observation: ObsMut<'_>) -> Result<(), EnvError> {
        guarded(|| self.env.reset(seed, observation.reborrow()))?;
        self.due = false;
        check_numbers(observation, "reset")
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
            return self.reset(None, row.observation);
        }
        let step = guarded(|| self.env.step(action, row.observation.reborrow()))?;
        check_numbers(row.observation.reborrow(), "step")?;
        check_reward(step.reward, step.raw_reward)?;
        (*row.reward, *row.raw_reward) = (step.reward, step.raw_reward);
        (*row.end, *row.raw_end) = (step.end, step.raw_end);
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

/// Runs an environment's code and turns a panic into an error. The environment is not used again before a
/// reset.
fn guarded<T>(call: impl FnOnce() -> Result<T, EnvError>) -> Result<T, EnvError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        Err(EnvError::World(format!("it panicked: {}", panic_message(panic.as_ref()))))
    })
}

/// The message of a caught panic.
pub fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)")
}

/// Refuses observations with NaN.
pub(crate) fn check_numbers(observation: ObsMut<'_>, call: &str) -> Result<(), EnvError> {
    // One pass without a branch per number: NaN is the only number that differs from itself.
    if !observation.floats.iter().fold(false, |nan, x| nan | x.is_nan()) {
        return Ok(());
    }
    let index = observation.floats.iter().position(|x| x.is_nan()).unwrap_or_default();
    Err(EnvError::Contract(format!("{call} wrote NaN into number {index} of the observation")))
}

/// Refuses rewards that are not finite.
pub(crate) fn check_reward(reward: f64, raw: f64) -> Result<(), EnvError> {
    if reward.is_finite() && raw.is_finite() {
        return Ok(());
    }
    let wrong = if reward.is_finite() { raw } else { reward };
    Err(EnvError::Contract(format!("step gave the reward {wrong}: rewards must be finite")))
}

/// The error of environment `row`, with its number in the message.
pub(crate) fn named(row: usize, error: EnvError) -> EnvError {
    match error {
        EnvError::World(message) => EnvError::World(format!("environment {row}: {message}")),
        EnvError::Contract(message) => EnvError::Contract(format!("environment {row}: {message}")),
        other => other,
    }
}
