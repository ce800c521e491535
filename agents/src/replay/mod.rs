//! Replay: transitions kept for learning off-policy.

mod batch;
mod uniform;

#[cfg(test)]
mod tests;

pub use batch::{Batch, Numbers, Transitions};
pub use uniform::UniformReplay;
