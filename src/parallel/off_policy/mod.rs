//! Agents that learn from a replay, with actors: the acting half, the replay thread, the learner thread, and
//! the phase in which they run.

mod half;
mod learner;
mod phase;
mod replay;
mod segment;

pub(super) use phase::OffPolicyLanes;
pub(super) use segment::Segment;
