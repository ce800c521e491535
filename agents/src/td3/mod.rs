//! Twin delayed deep deterministic policy gradient: TD3 (Fujimoto et al. 2018).
//!
//! Read in this order: `config` (every number that can be set), `learner` (one update), `policy` (how it
//! acts). What it shares with DDPG and SAC is in [`crate::off_policy`].

mod config;
mod learner;
mod policy;
#[cfg(test)]
mod tests;

pub use config::Td3Config;
pub use learner::Td3Learner;
pub use policy::DeterministicPolicy;
