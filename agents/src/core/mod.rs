//! The parts that all agents share: the vocabulary, errors, checks of settings, means to log, the forms of a
//! loss, and copies between tensors and ordinary memory. Nothing here knows an algorithm.

pub mod checks;
mod error;
pub mod host;
mod loss_form;
pub(crate) mod policy;

pub use error::AgentError;
pub use loss_form::LossForm;
pub use pavlov_nn::{Means, Scalar};
pub use policy::{ActMode, Experience, Metrics, Policy};
