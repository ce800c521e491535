//! What agents share that learn from a replay with a policy and critics: TD3, DDPG and SAC.
//!
//! Read in this order: `pace` (when an update is due), `unit_box` (from the policy's actions to the environment's and
//! back), `losses` (the critics' mathematics), `critics`, `agent` (the loop's side of it). An algorithm is then an
//! [`OffPolicyLearner`]: from a batch of transitions to better weights.

mod agent;
mod critics;
pub mod losses;
mod noise;
mod pace;
mod unit_box;

pub use agent::{OffPolicyAgent, OffPolicyLearner, OffPolicySetup};
pub use critics::{Critics, CriticsSetup, Judge};
pub use noise::{ActionNoise, NoiseConfig};
pub use pace::{Pace, UpdatesPerTraining};
pub use unit_box::UnitBox;
