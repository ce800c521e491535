//! Actions of policies: the network asked for a batch of observations, by whoever runs it, and actions at
//! random.

mod inference;
mod policy_network;
mod random;

pub use inference::{BatchedInference, Inference, RowNetwork};
pub use policy_network::PolicyNetwork;
pub use random::RandomPolicy;
pub(crate) use random::sensible;
