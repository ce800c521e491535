//! What the threads of a phase see of each other.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam::channel::Sender;
use pavlov_agents::{AgentError, Metrics};
use pavlov_nn::Parameters;
use pavlov_runtime::{Meter, Publisher};

/// How long a thread waits for another before it looks whether the phase is ending.
pub(super) const PATIENCE: Duration = Duration::from_millis(20);

/// Weights on their way to the actors.
#[derive(Clone, Debug, Default)]
pub(super) struct Weights {
    /// All numbers, as `Parameters::read_values` gives them.
    pub values: Vec<f32>,
    /// How many updates they had seen.
    pub updates: u64,
}

/// What threads tell the one that started them.
#[derive(Debug)]
pub enum Event {
    /// An episode ended: its return and its length.
    Episode(f64, u64),
    /// What there is to log of the learner.
    Learned(Metrics),
    /// An environment failed and was replaced.
    Failure(String),
}

/// The state of a phase that all its threads see.
#[derive(Debug)]
pub(super) struct Shared {
    /// The phase is to end now, for the user or for an error.
    pub stop: AtomicBool,
    /// Env steps begun so far, over all actors.
    claimed: AtomicU64,
    /// At how many the phase ends.
    limit: u64,
    /// The updates made so far.
    pub updates: AtomicU64,
    pub actors: Meter,
    pub replay: Meter,
    pub learner: Meter,
    pub inference: Meter,
    /// Rows of the passes that answered actors.
    pub batched: Spread,
    /// Updates between the policy that acted and the learner's.
    pub lag: Spread,
    /// Samples for each insert, how long ago what is sampled came in, and parcels that wait.
    pub ratio: Gauge,
    pub age: Gauge,
    pub queue: Gauge,
    pub events: Sender<Event>,
}

impl Shared {
    pub fn new(env_steps: u64, limit: u64, updates: u64, events: Sender<Event>) -> Self {
        Self {
            stop: AtomicBool::new(false),
            claimed: AtomicU64::new(env_steps),
            limit,
            updates: AtomicU64::new(updates),
            actors: Meter::new(),
            replay: Meter::new(),
            learner: Meter::new(),
            inference: Meter::new(),
            batched: Spread::default(),
            lag: Spread::default(),
            ratio: Gauge::default(),
            age: Gauge::default(),
            queue: Gauge::default(),
            events,
        }
    }

    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// A step of `num_envs` environments is about to begin; gives how many env steps there were before, or `None` if the
    /// phase ends here.
    pub fn claim(&self, num_envs: usize) -> Option<u64> {
        let one_more =
            |claimed| (claimed < self.limit && !self.is_stopped()).then(|| claimed + num_envs as u64);
        self.claimed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()
    }

    /// The step that was begun last came to nothing.
    pub fn unclaim(&self, num_envs: usize) {
        self.claimed.fetch_sub(num_envs as u64, Ordering::Relaxed);
    }

    pub fn claimed(&self) -> u64 {
        self.claimed.load(Ordering::Relaxed)
    }

    /// Whether no new step will begin.
    pub fn is_ending(&self) -> bool {
        self.is_stopped() || self.claimed() >= self.limit
    }

    /// What a thread does for a phase: its time counts for `meter`, and its error ends the phase.
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

    /// Tells the thread that started this one. That thread outlives all others.
    pub fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }

    /// What there is to log since the last call, of the threads themselves.
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
            ("replay/samples_per_insert", &self.ratio),
            ("replay/age", &self.age),
            ("actors/queue_depth", &self.queue),
        ];
        metrics.extend(gauges.into_iter().filter_map(|(tag, gauge)| Some((tag.to_string(), gauge.get()?))));
        if let Some((mean, largest)) = self.lag.take() {
            metrics.insert("actors/policy_lag_mean".into(), mean);
            metrics.insert("actors/policy_lag_max".into(), largest);
        }
        if let Some((mean, _)) = self.batched.take() {
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

/// Mean and largest of some counts.
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

/// Publishes these weights.
pub(super) fn publish(
    publisher: &mut Publisher<Weights>,
    parameters: &Parameters,
    updates: u64,
) -> Result<(), AgentError> {
    publisher.publish(|weights| {
        weights.updates = updates;
        parameters.read_values(&mut weights.values)
    })?;
    Ok(())
}
