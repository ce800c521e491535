//! Processes that learn together.
//!
//! A training is cut into **shards**: each has its share of the environments, of the replay and of every batch, and
//! gradients are summed over all of them. A process works on one shard or on several, in threads; the sums are
//! made in one order, that of the shards, so that the numbers do not depend on how many processes there are.
//!
//! | module | holds |
//! |---|---|
//! | `place` | which process of how many this one is: torchrun's environment variables, or Slurm's |
//! | `store` | the keys and values by which processes find one another |
//! | `wire` | the connections between all processes |
//! | `order` | the order of a sum over shards |
//! | `hub` | the meeting of the shards of one process |
//! | `group` | a shard's handle: sums, broadcasts, gathers |
//! | `launch` | the processes of one machine, started and restarted together |
//!
//! Nothing here knows of libtorch.

mod error;
mod group;

pub use error::GroupError;
pub use group::Group;
