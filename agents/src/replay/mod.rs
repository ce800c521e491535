//! Replay: transitions kept for learning off-policy.
//!
//! `slab` holds rows that have several owners, `observations` keeps each part of an observation once,
//! `streams` adds up rewards over steps, `priorities` says what is worth drawing, `ring` holds the
//! transitions, `store` is the whole, `batch` what a learner gets.

mod batch;
mod config;
mod observations;
mod priorities;
mod ring;
mod slab;
mod store;
mod streams;

#[cfg(test)]
mod tests;

pub use batch::{Batch, Numbers, Transitions};
pub use config::ReplayConfig;
pub use store::{Replay, Step};
