//! A phase of free-running actors and a learner.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use anyhow::Result;
use crossbeam::channel::unbounded;
use pavlov_agents::on_policy::RolloutLearner;
use pavlov_runtime::Slot;

use super::{Inbox, OnPolicyHalf, Recorded, RolloutThread};
use crate::parallel::crew::{Crew, join, spawn, watch};
use crate::parallel::driver::Plan;
use crate::parallel::lane::Lane;
use crate::parallel::shared::{Shared, Weights};
use crate::parallel::{Listener, PhaseEnd};

/// The lanes of an agent that learns from rollouts, and what waits between acting and learning.
pub(in crate::parallel) struct OnPolicyLanes {
    pub lanes: Vec<Option<Lane<OnPolicyHalf>>>,
    pub inbox: Inbox,
    pub spare: Vec<Recorded>,
    /// How many trainings there were.
    pub trainings: u64,
}

impl OnPolicyLanes {
    pub fn new(learner: &dyn RolloutLearner, plan: &Plan) -> Result<Self> {
        Ok(Self {
            lanes: (0..plan.lanes())
                .map(|index| lane(learner, plan, index).map(Some))
                .collect::<Result<_>>()?,
            inbox: (0..plan.lanes()).map(|_| VecDeque::new()).collect(),
            spare: Vec::new(),
            trainings: 0,
        })
    }

    /// Makes what was lost with environments that did not answer, or is not there yet.
    pub fn complete(&mut self, learner: &dyn RolloutLearner, plan: &Plan) -> Result<()> {
        for index in 0..self.lanes.len() {
            if self.lanes[index].is_none() {
                let mut new = lane(learner, plan, index)?;
                new.handed_over = self.trainings + self.inbox[index].len() as u64;
                self.lanes[index] = Some(new);
            }
        }
        // Each lane has one in hand, and may be ahead of the learner by as many as the lag and one more.
        let wanted = self.lanes.len() * (plan.actors.max_policy_lag as usize + 2);
        let held = self.lanes.iter().flatten().filter(|lane| lane.half.recorded.is_some()).count();
        let there = held + self.inbox.iter().map(VecDeque::len).sum::<usize>() + self.spare.len();
        for _ in there..wanted {
            self.spare.push(recorded(learner, plan)?);
        }
        Ok(())
    }

    /// Trains until `until` env steps are done or somebody stops it.
    pub fn phase(
        &mut self,
        learner: &mut dyn RolloutLearner,
        (plan, failures): (&Plan, &mut u64),
        (env_steps, until): (u64, u64),
        (stop, listener): (&AtomicBool, &mut dyn Listener),
    ) -> Result<PhaseEnd> {
        self.complete(learner, plan)?;
        let Self { lanes, inbox, spare: kept, trainings } = self;
        let updates = learner.updates();
        let (events, news) = unbounded();
        let shared = Arc::new(Shared::new(env_steps, until, updates, events));
        let mut first = Weights { values: Vec::new(), updates };
        learner.acting().read_values(&mut first.values)?;
        let (slot, mut publisher) = Slot::new(first, *trainings);
        for lane in lanes.iter_mut().flatten() {
            lane.follow(*trainings, &slot.latest().value)?;
        }
        let max_lag = Some(plan.actors.max_policy_lag);
        let acting = (|| Ok(learner.acting_half(1)?.0.network()), learner.acting());
        let (crew, ends) = Crew::start(lanes, kept, (plan, failures), (&shared, &slot), max_lag, acting)?;
        let learning = RolloutThread {
            learner,
            publisher: &mut publisher,
            inbox,
            envs_per_lane: plan.envs_per_lane,
            shared: shared.clone(),
            full: ends.full,
            spare: ends.spare,
            actors_left: ends.actors_left,
            log_every: plan.log_every,
        };
        let (waited, inferred, learned) = thread::scope(|scope| -> Result<_> {
            let inference = ends.inference.map(|thread| spawn(scope, "inference", || thread.run()));
            let inference = inference.transpose()?;
            let learner = spawn(scope, "learner", move || learning.run())?;
            let waited = crew.wait(lanes, &news, stop, listener);
            watch(&shared, &news, stop, listener, || !learner.is_finished());
            Ok((waited, inference.map_or(Ok(Ok(())), join)?, join(learner)?))
        })?;
        learned.and(inferred)?;
        let failure = waited?;
        kept.extend(ends.spares.try_iter());
        *trainings = slot.version();
        Ok(PhaseEnd { env_steps: shared.claimed(), failure })
    }
}

fn recorded(learner: &dyn RolloutLearner, plan: &Plan) -> Result<Recorded> {
    Ok(Recorded { rollout: learner.acting_half(plan.envs_per_lane)?.1, updates: 0 })
}

/// A lane whose episodes have begun.
fn lane(learner: &dyn RolloutLearner, plan: &Plan, index: usize) -> Result<Lane<OnPolicyHalf>> {
    let (actor, rollout) = learner.acting_half(plan.envs_per_lane)?;
    let half = OnPolicyHalf { actor, recorded: Some(Recorded { rollout, updates: 0 }) };
    let weights = plan.acting_weights(learner.acting())?;
    let place = (index * plan.envs_per_lane, plan.seed);
    Lane::new(half, weights, (&plan.factory, plan.envs_per_lane, &plan.pool), place)
}
