//! Replay: transitions kept for learning off-policy.

mod batch;
mod uniform;

#[cfg(test)]
mod tests;

pub use batch::{Batch, Transitions};
pub use uniform::UniformReplay;
