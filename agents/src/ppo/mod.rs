//! Proximal policy optimisation (Schulman et al. 2017).
//!
//! Read in this order: `config` (every number that can be set), `losses` (the mathematics of one row, free functions),
//! `algorithm` (from a rollout to better weights). What it shares with other agents is in
//! [`on_policy`](crate::on_policy).

mod algorithm;
mod config;
pub mod losses;
#[cfg(test)]
mod tests;

pub use algorithm::Ppo;
pub use config::{PpoConfig, ValueClipRule};
