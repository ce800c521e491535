//! The replay's thread.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crossbeam::channel::{Receiver, RecvTimeoutError, Select, Sender, TryRecvError};
use pavlov_agents::AgentError;
use pavlov_agents::off_policy::{Store, progress};
use pavlov_agents::replay::Batch;
use pavlov_runtime::RateLimiter;

use super::Segment;
use crate::parallel::actor::Parcel;
use crate::parallel::shared::{PATIENCE, Shared};

/// A batch on its way to the learner and back.
pub(in crate::parallel) struct Drawn {
    pub batch: Batch,
    /// How many minibatches it holds.
    pub minibatches: usize,
    /// The env steps that had come in, and the share of training that they are.
    pub env_steps: u64,
    pub progress: f64,
    /// How wrong the learner found the values to be.
    pub errors: Vec<f32>,
}

impl Drawn {
    pub fn new(batch: Batch) -> Self {
        Self { batch, minibatches: 0, env_steps: 0, progress: 0.0, errors: Vec::new() }
    }
}

/// The replay's thread: takes segments in, gives batches out, in the ratio that the limiter holds.
pub(in crate::parallel) struct ReplayThread<'a> {
    pub store: &'a mut Store,
    pub limiter: &'a mut RateLimiter,
    pub shared: Arc<Shared>,
    pub full: Receiver<Parcel<Segment>>,
    pub spare: Sender<Segment>,
    /// Closed when no actor is left, or will be waited for.
    pub actors_left: Receiver<()>,
    pub batches: Sender<Drawn>,
    pub spent: Receiver<Drawn>,
    /// Batches that nobody uses at the moment.
    pub idle: Vec<Drawn>,
    pub samples_per_minibatch: u64,
    pub most_minibatches: usize,
    pub total_env_steps: u64,
}

impl ReplayThread<'_> {
    /// Serves until no actor is left; gives back the batches that nobody uses.
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
        // The updates that the data is worth, unless somebody is in a hurry.
        while !self.shared.is_stopped()
            && self.limiter.may_sample(self.samples_per_minibatch)
            && self.let_learn()?
        {}
        Ok(())
    }

    /// Draws what is due and waits for a batch to come back; false if there is no learner any more.
    fn let_learn(&mut self) -> Result<bool, AgentError> {
        self.draw()?;
        match self.shared.replay.waiting(|| self.spent.recv_timeout(PATIENCE)) {
            Ok(drawn) => self.take_back(drawn),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(false),
        }
        Ok(true)
    }

    /// Waits for something to do; false once no actor is left.
    fn wait(&mut self) -> bool {
        let mut any = Select::new();
        any.recv(&self.full);
        any.recv(&self.spent);
        any.recv(&self.actors_left);
        let _ = self.shared.replay.waiting(|| any.ready_timeout(PATIENCE));
        self.actors_left.try_recv() != Err(TryRecvError::Disconnected)
    }

    /// Lets batches be learned from until the limiter lets this parcel in. At the end of a phase nothing may be lost: what
    /// is owed to the limiter then is made up for later.
    fn insert_when_due(&mut self, parcel: Parcel<Segment>) -> Result<(), AgentError> {
        while !self.limiter.may_insert() && !self.shared.is_ending() && self.let_learn()? {}
        self.insert(parcel);
        Ok(())
    }

    fn insert(&mut self, parcel: Parcel<Segment>) {
        let segment = parcel.content;
        (0..segment.steps()).for_each(|step| segment.insert(step, self.store));
        self.limiter.inserted(segment.rows() as u64);
        self.shared.ratio.set(self.limiter.ratio());
        self.shared.queue.set(self.full.len() as f64);
        let now = self.shared.updates.load(Ordering::Relaxed);
        self.shared.lag.add(now.saturating_sub(segment.updates()));
        // An actor that has ended needs none any more.
        let _ = self.spare.send(segment);
    }

    /// Draws batches ahead, as far as the limiter allows.
    fn draw(&mut self) -> Result<(), AgentError> {
        while let Some(mut drawn) = self.idle.pop() {
            let due = (self.limiter.due() / self.samples_per_minibatch as f64).max(0.0) as usize;
            let minibatches = due.min(self.most_minibatches);
            let samples = minibatches as u64 * self.samples_per_minibatch;
            if minibatches == 0 || self.store.replay().is_empty() {
                self.idle.push(drawn);
                return Ok(());
            }
            let env_steps = self.limiter.inserts();
            drawn.progress = progress(env_steps, self.total_env_steps);
            self.store.sample(minibatches, drawn.progress, &mut drawn.batch)?;
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
