//! A phase of free-running actors, a replay and a learner.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use anyhow::Result;
use crossbeam::channel::{bounded, unbounded};
use pavlov_agents::off_policy::OffPolicyHalves;
use pavlov_runtime::{RateLimiter, Slot};

use super::{Drawn, LearnerThread, OffPolicyHalf, PREFETCH, ReplayThread, Segment};
use crate::parallel::crew::{Crew, join, spawn, watch};
use crate::parallel::driver::Plan;
use crate::parallel::lane::Lane;
use crate::parallel::shared::{Shared, Weights};
use crate::parallel::{Listener, PhaseEnd};

/// The lanes of an agent that learns from a replay, and what waits between acting and learning.
pub(in crate::parallel) struct OffPolicyLanes {
    pub lanes: Vec<Option<Lane<OffPolicyHalf>>>,
    pub segments: Vec<Segment>,
    batches: Vec<Drawn>,
    pub limiter: RateLimiter,
}

impl OffPolicyLanes {
    pub fn new(halves: &OffPolicyHalves<'_>, plan: &Plan) -> Result<Self> {
        let ratio = halves.setup.samples_per_insert();
        let one_batch = (halves.learner.updates_at_once() * halves.setup.batch_size) as f64 / ratio;
        let tolerance = (plan.actors.tolerance_env_steps as f64).max(one_batch);
        Ok(Self {
            lanes: (0..plan.lanes())
                .map(|index| lane(halves, plan, index).map(Some))
                .collect::<Result<_>>()?,
            segments: Vec::new(),
            batches: Vec::new(),
            limiter: RateLimiter::new(ratio, halves.setup.warmup_env_steps, tolerance),
        })
    }

    /// Makes what was lost with environments that did not answer, or is not there yet.
    fn complete(&mut self, halves: &OffPolicyHalves<'_>, plan: &Plan) -> Result<()> {
        for index in 0..self.lanes.len() {
            if self.lanes[index].is_none() {
                self.lanes[index] = Some(lane(halves, plan, index)?);
            }
        }
        while self.segments.len() < self.lanes.len() + plan.actors.queue_segments {
            self.segments.push(plan.segment(plan.actors.segment_steps)?);
        }
        while self.batches.len() < PREFETCH + 1 {
            self.batches.push(Drawn::new(halves.store.room(halves.learner.updates_at_once())?));
        }
        Ok(())
    }

    /// Trains until `until` env steps are done or somebody stops it.
    pub fn phase(
        &mut self,
        halves: OffPolicyHalves<'_>,
        (plan, failures): (&Plan, &mut u64),
        until: u64,
        (stop, listener): (&AtomicBool, &mut dyn Listener),
    ) -> Result<PhaseEnd> {
        self.complete(&halves, plan)?;
        let OffPolicyHalves { learner, explorer, store, pace, setup } = halves;
        let Self { lanes, segments, batches: idle, limiter } = self;
        let (before, updates) = (limiter.inserts(), learner.updates());
        let (events, news) = unbounded();
        let shared = Arc::new(Shared::new(before, until, updates, events));
        let mut first = Weights { values: Vec::new(), updates };
        learner.acting().read_values(&mut first.values)?;
        // Versions count from 1 in each phase, so that every lane takes over the first one.
        let (slot, mut publisher) = Slot::new(first, 1);
        lanes.iter_mut().flatten().for_each(|lane| lane.version = 0);
        let acting = (|| Ok(explorer.network()), learner.acting());
        let (crew, ends) = Crew::start(lanes, segments, (plan, failures), (&shared, &slot), None, acting)?;
        let (batches, drawn) = bounded(PREFETCH + 1);
        let (spent, used) = bounded(PREFETCH + 1);
        let replay = ReplayThread {
            store,
            limiter,
            shared: shared.clone(),
            full: ends.full,
            spare: ends.spare,
            actors_left: ends.actors_left,
            batches,
            spent: used,
            idle: std::mem::take(idle),
            samples_per_minibatch: setup.batch_size as u64,
            most_minibatches: learner.updates_at_once(),
            total_env_steps: plan.total_env_steps,
        };
        let learning = LearnerThread {
            learner: &mut *learner,
            publisher: &mut publisher,
            shared: shared.clone(),
            batches: drawn,
            spent,
            publish_every: plan.actors.publish_every_updates,
            log_every: plan.log_every,
            env_steps: before,
        };
        let (waited, inferred, (kept, replayed), (known, vain, learned)) =
            thread::scope(|scope| -> Result<_> {
                let inference = ends.inference.map(|thread| spawn(scope, "inference", || thread.run()));
                let inference = inference.transpose()?;
                let replay = spawn(scope, "replay", move || replay.run())?;
                let learner = spawn(scope, "learner", move || learning.run())?;
                let waited = crew.wait(lanes, &news, stop, listener);
                let busy = || !(replay.is_finished() && learner.is_finished());
                watch(&shared, &news, stop, listener, busy);
                Ok((waited, inference.map_or(Ok(Ok(())), join)?, join(replay)?, join(learner)?))
            })?;
        learned.and(replayed).and(inferred)?;
        let failure = waited?;
        *idle = kept;
        segments.extend(ends.spares.try_iter());
        limiter.returned(vain * setup.batch_size as u64);
        let inserted = limiter.inserts();
        learner.advance(known, inserted)?;
        pace.observe((inserted - before) as usize);
        pace.observed();
        let lost = shared.claimed().saturating_sub(inserted);
        if lost > 0 {
            listener.warn(&format!("{lost} env steps of environments that did not answer are lost"));
        }
        Ok(PhaseEnd { env_steps: inserted, failure })
    }
}

/// A lane whose episodes have begun.
fn lane(halves: &OffPolicyHalves<'_>, plan: &Plan, index: usize) -> Result<Lane<OffPolicyHalf>> {
    let first_env = index * plan.envs_per_lane;
    let half = OffPolicyHalf::new(halves.explorer.twin(first_env, plan.num_envs)?, first_env);
    let weights = plan.acting_weights(halves.learner.acting())?;
    Lane::new(half, weights, (&plan.factory, plan.envs_per_lane, &plan.pool), (first_env, plan.seed))
}
