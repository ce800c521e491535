//! Actors of agents that learn from a replay, the replay's thread and the learner's.

mod half;
mod learner;
mod phase;
mod replay;

pub(super) use half::{OffPolicyHalf, Segment};
use learner::LearnerThread;
pub(super) use phase::OffPolicyLanes;
use replay::Drawn;
use replay::ReplayThread;

/// Batches that are drawn before the learner asks for them.
pub(super) const PREFETCH: usize = 2;
