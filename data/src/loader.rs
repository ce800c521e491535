//! Batches, made by threads of their own, in an order that the seed decides.

mod config;
mod order;
mod pass;
#[cfg(test)]
mod tests;
mod worker;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

use crossbeam::channel::{Receiver, Sender, bounded};
use serde::{Deserialize, Serialize};

pub use config::LoaderConfig;
pub use pass::Pass;

use crate::{Batch, DataError, Dataset, Input, Pipeline, Target};
use order::Order;
use worker::{Done, Job, Worker};

/// The place of a [`Loader`]: the batch that comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// The epoch, from 0.
    pub epoch: u64,
    /// The batch within the epoch, from 0.
    pub batch: u64,
}

/// Batches without end, epoch after epoch.
///
/// The order of an epoch depends on the seed and the epoch's number; the augmentation of a sample on the
/// seed, the epoch and the sample's place in it. So the batches are the same, bit for bit, with any number of
/// threads, and [`Loader::seek`] continues a training where [`Loader::position`] was.
///
/// Threads make up to [`LoaderConfig::prefetch`] batches ahead and end when the loader is dropped.
///
/// ```
/// use std::sync::Arc;
/// use pavlov_data::{DatasetOptions, DatasetRegistry, Loader, LoaderConfig, Pipeline};
///
/// let options = DatasetOptions { options: toml::from_str("count = 100")?, ..Default::default() };
/// let digits = DatasetRegistry::bundled().get("digits")?.open(&options)?;
/// let pipeline = Pipeline::new(digits.input(), &[])?;
/// let config = LoaderConfig { batch_size: 32, ..Default::default() };
/// let mut loader = Loader::new(digits, (0..100).collect(), pipeline, config, 7)?;
/// let batch = loader.next_batch()?;
/// assert_eq!(batch.numbers.len(), 32 * 28 * 28);
/// loader.give_back(batch);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Loader {
    order: Order,
    input: Input,
    target: Target,
    ahead: usize,
    /// The number of epochs after which there are no more batches, if any.
    end: Option<u64>,
    /// The batch that is handed out next.
    position: Position,
    /// The batch that is given to a thread next, and its ticket.
    planned: Position,
    ticket: u64,
    /// The samples of the epoch of `planned`.
    epoch: Option<(u64, Arc<Vec<usize>>)>,
    /// The batches from `first` on that were given to threads, in order; those that are made are `Some`.
    first: u64,
    waiting: VecDeque<Option<Result<Batch, DataError>>>,
    /// The number of jobs whose result has not come yet, those included that `seek` made void.
    in_flight: usize,
    pool: Vec<Batch>,
    jobs: Option<Sender<Job>>,
    results: Receiver<Done>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Loader {
    /// The batches of these samples, given by their places in the data set.
    ///
    /// # Errors
    /// [`DataError::Config`] when a setting makes no sense, the pipeline is for other inputs, or a row is not
    /// in the data set; [`DataError::Data`] when there are no rows or a thread cannot be started.
    pub fn new(
        dataset: Arc<dyn Dataset>,
        rows: Vec<usize>,
        pipeline: Pipeline,
        config: LoaderConfig,
        seed: u64,
    ) -> Result<Self, DataError> {
        config.check(&*dataset, &rows, &pipeline)?;
        let pipeline = if config.augment { pipeline } else { pipeline.without_augmentation() };
        let order = Order::new(&*dataset, rows, &config, seed)?;
        let ahead = config.prefetch.max(config.threads);
        // Both channels have room for every batch that is on its way, so no side ever waits to send.
        let (jobs, received_jobs) = bounded(ahead);
        let (sent_results, results) = bounded(ahead);
        let stop = Arc::new(AtomicBool::new(false));
        let mut loader = Self {
            order,
            input: pipeline.output().clone(),
            target: dataset.target().clone(),
            ahead,
            end: None,
            position: Position::default(),
            planned: Position::default(),
            ticket: 0,
            epoch: None,
            first: 0,
            waiting: VecDeque::with_capacity(ahead),
            in_flight: 0,
            pool: Vec::new(),
            jobs: Some(jobs),
            results,
            stop: Arc::clone(&stop),
            threads: Vec::new(),
        };
        for number in 0..config.threads {
            let worker = Worker::new(Arc::clone(&dataset), pipeline.clone(), seed, Arc::clone(&stop));
            let (jobs, results) = (received_jobs.clone(), sent_results.clone());
            let thread = Builder::new().name(format!("loader-{number}"));
            let thread = thread.spawn(move || worker.run(&jobs, &results));
            let failed =
                |error| DataError::Data(format!("a thread of the loader cannot be started: {error}"));
            loader.threads.push(thread.map_err(failed)?);
        }
        Ok(loader)
    }

    /// The same with the part number `share` of each batch, of `of` about equal ones, for several loaders that
    /// together read whole batches. A last batch with fewer samples than parts is left out.
    ///
    /// # Errors
    /// [`DataError::Config`] when there is no such part, or no batch has samples for each.
    pub fn with_share(mut self, share: usize, of: usize) -> Result<Self, DataError> {
        self.order.set_share(share, of);
        if share >= of || self.batches_per_epoch() == 0 {
            let message =
                format!("part {share} of {of} of a batch has no samples: take larger batches or fewer parts");
            return Err(DataError::Config(message));
        }
        Ok(self)
    }

    /// What the inputs of a batch are: those behind the pipeline.
    pub fn input(&self) -> &Input {
        &self.input
    }

    /// What is to be learned.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The number of batches of an epoch.
    pub fn batches_per_epoch(&self) -> u64 {
        self.order.batches()
    }

    /// The batch that [`Loader::next_batch`] gives next.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Continues from another place: the batches that follow are those that follow there in any other loader
    /// of the same data, settings and seed.
    ///
    /// # Errors
    /// [`DataError::Config`] when an epoch has fewer batches.
    pub fn seek(&mut self, position: Position) -> Result<(), DataError> {
        let batches = self.batches_per_epoch();
        if position.batch >= batches {
            let message = format!("there is no batch {} in an epoch of {batches} batches", position.batch);
            return Err(DataError::Config(message));
        }
        self.restart(position);
        Ok(())
    }

    /// The next batch. It waits for the threads when they are slower.
    ///
    /// # Errors
    /// [`DataError::Sample`] when the data set fails or panics at a sample of this batch. The position stays:
    /// the next call tries the same batch again.
    pub fn next_batch(&mut self) -> Result<Batch, DataError> {
        self.plan();
        loop {
            if let Some(Some(_)) = self.waiting.front() {
                break;
            }
            if self.waiting.is_empty() && self.in_flight == 0 {
                return Err(DataError::Data("there is no further batch".into()));
            }
            self.receive()?;
        }
        match self.waiting.pop_front().flatten() {
            Some(Ok(batch)) => {
                self.first += 1;
                self.position = self.after(self.position);
                self.plan();
                Ok(batch)
            }
            Some(Err(error)) => {
                self.restart(self.position);
                Err(error)
            }
            None => Err(DataError::Data("the loader lost a batch".into())),
        }
    }

    /// Takes a batch back, so that its memory is used for another.
    pub fn give_back(&mut self, batch: Batch) {
        if self.pool.len() <= self.ahead {
            self.pool.push(batch);
        }
    }

    /// Makes batches of this number of epochs alone.
    fn end_after(&mut self, epochs: u64) {
        self.end = Some(epochs);
    }

    /// Voids what is planned and starts again from here.
    fn restart(&mut self, position: Position) {
        (self.position, self.planned, self.first) = (position, position, self.ticket);
        let made = self.waiting.drain(..).flatten().flatten();
        self.pool.extend(made);
        self.pool.truncate(self.ahead + 1);
    }

    /// Gives batches to the threads until enough are on their way.
    fn plan(&mut self) {
        while self.in_flight + self.made() < self.ahead && self.end.is_none_or(|end| self.planned.epoch < end)
        {
            let Position { epoch, batch } = self.planned;
            let samples = match &self.epoch {
                Some((number, samples)) if *number == epoch => Arc::clone(samples),
                _ => Arc::new(self.order.epoch(epoch)),
            };
            self.epoch = Some((epoch, Arc::clone(&samples)));
            let (places, ticket) = (self.order.places(batch), self.ticket);
            let memory = self.pool.pop().unwrap_or_default();
            let job = Job { ticket, epoch, samples, places, memory };
            if self.jobs.as_ref().is_none_or(|jobs| jobs.send(job).is_err()) {
                return;
            }
            self.waiting.push_back(None);
            self.in_flight += 1;
            self.ticket += 1;
            self.planned = self.after(self.planned);
        }
    }

    /// The number of batches that are made and not handed out.
    fn made(&self) -> usize {
        self.waiting.iter().flatten().count()
    }

    fn receive(&mut self) -> Result<(), DataError> {
        let ended = |_| DataError::Data("the threads of the loader have ended".into());
        let Done { ticket, result } = self.results.recv().map_err(ended)?;
        self.in_flight -= 1;
        let place = ticket.checked_sub(self.first).and_then(|place| self.waiting.get_mut(place as usize));
        match (place, result) {
            (Some(place), result) => *place = Some(result),
            // The batch was planned before a `seek`.
            (None, Ok(batch)) => self.give_back(batch),
            (None, Err(_)) => {}
        }
        // A `seek` may have left less on its way than it should be.
        self.plan();
        Ok(())
    }

    fn after(&self, Position { epoch, batch }: Position) -> Position {
        if batch + 1 < self.batches_per_epoch() {
            Position { epoch, batch: batch + 1 }
        } else {
            Position { epoch: epoch.saturating_add(1), batch: 0 }
        }
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // A thread catches what a data set panics with, so there is nothing to be told here.
            let _ = thread.join();
        }
    }
}
