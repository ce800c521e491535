//! Wrappers that change the bounds of continuous actions.

use super::Wrapper;
use crate::{Action, BoxSpace, Env, EnvError, NO_BOUND, ObsMut, Space, Step, is_bound};

/// Continuous actions within other bounds, or without any.
pub(super) struct MapAction {
    /// The bounds that the agent sees; `None` for an action that is only clipped.
    seen: Option<(f32, f32)>,
    space: Space,
    own: BoxSpace,
    action: Vec<f32>,
}

impl MapAction {
    /// The agent's bounds `low..high` stand for the world's own, linearly.
    pub fn rescale(inner: &dyn Env, low: f32, high: f32) -> Result<Self, EnvError> {
        let own = bounded(inner, "rescaled")?;
        if !(is_bound(low) && is_bound(high) && low < high) {
            let message = format!(
                "actions cannot be rescaled to {low}..{high}: give two finite numbers, the lower first"
            );
            return Err(EnvError::Option(message));
        }
        let space = Space::box_f32(low, high, &own.shape)?;
        Ok(Self { seen: Some((low, high)), space, action: vec![0.0; own.len()], own })
    }

    /// The agent sees no bounds; numbers outside of the world's own are moved to the nearest bound.
    pub fn clip(inner: &dyn Env) -> Result<Self, EnvError> {
        let Space::Box(own) = inner.action_space().clone() else { return Err(no_box(inner, "clipped")) };
        Ok(Self { seen: None, space: Space::unbounded(&own.shape), action: vec![0.0; own.len()], own })
    }
}

fn bounded(inner: &dyn Env, what: &str) -> Result<BoxSpace, EnvError> {
    match inner.action_space() {
        Space::Box(own) if own.low.iter().chain(&own.high).all(|bound| is_bound(*bound)) => Ok(own.clone()),
        _ => Err(no_box(inner, what)),
    }
}

fn no_box(inner: &dyn Env, what: &str) -> EnvError {
    let space = inner.action_space();
    EnvError::Option(format!(
        "only actions of a box with finite bounds can be {what}, not of {space} (a bound of {NO_BOUND:e} or more says \
         nothing)"
    ))
}

impl Wrapper for MapAction {
    type State = ();

    fn action_space<'a>(&'a self, _inner: &'a dyn Env) -> &'a Space {
        &self.space
    }

    fn step(
        &mut self,
        inner: &mut dyn Env,
        action: Action<'_>,
        observation: ObsMut<'_>,
    ) -> Result<Step, EnvError> {
        let given = action.point(self.own.len())?;
        let bounds = self.own.low.iter().zip(&self.own.high);
        for ((out, &x), (&low, &high)) in self.action.iter_mut().zip(given).zip(bounds) {
            let x = match self.seen {
                None => x,
                Some((from, to)) => low + (x - from) / (to - from) * (high - low),
            };
            *out = x.clamp(low, high);
        }
        inner.step(Action::Box(&self.action), observation)
    }

    fn state(&self) {}

    fn set_state(&mut self, (): ()) -> Result<(), EnvError> {
        Ok(())
    }
}
