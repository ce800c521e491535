//! Deep deterministic policy gradient: DDPG (Lillicrap et al. 2016).
//!
//! It is TD3 with one critic, whose policy is updated with each update of the critic, and whose targets have
//! no noise: [`crate::td3`] is where it is written down. The paper's batch normalisation and weight decay are
//! left out, as everybody has since.

mod config;

pub use config::DdpgConfig;
