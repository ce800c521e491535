//! The trait that every environment implements, and the outcome of a step.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::render::Picture;
use crate::{Action, ObsMut, Space};

/// The state of an episode after a step.
///
/// Termination and truncation are different facts: after [`End::Terminated`] the world has no future and its
/// value is zero; after [`End::Truncated`] it was merely cut off (a time limit, say), and its value is that
/// of the final observation. A step that is both counts as terminated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum End {
    /// The episode goes on.
    #[default]
    No,
    /// The world has reached an end of its own: goal, failure, death.
    Terminated,
    /// The episode was cut off from outside, for instance by a time limit.
    Truncated,
}

impl End {
    /// Returns true if the episode is over, for whichever reason.
    pub fn is_over(self) -> bool {
        self != End::No
    }

    /// `Terminated` if `condition` holds, else `No`: the last line of most `step` functions.
    pub fn terminated_if(condition: bool) -> Self {
        if condition { End::Terminated } else { End::No }
    }
}

/// The outcome of one step of an environment. The observation itself is written into the caller's buffer.
///
/// A wrapper may clip the reward or end the episode with a lost life: it changes `reward` and `end`, from
/// which an agent learns. The world's own reward and end stay beside them, so that returns can always be
/// reported in the environment's own units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The reward to learn from.
    pub reward: f64,
    /// The end of the episode with this step, if it ended, as the agent is to see it.
    pub end: End,
    /// The reward in the environment's own units.
    pub raw_reward: f64,
    /// The end of the world's own episode with this step, if it ended.
    pub raw_end: End,
}

impl Step {
    /// A step of a world, with this reward, after which the episode stands as `end` says.
    pub fn new(reward: f64, end: End) -> Self {
        Self { reward, end, raw_reward: reward, raw_end: end }
    }

    /// The same step, truncated if the episode was not over: for a limit that is no rule of the world.
    pub fn truncated(self) -> Self {
        let cut = |end| if end == End::No { End::Truncated } else { end };
        Self { end: cut(self.end), raw_end: cut(self.raw_end), ..self }
    }
}

/// A world in which an agent acts, in the manner of Gymnasium's `Env`.
///
/// An environment writes its observations into buffers that the caller owns, so that a step allocates
/// nothing. The laws that every environment keeps, and that [`crate::laws::check`] verifies:
///
/// 1. `reset(Some(seed), ..)` starts the environment's generator anew: the same seed and the same actions
///    give the same observations, rewards and ends, bit for bit. `reset(None, ..)` goes on with the generator
///    as it stands; an environment that was never seeded takes its seed from the operating system. A used
///    environment that is reset with a seed goes as a new one: evaluations use theirs again.
/// 2. Every observation lies in [`Env::observation_space`], its numbers finite; only the bounds of a box of `f32` may
///    be left, where they are published so ([`EnvSpec::loose_bounds`](crate::EnvSpec::loose_bounds)). Rewards are finite.
///    Every action in [`Env::action_space`] is
///    accepted, any other is an error that says what was expected. Nothing panics.
/// 3. A step before the first reset, or after an episode's end, is an error ([`EnvError::NeedsReset`]).
/// 4. Where [`Env::save_state`] gives a state, an environment of the same kind that loads it continues
///    exactly as the saved one would. Bytes that are no such state are refused, or give some world: never a
///    panic.
///
/// The trait is object safe: everything works behind `Box<dyn Env>`.
pub trait Env: Send {
    /// The space of the observations. Fixed for the environment's life.
    fn observation_space(&self) -> &Space;

    /// The space of the actions. Fixed for the environment's life.
    fn action_space(&self) -> &Space;

    /// Starts a new episode and writes its first observation into `observation`.
    ///
    /// # Errors
    /// The errors of a world that cannot start; a bundled environment's reset does not fail.
    fn reset(&mut self, seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError>;

    /// Advances the world by one step and writes the observation that follows into `observation`.
    ///
    /// # Errors
    /// [`EnvError::Action`] for an action outside the action space, [`EnvError::NeedsReset`] when no episode
    /// is under way, [`EnvError::World`] when the world itself fails.
    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError>;

    /// A picture of the world as it stands, for people; `None` where there is nothing to see.
    fn render(&self) -> Option<Picture> {
        None
    }

    /// The steps after which the world itself truncates an episode, where it knows such a number that its
    /// [`EnvSpec`](crate::EnvSpec) does not.
    fn max_episode_steps(&self) -> Option<u32> {
        None
    }

    /// The lives that the player has left in this episode, in a game that counts them.
    fn lives(&self) -> Option<u32> {
        None
    }

    /// Shows named numbers about the last step that are no part of the observation, Gymnasium's `info`. They are
    /// asked for after every step and logged by episode, so that their names are better constant.
    fn visit_info(&self, _visit: &mut dyn FnMut(&str, f64)) {}

    /// The whole state, generator included, or `None` where the world cannot be saved. A run whose
    /// environments cannot be saved resumes with new episodes instead of continuing exactly; the run says so.
    fn save_state(&self) -> Option<EnvState> {
        None
    }

    /// Continues from a state that [`Env::save_state`] of an environment of the same kind has given.
    ///
    /// # Errors
    /// [`EnvError::State`] when the state does not fit, or when this environment cannot be saved.
    fn load_state(&mut self, _state: &EnvState) -> Result<(), EnvError> {
        Err(EnvError::State("this environment does not support saving and loading its state".into()))
    }
}

/// An environment's saved state: opaque bytes, exact to the bit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvState(Vec<u8>);

impl EnvState {
    /// Packs any serialisable value, usually the environment's own fields.
    ///
    /// Gives an `Option` so that `EnvState::pack(self)` is the whole body of a `save_state`; `None` only if
    /// the value cannot be serialised (a map with non-string keys is fine, a custom serializer that fails is
    /// not).
    pub fn pack<T: Serialize>(value: &T) -> Option<Self> {
        postcard::to_allocvec(value).ok().map(Self)
    }

    /// Unpacks a state that [`EnvState::pack`] packed.
    ///
    /// # Errors
    /// [`EnvError::State`] when the bytes are not a `T`.
    pub fn unpack<T: DeserializeOwned>(&self) -> Result<T, EnvError> {
        postcard::from_bytes(&self.0).map_err(|error| {
            EnvError::State(format!("the saved state does not fit this environment: {error}"))
        })
    }

    /// The bytes, for a checkpoint.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A state from the bytes of a checkpoint.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

/// The errors of environments.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EnvError {
    /// The action is not in the action space.
    #[error("action {given} is not in the action space: expected {expected}")]
    Action {
        /// The action as it was given.
        given: String,
        /// The actions that the space accepts.
        expected: String,
    },
    /// A step was asked for while no episode is under way.
    #[error("no episode is under way: call reset before step, and again after an episode's end")]
    NeedsReset,
    /// No environment has this id.
    #[error("unknown environment `{id}`{hint}")]
    UnknownId {
        /// The id that was asked for.
        id: String,
        /// " (did you mean ...?)" or nothing.
        hint: String,
    },
    /// An option of the environment is unknown or has a wrong value.
    #[error("environment option: {0}")]
    Option(String),
    /// A saved state cannot be loaded.
    #[error("environment state: {0}")]
    State(String),
    /// The environment breaks its own contract: NaN, a wrong size, a value outside the space.
    #[error("the environment breaks its contract: {0}")]
    Contract(String),
    /// The world itself failed (a simulator that died, a file that is missing).
    #[error("the environment failed: {0}")]
    World(String),
}
