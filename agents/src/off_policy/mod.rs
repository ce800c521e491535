//! What agents share that learn from a replay with a policy and critics: TD3, DDPG and SAC.
//!
//! Read in this order: `pace` (when an update is due), `unit_box` (from the policy's actions to the environment's and
//! back), `network` (how a policy is asked), `losses` (the critics' mathematics), `trained` (a gradient step),
//! `critics`, `agent` (the loop's side of it). An algorithm is then an [`OffPolicyLearner`]: from a batch of transitions
//! to better weights.

mod agent;
mod critics;
mod host;
pub mod losses;
mod network;
mod pace;
mod trained;
mod unit_box;

pub use agent::{OffPolicyAgent, OffPolicyLearner, OffPolicySetup};
pub use critics::{Critics, CriticsSetup, Judge};
pub(crate) use host::{on_device, read};
pub use network::PolicyNetwork;
pub use pace::{Pace, UpdatesPerTraining};
pub use trained::Trained;
pub use unit_box::UnitBox;
