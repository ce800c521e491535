//! Actors and a learner: threads that step environments while others learn. The design is `docs/actors-and-learner.md`.
//!
//! A **lane** is one acting half of an agent with its environments. An **actor** is a thread that runs lanes. A **phase**
//! starts threads that borrow the agent's parts and own lanes, and ends when all have come back: between two phases
//! nothing runs.

mod actor;
mod crew;
mod driver;
mod inference;
mod lane;
mod lockstep;
mod off_policy;
mod on_policy;
mod pool;
mod shared;

pub use driver::{Driver, Listener, PhaseEnd};
