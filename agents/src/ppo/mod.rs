//! Proximal policy optimisation (Schulman et al. 2017).
//!
//! Read in this order: `config` (every number that can be set), `losses` (the loss, by rows and on tensors),
//! `algorithm` (from a rollout to better weights). The parts shared with other agents are in
//! [`on_policy`](crate::on_policy).

mod algorithm;
mod config;
pub mod losses;
#[cfg(test)]
mod tests;

pub use algorithm::Ppo;
pub use config::{PpoConfig, ValueClipRule};
