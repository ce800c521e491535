//! An actor: the thread that steps the environments of one lane during a phase.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender};
use pavlov_agents::AgentError;
use pavlov_envs::{EnvFactory, panic_message};

use super::inference::InferenceClient;
use super::lane::{Half, Lane, Stepped};
use super::parcel::Parcel;
use super::shared::{Event, PATIENCE, Shared};

/// A lane and its channels to the other threads.
pub(super) struct Actor<H: Half> {
    /// The lane's number.
    pub number: usize,
    pub lane: Lane<H>,
    pub shared: Arc<Shared>,
    /// Takes full records to the learning side.
    pub full: Sender<Parcel<H::Parcel>>,
    /// Brings empty records back.
    pub spare: Receiver<H::Parcel>,
    /// Makes the environments that replace failed ones.
    pub factory: EnvFactory,
    pub seed: u64,
    /// The number of update phases by which the weights may lag when the lane begins a record. With `None` it
    /// acts with the latest weights at any time, and never waits for newer ones.
    pub max_lag: Option<u64>,
    /// The connection to the inference thread, if that runs the network.
    pub client: Option<InferenceClient>,
}

/// The lane of an actor that has ended.
pub(super) struct Returned<H> {
    pub number: usize,
    pub lane: Lane<H>,
    pub outcome: Result<(), AgentError>,
}

impl<H: Half> Actor<H> {
    /// Steps the environments until the phase ends.
    pub fn run(mut self) -> Returned<H> {
        // By default libtorch would use all cores in each thread, and the actors would slow one another down.
        tch::set_num_threads(1);
        let shared = self.shared.clone();
        let outcome = shared.serve(&shared.actors, |started| {
            catch_unwind(AssertUnwindSafe(|| self.step_until_end(started))).unwrap_or_else(|panic| {
                Err(AgentError::State(format!("an actor panicked: {}", panic_message(panic.as_ref()))))
            })
        });
        Returned { number: self.number, lane: self.lane, outcome }
    }

    fn step_until_end(&mut self, started: &mut Instant) -> Result<(), AgentError> {
        let shared = self.shared.clone();
        while self.prepare()? {
            let lane = &mut self.lane;
            let Some(env_steps) = shared.claim(lane.num_envs()) else { break };
            match lane.step(env_steps, self.client.as_ref())? {
                Stepped::Made => {
                    lane.ended.drain(..).for_each(|episode| shared.tell(Event::Episode(episode)));
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

    /// Gives the lane weights and an empty record; returns false if the phase ends before both are there.
    fn prepare(&mut self) -> Result<bool, AgentError> {
        let (lane, shared) = (&mut self.lane, &self.shared);
        let snapshot = match self.max_lag {
            None if lane.runs_its_network() => shared.weights.newer_than(lane.version),
            None => None,
            Some(_) if lane.half.is_ready() => None,
            Some(lag) => {
                let wanted = lane.handed_over.saturating_sub(lag);
                if shared.weights.version() < wanted
                    && shared.actors.waiting(|| shared.weights.wait_for(wanted)).is_none()
                {
                    return Ok(false);
                }
                shared.weights.newer_than(lane.version)
            }
        };
        if let Some(snapshot) = snapshot {
            lane.follow(snapshot.version, &snapshot.value)?;
        }
        while !lane.half.is_ready() {
            match shared.actors.waiting(|| self.spare.recv_timeout(PATIENCE)) {
                Ok(parcel) => lane.half.refill(parcel),
                Err(RecvTimeoutError::Timeout) if !shared.is_ending() => {}
                Err(_) => return Ok(false),
            }
        }
        Ok(true)
    }
}
