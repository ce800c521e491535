//! REINFORCE (Williams 1992), with a learned baseline or without.
//!
//! Read in this order: `config` (every number that can be set), `episodes` (which steps are learned from),
//! `agent` (one update for a number of whole episodes). The loss is that of
//! [`policy_gradient`](crate::on_policy::policy_gradient).

mod agent;
mod config;
mod episodes;

pub use agent::Reinforce;
pub use config::ReinforceConfig;
pub use episodes::Episodes;
