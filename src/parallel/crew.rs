//! The threads of a phase, seen by the one that started them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender};
use pavlov_runtime::Slot;

use super::Listener;
use super::actor::{Actor, Returned};
use super::lane::{Half, Lane};
use super::shared::{Event, PATIENCE, Shared, Weights};

/// The actors of a phase, for the thread that started them.
pub(super) struct Crew<'a, H> {
    pub shared: Arc<Shared>,
    pub slot: Arc<Slot<Weights>>,
    pub returned: Receiver<Returned<H>>,
    pub timeout: Duration,
    pub failures: &'a mut u64,
    pub max_failures: u64,
}

impl<H: Half> Crew<'_, H> {
    /// Passes on what the threads tell until all actors are back, or were waited for long enough. Gives why the run must
    /// not go on, if environments failed too often.
    pub fn wait(
        self,
        lanes: &mut [Option<Lane<H>>],
        news: &Receiver<Event>,
        stop: &AtomicBool,
        listener: &mut dyn Listener,
    ) -> Result<Option<String>> {
        let Self { shared, slot, returned, timeout, failures, max_failures } = self;
        let (mut ending, mut outcome, mut cause) = (None, Ok(()), None);
        loop {
            hear(&shared, news, stop, listener, |message| {
                *failures += 1;
                note(&mut cause, *failures, max_failures, message)
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
                Ok(Returned { lanes: own, outcome: result }) => {
                    own.into_iter().for_each(|(index, lane)| lanes[index] = Some(lane));
                    outcome = outcome.and(result);
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    if ending.is_some_and(|since: Instant| since.elapsed() > timeout) {
                        *failures += 1;
                        let seconds = timeout.as_secs_f64();
                        let message =
                            format!("an environment has not answered for {seconds} s and was given up");
                        listener.warn(&message);
                        note(&mut cause, *failures, max_failures, message);
                        break;
                    }
                }
            }
        }
        slot.close();
        outcome?;
        Ok(cause)
    }
}

fn note(cause: &mut Option<String>, failures: u64, most: u64, message: String) {
    if failures >= most && cause.is_none() {
        *cause = Some(format!("environments have failed {failures} times, the last time so: {message}"));
    }
}

/// Passes on what the threads have told.
fn hear(
    shared: &Shared,
    news: &Receiver<Event>,
    stop: &AtomicBool,
    listener: &mut dyn Listener,
    mut failed: impl FnMut(String),
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
                listener.warn(&format!("an environment failed and was replaced: {message}"));
                failed(message);
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

/// An actor's lanes, with their numbers.
type Share<H> = Vec<(usize, Lane<H>)>;

/// The lanes, shared out among so many actors.
pub(super) fn shares<H>(lanes: &mut [Option<Lane<H>>], actors: usize) -> Vec<(String, Share<H>)> {
    let count = lanes.len();
    let mut shares: Vec<_> = (0..actors).map(|index| (format!("actor-{index}"), Vec::new())).collect();
    for (index, lane) in lanes.iter_mut().enumerate() {
        let share = &mut shares[index * actors / count].1;
        share.extend(lane.take().map(|lane| (index, lane)));
    }
    shares
}

pub(super) fn spawn<H: Half + 'static>(
    name: String,
    actor: Actor<H>,
    back: Sender<Returned<H>>,
) -> Result<()> {
    let run = move || drop(back.send(actor.run()));
    thread::Builder::new().name(name).spawn(run).context("the system has no thread left for an actor")?;
    Ok(())
}

pub(super) fn join<T>(handle: thread::ScopedJoinHandle<'_, T>) -> Result<T> {
    handle.join().map_err(|panic| {
        let what = panic.downcast_ref::<&str>().map(ToString::to_string);
        let what = what.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        anyhow!("a thread of the training panicked: {what}")
    })
}
