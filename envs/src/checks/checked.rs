//! A single environment under check.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Checker, Warnings};
use crate::render::Picture;
use crate::{Action, Env, EnvError, EnvState, ObsMut, Space, Step};

/// An environment whose faults are caught: a panic, and what the [`Checker`] refuses, become errors that name
/// the step.
pub(crate) struct Checked {
    env: Box<dyn Env>,
    checker: Checker,
    /// Steps of the episode so far; not known after a state was loaded.
    steps: Option<u64>,
}

impl Checked {
    /// `env` under check.
    ///
    /// # Errors
    /// As [`Checker::new`].
    pub fn new(env: Box<dyn Env>) -> Result<Self, EnvError> {
        let checker = Checker::new(env.observation_space(), env.action_space())?;
        Ok(Self { env, checker, steps: Some(0) })
    }

    /// A world under check, to be wrapped.
    ///
    /// # Errors
    /// As [`Checker::new`].
    pub fn world(env: Box<dyn Env>, warnings: &Warnings) -> Result<Self, EnvError> {
        let mut checked = Self::new(env)?;
        checked.checker = checked.checker.without_rewards();
        checked.watch(warnings);
        Ok(checked)
    }

    /// Shares the rules of another environment of the same spaces.
    pub fn share_rules(&mut self, other: &Self) {
        self.checker.share(&other.checker);
    }

    /// Adds warnings to these from now on.
    pub fn watch(&mut self, warnings: &Warnings) {
        self.checker.watch(warnings);
    }
}

impl Env for Checked {
    fn observation_space(&self) -> &Space {
        self.env.observation_space()
    }

    fn action_space(&self) -> &Space {
        self.env.action_space()
    }

    fn reset(&mut self, seed: Option<u64>, mut observation: ObsMut<'_>) -> Result<(), EnvError> {
        self.steps = Some(0);
        guarded(|| self.env.reset(seed, observation.reborrow()))
            .and_then(|()| self.checker.check(observation.as_ref(), false))
            .map_err(|error| in_step(Some(0), error))
    }

    #[inline]
    fn step(&mut self, action: Action<'_>, mut observation: ObsMut<'_>) -> Result<Step, EnvError> {
        self.steps = self.steps.map(|steps| steps + 1);
        let step = guarded(|| self.env.step(action, observation.reborrow()));
        let checked = step.and_then(|step| {
            self.checker.check(observation.as_ref(), step.end.is_over())?;
            self.checker.check_rewards(&step)?;
            Ok(step)
        });
        checked.map_err(|error| in_step(self.steps, error))
    }

    fn render(&self) -> Option<Picture> {
        guarded(|| Ok(self.env.render())).unwrap_or_default()
    }

    fn max_episode_steps(&self) -> Option<u32> {
        self.env.max_episode_steps()
    }

    fn lives(&self) -> Option<u32> {
        self.env.lives()
    }

    fn visit_info(&self, visit: &mut dyn FnMut(&str, f64)) {
        self.env.visit_info(visit);
    }

    fn save_state(&self) -> Option<EnvState> {
        guarded(|| Ok(self.env.save_state())).unwrap_or_default()
    }

    fn load_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.steps = None;
        guarded(|| self.env.load_state(state))
    }
}

/// Runs an environment's code and turns a panic into an error. The environment is not used again before a
/// reset.
pub(crate) fn guarded<T>(call: impl FnOnce() -> Result<T, EnvError>) -> Result<T, EnvError> {
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

/// The error with the step of the episode in it, counted from 1; 0 is the reset.
pub(crate) fn in_step(step: Option<u64>, error: EnvError) -> EnvError {
    let place = |message: String| match step {
        _ if message.starts_with("step ") || message.starts_with("reset: ") => message,
        Some(0) => format!("reset: {message}"),
        Some(step) => format!("step {step} of the episode: {message}"),
        None => format!("step of an episode that was resumed: {message}"),
    };
    match error {
        EnvError::World(message) => EnvError::World(place(message)),
        EnvError::Contract(message) => EnvError::Contract(place(message)),
        other => other,
    }
}
