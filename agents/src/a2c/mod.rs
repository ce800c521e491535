//! Advantage actor-critic, the synchronous form of A3C (Mnih et al. 2016).
//!
//! One update for each short rollout. Read `config`, then `algorithm`; what A2C shares with other agents is
//! in [`on_policy`](crate::on_policy).

mod algorithm;
mod config;

pub use algorithm::A2c;
pub use config::A2cConfig;
