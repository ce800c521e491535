//! Importance-weighted actor-learner architecture (Espeholt et al. 2018): rollouts of policies that lag behind, made up for by
//! V-trace.
//!
//! Read `config`, then `algorithm`; V-trace itself is in [`advantages`](crate::on_policy::advantages), what IMPALA shares
//! with other agents in [`on_policy`](crate::on_policy).

mod algorithm;
mod config;
mod corrections;

pub use algorithm::Impala;
pub use config::ImpalaConfig;
