//! Agents that learn from rollouts, with actors: the acting half, the learner thread, and the phase in which
//! they run.

mod half;
mod learner;
mod phase;

pub(super) use learner::learn_from;
pub(super) use phase::OnPolicyLanes;
