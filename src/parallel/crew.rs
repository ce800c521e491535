//! The crew: the actors of a phase, as the thread that started them sees them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use pavlov_agents::{AgentError, RowNetwork};
use pavlov_envs::panic_message;
use pavlov_nn::Parameters;

use super::actor::{Actor, Returned};
use super::failures::Failures;
use super::inference::InferenceThread;
use super::lane::{Half, Lane};
use super::listener::{Listener, warn_of_failure};
use super::parcel::Parcel;
use super::plan::Plan;
use super::shared::{Event, PATIENCE, Shared};

/// The running actors of a phase.
pub(super) struct Crew<H: Half> {
    shared: Arc<Shared>,
    returned: Receiver<Returned<H>>,
    timeout: Duration,
    /// Held until no actor is left or waited for; then the learning side sees its end disconnected.
    actors_left: Sender<()>,
}

/// The learning side's ends of a crew's channels.
pub(super) struct Ends<P> {
    /// Brings full records.
    pub full: Receiver<Parcel<P>>,
    /// Takes empty records back to the actors.
    pub spare: Sender<P>,
    /// The actors' end of `spare`, from which unused records are collected after the phase.
    pub spares: Receiver<P>,
    /// Disconnected once no actor is left or waited for.
    pub actors_left: Receiver<()>,
    /// The inference thread, not started yet, if actors do not run the network themselves.
    pub inference: Option<InferenceThread>,
}

impl<H: Half + 'static> Crew<H> {
    /// Starts an actor for each lane, with these records to fill. `learned` are the learner's weights, and
    /// `network` makes the network for batched inference. `max_lag` is [`Actor::max_lag`].
    pub fn start(
        lanes: &mut [Option<Lane<H>>],
        records: &mut Vec<H::Parcel>,
        plan: &Plan,
        shared: &Arc<Shared>,
        max_lag: Option<u64>,
        network: impl FnOnce() -> Result<Box<dyn RowNetwork>, AgentError>,
        learned: &Parameters,
    ) -> Result<(Self, Ends<H::Parcel>)> {
        let (full, filled) = bounded(plan.actors.queue_segments);
        let (spare, spares) = unbounded();
        records.drain(..).for_each(|record| drop(spare.send(record)));
        let (back, returned) = unbounded();
        let (actors_left, actors_gone) = bounded(0);
        let (inference, clients) =
            InferenceThread::new(plan, network, learned, shared, &actors_gone)?.unzip();
        let mut clients = clients.into_iter().flatten();
        for (number, lane) in lanes.iter_mut().enumerate() {
            let Some(lane) = lane.take() else { continue };
            let actor = Actor {
                number,
                lane,
                shared: shared.clone(),
                full: full.clone(),
                spare: spares.clone(),
                factory: plan.factory.clone(),
                seed: plan.seed,
                max_lag,
                client: clients.next(),
            };
            let back = back.clone();
            let run = move || drop(back.send(actor.run()));
            let thread = thread::Builder::new().name(format!("actor-{number}"));
            thread.spawn(run).context("the system has no thread left for an actor")?;
        }
        let crew = Self {
            shared: shared.clone(),
            returned,
            timeout: Duration::from_secs_f64(plan.actors.stop_timeout_seconds),
            actors_left,
        };
        Ok((crew, Ends { full: filled, spare, spares, actors_left: actors_gone, inference }))
    }

    /// Passes events on until all actors have ended, or those that do not answer were waited for long enough.
    /// Returns the reason for which the training must stop, if environments failed too often.
    pub fn wait(
        self,
        lanes: &mut [Option<Lane<H>>],
        events: &Receiver<Event>,
        stop: &AtomicBool,
        listener: &mut dyn Listener,
        failures: &mut Failures,
    ) -> Result<Option<String>> {
        let Self { shared, returned, timeout, actors_left } = self;
        let (mut ending, mut outcome, mut cause) = (None, Ok(()), None);
        loop {
            pass_on(&shared, events, stop, listener, |message| {
                cause = cause.take().or_else(|| failures.note(message));
            });
            if cause.is_some() {
                shared.stop();
            }
            if shared.is_ending() && ending.is_none() {
                ending = Some(Instant::now());
                // An actor that waits for weights ends without them.
                shared.weights.close();
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
                        cause = cause.or_else(|| failures.note(&message));
                        break;
                    }
                }
            }
        }
        shared.weights.close();
        drop(actors_left);
        outcome?;
        Ok(cause)
    }
}

/// Passes the events so far on to the listener.
fn pass_on(
    shared: &Shared,
    events: &Receiver<Event>,
    stop: &AtomicBool,
    listener: &mut dyn Listener,
    mut note_failure: impl FnMut(&str),
) {
    if stop.load(Ordering::Relaxed) || listener.wants_stop() {
        shared.stop();
    }
    for event in events.try_iter() {
        match event {
            Event::Episode(episode) => listener.episode(episode),
            Event::Learned(learned) => {
                let mut metrics = shared.take_metrics();
                metrics.extend(learned.into_iter().map(|(tag, value)| (tag.to_string(), value)));
                listener.learned(metrics);
            }
            Event::Failure(message) => {
                warn_of_failure(listener, &message);
                note_failure(&message);
            }
        }
    }
    listener.tick(shared.claimed());
}

/// Passes events on for as long as `busy` returns true.
pub(super) fn watch(
    shared: &Shared,
    events: &Receiver<Event>,
    stop: &AtomicBool,
    listener: &mut dyn Listener,
    busy: impl Fn() -> bool,
) {
    while busy() {
        pass_on(shared, events, stop, listener, |_| {});
        thread::sleep(Duration::from_millis(1));
    }
    pass_on(shared, events, stop, listener, |_| {});
    listener.learned(shared.take_metrics());
}

/// Starts a thread of the phase that ends before the scope does.
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
