//! Deep Q-networks: DQN (Mnih et al. 2015) and Double DQN (van Hasselt et al. 2016).
//!
//! Read in this order: `config` (every number that can be set), `losses` (the mathematics, free functions), `policy`
//! (epsilon-greedy), `learner` (one update), `agent` (when to update, and what is saved).

mod agent;
mod config;
mod learner;
pub mod losses;
mod policy;
#[cfg(test)]
mod tests;

pub use agent::Dqn;
pub use config::DqnConfig;
pub use learner::DqnLearner;
pub use policy::QPolicy;
