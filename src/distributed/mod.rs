//! A training in several shards: in threads of this process, and in other processes.
//!
//! Rank 0 has the session: it decides what is done next, tells the others, and writes the run. A shard is a job of
//! its own; shards meet in the gradient steps of their learners ([`Group`](pavlov_group::Group)).
//!
//! | file | holds |
//! |---|---|
//! | `member` | how a process finds its peers, and agrees with them on the configuration |
//! | `command` | what rank 0 tells the others, and what they answer |
//! | `shard` | one shard's answer to a command |
//! | `crew` | the shards of this process |
//! | `states` | the state of a training from those of its shards |
//! | `sharded` | all shards as one job, for rank 0's session |
//! | `follower` | the other processes |

mod command;
mod crew;
mod follower;
mod member;
mod shard;
mod sharded;
mod states;

pub(crate) use crew::{Crew, MakeShard};
pub(crate) use follower::follow;
pub(crate) use member::{Disagreement, Member, differing};
pub(crate) use sharded::Sharded;
