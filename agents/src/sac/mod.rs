//! Soft actor-critic: SAC (Haarnoja et al. 2018) for continuous actions, and its discrete form (Christodoulou
//! 2019).
//!
//! Read in this order: `config` (every number that can be set), `losses` (the mathematics, free functions),
//! `temperature` (the weight of the entropy), `policy` (its actions), `continuous` and `discrete` (one update
//! each), `learner` (its parts and saved state). The parts shared with TD3 are in [`crate::off_policy`].

mod config;
mod continuous;
mod discrete;
mod learner;
pub mod losses;
mod policy;
mod temperature;
#[cfg(test)]
mod tests;

pub use config::{SacConfig, Temperature};
use continuous::Continuous;
use discrete::Discrete;
pub use learner::Sac;
pub use policy::SoftPolicy;
pub use temperature::TrainedTemperature;
