//! Agents: policies, buffers and algorithms. No threads, no files, no printing.
//!
//! Start with [`core`], the vocabulary, and [`Agent`], what a training loop drives; then read one agent's
//! folder top to bottom, for instance [`dqn`]: its configuration, its losses (free functions), its policy,
//! its learner. What lies below all of them: [`networks`] (from observations to features), [`replay`], and
//! what agents of one kind share, [`on_policy`] and [`off_policy`].

pub mod a2c;
pub mod acting;
mod agent;
pub mod apex;
pub mod core;
pub mod ddpg;
#[cfg(test)]
mod device_reads_tests;
pub mod dqn;
pub mod impala;
#[cfg(test)]
mod loss_form_tests;
pub mod networks;
pub mod off_policy;
pub mod on_policy;
pub mod ppo;
mod registry;
pub mod reinforce;
pub mod replay;
mod review;
pub mod sac;
pub mod td3;

pub use acting::{BatchedInference, Inference, PolicyNetwork, RandomPolicy, RowNetwork};
pub use agent::{Agent, AgentConfig, AgentContext, Halves};
pub use core::{ActMode, AgentError, Experience, LossForm, Means, Metrics, Policy, Scalar};
pub use networks::{Encoder, NetConfig, Network, NetworkRegistry};
pub use registry::{AgentRegistry, AgentSpec};
pub use review::Review;
