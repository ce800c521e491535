//! The lanes of a training: those of an agent that learns from a replay, or those of one that learns from
//! rollouts.

use anyhow::{Result, bail};
use pavlov_agents::{Agent, Halves};
use pavlov_envs::EnvError;
use pavlov_nn::{StateDict, StateView};

use super::lane::Lane;
use super::off_policy::OffPolicyLanes;
use super::on_policy::OnPolicyLanes;
use super::plan::Plan;

/// The lanes of one kind of agent.
pub(super) enum Lanes {
    OffPolicy(OffPolicyLanes),
    OnPolicy(OnPolicyLanes),
}

impl Lanes {
    /// The lanes of a new training; `None` if the agent can only act and learn in turns.
    pub fn new(agent: &mut dyn Agent, plan: &Plan) -> Result<Option<Self>> {
        Ok(match agent.halves() {
            None => None,
            Some(Halves::OffPolicy(halves)) => Some(Self::OffPolicy(OffPolicyLanes::new(&halves, plan)?)),
            Some(Halves::OnPolicy(learner)) => Some(Self::OnPolicy(OnPolicyLanes::new(learner, plan)?)),
        })
    }

    /// Gives all lanes the statistics that they gather together.
    pub fn follow_pool(&mut self) -> Result<(), EnvError> {
        match self {
            Self::OffPolicy(lanes) => lanes.lanes.iter_mut().flatten().try_for_each(Lane::follow_pool),
            Self::OnPolicy(lanes) => lanes.lanes.iter_mut().flatten().try_for_each(Lane::follow_pool),
        }
    }

    /// Adds the lanes to the state to be saved.
    pub fn put_state<'a>(&'a self, state: &mut StateDict<'a>) -> Result<()> {
        match self {
            Self::OffPolicy(lanes) => lanes.put_state(state),
            Self::OnPolicy(lanes) => lanes.put_state(state),
        }
    }

    /// Continues from saved lanes, after `env_steps`. Returns true if exactly; false if environments cannot
    /// be saved and begin anew.
    pub fn load_state(
        &mut self,
        agent: &mut dyn Agent,
        state: &StateView<'_>,
        plan: &Plan,
        env_steps: u64,
    ) -> Result<bool> {
        match (self, agent.halves()) {
            (Self::OffPolicy(lanes), _) => lanes.load_state(state, plan, env_steps),
            (Self::OnPolicy(lanes), Some(Halves::OnPolicy(learner))) => {
                lanes.load_state(learner, state, plan)
            }
            _ => bail!(WRONG_KIND),
        }
    }
}

/// The error when lanes and agent are of different kinds.
pub(super) const WRONG_KIND: &str = "the lanes are those of another kind of agent";
