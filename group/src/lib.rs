//! Processes that learn together.
//!
//! A training is cut into **shards**: each has its share of the environments, of the replay and of every
//! batch, and gradients are summed over all of them. A process works on one shard or on several, in threads;
//! the sums are made in one order, that of the shards, so that the numbers do not depend on how many
//! processes there are.
//!
//! | module | holds |
//! |---|---|
//! | `place` | which process of how many this one is: torchrun's environment variables, or Slurm's |
//! | `store` | the keys and values by which processes find one another |
//! | `wire` | the connections between all processes |
//! | `order` | the order of a sum over shards |
//! | `sum` | sums over processes |
//! | `hub` | the meeting of the shards of one process |
//! | `group` | a shard's handle: sums and gathers |
//! | `launch` | the processes of one machine, started and restarted together |
//!
//! Nothing here knows of libtorch.

mod error;
mod group;
mod hub;
mod launch;
mod order;
mod place;
mod store;
mod sum;
mod wire;

pub use error::{GroupError, TIMEOUT};
pub use group::Group;
pub use launch::{LAUNCHER, Launch, LaunchEnd, NOT_AGAIN, SignalInbox, end_with_parent};
pub use place::{ADDRESS, Origin, Place};
pub use store::{MemoryStore, Store};
pub use wire::{Wire, WireOptions};
