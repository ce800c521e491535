//! The state of a phase that all its threads share: limits, counters, the latest weights, events.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam::channel::Sender;
use pavlov_agents::{AgentError, Metrics};
use pavlov_group::Group;
use pavlov_runtime::{Meter, Slot};

use super::listener::Episode;
use super::weights::PublishedWeights;

/// The longest time that a thread waits for another before it checks whether the phase is ending.
pub(super) const PATIENCE: Duration = Duration::from_millis(20);

/// A message from a thread of the phase to the thread that started it.
#[derive(Debug)]
pub(super) enum Event {
    /// An episode ended.
    Episode(Episode),
    /// The learner's metrics.
    Learned(Metrics),
    /// An environment failed and was replaced.
    Failure(String),
}

/// The state of a phase that all its threads share.
#[derive(Debug)]
pub(super) struct Shared {
    /// True once the phase is to end early, for the user or for an error.
    stop: AtomicBool,
    /// The shards, of which this phase is one's.
    pub group: Group,
    /// Env steps begun so far, over all actors; those of other shards count as this one's.
    claimed: AtomicU64,
    /// The env steps at which the phase ends.
    limit: u64,
    /// The updates made so far.
    pub updates: AtomicU64,
    /// The latest weights of the learner.
    pub weights: Arc<Slot<PublishedWeights>>,
    pub actors: Meter,
    pub replay: Meter,
    pub learner: Meter,
    pub inference: Meter,
    /// The number of rows in one pass of batched inference.
    pub batch_rows: Spread,
    /// Updates between the acting policy and the learner's.
    pub policy_lag: Spread,
    /// Samples for each insert.
    pub samples_per_insert: Gauge,
    /// The mean age of sampled transitions, in transitions inserted since.
    pub age: Gauge,
    /// Parcels that wait for the replay.
    pub queue_depth: Gauge,
    events: Sender<Event>,
}

impl Shared {
    /// The state at the start of a phase, after `env_steps` and as many updates as the published weights have
    /// seen.
    pub fn new(
        group: &Group,
        env_steps: u64,
        limit: u64,
        weights: Arc<Slot<PublishedWeights>>,
        events: Sender<Event>,
    ) -> Self {
        Self {
            stop: AtomicBool::new(false),
            group: group.clone(),
            claimed: AtomicU64::new(env_steps),
            limit,
            updates: AtomicU64::new(weights.latest().value.updates),
            weights,
            actors: Meter::new(),
            replay: Meter::new(),
            learner: Meter::new(),
            inference: Meter::new(),
            batch_rows: Spread::default(),
            policy_lag: Spread::default(),
            samples_per_insert: Gauge::default(),
            age: Gauge::default(),
            queue_depth: Gauge::default(),
            events,
        }
    }

    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Claims one step of `num_envs` environments. Returns the env steps claimed before it, or `None` if the
    /// phase ends here.
    pub fn claim(&self, num_envs: usize) -> Option<u64> {
        let one_more = |claimed| {
            (claimed < self.limit && !self.is_stopped()).then(|| claimed + self.group.of_all(num_envs))
        };
        self.claimed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()
    }

    /// Takes one claim back: its step failed.
    pub fn unclaim(&self, num_envs: usize) {
        self.claimed.fetch_sub(self.group.of_all(num_envs), Ordering::Relaxed);
    }

    /// Asks all shards whether they go on learning. Each says at how many env steps it is, or `None` if it has
    /// nothing more to learn from in this phase; then none goes on, and nobody may ask again. The result is the
    /// mean of the env steps, by which the schedules of all shards go.
    ///
    /// # Errors
    /// When a shard is lost.
    pub fn agree_to_learn(&self, env_steps: Option<u64>) -> Result<Option<u64>, AgentError> {
        if self.group.is_alone() {
            return Ok(env_steps);
        }
        let mut sums = [f64::from(u8::from(env_steps.is_none())), env_steps.unwrap_or_default() as f64];
        self.group.sum_f64(&mut sums)?;
        Ok((sums[0] == 0.0).then_some((sums[1] / self.group.shards() as f64) as u64))
    }

    /// Env steps begun so far, over all actors.
    pub fn claimed(&self) -> u64 {
        self.claimed.load(Ordering::Relaxed)
    }

    /// Returns true if no new step will begin.
    pub fn is_ending(&self) -> bool {
        self.is_stopped() || self.claimed() >= self.limit
    }

    /// Runs a thread's part in the phase: its time counts for `meter`, and its error ends the phase.
    pub fn serve<T>(
        &self,
        meter: &Meter,
        serve: impl FnOnce(&mut Instant) -> Result<T, AgentError>,
    ) -> Result<T, AgentError> {
        let mut started = Instant::now();
        let outcome = serve(&mut started);
        if outcome.is_err() {
            self.stop();
        }
        meter.lived(&mut started);
        outcome
    }

    /// Sends an event to the thread that started the phase. That thread outlives all others.
    pub fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }

    /// The threads' own metrics since the last call.
    pub fn take_metrics(&self) -> BTreeMap<String, f64> {
        let shares = [
            ("actors", &self.actors),
            ("replay", &self.replay),
            ("learner", &self.learner),
            ("inference", &self.inference),
        ];
        let mut metrics: BTreeMap<String, f64> = shares
            .into_iter()
            .filter_map(|(name, meter)| Some((format!("{name}/idle_share"), meter.take_share()?)))
            .collect();
        let gauges = [
            ("replay/samples_per_insert", &self.samples_per_insert),
            ("replay/age", &self.age),
            ("actors/queue_depth", &self.queue_depth),
        ];
        metrics.extend(gauges.into_iter().filter_map(|(tag, gauge)| Some((tag.to_string(), gauge.get()?))));
        if let Some((mean, largest)) = self.policy_lag.take() {
            metrics.insert("actors/policy_lag_mean".into(), mean);
            metrics.insert("actors/policy_lag_max".into(), largest);
        }
        if let Some((mean, _)) = self.batch_rows.take() {
            metrics.insert("inference/batch_rows".into(), mean);
        }
        metrics
    }
}

/// A number that one thread sets and another reads.
#[derive(Debug)]
pub(super) struct Gauge(AtomicU64);

impl Default for Gauge {
    fn default() -> Self {
        Self(AtomicU64::new(f64::NAN.to_bits()))
    }
}

impl Gauge {
    pub fn set(&self, number: f64) {
        self.0.store(number.to_bits(), Ordering::Relaxed);
    }

    /// The number, if it was ever set.
    fn get(&self) -> Option<f64> {
        let number = f64::from_bits(self.0.load(Ordering::Relaxed));
        (!number.is_nan()).then_some(number)
    }
}

/// The mean and the largest of some counts.
#[derive(Debug, Default)]
pub(super) struct Spread {
    sum: AtomicU64,
    count: AtomicU64,
    largest: AtomicU64,
}

impl Spread {
    pub fn add(&self, number: u64) {
        self.sum.fetch_add(number, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.largest.fetch_max(number, Ordering::Relaxed);
    }

    fn take(&self) -> Option<(f64, f64)> {
        let (sum, count) = (self.sum.swap(0, Ordering::Relaxed), self.count.swap(0, Ordering::Relaxed));
        let largest = self.largest.swap(0, Ordering::Relaxed);
        (count > 0).then(|| (sum as f64 / count as f64, largest as f64))
    }
}
