//! An asynchronous vector environment: it waits only for its fastest environments.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{self, JoinHandle};

use crossbeam::channel::{Receiver, Sender, bounded};

use super::buffers::Buffers;
use super::slot::{Slot, named};
use super::slots::Slots;
use super::{StepBatch, VectorOptions};
use crate::{ActionBatch, End, Env, EnvError, Space, derive_seed};

/// Steps environments on several threads without waiting for all of them, in EnvPool's manner:
/// [`send`](Self::send) hands in actions for some environments, [`recv`](Self::recv) returns those that are
/// ready first.
///
/// The order in which environments come back depends on the machine, but the course of each does not: for the
/// same actions it is the same as in a [`SyncVectorEnv`](super::SyncVectorEnv). Every environment has buffers
/// of its own, in which it travels to a thread and back; a step allocates nothing.
///
/// ```
/// use pavlov_envs::{ActionBatch, AsyncVectorEnv, Registry, StepBatch, VectorOptions};
///
/// let registry = Registry::bundled();
/// let options = VectorOptions::new(8).threads(2);
/// let mut envs = AsyncVectorEnv::new(&options, |_| registry.make("CartPole-v1"))?;
/// let mut out = StepBatch::new(envs.observation_space(), 8);
/// envs.reset(Some(7))?;
/// for _ in 0..100 {
///     let ready = envs.recv(4, &mut out)?.to_vec();
///     let actions = ActionBatch::Discrete(vec![1; ready.len()]); // in the order of `ready`
///     envs.send(&ready, &actions)?;
/// }
/// # Ok::<(), pavlov_envs::EnvError>(())
/// ```
pub struct AsyncVectorEnv {
    observations: Space,
    actions: Space,
    buffers: Buffers,
    /// The environments that are not under way.
    home: Vec<Option<Box<Traveller>>>,
    under_way: usize,
    /// Takes environments to the threads; `None` when this is dropped.
    departures: Option<Sender<Box<Traveller>>>,
    /// The threads' end, from which environments can be taken back before a thread has begun with them.
    departed: Receiver<Box<Traveller>>,
    arrivals: Receiver<Box<Traveller>>,
    threads: Vec<JoinHandle<()>>,
    /// The environments that the last `recv` returned.
    ready: Vec<usize>,
    /// True if a reset is needed: before the first one, and after an error.
    broken: bool,
}

/// An environment with all its buffers, on its way to a thread and back.
struct Traveller {
    number: usize,
    slot: Slot,
    options: VectorOptions,
    order: Order,
    /// One row.
    action: ActionBatch,
    /// One row.
    out: StepBatch,
    outcome: Result<(), EnvError>,
}

/// The task of a thread with an environment.
enum Order {
    Reset(Option<u64>),
    Step,
}

impl Traveller {
    fn follow_order(&mut self) {
        let act = AssertUnwindSafe(|| match self.order {
            Order::Reset(seed) => {
                let out = &mut self.out;
                (out.rewards[0], out.raw_rewards[0], out.resets[0]) = (0.0, 0.0, true);
                (out.ends[0], out.raw_ends[0]) = (End::No, End::No);
                self.slot.reset(seed, out.observations.row_mut(0))
            }
            Order::Step => self.slot.step(self.action.row(0), self.options.autoreset, self.out.row_mut(0)),
        });
        // The slot has caught panics of the environment; this catches any other, so that the environment
        // always comes back.
        let outcome = catch_unwind(act);
        self.outcome = outcome.unwrap_or_else(|_| Err(EnvError::World("its step panicked".into())));
    }
}

impl AsyncVectorEnv {
    /// A vector environment of the environments that `make` returns for the numbers from 0 to `num_envs - 1`,
    /// on as many threads as the options say, none of which is the caller's.
    ///
    /// # Errors
    /// That of `make`; [`EnvError::Contract`] for no environments, or environments with different spaces;
    /// [`EnvError::World`] when the system has no thread left.
    pub fn new(
        options: &VectorOptions,
        make: impl FnMut(usize) -> Result<Box<dyn Env>, EnvError>,
    ) -> Result<Self, EnvError> {
        let slots = Slots::new(options.num_envs, options.autoreset, make)?;
        let (observations, actions) = (slots.observation_space().clone(), slots.action_space().clone());
        let traveller = |(number, slot)| {
            let (action, out) = (ActionBatch::new(&actions, 1)?, StepBatch::new(&observations, 1));
            let (options, order, outcome) = (*options, Order::Step, Ok(()));
            Ok(Some(Box::new(Traveller { number, slot, options, order, action, out, outcome })))
        };
        let home = slots.into_inner().into_iter().enumerate().map(traveller);
        let home = home.collect::<Result<Vec<_>, EnvError>>()?;
        // Each channel has room for all environments, so that sending never blocks.
        let (departures, departed) = bounded(options.num_envs);
        let (returns, arrivals) = bounded(options.num_envs);
        let spawn = |_| spawn_thread(departed.clone(), returns.clone());
        let threads = (0..options.team_size().max(1)).map(spawn).collect::<Result<_, _>>()?;
        Ok(Self {
            buffers: Buffers::new(&observations, options.num_envs),
            observations,
            actions,
            home,
            under_way: 0,
            departures: Some(departures),
            departed,
            arrivals,
            threads,
            ready: Vec::with_capacity(options.num_envs),
            broken: true,
        })
    }

    /// The number of environments.
    pub fn num_envs(&self) -> usize {
        self.buffers.rows
    }

    /// The number of environments under way: sent and not received yet.
    pub fn under_way(&self) -> usize {
        self.under_way
    }

    /// The space of one environment's observations.
    pub fn observation_space(&self) -> &Space {
        &self.observations
    }

