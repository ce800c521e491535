//! The trait of wrappers: a small change of an environment, with everything else left to the environment.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::render::Picture;
use crate::{Action, Env, EnvError, EnvState, ObsMut, Space, Step};

/// A change of an environment. Implement the methods that are to differ; all others pass calls on to the
/// environment.
///
/// A wrapper keeps the laws of [`Env`] if it draws its random numbers from a generator that
/// `reset(Some(seed), ..)` starts anew, and gives all that changes during an episode as its state.
///
/// ```
/// use pavlov_envs::wrappers::{Wrapped, Wrapper};
/// use pavlov_envs::{Action, Env, EnvError, ObsMut, Registry, Step};
///
/// /// Every step costs something.
/// struct Price(f64);
///
/// impl Wrapper for Price {
///     type State = ();
///
///     fn step(
///         &mut self,
///         inner: &mut dyn Env,
///         action: Action<'_>,
///         observation: ObsMut<'_>,
///     ) -> Result<Step, EnvError> {
///         let step = inner.step(action, observation)?;
///         Ok(Step { reward: step.reward - self.0, ..step })
///     }
///
///     fn state(&self) {}
///
///     fn set_state(&mut self, (): ()) -> Result<(), EnvError> {
///         Ok(())
///     }
/// }
///
/// let env = Wrapped::new(Registry::bundled().make("CartPole-v1")?, Price(0.1));
/// # Ok::<(), EnvError>(())
/// ```
pub trait Wrapper: Send {
    /// The state that changes during an episode and has to be saved; `()` for none.
    type State: Serialize + DeserializeOwned;

    /// The space of the observations.
    fn observation_space<'a>(&'a self, inner: &'a dyn Env) -> &'a Space {
        inner.observation_space()
    }

    /// The space of the actions.
    fn action_space<'a>(&'a self, inner: &'a dyn Env) -> &'a Space {
        inner.action_space()
    }

    /// Starts a new episode.
    ///
    /// # Errors
    /// As [`Env::reset`].
    fn reset(
        &mut self,
        inner: &mut dyn Env,
        seed: Option<u64>,
        observation: ObsMut<'_>,
    ) -> Result<(), EnvError> {
        inner.reset(seed, observation)
    }

    /// Makes one step.
    ///
    /// # Errors
    /// As [`Env::step`].
    fn step(
        &mut self,
        inner: &mut dyn Env,
        action: Action<'_>,
        observation: ObsMut<'_>,
    ) -> Result<Step, EnvError> {
        inner.step(action, observation)
    }

    /// The state to be saved.
    fn state(&self) -> Self::State;

    /// Takes over a saved state.
    ///
    /// # Errors
    /// [`EnvError::State`] when it does not fit.
    fn set_state(&mut self, state: Self::State) -> Result<(), EnvError>;
}

/// An environment within a wrapper; its saved state is the wrapper's and the environment's.
pub struct Wrapped<W> {
    inner: Box<dyn Env>,
    wrapper: W,
}

impl<W: Wrapper> Wrapped<W> {
    /// `inner` within `wrapper`.
    pub fn new(inner: Box<dyn Env>, wrapper: W) -> Self {
        Self { inner, wrapper }
    }
}

impl<W: Wrapper> Env for Wrapped<W> {
    fn observation_space(&self) -> &Space {
        self.wrapper.observation_space(self.inner.as_ref())
    }

    fn action_space(&self) -> &Space {
        self.wrapper.action_space(self.inner.as_ref())
    }

    fn reset(&mut self, seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        self.wrapper.reset(self.inner.as_mut(), seed, observation)
    }

    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        self.wrapper.step(self.inner.as_mut(), action, observation)
    }

    fn render(&self) -> Option<Picture> {
        self.inner.render()
    }

    fn max_episode_steps(&self) -> Option<u32> {
        self.inner.max_episode_steps()
    }

    fn lives(&self) -> Option<u32> {
        self.inner.lives()
    }

    fn visit_info(&self, visit: &mut dyn FnMut(&str, f64)) {
        self.inner.visit_info(visit);
    }

    fn save_state(&self) -> Option<EnvState> {
        EnvState::pack(&(self.inner.save_state()?, self.wrapper.state()))
    }

    fn load_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let (inner, own): (EnvState, W::State) = state.unpack()?;
        self.wrapper.set_state(own)?;
        self.inner.load_state(&inner)
    }
}
