//! The threads of a phase, seen by the one that started them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use pavlov_agents::{AgentError, RowNetwork};
use pavlov_envs::panic_message;
use pavlov_nn::Parameters;
use pavlov_runtime::Slot;

use super::Listener;
use super::actor::{Actor, Parcel, Returned};
use super::driver::Plan;
use super::inference::InferenceThread;
use super::lane::{Half, Lane};
use super::shared::{Event, PATIENCE, Shared, Weights};

/// The actors of a phase, for the thread that started them.
pub(super) struct Crew<'a, H: Half> {
    shared: Arc<Shared>,
    slot: Arc<Slot<Weights>>,
    returned: Receiver<Returned<H>>,
    timeout: Duration,
    failures: &'a mut u64,
    max_failures: u64,
    /// Closed when no actor is left, or will be waited for.
    actors_left: Sender<()>,
}

/// The ends of a crew's channels that are the learning side's.
pub(super) struct Ends<P> {
    /// What lanes hand over.
    pub full: Receiver<Parcel<P>>,
    /// Where it goes when it is empty again.
    pub spare: Sender<P>,
    /// The actors' end of the same: what nobody needed is taken back from here.
    pub spares: Receiver<P>,
    /// Closed when no actor is left, or will be waited for.
    pub actors_left: Receiver<()>,
    /// Who runs the network for the actors, if they do not.
    pub inference: Option<InferenceThread>,
}

impl<'a, H: Half + 'static> Crew<'a, H> {
    /// Starts an actor for each lane, with these parcels to record into. `acting` is the network that they act by, and the
    /// weights that it has now.
    pub fn start(
        lanes: &mut [Option<Lane<H>>],
        parcels: &mut Vec<H::Parcel>,
        (plan, failures): (&Plan, &'a mut u64),
        (shared, slot): (&Arc<Shared>, &Arc<Slot<Weights>>),
        max_lag: Option<u64>,
        acting: (impl FnOnce() -> Result<Box<dyn RowNetwork>, AgentError>, &Parameters),
    ) -> Result<(Self, Ends<H::Parcel>)> {
        let (full, filled) = bounded(plan.actors.queue_segments);
        let (spare, spares) = unbounded();
        parcels.drain(..).for_each(|parcel| drop(spare.send(parcel)));
        let (back, returned) = unbounded();
        let (actors_left, actors_gone) = bounded(0);
        let (inference, askers) = InferenceThread::new(plan, acting, (shared, slot), &actors_gone)?.unzip();
        let mut askers = askers.into_iter().flatten();
        for (number, lane) in lanes.iter_mut().enumerate() {
            let Some(lane) = lane.take() else { continue };
            let actor = Actor {
                number,
                lane,
                shared: shared.clone(),
                slot: slot.clone(),
                full: full.clone(),
                spare: spares.clone(),
                factory: plan.factory.clone(),
                seed: plan.seed,
                max_lag,
                asker: askers.next(),
            };
            let back = back.clone();
            let run = move || drop(back.send(actor.run()));
            let thread = thread::Builder::new().name(format!("actor-{number}"));
            thread.spawn(run).context("the system has no thread left for an actor")?;
        }
        let crew = Self {
            shared: shared.clone(),
            slot: slot.clone(),
            returned,
            timeout: Duration::from_secs_f64(plan.actors.stop_timeout_seconds),
            failures,
            max_failures: plan.actors.max_failures,
            actors_left,
        };
        Ok((crew, Ends { full: filled, spare, spares, actors_left: actors_gone, inference }))
    }

    /// Passes on what the threads tell until all actors are back, or were waited for long enough. Gives why the run must
    /// not go on, if environments failed too often.
    pub fn wait(
        self,
        lanes: &mut [Option<Lane<H>>],
        news: &Receiver<Event>,
        stop: &AtomicBool,
        listener: &mut dyn Listener,
    ) -> Result<Option<String>> {
        let Self { shared, slot, returned, timeout, failures, max_failures, actors_left } = self;
        let (mut ending, mut outcome, mut cause) = (None, Ok(()), None);
        loop {
            hear(&shared, news, stop, listener, |message| {
                cause = cause.take().or_else(|| failed(failures, max_failures, message));
            });
            if cause.is_some() {
                shared.stop();
            }
            if shared.is_ending() && ending.is_none() {
                ending = Some(Instant::now());
                // Who waits for weights goes on without.
                slot.close();
            }
            match returned.recv_timeout(PATIENCE) {
                Ok(Returned { number, lane, outcome: result }) => {
                    lanes[number] = Some(lane);
                    outcome = outcome.and(result);
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    if ending.is_some_and(|since: Instant| since.elapsed() > timeout) {
                        let seconds = timeout.as_secs_f64();
                        let message =
                            format!("an environment has not answered for {seconds} s and was given up");
                        listener.warn(&message);
                        cause = cause.or_else(|| failed(failures, max_failures, &message));
                        break;
                    }
                }
            }
        }
        slot.close();
        drop(actors_left);
        outcome?;
        Ok(cause)
    }
}

/// Counts an environment that failed; gives why the run must not go on, if that was once too often.
pub(super) fn failed(failures: &mut u64, most: u64, message: &str) -> Option<String> {
    *failures += 1;
    let count = *failures;
    (count >= most).then(|| format!("environments have failed {count} times, the last time so: {message}"))
}

/// Warns of an environment that failed and was replaced.
pub(super) fn warn_of(listener: &mut dyn Listener, message: &str) {
    listener.warn(&format!("an environment failed and was replaced: {message}"));
}

/// Passes on what the threads have told.
fn hear(
    shared: &Shared,
    news: &Receiver<Event>,
    stop: &AtomicBool,
    listener: &mut dyn Listener,
    mut note_failure: impl FnMut(&str),
) {
    if stop.load(Ordering::Relaxed) {
        shared.stop();
    }
    for event in news.try_iter() {
        match event {
            Event::Episode(sum, steps) => listener.episode(sum, steps),
            Event::Learned(learned) => {
                let mut metrics = shared.take_metrics();
                metrics.extend(learned.into_iter().map(|(tag, value)| (tag.to_string(), value)));
                listener.learned(metrics);
            }
            Event::Failure(message) => {
                warn_of(listener, &message);
                note_failure(&message);
            }
        }
    }
    listener.tick(shared.claimed());
}

/// Passes on what the threads tell while some are busy.
pub(super) fn watch(
    shared: &Shared,
    news: &Receiver<Event>,
    stop: &AtomicBool,
    listener: &mut dyn Listener,
    busy: impl Fn() -> bool,
) {
    while busy() {
        hear(shared, news, stop, listener, |_| {});
        thread::sleep(Duration::from_millis(1));
    }
    hear(shared, news, stop, listener, |_| {});
    listener.learned(shared.take_metrics());
}

/// Starts a thread of the phase that this one will wait for.
pub(super) fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    name: &str,
    run: impl FnOnce() -> T + Send + 'scope,
) -> Result<thread::ScopedJoinHandle<'scope, T>> {
    Ok(thread::Builder::new().name(name.into()).spawn_scoped(scope, run)?)
}

/// Waits for a thread to end.
pub(super) fn join<T>(handle: thread::ScopedJoinHandle<'_, T>) -> Result<T> {
    handle
        .join()
        .map_err(|panic| anyhow!("a thread of the training panicked: {}", panic_message(panic.as_ref())))
}
