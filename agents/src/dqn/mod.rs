//! Deep Q-networks: DQN (Mnih et al. 2015), Double DQN (van Hasselt et al. 2016), prioritised (Schaul et al.
//! 2016).
//!
//! Read in this order: `config` (every number that can be set), `losses` (the mathematics, free functions),
//! `values` (what a network's outputs mean), `network`, `policy` (epsilon-greedy), `learner` (one update).
//! When updates are made is the business of [`crate::off_policy`].

mod config;
mod learner;
pub mod losses;
mod network;
mod policy;
#[cfg(test)]
mod tests;
mod values;

pub use config::DqnConfig;
pub use learner::DqnLearner;
pub use network::QNetwork;
pub use policy::EpsilonGreedy;
pub use values::{ActionValues, ExpectedReturn, NextStates};
