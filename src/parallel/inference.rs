//! One thread that runs the policy's network for all actors, where the learner's network lives.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Instant;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded, unbounded};
use pavlov_agents::{AgentError, BatchedInference, RowNetwork};
use pavlov_nn::{HostBuffer, Parameters};
use pavlov_runtime::Slot;

use super::driver::Plan;
use super::shared::{PATIENCE, Shared, Weights};
use crate::config::InferenceMode;

/// A lane's rows on their way to the network, and what it gave on the way back.
#[derive(Debug, Default)]
struct Question {
    lane: usize,
    count: usize,
    /// `[count, inputs]`
    rows: Vec<f32>,
    /// `[count, outputs]`
    outputs: Vec<f32>,
    /// How many updates the weights had seen.
    updates: u64,
}

/// An actor's way to the thread that runs the network.
#[derive(Debug)]
pub(super) struct Asker {
    questions: Sender<Question>,
    answers: Receiver<Question>,
    /// The one buffer, which goes there and back.
    idle: RefCell<Question>,
    updates: Cell<u64>,
    shared: Arc<Shared>,
}

impl Asker {
    /// How many updates the weights had seen that gave the last answer.
    pub fn updates(&self) -> u64 {
        self.updates.get()
    }
}

impl BatchedInference for Asker {
    fn infer(&self, rows: &[f32], count: usize, outputs: &mut Vec<f32>) -> Result<(), AgentError> {
        let mut question = self.idle.take();
        question.count = count;
        question.rows.clear();
        question.rows.extend_from_slice(rows);
        let gone = || AgentError::State("the thread that runs the policy's network is gone".into());
        self.questions.send(question).map_err(|_| gone())?;
        let mut answer = self.shared.actors.waiting(|| self.answers.recv()).map_err(|_| gone())?;
        std::mem::swap(&mut answer.outputs, outputs);
        self.updates.set(answer.updates);
        self.idle.replace(answer);
        Ok(())
    }
}

/// The thread that runs the network: takes all questions that wait, answers them in one pass with the latest weights.
pub(super) struct InferenceThread {
    network: Box<dyn RowNetwork>,
    weights: Parameters,
    updates: u64,
    slot: Arc<Slot<Weights>>,
    shared: Arc<Shared>,
    questions: Receiver<Question>,
    answers: Vec<Sender<Question>>,
    /// Closed when no actor is left, or will be waited for.
    actors_left: Receiver<()>,
    rows: HostBuffer<f32>,
    outputs: Vec<f32>,
}

impl InferenceThread {
    /// The thread and what each lane's actor asks it by, if the actors do not run the network themselves. `learned` are
    /// the weights that the slot holds, where the network is to run.
    pub fn new(
        plan: &Plan,
        (network, learned): (impl FnOnce() -> Result<Box<dyn RowNetwork>, AgentError>, &Parameters),
        (shared, slot): (&Arc<Shared>, &Arc<Slot<Weights>>),
        actors_left: &Receiver<()>,
    ) -> Result<Option<(Self, Vec<Asker>)>, AgentError> {
        if plan.actors.inference == InferenceMode::Own {
            return Ok(None);
        }
        let (ask, questions) = unbounded();
        let (answers, askers) = (0..plan.lanes())
            .map(|lane| {
                let (answer, answers) = bounded(1);
                let idle = RefCell::new(Question { lane, ..Question::default() });
                let (questions, shared) = (ask.clone(), shared.clone());
                (answer, Asker { questions, answers, idle, updates: Cell::new(0), shared })
            })
            .unzip();
        let thread = Self {
            network: network()?,
            weights: learned.frozen_copy()?,
            updates: slot.latest().value.updates,
            slot: slot.clone(),
            shared: shared.clone(),
            questions,
            answers,
            actors_left: actors_left.clone(),
            rows: HostBuffer::new(&[0, 0])?,
            outputs: Vec::new(),
        };
        Ok(Some((thread, askers)))
    }

    /// Answers until no actor is left.
    pub fn run(mut self) -> Result<(), AgentError> {
        tch::set_num_threads(1);
        let shared = self.shared.clone();
        shared.serve(&shared.inference, |started| self.serve(started))
    }

    fn serve(&mut self, started: &mut Instant) -> Result<(), AgentError> {
        let (mut version, mut waiting) = (self.slot.version(), Vec::new());
        loop {
            match self.shared.inference.waiting(|| self.questions.recv_timeout(PATIENCE)) {
                Ok(first) => waiting.push(first),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => match self.actors_left.try_recv() {
                    Err(TryRecvError::Disconnected) => return Ok(()),
                    _ => continue,
                },
            }
            // What came in while the last pass ran goes through the network together.
            waiting.extend(self.questions.try_iter());
            if let Some(news) = self.slot.newer_than(version) {
                self.weights.set_values(&news.value.values)?;
                (version, self.updates) = (news.version, news.value.updates);
            }
            self.answer(&mut waiting)?;
            self.shared.inference.lived(started);
        }
    }

    /// One pass for all of these.
    fn answer(&mut self, waiting: &mut Vec<Question>) -> Result<(), AgentError> {
        let (width_in, width_out) = self.network.widths();
        let count = waiting.iter().map(|question| question.count).sum::<usize>();
        self.shared.batched.add(count as u64);
        if self.rows.tensor().size()[0] < count as i64 {
            let shape = [count.next_power_of_two() as i64, width_in as i64];
            self.rows = HostBuffer::bound_for(self.weights.device(), &shape)?;
        }
        let mut room = self.rows.as_mut_slice();
        for question in waiting.iter() {
            let (own, left) = room.split_at_mut(question.rows.len());
            own.copy_from_slice(&question.rows);
            room = left;
        }
        let given = self.network.forward(&self.weights, &self.rows.rows_on(count, self.weights.device())?)?;
        self.outputs.resize(count * width_out, 0.0);
        given.f_copy_data(&mut self.outputs, count * width_out)?;
        let mut first = 0;
        for mut question in waiting.drain(..) {
            let end = first + question.count * width_out;
            question.outputs.clear();
            question.outputs.extend_from_slice(&self.outputs[first..end]);
            question.updates = self.updates;
            first = end;
            // Who has been given up meanwhile does not wait any more.
            let _ = self.answers[question.lane].send(question);
        }
        Ok(())
    }
}
