//! A thread that steps environments.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender};
use pavlov_agents::AgentError;
use pavlov_envs::EnvFactory;
use pavlov_runtime::Slot;

use super::lane::{Half, Lane, Stepped};
use super::shared::{Event, PATIENCE, Shared, Weights};

/// What a lane hands over.
pub(super) struct Parcel<P> {
    /// Which lane.
    pub lane: usize,
    pub content: P,
}

/// An actor's lanes and its ways to the other threads.
pub(super) struct Actor<H: Half> {
    /// With their numbers.
    pub lanes: Vec<(usize, Lane<H>)>,
    pub shared: Arc<Shared>,
    pub slot: Arc<Slot<Weights>>,
    pub full: Sender<Parcel<H::Parcel>>,
    pub spare: Receiver<H::Parcel>,
    /// How new environments are made.
    pub factory: EnvFactory,
    pub seed: u64,
    /// Whether a lane that has handed over waits for weights: how many trainings it may be ahead of them.
    pub max_lag: Option<u64>,
}

/// An actor that has come back.
pub(super) struct Returned<H> {
    pub lanes: Vec<(usize, Lane<H>)>,
    pub outcome: Result<(), AgentError>,
}

impl<H: Half> Actor<H> {
    /// Steps the environments until the phase ends.
    pub fn run(mut self) -> Returned<H> {
        // A new thread would use all cores for each operation, and slow everybody down.
        tch::set_num_threads(1);
        let mut started = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| self.go_on(&mut started)));
        let outcome = outcome.unwrap_or_else(|panic| {
            let what = panic.downcast_ref::<&str>().map(ToString::to_string);
            let what = what.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            Err(AgentError::State(format!("an actor panicked: {what}")))
        });
        if outcome.is_err() {
            self.shared.stop();
        }
        self.shared.actors.lived(&mut started);
        Returned { lanes: self.lanes, outcome }
    }

    fn go_on(&mut self, started: &mut Instant) -> Result<(), AgentError> {
        let shared = self.shared.clone();
        'phase: loop {
            for index in 0..self.lanes.len() {
                if !self.prepare(index)? {
                    break 'phase;
                }
                let (number, lane) = &mut self.lanes[index];
                let Some(env_steps) = shared.claim(lane.num_envs()) else { break 'phase };
                match lane.step(env_steps)? {
                    Stepped::Made => {
                        lane.ended.drain(..).for_each(|(sum, steps)| shared.tell(Event::Episode(sum, steps)));
                    }
                    Stepped::Failed(error) => {
                        shared.unclaim(lane.num_envs());
                        lane.replace_envs(&self.factory, self.seed)?;
                        shared.tell(Event::Failure(error.to_string()));
                    }
                }
                if let Some(content) = lane.take() {
                    if self.full.send(Parcel { lane: *number, content }).is_err() {
                        break 'phase;
                    }
                    shared.actors.lived(started);
                }
            }
        }
        for (number, lane) in &mut self.lanes {
            if let Some(content) = lane.half.take(true) {
                let _ = self.full.send(Parcel { lane: *number, content });
            }
        }
        Ok(())
    }

    /// Gives a lane weights and something to record into; false if the phase ends before there is any.
    fn prepare(&mut self, index: usize) -> Result<bool, AgentError> {
        let lane = &mut self.lanes[index].1;
        let Some(lag) = self.max_lag else {
            if let Some(snapshot) = self.slot.newer_than(lane.version) {
                lane.follow(snapshot.version, &snapshot.value)?;
            }
            return Ok(self.refill(index));
        };
        if !lane.half.is_ready() {
            let wanted = lane.handed_over.saturating_sub(lag);
            let snapshot = match self.slot.version() >= wanted {
                true => Some(self.slot.latest()),
                false => self.shared.actors.waiting(|| self.slot.wait_for(wanted)),
            };
            let Some(snapshot) = snapshot else { return Ok(false) };
            if snapshot.version != lane.version {
                lane.follow(snapshot.version, &snapshot.value)?;
            }
        }
        Ok(self.refill(index))
    }

    fn refill(&mut self, index: usize) -> bool {
        let half = &mut self.lanes[index].1.half;
        while !half.is_ready() {
            match self.shared.actors.waiting(|| self.spare.recv_timeout(PATIENCE)) {
                Ok(parcel) => half.refill(parcel),
                Err(RecvTimeoutError::Timeout) if !self.shared.is_ending() => {}
                Err(_) => return false,
            }
        }
        true
    }
}
