//! Actors of agents that learn from rollouts, and the learner's thread.

mod half;
mod learner;
mod phase;

pub(super) use half::{OnPolicyHalf, Recorded};
use learner::RolloutThread;
pub(super) use learner::{Inbox, learn_from};
pub(super) use phase::OnPolicyLanes;
