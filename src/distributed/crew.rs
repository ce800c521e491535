//! The shards of this process: the first one with its caller, the others in threads of their own.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Error, Result, anyhow};
use crossbeam::channel::{Receiver, Sender, bounded};
use pavlov_envs::panic_message;
use pavlov_group::{Group, GroupError};
use pavlov_nn::StateDict;

use super::command::{Answer, Command, Reply};
use super::shard::execute;
use crate::run::{Job, Log};

/// Makes the job of a shard.
pub(crate) type MakeShard = Arc<dyn Fn(&Group) -> Result<Box<dyn Job>> + Send + Sync>;

/// A command, and the state that comes with it.
type Order = (Command, Option<StateDict<'static>>);

/// A shard in a thread of its own.
struct Worker {
    orders: Sender<Order>,
    replies: Receiver<Result<Reply>>,
}

/// The shards of one process.
pub(crate) struct Crew {
    first: Box<dyn Job>,
    /// The handle of the first shard.
    group: Group,
    others: Vec<Worker>,
}

impl Crew {
    /// The shards of these handles, of which the first is made with the caller.
    ///
    /// # Errors
    /// When one cannot be made.
    pub(crate) fn new(groups: Vec<Group>, make: &MakeShard) -> Result<Self> {
        let mut groups = groups.into_iter();
        let group = groups.next().context("a process has at least one shard")?;
        let others = groups.map(|group| Worker::start(group, make.clone()));
        let others = others.collect::<Result<Vec<_>>>()?;
        let first = make(&group)?;
        let crew = Self { first, group, others };
        for worker in &crew.others {
            worker.reply()?;
        }
        Ok(crew)
    }

    /// The job of the first shard.
    pub(super) fn first(&self) -> &dyn Job {
        self.first.as_ref()
    }

    /// The same, to be worked with.
    pub(super) fn first_mut(&mut self) -> &mut dyn Job {
        self.first.as_mut()
    }

    /// The number of the first shard.
    pub(super) fn first_shard(&self) -> usize {
        self.group.shard()
    }

    /// The number of shards of this process.
    pub(super) fn count(&self) -> usize {
        self.others.len() + 1
    }

    /// The number of shards of all processes.
    pub(super) fn shards(&self) -> usize {
        self.group.shards()
    }

    /// Has every shard do what the command says, with a state for each where one comes with it.
    ///
    /// # Errors
    /// When one fails; the others have ended then too.
    pub(super) fn execute(
        &mut self,
        command: &Command,
        states: Vec<StateDict<'_>>,
        outer: Option<&mut dyn Log>,
    ) -> Result<Vec<Reply>> {
        let mut states = states.into_iter();
        let of_first = states.next();
        self.order(command, states)?;
        let first = guarded(&self.group, || execute(self.first.as_mut(), command, of_first.as_ref(), outer));
        self.replies(Some(first))
    }

    /// Has every shard but the first one, which the caller asks itself, do what the command says.
    ///
    /// # Errors
    /// As [`Crew::execute`].
    pub(super) fn execute_others(&self, command: &Command) -> Result<Vec<Reply>> {
        self.order(command, std::iter::empty())?;
        self.replies(None)
    }

    fn order<'s>(&self, command: &Command, mut states: impl Iterator<Item = StateDict<'s>>) -> Result<()> {
        for worker in &self.others {
            let state = states.next().map(StateDict::into_owned);
            worker.orders.send((command.clone(), state)).map_err(|_| anyhow!(ENDED))?;
        }
        Ok(())
    }

    /// The replies in the order of the shards. Of several errors the cause counts: a shard that waits for one that
    /// has failed fails for that.
    fn replies(&self, first: Option<Result<Reply>>) -> Result<Vec<Reply>> {
        let (mut replies, mut errors) = (Vec::new(), Vec::new());
        let others = self.others.iter().map(Worker::reply);
        for reply in first.into_iter().chain(others) {
            match reply {
                Ok(reply) => replies.push(reply),
                Err(error) => errors.push(error),
            }
        }
        let is_cause = |error: &Error| !error.chain().any(|cause| cause.is::<GroupError>());
        let place = errors.iter().position(is_cause).unwrap_or(0);
        match errors.is_empty() {
            true => Ok(replies),
            false => Err(errors.swap_remove(place)),
        }
    }
}

const ENDED: &str = "a shard's thread has ended";

impl Worker {
    fn start(group: Group, make: MakeShard) -> Result<Self> {
        let (orders, received) = bounded::<Order>(1);
        let (answered, replies) = bounded(1);
        let thread = thread::Builder::new().name(format!("shard-{}", group.shard()));
        let run = move || {
            let mut job = match guarded(&group, || make(&group)) {
                Ok(job) => job,
                Err(error) => return drop(answered.send(Err(error))),
            };
            let mut sent = answered.send(Ok(Reply::of(Answer::Noted)));
            while let (Ok(()), Ok((command, state))) = (&sent, received.recv()) {
                sent =
                    answered.send(guarded(&group, || execute(job.as_mut(), &command, state.as_ref(), None)));
            }
        };
        thread.spawn(run).context("the system has no thread left for a shard")?;
        Ok(Self { orders, replies })
    }

    fn reply(&self) -> Result<Reply> {
        self.replies.recv().map_err(|_| anyhow!(ENDED))?
    }
}

/// Runs a shard's work. If it fails or panics, the other shards, which would wait for it, fail too.
fn guarded<T>(group: &Group, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let panicked =
        |panic: Box<dyn Any + Send>| Err(anyhow!("a shard panicked: {}", panic_message(panic.as_ref())));
    let outcome = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(panicked);
    if let Err(error) = &outcome {
        group.fail(&format!("{error:#}"));
    }
    outcome
}
