//! A thread that steps the environments of a lane.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender};
use pavlov_agents::AgentError;
use pavlov_envs::{EnvFactory, panic_message};
use pavlov_runtime::Slot;

use super::inference::Asker;
use super::lane::{Half, Lane, Stepped};
use super::shared::{Event, PATIENCE, Shared, Weights};

/// What a lane hands over.
pub(super) struct Parcel<P> {
    /// Which lane.
    pub lane: usize,
    pub content: P,
}

/// An actor's lane and its ways to the other threads.
pub(super) struct Actor<H: Half> {
    /// The lane's number.
    pub number: usize,
    pub lane: Lane<H>,
    pub shared: Arc<Shared>,
    pub slot: Arc<Slot<Weights>>,
    pub full: Sender<Parcel<H::Parcel>>,
    pub spare: Receiver<H::Parcel>,
    /// How new environments are made.
    pub factory: EnvFactory,
    pub seed: u64,
    /// Whether a lane that has handed over waits for weights: how many trainings it may be ahead of them.
    pub max_lag: Option<u64>,
    /// Who runs the network, if the lane does not.
    pub asker: Option<Asker>,
}

/// An actor that has come back.
pub(super) struct Returned<H> {
    pub number: usize,
    pub lane: Lane<H>,
    pub outcome: Result<(), AgentError>,
}

impl<H: Half> Actor<H> {
    /// Steps the environments until the phase ends.
    pub fn run(mut self) -> Returned<H> {
        // A new thread would use all cores for each operation, and slow everybody down.
        tch::set_num_threads(1);
        let shared = self.shared.clone();
        let outcome = shared.serve(&shared.actors, |started| {
            catch_unwind(AssertUnwindSafe(|| self.go_on(started))).unwrap_or_else(|panic| {
                Err(AgentError::State(format!("an actor panicked: {}", panic_message(panic.as_ref()))))
            })
        });
        Returned { number: self.number, lane: self.lane, outcome }
    }

    fn go_on(&mut self, started: &mut Instant) -> Result<(), AgentError> {
        let shared = self.shared.clone();
        while self.prepare()? {
            let lane = &mut self.lane;
            let Some(env_steps) = shared.claim(lane.num_envs()) else { break };
            match lane.step(env_steps, self.asker.as_ref())? {
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
                lane.contribute();
                lane.follow_pool()?;
                if self.full.send(Parcel { lane: self.number, content }).is_err() {
                    break;
                }
                shared.actors.lived(started);
            }
        }
        self.lane.contribute();
        if let Some(content) = self.lane.half.take(true) {
            let _ = self.full.send(Parcel { lane: self.number, content });
        }
        Ok(())
    }

    /// Gives the lane weights and something to record into; false if the phase ends before there is any.
    fn prepare(&mut self) -> Result<bool, AgentError> {
        let lane = &mut self.lane;
        let snapshot = match self.max_lag {
            None if lane.runs_its_network() => self.slot.newer_than(lane.version),
            None => None,
            Some(_) if lane.half.is_ready() => None,
            Some(lag) => {
                let wanted = lane.handed_over.saturating_sub(lag);
                if self.slot.version() < wanted
                    && self.shared.actors.waiting(|| self.slot.wait_for(wanted)).is_none()
                {
                    return Ok(false);
                }
                self.slot.newer_than(lane.version)
            }
        };
        if let Some(snapshot) = snapshot {
            lane.follow(snapshot.version, &snapshot.value)?;
        }
        while !lane.half.is_ready() {
            match self.shared.actors.waiting(|| self.spare.recv_timeout(PATIENCE)) {
                Ok(parcel) => lane.half.refill(parcel),
                Err(RecvTimeoutError::Timeout) if !self.shared.is_ending() => {}
                Err(_) => return Ok(false),
            }
        }
        Ok(true)
    }
}
