//! Importance-weighted actor-learner architecture (Espeholt et al. 2018): rollouts of policies that lag
//! behind, corrected by V-trace.
//!
//! Read `config`, then `algorithm`; `corrections` applies V-trace, which is in
//! [`advantages`](crate::on_policy::advantages); the parts shared with other agents are in
//! [`on_policy`](crate::on_policy).

mod algorithm;
mod config;
mod corrections;

pub use algorithm::Impala;
pub use config::ImpalaConfig;
