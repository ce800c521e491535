//! Environments in Gymnasium's manner, without Python and without libtorch.
//!
//! * [`Env`] is the one trait that a world implements: two spaces, `reset` and `step`.
//! * [`Space`] describes observations and actions; [`ObsBatch`] and [`ActionBatch`] hold them.
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
mod checks;
mod classic;
mod dynamics;
mod env;
mod factory;
#[cfg(test)]
mod fixtures;
pub mod gymnasium;
mod info;
pub mod laws;
mod memory;
pub mod minatar;
mod observation;
mod physics;
mod pixels;
pub mod probes;
mod registry;
pub mod render;
mod rows;
mod space;
mod toy_text;
mod vector;
pub mod wrappers;

pub use action::{Action, ActionBatch, OwnedAction};
pub use box2d::{BipedalWalker, LunarLander, LunarLanderOptions};
pub use checks::{Warnings, panic_message};
pub use classic::{Acrobot, AcrobotEquations, CartPole, MountainCar, MountainCarContinuous, Pendulum};
pub use env::{End, Env, EnvError, EnvState, Step};
pub use factory::EnvFactory;
pub use gymnasium::{GymEnv, GymVectorEnv};
pub use info::{EpisodeInfos, InfoBatch, InfoTotal, MOST_INFOS, RunningInfos};
pub use memory::{RepeatPrevious, TMaze};
pub use minatar::MinAtar;
pub use observation::{ObsBatch, ObsLayout, ObsLeaf, ObsMut, ObsRef};
pub use pavlov_common::{SeededRng, derive_seed};
pub use pixels::PixelPong;
pub use registry::{EnvOptions, EnvSpec, Registry};
pub use rows::{RowEnvs, RowError, SingleRows};
pub use space::{ACTION_MASK, BoxLayout, BoxSpace, Dtype, NO_BOUND, PictureShape, Space, is_bound};
pub use toy_text::{
    Blackjack, CliffWalking, FrozenLake, FrozenLakeOptions, Outcome, Outcomes, Taxi, TaxiOptions,
};
pub use vector::{
    AsyncVectorEnv, Autoreset, NormalizeObservation, NormalizeReward, ObservationNormalizer,
    RunningStatistics, SeenStatistics, StepBatch, SyncVectorEnv, ThreadedVectorEnv, VectorEnv, VectorOptions,
};
