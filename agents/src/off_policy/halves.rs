//! The halves of an agent that learns from a replay.

use super::{Explorer, OffPolicyLearner, OffPolicySetup, Pace, Store};

/// The halves of such an agent, for threads of their own.
pub struct OffPolicyHalves<'a> {
    /// The half that makes a better policy of a batch.
    pub learner: &'a mut dyn OffPolicyLearner,
    /// The acting half of the plain loop: others act as its twins.
    pub explorer: &'a dyn Explorer,
    /// The replay.
    pub store: &'a mut Store,
    /// When an update is due.
    pub pace: &'a mut Pace,
    /// The settings that the agent was put together by.
    pub setup: &'a OffPolicySetup,
}
