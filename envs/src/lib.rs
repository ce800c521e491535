//! Environments in Gymnasium's manner, without Python and without libtorch.
//!
//! * [`Env`] is the one trait that a world implements: two spaces, `reset` and `step`.
//! * [`Space`] says what observations and actions look like; [`ObsBatch`] and [`ActionBatch`] hold them.
//! * [`VectorEnv`] steps many copies at once and hands out the true final observation of each episode.
//! * [`Registry`] makes environments by their Gymnasium id, with the time limit that belongs to the id.
//! * [`laws`] checks that an environment keeps the contract written at [`Env`].
//!
//! ```
//! use pavlov_envs::{Action, Env, ObsBatch, Registry};
//!
//! let mut env = Registry::bundled().make("CartPole-v1")?;
//! let mut observation = ObsBatch::new(env.observation_space(), 1);
//! env.reset(Some(7), observation.row_mut(0))?;
//! let step = env.step(Action::Discrete(1), observation.row_mut(0))?;
//! assert_eq!(step.reward, 1.0);
//! # Ok::<(), pavlov_envs::EnvError>(())
//! ```

mod action;
mod box2d;
mod classic;
mod env;
#[cfg(test)]
mod fixtures;
pub mod laws;
mod observation;
mod physics;
pub mod probes;
mod registry;
pub mod render;
mod rng;
mod space;
mod suggest;
mod vector;
pub mod wrappers;

pub use action::{Action, ActionBatch};
pub use box2d::{LunarLander, LunarLanderOptions};
pub use classic::CartPole;
pub use env::{End, Env, EnvError, EnvState, Step};
pub use observation::{ObsBatch, ObsLayout, ObsLeaf, ObsMut, ObsRef};
pub use registry::{EnvOptions, EnvSpec, Registry};
pub use rng::{EnvRng, derive_seed};
pub use space::{BoxSpace, Dtype, Space};
pub use suggest::{did_you_mean, nearest};
pub use vector::{StepBatch, SyncVectorEnv, VectorEnv};
