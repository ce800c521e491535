//! The replay thread of a phase: inserts segments and draws batches, in the ratio that the limiter holds.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crossbeam::channel::{Receiver, RecvTimeoutError, Select, Sender, TryRecvError};
use pavlov_agents::AgentError;
use pavlov_agents::off_policy::{Store, progress};
use pavlov_agents::replay::Batch;
use pavlov_runtime::RateLimiter;

use super::segment::Segment;
use crate::parallel::parcel::Parcel;
use crate::parallel::shared::{PATIENCE, Shared};

/// Batches that are drawn ahead of the learner.
pub(super) const PREFETCH: usize = 2;

/// A batch on its way to the learner and back.
pub(super) struct Drawn {
    pub batch: Batch,
    /// The number of minibatches in it.
    pub minibatches: usize,
    /// The env steps inserted before it was drawn.
    pub env_steps: u64,
    /// The learner's errors of the values, one for each sample: the replay's new priorities.
    pub errors: Vec<f32>,
}

impl Drawn {
    pub fn new(batch: Batch) -> Self {
        Self { batch, minibatches: 0, env_steps: 0, errors: Vec::new() }
    }
}

/// The replay and its channels to the actors and the learner.
pub(super) struct ReplayThread<'a> {
    pub store: &'a mut Store,
    pub limiter: &'a mut RateLimiter,
    pub shared: Arc<Shared>,
    pub full: Receiver<Parcel<Segment>>,
    pub spare: Sender<Segment>,
    /// Disconnected once no actor is left or waited for.
    pub actors_left: Receiver<()>,
    pub batches: Sender<Drawn>,
    /// Brings used batches back from the learner.
    pub spent: Receiver<Drawn>,
    /// Batches that are free to be drawn into.
    pub idle: Vec<Drawn>,
    /// Samples of a minibatch over all shards: the limiter counts those of others as this one's.
    pub samples_per_minibatch: u64,
    /// The largest number of minibatches in a batch.
    pub max_minibatches: usize,
    pub total_env_steps: u64,
}

impl ReplayThread<'_> {
    /// Inserts and draws until no actor is left; returns the batches that are free.
    pub fn run(mut self) -> (Vec<Drawn>, Result<(), AgentError>) {
        let shared = self.shared.clone();
        let outcome = shared.serve(&shared.replay, |started| self.serve(started));
        (self.idle, outcome)
    }

    fn serve(&mut self, started: &mut Instant) -> Result<(), AgentError> {
        let mut actors_left = true;
        loop {
            while let Ok(drawn) = self.spent.try_recv() {
                self.take_back(drawn);
            }
            self.draw()?;
            match self.full.try_recv() {
                Ok(parcel) => self.insert_when_due(parcel)?,
                Err(TryRecvError::Empty) if actors_left => actors_left = self.wait(),
                Err(_) => break,
            }
            self.shared.replay.lived(started);
        }
        // The updates that are due for the data so far, unless the phase was stopped.
        while !self.shared.is_stopped()
            && self.limiter.may_sample(self.samples_per_minibatch)
            && self.let_learn()?
        {}
        Ok(())
    }

    /// Draws the batches that are due and waits for one to come back; returns false if the learner has ended.
    fn let_learn(&mut self) -> Result<bool, AgentError> {
        self.draw()?;
        match self.shared.replay.waiting(|| self.spent.recv_timeout(PATIENCE)) {
            Ok(drawn) => self.take_back(drawn),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(false),
        }
        Ok(true)
    }

    /// Waits for a segment or a used batch; returns false once no actor is left.
    fn wait(&mut self) -> bool {
        let mut any = Select::new();
        any.recv(&self.full);
        any.recv(&self.spent);
        any.recv(&self.actors_left);
        let _ = self.shared.replay.waiting(|| any.ready_timeout(PATIENCE));
        self.actors_left.try_recv() != Err(TryRecvError::Disconnected)
    }

    /// Inserts the parcel once the limiter allows it, and lets the learner work until then. At the end of a
    /// phase it is inserted at once, so that nothing is lost: the next phase makes up for the updates that
    /// are owed.
    fn insert_when_due(&mut self, parcel: Parcel<Segment>) -> Result<(), AgentError> {
        while !self.limiter.may_insert() && !self.shared.is_ending() && self.let_learn()? {}
        self.insert(parcel);
        Ok(())
    }

    fn insert(&mut self, parcel: Parcel<Segment>) {
        let segment = parcel.content;
        (0..segment.steps()).for_each(|step| segment.insert(step, self.store));
        self.limiter.inserted(self.shared.group.of_all(segment.env_steps()));
        self.shared.samples_per_insert.set(self.limiter.ratio());
        self.shared.queue_depth.set(self.full.len() as f64);
        let now = self.shared.updates.load(Ordering::Relaxed);
        self.shared.policy_lag.add(now.saturating_sub(segment.updates()));
        // This fails if all actors have ended: they need no more segments.
        let _ = self.spare.send(segment);
    }

    /// Draws batches ahead of the learner, as far as the limiter allows.
    fn draw(&mut self) -> Result<(), AgentError> {
        while let Some(mut drawn) = self.idle.pop() {
            let due = (self.limiter.due() / self.samples_per_minibatch as f64).max(0.0) as usize;
            let minibatches = due.min(self.max_minibatches);
            let samples = minibatches as u64 * self.samples_per_minibatch;
            if minibatches == 0 || self.store.replay().is_empty() {
                self.idle.push(drawn);
                return Ok(());
            }
            let env_steps = self.limiter.inserts();
            let progress = progress(env_steps, self.total_env_steps);
            self.store.sample(minibatches, progress, &mut drawn.batch)?;
            (drawn.minibatches, drawn.env_steps) = (minibatches, env_steps);
            self.limiter.sampled(samples);
            self.shared.age.set(self.store.replay().age(&drawn.batch));
            if let Err(refused) = self.batches.send(drawn) {
                self.limiter.returned(samples);
                self.idle.push(refused.into_inner());
                return Ok(());
            }
        }
        Ok(())
    }

    fn take_back(&mut self, drawn: Drawn) {
        self.store.learned(&drawn.batch, &drawn.errors);
        self.idle.push(drawn);
    }
}
