//! Hides a part of the observation.

use crate::render::Picture;
use crate::{Action, BoxSpace, Dtype, Env, EnvError, EnvState, ObsBatch, ObsMut, Space, Step};

/// Shows only chosen components of an observation that is a box of `f32`: without the velocities, say, a world has to
/// be remembered to be known.
///
/// The others are left out, not set to zero, so that a network has no dead inputs.
pub struct Mask {
    inner: Box<dyn Env>,
    /// Which components are shown, in this order.
    shown: Vec<usize>,
    observations: Space,
    /// The whole observation, one row.
    whole: ObsBatch,
}

impl Mask {
    /// `inner` with only these components of its observation, counted from 0, in this order.
    ///
    /// # Errors
    /// [`EnvError::Contract`] when `inner` does not observe a box of `f32`, or has no such component.
    pub fn new(inner: Box<dyn Env>, shown: &[usize]) -> Result<Self, EnvError> {
        let space = match inner.observation_space() {
            Space::Box(space) if space.dtype == Dtype::F32 => space,
            other => {
                return Err(EnvError::Contract(format!("only boxes of f32 can be masked, not {other}")));
            }
        };
        if let Some(beyond) = shown.iter().find(|&&index| index >= space.len()) {
            let count = space.len();
            let message = format!("component {beyond} cannot be shown: the observation has {count}");
            return Err(EnvError::Contract(message));
        }
        let bounds = |of: &[f32]| shown.iter().map(|&index| of[index]).collect();
        let observations =
            BoxSpace::new(bounds(&space.low), bounds(&space.high), &[shown.len()], Dtype::F32)?;
        let whole = ObsBatch::new(inner.observation_space(), 1);
        Ok(Self { inner, shown: shown.to_vec(), observations: Space::Box(observations), whole })
    }

    fn show(&self, observation: ObsMut<'_>) {
        let whole = self.whole.floats();
        observation.floats.iter_mut().zip(&self.shown).for_each(|(out, &index)| *out = whole[index]);
    }
}

impl Env for Mask {
    fn observation_space(&self) -> &Space {
        &self.observations
    }

    fn action_space(&self) -> &Space {
        self.inner.action_space()
    }

    fn reset(&mut self, seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        self.inner.reset(seed, self.whole.row_mut(0))?;
        self.show(observation);
        Ok(())
    }

    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        let step = self.inner.step(action, self.whole.row_mut(0))?;
        self.show(observation);
        Ok(step)
    }

    fn render(&self) -> Option<Picture> {
        self.inner.render()
    }

    fn save_state(&self) -> Option<EnvState> {
        self.inner.save_state()
    }

    fn load_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.inner.load_state(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Registry, laws};

    fn pendulum() -> Box<dyn Env> {
        Registry::bundled().make("Pendulum-v1").unwrap()
    }

    #[test]
    fn the_chosen_components_are_shown_in_their_order() {
        let mut env = Mask::new(pendulum(), &[2, 0]).unwrap();
        let mut whole = pendulum();
        assert_eq!(env.observation_space().to_string(), "Box([-8.0, -1.0], [8.0, 1.0], [2], f32)");
        let mut seen = ObsBatch::new(env.observation_space(), 1);
        let mut all = ObsBatch::new(whole.observation_space(), 1);
        env.reset(Some(4), seen.row_mut(0)).unwrap();
        whole.reset(Some(4), all.row_mut(0)).unwrap();
        for _ in 0..10 {
            assert_eq!(seen.floats(), [all.floats()[2], all.floats()[0]]);
            let step = env.step(Action::Box(&[1.0]), seen.row_mut(0)).unwrap();
            assert_eq!(step, whole.step(Action::Box(&[1.0]), all.row_mut(0)).unwrap());
        }
        assert_eq!(env.render(), whole.render());
    }

    #[test]
    fn a_masked_environment_keeps_the_laws() {
        assert_eq!(laws::check(&|| Ok(Box::new(Mask::new(pendulum(), &[1])?))), []);
    }

    #[test]
    fn what_is_not_there_cannot_be_shown() {
        assert!(Mask::new(pendulum(), &[3]).err().unwrap().to_string().contains("the observation has 3"));
        let bits = Registry::bundled().make("TMaze-v0").unwrap();
        assert!(Mask::new(bits, &[0]).err().unwrap().to_string().contains("MultiBinary(3)"));
    }
}