    /// The space of one environment's actions.
    pub fn action_space(&self) -> &Space {
        &self.actions
    }

    /// Starts a new episode in all environments; `recv` returns their first observations, marked in
    /// [`StepBatch::resets`]. Environments that are under way are waited for, and their results are dropped.
    /// With a seed, environment `i` gets [`derive_seed(seed, "env", i)`](derive_seed).
    ///
    /// # Errors
    /// [`EnvError::World`] when no thread is left.
    pub fn reset(&mut self, seed: Option<u64>) -> Result<(), EnvError> {
        self.broken = true;
        while self.under_way > 0 {
            let traveller = self.arrivals.recv().map_err(|_| threads_gone())?;
            self.settle(traveller);
        }
        for number in 0..self.buffers.rows {
            let seed = seed.map(|seed| derive_seed(seed, "env", number as u64));
            self.depart(number, |traveller| traveller.order = Order::Reset(seed))?;
        }
        self.broken = false;
        Ok(())
    }

    /// Lets environment `ids[i]` make a step with action `i`.
    ///
    /// # Errors
    /// [`EnvError::NeedsReset`] before the first reset and after an error; [`EnvError::Contract`] for an id
    /// that does not exist, is under way or comes twice, and unless there is one action for each. Nothing is
    /// sent then.
    pub fn send(&mut self, ids: &[usize], actions: &ActionBatch) -> Result<(), EnvError> {
        if self.broken {
            return Err(EnvError::NeedsReset);
        }
        if actions.rows() != ids.len() {
            let message = format!("{} actions were sent to {} environments", actions.rows(), ids.len());
            return Err(EnvError::Contract(message));
        }
        self.check_ids(ids)?;
        for (row, &id) in ids.iter().enumerate() {
            self.depart(id, |traveller| {
                traveller.order = Order::Step;
                traveller.action.copy_rows(actions, row..row + 1);
            })?;
        }
        Ok(())
    }

    /// Waits until `at_least` environments are ready and returns the numbers of all ready ones, in the order
    /// of their arrival. The outcomes of their steps stand in their rows of `out`; other rows are left as
    /// they are.
    ///
    /// # Errors
    /// The error of the first environment to arrive with one, named in it: a reset is needed then.
    /// [`EnvError::Contract`] when fewer are under way than are to be waited for, or for buffers of another
    /// size.
    pub fn recv(&mut self, at_least: usize, out: &mut StepBatch) -> Result<&[usize], EnvError> {
        self.buffers.check_out(out)?;
        if at_least > self.under_way {
            let under_way = self.under_way;
            let message = format!("{at_least} environments are waited for, but {under_way} are under way");
            return Err(EnvError::Contract(message));
        }
        self.ready.clear();
        let mut outcome = Ok(());
        while self.under_way > 0 {
            let arrival = if self.ready.len() < at_least {
                self.arrivals.recv().map_err(|_| threads_gone())?
            } else if let Ok(arrival) = self.arrivals.try_recv() {
                arrival
            } else {
                break;
            };
            let mut arrival = arrival;
            match std::mem::replace(&mut arrival.outcome, Ok(())) {
                Ok(()) => out.copy_rows(arrival.number, &arrival.out),
                Err(error) => outcome = outcome.and(Err(named(arrival.number, error))),
            }
            self.ready.push(arrival.number);
            self.settle(arrival);
        }
        self.broken |= outcome.is_err();
        outcome.map(|()| self.ready.as_slice())
    }

    /// Refuses numbers of environments that cannot be sent. `ready` is used to find those that come twice.
    fn check_ids(&mut self, ids: &[usize]) -> Result<(), EnvError> {
        self.ready.clear();
        self.ready.resize(self.buffers.rows, 0);
        for &id in ids {
            let wrong = match self.home.get(id) {
                None => "does not exist",
                Some(None) => "is under way: receive it first",
                Some(Some(_)) if self.ready[id] > 0 => "is sent twice",
                Some(Some(_)) => {
                    self.ready[id] = 1;
                    continue;
                }
            };
            return Err(EnvError::Contract(format!("environment {id} {wrong}")));
        }
        Ok(())
    }

    fn depart(&mut self, number: usize, prepare: impl FnOnce(&mut Traveller)) -> Result<(), EnvError> {
        let departures = self.departures.as_ref().ok_or_else(threads_gone)?;
        if let Some(mut traveller) = self.home[number].take() {
            prepare(&mut traveller);
            departures.send(traveller).map_err(|_| threads_gone())?;
            self.under_way += 1;
        }
        Ok(())
    }

    fn settle(&mut self, traveller: Box<Traveller>) {
        let number = traveller.number;
        self.home[number] = Some(traveller);
        self.under_way -= 1;
    }
}

impl Drop for AsyncVectorEnv {
    /// Waits for the steps that threads have begun; the others are never made.
    fn drop(&mut self) {
        while self.departed.try_recv().is_ok() {}
        self.departures = None;
        for thread in self.threads.drain(..) {
            // The thread has ended, with a panic or without.
            let _ = thread.join();
        }
    }
}

fn spawn_thread(
    departed: Receiver<Box<Traveller>>,
    returns: Sender<Box<Traveller>>,
) -> Result<JoinHandle<()>, EnvError> {
    let serve = move || {
        for mut traveller in departed {
            traveller.follow_order();
            if returns.send(traveller).is_err() {
                return;
            }
        }
    };
    let thread = thread::Builder::new().name("environments".into()).spawn(serve);
    thread.map_err(|error| EnvError::World(format!("no thread can be started: {error}")))
}

fn threads_gone() -> EnvError {
    EnvError::World("the threads that step environments are gone".into())
}
