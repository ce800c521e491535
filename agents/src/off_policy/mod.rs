//! The parts that agents share which learn from a replay: DQN, TD3, DDPG and SAC.
//!
//! Read in this order: `setup` and `pace` (when an update is due), `unit_box` (from the policy's actions to
//! the environment's and back), `store` (the replay as an agent uses it), `explorer` (the acting half),
//! `learner` (the learning half), `agent` (the loop's side of both). `losses`, `critics` and `noise` are for
//! those that have a policy and critics. An algorithm is an [`OffPolicyLearner`]: from a batch of transitions
//! to better weights.

mod agent;
mod critics;
mod explorer;
mod halves;
mod learner;
pub mod losses;
mod noise;
mod pace;
mod review;
mod setup;
mod store;
mod unit_box;

pub use agent::OffPolicyAgent;
pub use critics::{Critics, CriticsSetup, Judge, Judged, Targets};
pub use explorer::{Explorer, RandomFirst};
pub use halves::OffPolicyHalves;
pub use learner::OffPolicyLearner;
pub use noise::{ActionNoise, NoiseConfig};
pub use pace::{Pace, UpdatesPerPhase, due, progress};
pub use review::{replay_review, total_updates};
pub use setup::OffPolicySetup;
pub(crate) use setup::off_policy_config;
pub use store::Store;
pub use unit_box::UnitBox;
