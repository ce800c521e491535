//! Agents: policies, buffers and algorithms. No threads, no files, no printing.
//!
//! Start with [`core`](Agent), the vocabulary; then read one agent's folder top to bottom, for instance [`dqn`]: its
//! configuration, its losses (free functions), its policy, its learner and the agent that puts them together.

pub mod a2c;
pub mod apex;
mod checks;
mod core;
pub mod ddpg;
pub mod dqn;
mod encoding;
mod error;
mod host;
pub mod impala;
mod inference;
mod means;
mod network;
pub mod off_policy;
pub mod on_policy;
pub mod ppo;
mod random;
mod registry;
pub mod reinforce;
pub mod replay;
pub mod sac;
pub mod td3;
mod trained;

pub use crate::core::{ActMode, Agent, AgentContext, Experience, Halves, Metrics, Policy};
pub use encoding::Encoder;
pub use error::AgentError;
pub use inference::{BatchedInference, Inference, RowNetwork};
pub use means::Means;
pub use network::{ImageConfig, Network, PolicyNetwork};
pub use random::RandomPolicy;
pub use registry::{AgentConfig, AgentRegistry, AgentSpec};
pub use trained::Trained;
