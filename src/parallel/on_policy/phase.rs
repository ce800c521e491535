//! The lanes of an agent that learns from rollouts, and a phase of free-running actors and learner.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use anyhow::{Result, bail};
use crossbeam::channel::unbounded;
use pavlov_agents::on_policy::RolloutLearner;
use pavlov_nn::{StateDict, StateView};
use pavlov_runtime::Slot;

use super::half::{OnPolicyHalf, Recorded};
use super::learner::{Inbox, LearnerThread};
use crate::parallel::crew::{Crew, join, spawn, watch};
use crate::parallel::failures::Failures;
use crate::parallel::lane::{Lane, load_lanes, put_lanes};
use crate::parallel::listener::{Listener, PhaseEnd};
use crate::parallel::plan::Plan;
use crate::parallel::shared::Shared;
use crate::parallel::weights::PublishedWeights;

/// The lanes of an agent that learns from rollouts, with the rollouts that outlive a phase.
pub(in crate::parallel) struct OnPolicyLanes {
    pub lanes: Vec<Option<Lane<OnPolicyHalf>>>,
    pub inbox: Inbox,
    /// Empty rollouts.
    pub spare: Vec<Recorded>,
    /// The number of update phases so far.
    pub update_phases: u64,
}

impl OnPolicyLanes {
    pub fn new(learner: &dyn RolloutLearner, plan: &Plan) -> Result<Self> {
        Ok(Self {
            lanes: (0..plan.num_lanes())
                .map(|index| lane(learner, plan, index).map(Some))
                .collect::<Result<_>>()?,
            inbox: (0..plan.num_lanes()).map(|_| VecDeque::new()).collect(),
            spare: Vec::new(),
            update_phases: 0,
        })
    }

    /// Makes the lanes and rollouts that are missing: before the first phase, and after one whose
    /// environments did not answer.
    pub fn complete(&mut self, learner: &dyn RolloutLearner, plan: &Plan) -> Result<()> {
        for index in 0..self.lanes.len() {
            if self.lanes[index].is_none() {
                let mut new = lane(learner, plan, index)?;
                new.handed_over = self.update_phases + self.inbox[index].len() as u64;
                self.lanes[index] = Some(new);
            }
        }
        // Each lane fills one rollout, and may be ahead of the learner by the greatest lag and one more.
        let wanted = self.lanes.len() * (plan.actors.max_policy_lag as usize + 2);
        let held = self.lanes.iter().flatten().filter(|lane| lane.half.recorded.is_some()).count();
        let there = held + self.inbox.iter().map(VecDeque::len).sum::<usize>() + self.spare.len();
        for _ in there..wanted {
            self.spare.push(recorded(learner, plan)?);
        }
        Ok(())
    }

    /// Trains from `env_steps.start` to `env_steps.end`, or until `stop` is set or environments have failed
    /// too often.
    pub fn phase(
        &mut self,
        learner: &mut dyn RolloutLearner,
        plan: &Plan,
        failures: &mut Failures,
        env_steps: Range<u64>,
        stop: &AtomicBool,
        listener: &mut dyn Listener,
    ) -> Result<PhaseEnd> {
        self.complete(learner, plan)?;
        let Self { lanes, inbox, spare: kept, update_phases } = self;
        let first = PublishedWeights::of(learner.acting(), learner.updates())?;
        let (slot, mut publisher) = Slot::new(first, *update_phases);
        for lane in lanes.iter_mut().flatten() {
            lane.follow(*update_phases, &slot.latest().value)?;
        }
        let (sender, events) = unbounded();
        let shared = Arc::new(Shared::new(&plan.group, env_steps.start, env_steps.end, slot, sender));
        let max_lag = Some(plan.actors.max_policy_lag);
        let network = || Ok(learner.acting_half(1)?.0.network());
        let (crew, ends) = Crew::start(lanes, kept, plan, &shared, max_lag, network, learner.acting())?;
        let learning = LearnerThread {
            learner,
            publisher: &mut publisher,
            inbox,
            envs_per_lane: plan.envs_per_lane,
            shared: shared.clone(),
            full: ends.full,
            spare: ends.spare,
            actors_left: ends.actors_left,
            log_every_env_steps: plan.log_every_env_steps,
            has_ended: false,
        };
        let (waited, inferred, learned) = thread::scope(|scope| -> Result<_> {
            let inference = ends.inference.map(|thread| spawn(scope, "inference", || thread.run()));
            let inference = inference.transpose()?;
            let learner = spawn(scope, "learner", move || learning.run())?;
            let waited = crew.wait(lanes, &events, stop, listener, failures);
            watch(&shared, &events, stop, listener, || !learner.is_finished());
            Ok((waited, inference.map_or(Ok(Ok(())), join)?, join(learner)?))
        })?;
        learned.and(inferred)?;
        let failure = waited?;
        kept.extend(ends.spares.try_iter());
        *update_phases = shared.weights.version();
        Ok(PhaseEnd { env_steps: plan.agree(shared.claimed())?, failure })
    }

    /// Adds the lanes and the rollouts that wait to the state to be saved.
    pub fn put_state<'a>(&'a self, state: &mut StateDict<'a>) -> Result<()> {
        put_lanes(state, &self.lanes)?;
        state.put_value("actors.update_phases", &self.update_phases)?;
        for (index, waiting) in self.inbox.iter().enumerate() {
            state.put_value(&format!("inbox.{index}"), &waiting.len())?;
            for (number, recorded) in waiting.iter().enumerate() {
                let name = format!("inbox.{index}.{number}");
                state.nest(&name, recorded.rollout.state()?);
                state.put_value(&format!("{name}.version"), &recorded.updates)?;
            }
        }
        Ok(())
    }

    /// Continues from a saved state. Returns true if exactly, as [`load_lanes`] does.
    pub fn load_state(
        &mut self,
        learner: &dyn RolloutLearner,
        state: &StateView<'_>,
        plan: &Plan,
    ) -> Result<bool> {
        self.update_phases = state.value("actors.update_phases")?;
        let exact = load_lanes(state, &mut self.lanes, plan)?;
        for index in 0..self.inbox.len() {
            let waiting: usize = state.value(&format!("inbox.{index}"))?;
            for number in 0..waiting {
                self.complete(learner, plan)?;
                let Some(mut recorded) = self.spare.pop() else { bail!("no room for a saved rollout") };
                let name = format!("inbox.{index}.{number}");
                recorded.rollout.load_state(&state.part(&name))?;
                recorded.updates = state.value(&format!("{name}.version"))?;
                self.inbox[index].push_back(recorded);
            }
        }
        Ok(exact)
    }
}

/// An empty rollout.
fn recorded(learner: &dyn RolloutLearner, plan: &Plan) -> Result<Recorded> {
    Ok(Recorded { rollout: learner.acting_half(plan.envs_per_lane)?.1, updates: 0 })
}

/// A lane whose episodes have begun.
fn lane(learner: &dyn RolloutLearner, plan: &Plan, index: usize) -> Result<Lane<OnPolicyHalf>> {
    let (actor, rollout) = learner.acting_half(plan.envs_per_lane)?;
    let half = OnPolicyHalf { actor, recorded: Some(Recorded { rollout, updates: 0 }) };
    Lane::new(half, plan.acting_weights(learner.acting())?, plan, index)
}
