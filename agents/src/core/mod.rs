//! What all agents are made of: the vocabulary, errors, checks of settings, means to log, and the way between tensors and
//! ordinary memory. Nothing here knows an algorithm.

pub(crate) mod checks;
mod error;
pub(crate) mod host;
mod means;
mod policy;

pub use error::AgentError;
pub use means::Means;
pub use policy::{ActMode, Experience, Metrics, Policy};
