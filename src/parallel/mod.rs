//! Training with actors: threads that step environments while the agent learns. The design is
//! `docs/actors-and-learner.md`.
//!
//! A **lane** is one acting half of an agent with its environments. An **actor** is a thread that runs a
//! lane, or in lock step a share of the lanes. A **phase** starts threads that borrow the agent's parts and
//! own the lanes, and ends when all threads have ended: between two phases no thread runs.
//!
//! Imports run one way: `shared`, `plan` and `parcel` <- `lane` <- `actor` <- `crew` <- `off_policy`,
//! `on_policy` <- `lanes` <- `lockstep` <- `driver`.

mod actor;
mod crew;
mod driver;
mod failures;
mod inference;
mod lane;
mod lanes;
mod listener;
mod lockstep;
mod off_policy;
mod on_policy;
mod parcel;
mod plan;
mod pool;
mod shared;
mod weights;

pub use driver::Driver;
pub use listener::{Episode, Listener};
pub(crate) use pool::Pool;
