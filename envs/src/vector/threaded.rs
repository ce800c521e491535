//! A vector environment whose environments are stepped by several threads.

use std::mem;

use super::buffers::Buffers;
use super::slots::{Slots, read_states, save_slots};
use super::worker::Worker;
use super::{Autoreset, StepBatch, VectorEnv};
use crate::checks::Warnings;
use crate::{ActionBatch, Env, EnvError, EnvState, ObsBatch, Space};

/// Steps environments on several threads, with the results of a [`SyncVectorEnv`](super::SyncVectorEnv) bit
/// for bit: its observations, its errors, its saved states, for any number of threads.
///
/// Each thread owns its share of the environments for good. The caller's thread has the first share and works
/// on it while the others work on theirs; then it works on shares that no thread has begun yet. At last it
/// copies the others' results into the caller's buffers, which costs little beside a step. Between two steps
/// the other threads stay awake for some tens of microseconds, then sleep.
pub struct ThreadedVectorEnv {
    own: Slots,
    workers: Vec<Worker<Share>>,
    buffers: Buffers,
    /// Set by an error: the environments no longer stand at the same step.
    broken: bool,
}

/// A thread's share of the environments.
struct Share {
    slots: Slots,
    /// The number of its first environment.
    first: usize,
    order: Order,
    actions: ActionBatch,
    out: StepBatch,
    outcome: Result<(), EnvError>,
}

/// The task of a thread.
enum Order {
    Reset(Option<u64>),
    Step,
}

impl Share {
    fn new(slots: Slots, first: usize) -> Result<Self, EnvError> {
        let (observations, count) = (slots.observation_space(), slots.len());
        let (actions, out) =
            (ActionBatch::new(slots.action_space(), count)?, StepBatch::new(observations, count));
        Ok(Self { slots, first, order: Order::Step, actions, out, outcome: Ok(()) })
    }

    fn follow_order(&mut self) {
        self.outcome = match self.order {
            Order::Reset(seed) => self.slots.reset(seed, &mut self.out.observations),
            Order::Step => self.slots.step(&self.actions, &mut self.out),
        };
    }
}

impl ThreadedVectorEnv {
    /// A vector environment of the environments that `make` returns for the numbers from 0 to `num_envs - 1`,
    /// on this many threads, the caller's included, or on as many as there are environments if they are
    /// fewer.
    ///
    /// # Errors
    /// That of `make`; [`EnvError::Contract`] for no environments, or environments with different spaces;
    /// [`EnvError::World`] when the system has no thread left.
    pub fn new(
        num_envs: usize,
        threads: usize,
        autoreset: Autoreset,
        make: impl FnMut(usize) -> Result<Box<dyn Env>, EnvError>,
    ) -> Result<Self, EnvError> {
        let mut own = Slots::new(num_envs, autoreset, make)?;
        let buffers = Buffers::new(own.observation_space(), num_envs);
        let threads = threads.clamp(1, num_envs);
        let bounds = (1..threads).map(|share| share * num_envs / threads);
        let mut workers = Vec::new();
        for first in bounds.rev() {
            let share = Share::new(own.split_off(first), first)?;
            workers.push(Worker::new(share, Share::follow_order)?);
        }
        workers.reverse();
        Ok(Self { own, workers, buffers, broken: false })
    }

    /// Gives the workers their tasks.
    fn start(&mut self, prepare: impl Fn(&mut Share)) -> Result<(), EnvError> {
        self.broken = true;
        self.workers.iter().try_for_each(|worker| worker.start(&prepare))
    }

    /// Takes the workers' results. Returns the first environment's error, beginning with the caller's own
    /// share.
    fn finish(&mut self, own: Result<(), EnvError>, mut take: impl FnMut(&Share)) -> Result<(), EnvError> {
        let mut outcome = own;
        for worker in &self.workers {
            let other = worker.work(|share| {
                take(share);
                mem::replace(&mut share.outcome, Ok(()))
            });
            outcome = outcome.and(other.unwrap_or_else(Err));
        }
        self.broken = outcome.is_err();
        outcome
    }
}

impl VectorEnv for ThreadedVectorEnv {
    fn num_envs(&self) -> usize {
        self.buffers.rows
    }

    fn observation_space(&self) -> &Space {
        self.own.observation_space()
    }

    fn action_space(&self) -> &Space {
        self.own.action_space()
    }

    fn reset(&mut self, seed: Option<u64>, observations: &mut ObsBatch) -> Result<(), EnvError> {
        self.buffers.check_observations(observations)?;
        self.start(|share| share.order = Order::Reset(seed))?;
        let own = self.own.reset(seed, observations);
        self.finish(own, |share| observations.copy_rows(share.first, &share.out.observations))
    }

    fn step(&mut self, actions: &ActionBatch, out: &mut StepBatch) -> Result<(), EnvError> {
        if self.broken {
            return Err(EnvError::NeedsReset);
        }
        self.buffers.check_step(actions, out)?;
        self.start(|share| {
            share.order = Order::Step;
            share.actions.copy_rows(actions, share.first..share.first + share.slots.len());
        })?;
        let own = self.own.step(actions, out);
        self.finish(own, |share| out.copy_rows(share.first, &share.out))
    }

    fn watch(&mut self, warnings: &Warnings) {
        self.own.watch(warnings);
        for worker in &self.workers {
            // A worker that has died says so in the next step.
            let _ = worker.work(|share| share.slots.watch(warnings));
        }
    }

    fn save_state(&self) -> Option<EnvState> {
        let mut states = self.own.save()?;
        for worker in &self.workers {
            states.extend(worker.work(|share| share.slots.save()).ok()??);
        }
        save_slots(&states)
    }

    fn load_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let states = read_states(state, self.buffers.rows)?;
        let own = self.own.load(&states);
        self.broken = true;
        let others = self
            .workers
            .iter()
            .map(|worker| worker.work(|share| share.slots.load(&states[share.first..])).unwrap_or_else(Err));
        let outcome = others.fold(own, Result::and);
        self.broken = outcome.is_err();
        outcome
    }
}
