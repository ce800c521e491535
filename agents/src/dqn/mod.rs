//! Deep Q-networks: DQN (Mnih et al. 2015), Double DQN (van Hasselt et al. 2016), prioritised (Schaul et al. 2016).
//!
//! Read in this order: `config` (every number that can be set), `losses` (the mathematics, free functions), `policy`
//! (epsilon-greedy), `learner` (one update). When updates are made is the business of [`crate::off_policy`].

mod config;
mod learner;
pub mod losses;
mod policy;
#[cfg(test)]
mod tests;

pub use config::DqnConfig;
pub use learner::DqnLearner;
pub use policy::EpsilonGreedy;
