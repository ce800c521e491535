//! Batched inference: one thread runs the policy's network for all actors, on the learner's device.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Instant;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded, unbounded};
use pavlov_agents::{AgentError, BatchedInference, RowNetwork};
use pavlov_nn::{HostBuffer, Parameters};

use super::plan::Plan;
use super::shared::{PATIENCE, Shared};
use crate::config::InferenceMode;

/// One lane's rows on their way to the network, and the network's outputs on their way back.
#[derive(Debug, Default)]
struct Request {
    lane: usize,
    count: usize,
    /// `[count, inputs]`
    rows: Vec<f32>,
    /// `[count, outputs]`
    outputs: Vec<f32>,
    /// The updates that the weights had seen.
    updates: u64,
}

/// An actor's connection to the inference thread.
#[derive(Debug)]
pub(super) struct InferenceClient {
    requests: Sender<Request>,
    answers: Receiver<Request>,
    /// The one buffer, which travels to the thread and back.
    idle: RefCell<Request>,
    updates: Cell<u64>,
    shared: Arc<Shared>,
}

impl InferenceClient {
    /// The updates that the weights behind the last answer had seen.
    pub fn updates(&self) -> u64 {
        self.updates.get()
    }
}

impl BatchedInference for InferenceClient {
    fn infer(&self, rows: &[f32], count: usize, outputs: &mut Vec<f32>) -> Result<(), AgentError> {
        let mut request = self.idle.take();
        request.count = count;
        request.rows.clear();
        request.rows.extend_from_slice(rows);
        let gone = || AgentError::State("the thread that runs the policy's network is gone".into());
        self.requests.send(request).map_err(|_| gone())?;
        let mut answer = self.shared.actors.waiting(|| self.answers.recv()).map_err(|_| gone())?;
        std::mem::swap(&mut answer.outputs, outputs);
        self.updates.set(answer.updates);
        self.idle.replace(answer);
        Ok(())
    }
}

/// The inference thread. It takes all requests that wait and answers them in one pass with the latest
/// weights.
pub(super) struct InferenceThread {
    network: Box<dyn RowNetwork>,
    weights: Parameters,
    updates: u64,
    shared: Arc<Shared>,
    requests: Receiver<Request>,
    answers: Vec<Sender<Request>>,
    /// Disconnected once no actor is left or waited for.
    actors_left: Receiver<()>,
    rows: HostBuffer<f32>,
    outputs: Vec<f32>,
}

impl InferenceThread {
    /// The thread and a client for each lane; `None` if actors run the network themselves. `learned` are the
    /// learner's weights, as published last; the network runs on their device.
    pub fn new(
        plan: &Plan,
        network: impl FnOnce() -> Result<Box<dyn RowNetwork>, AgentError>,
        learned: &Parameters,
        shared: &Arc<Shared>,
        actors_left: &Receiver<()>,
    ) -> Result<Option<(Self, Vec<InferenceClient>)>, AgentError> {
        if plan.actors.inference == InferenceMode::Own {
            return Ok(None);
        }
        let (ask, requests) = unbounded();
        let (answers, clients) = (0..plan.num_lanes())
            .map(|lane| {
                let (answer, answers) = bounded(1);
                let idle = RefCell::new(Request { lane, ..Request::default() });
                let (requests, shared) = (ask.clone(), shared.clone());
                (answer, InferenceClient { requests, answers, idle, updates: Cell::new(0), shared })
            })
            .unzip();
        let thread = Self {
            network: network()?,
            weights: learned.frozen_copy()?,
            updates: shared.weights.latest().value.updates,
            shared: shared.clone(),
            requests,
            answers,
            actors_left: actors_left.clone(),
            rows: HostBuffer::new(&[0, 0])?,
            outputs: Vec::new(),
        };
        Ok(Some((thread, clients)))
    }

    /// Answers requests until no actor is left.
    pub fn run(mut self) -> Result<(), AgentError> {
        tch::set_num_threads(1);
        let shared = self.shared.clone();
        shared.serve(&shared.inference, |started| self.serve(started))
    }

    fn serve(&mut self, started: &mut Instant) -> Result<(), AgentError> {
        let (mut version, mut waiting) = (self.shared.weights.version(), Vec::new());
        loop {
            match self.shared.inference.waiting(|| self.requests.recv_timeout(PATIENCE)) {
                Ok(first) => waiting.push(first),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => match self.actors_left.try_recv() {
                    Err(TryRecvError::Disconnected) => return Ok(()),
                    _ => continue,
                },
            }
            // Requests that came in during the last pass go through the network together.
            waiting.extend(self.requests.try_iter());
            if let Some(snapshot) = self.shared.weights.newer_than(version) {
                self.weights.set_values(&snapshot.value.values)?;
                (version, self.updates) = (snapshot.version, snapshot.value.updates);
            }
            self.answer(&mut waiting)?;
            self.shared.inference.lived(started);
        }
    }

    /// Answers all these requests with one pass.
    fn answer(&mut self, waiting: &mut Vec<Request>) -> Result<(), AgentError> {
        let (width_in, width_out) = self.network.widths();
        let count = waiting.iter().map(|request| request.count).sum::<usize>();
        self.shared.batch_rows.add(count as u64);
        if self.rows.tensor().size()[0] < count as i64 {
            let shape = [count.next_power_of_two() as i64, width_in as i64];
            self.rows = HostBuffer::bound_for(self.weights.device(), &shape)?;
        }
        let mut room = self.rows.as_mut_slice();
        for request in waiting.iter() {
            let (own, left) = room.split_at_mut(request.rows.len());
            own.copy_from_slice(&request.rows);
            room = left;
        }
        let given = self.network.forward(&self.weights, &self.rows.rows_on(count, self.weights.device())?)?;
        self.outputs.resize(count * width_out, 0.0);
        given.f_copy_data(&mut self.outputs, count * width_out)?;
        let mut first = 0;
        for mut request in waiting.drain(..) {
            let end = first + request.count * width_out;
            request.outputs.clear();
            request.outputs.extend_from_slice(&self.outputs[first..end]);
            request.updates = self.updates;
            first = end;
            // An actor that was given up in the meantime no longer waits for its answer.
            let _ = self.answers[request.lane].send(request);
        }
        Ok(())
    }
}
