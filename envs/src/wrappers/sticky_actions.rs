//! The wrapper that makes actions stick.

use rand::RngExt;

use super::Wrapper;
use crate::{Action, ActionBatch, Env, EnvError, ObsMut, SeededRng, Step, derive_seed};

/// Repeats the last action with this probability, in place of the agent's: the same sequence of actions no
/// longer gives the same episode (Machado et al. 2018).
pub(super) struct StickyActions {
    probability: f64,
    last: ActionBatch,
    /// True if there is a last action: the first of an episode is always the agent's.
    started: bool,
    rng: SeededRng,
}

impl StickyActions {
    pub fn new(inner: &dyn Env, probability: f64) -> Result<Self, EnvError> {
        if !(0.0..1.0).contains(&probability) {
            let message =
                format!("actions cannot stick with probability {probability}: give 0 or more, below 1");
            return Err(EnvError::Option(message));
        }
        let last = ActionBatch::new(inner.action_space(), 1)?;
        Ok(Self { probability, last, started: false, rng: SeededRng::default() })
    }
}

impl Wrapper for StickyActions {
    type State = (ActionBatch, bool, SeededRng);

    fn reset(
        &mut self,
        inner: &mut dyn Env,
        seed: Option<u64>,
        observation: ObsMut<'_>,
    ) -> Result<(), EnvError> {
        self.rng.reseed(seed.map(|seed| derive_seed(seed, "sticky actions", 0)));
        self.started = false;
        inner.reset(seed, observation)
    }

    fn step(
        &mut self,
        inner: &mut dyn Env,
        action: Action<'_>,
        observation: ObsMut<'_>,
    ) -> Result<Step, EnvError> {
        if self.started && self.rng.random::<f64>() < self.probability {
            // The agent's action must be valid even when another is taken.
            inner.action_space().accept(action)?;
            return inner.step(self.last.row(0), observation);
        }
        let step = inner.step(action, observation)?;
        self.last.set_row(0, action)?;
        self.started = true;
        Ok(step)
    }

    fn state(&self) -> Self::State {
        (self.last.clone(), self.started, self.rng.clone())
    }

    fn set_state(&mut self, (last, started, rng): Self::State) -> Result<(), EnvError> {
        self.last.set_row(0, checked(&last)?)?;
        (self.started, self.rng) = (started, rng);
        Ok(())
    }
}

fn checked(last: &ActionBatch) -> Result<Action<'_>, EnvError> {
    let whole = match last {
        ActionBatch::Discrete(choices) => choices.len() == 1,
        ActionBatch::MultiDiscrete { choices, width } => choices.len() == *width,
        ActionBatch::Box { points, width } => points.len() == *width,
    };
    if whole { Ok(last.row(0)) } else { Err(EnvError::State("the saved action is none".into())) }
}
