//! The lanes of an agent that learns from a replay, and a phase of free-running actors, replay and learner.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use anyhow::Result;
use crossbeam::channel::{bounded, unbounded};
use pavlov_agents::off_policy::OffPolicyHalves;
use pavlov_nn::{StateDict, StateView};
use pavlov_runtime::{RateLimiter, Slot};

use super::half::OffPolicyHalf;
use super::learner::LearnerThread;
use super::replay::{Drawn, PREFETCH, ReplayThread};
use super::segment::Segment;
use crate::parallel::crew::{Crew, join, spawn, watch};
use crate::parallel::failures::Failures;
use crate::parallel::lane::{Lane, load_lanes, put_lanes};
use crate::parallel::listener::{Listener, PhaseEnd};
use crate::parallel::plan::Plan;
use crate::parallel::shared::Shared;
use crate::parallel::weights::PublishedWeights;

/// The lanes of an agent that learns from a replay, with the segments, batches and limiter that outlive a
/// phase.
pub(in crate::parallel) struct OffPolicyLanes {
    pub lanes: Vec<Option<Lane<OffPolicyHalf>>>,
    pub segments: Vec<Segment>,
    batches: Vec<Drawn>,
    limiter: RateLimiter,
}

impl OffPolicyLanes {
    pub fn new(halves: &OffPolicyHalves<'_>, plan: &Plan) -> Result<Self> {
        // The limiter counts for all shards, of which the setup is one's.
        let ratio = halves.setup.samples_per_insert() * plan.group.shards() as f64;
        let samples = plan.group.of_all(halves.learner.updates_at_once() * halves.setup.batch_size);
        let one_batch = samples as f64 / ratio;
        let tolerance = (plan.actors.tolerance_env_steps as f64).max(one_batch);
        Ok(Self {
            lanes: (0..plan.num_lanes())
                .map(|index| lane(halves, plan, index).map(Some))
                .collect::<Result<_>>()?,
            segments: Vec::new(),
            batches: Vec::new(),
            limiter: RateLimiter::new(ratio, halves.setup.warmup_env_steps, tolerance),
        })
    }

    /// Makes the lanes, segments and batches that are missing: before the first phase, and after one whose
    /// environments did not answer.
    fn complete(&mut self, halves: &OffPolicyHalves<'_>, plan: &Plan) -> Result<()> {
        for index in 0..self.lanes.len() {
            if self.lanes[index].is_none() {
                self.lanes[index] = Some(lane(halves, plan, index)?);
            }
        }
        while self.segments.len() < self.lanes.len() + plan.actors.queue_segments {
            self.segments.push(Segment::new(plan.actors.segment_steps, plan)?);
        }
        while self.batches.len() < PREFETCH + 1 {
            self.batches.push(Drawn::new(halves.store.room(halves.learner.updates_at_once())?));
        }
        Ok(())
    }

    /// Trains until `until` env steps are done, `stop` is set, or environments have failed too often.
    pub fn phase(
        &mut self,
        halves: OffPolicyHalves<'_>,
        plan: &Plan,
        failures: &mut Failures,
        until: u64,
        stop: &AtomicBool,
        listener: &mut dyn Listener,
    ) -> Result<PhaseEnd> {
        self.complete(&halves, plan)?;
        let OffPolicyHalves { learner, explorer, store, pace, setup } = halves;
        let Self { lanes, segments, batches: idle, limiter } = self;
        let (before, updates) = (limiter.inserts(), learner.updates());
        let samples_per_minibatch = plan.group.of_all(setup.batch_size);
        // Versions count from 1 in each phase, so that every lane takes over the first one.
        let (slot, mut publisher) = Slot::new(PublishedWeights::of(learner.acting(), updates)?, 1);
        lanes.iter_mut().flatten().for_each(|lane| lane.version = 0);
        let (sender, events) = unbounded();
        let shared = Arc::new(Shared::new(&plan.group, before, until, slot, sender));
        let network = || Ok(explorer.network());
        let (crew, ends) = Crew::start(lanes, segments, plan, &shared, None, network, learner.acting())?;
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
            samples_per_minibatch,
            // Shards make their updates together, and must draw as many each time.
            max_minibatches: if plan.group.is_alone() { learner.updates_at_once() } else { 1 },
            total_env_steps: plan.total_env_steps,
        };
        let learning = LearnerThread {
            learner: &mut *learner,
            publisher: &mut publisher,
            shared: shared.clone(),
            batches: drawn,
            spent,
            publish_every_updates: plan.actors.publish_every_updates,
            log_every_env_steps: plan.log_every_env_steps,
            env_steps: pace.env_steps(),
            total_env_steps: plan.total_env_steps,
            refused: 0,
        };
        let (waited, inferred, (kept, replayed), learned) = thread::scope(|scope| -> Result<_> {
            let inference = ends.inference.map(|thread| spawn(scope, "inference", || thread.run()));
            let inference = inference.transpose()?;
            let replay = spawn(scope, "replay", move || replay.run())?;
            let learner = spawn(scope, "learner", move || learning.run())?;
            let waited = crew.wait(lanes, &events, stop, listener, failures);
            let busy = || !(replay.is_finished() && learner.is_finished());
            watch(&shared, &events, stop, listener, busy);
            Ok((waited, inference.map_or(Ok(Ok(())), join)?, join(replay)?, join(learner)?))
        })?;
        learned.outcome.and(replayed).and(inferred)?;
        let failure = waited?;
        *idle = kept;
        segments.extend(ends.spares.try_iter());
        limiter.returned(learned.unused_minibatches * samples_per_minibatch);
        let inserted = plan.agree(limiter.inserts())?.max(learned.env_steps);
        learner.advance(learned.env_steps, inserted)?;
        pace.observe(inserted - pace.env_steps());
        pace.observed();
        let lost = shared.claimed().saturating_sub(limiter.inserts());
        if lost > 0 {
            listener.warn(&format!("{lost} env steps of environments that did not answer are lost"));
        }
        Ok(PhaseEnd { env_steps: inserted, failure })
    }

    /// Adds the lanes and the samples that are due to the state to be saved.
    pub fn put_state<'a>(&'a self, state: &mut StateDict<'a>) -> Result<()> {
        put_lanes(state, &self.lanes)?;
        state.put_value("actors.due", &self.limiter.due())?;
        Ok(())
    }

    /// Continues from a saved state, after `env_steps`. Returns true if exactly, as [`load_lanes`] does.
    pub fn load_state(&mut self, state: &StateView<'_>, plan: &Plan, env_steps: u64) -> Result<bool> {
        self.limiter = self.limiter.after(env_steps, state.value("actors.due")?);
        load_lanes(state, &mut self.lanes, plan)
    }
}

/// A lane whose episodes have begun.
fn lane(halves: &OffPolicyHalves<'_>, plan: &Plan, index: usize) -> Result<Lane<OffPolicyHalf>> {
    // The replay is this shard's own, and exploration goes by the environment's number among all.
    let explorer = halves.explorer.twin(plan.first_env(index), plan.num_envs)?;
    let half = OffPolicyHalf::new(explorer, index * plan.envs_per_lane);
    Lane::new(half, plan.acting_weights(halves.learner.acting())?, plan, index)
}
