//! The connections between all processes of a group.

mod door;
mod exchange;
mod frame;
mod link;
mod rendezvous;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use exchange::{Failure, Links};
pub(crate) use exchange::{Incoming, Outgoing, Terms};
pub(crate) use frame::Kind;
use link::Link;

use crate::{GroupError, Store};

/// The longest time that telling a failure takes.
const TELLING: Duration = Duration::from_millis(900);

/// A process's place in its group, and how it is reached.
#[derive(Clone, Debug)]
pub struct WireOptions {
    /// The number of this process, from 0.
    pub rank: usize,
    /// The number of processes.
    pub world_size: usize,
    /// The beginning of all keys in the store: another for each start of a group that keeps its store.
    pub prefix: String,
    /// The address of this machine at which peers find it.
    pub address: IpAddr,
    /// The time that processes wait for one another: for all of the rendezvous, and later as long as nothing
    /// comes.
    pub timeout: Duration,
}

/// The connections of a process to all others. Clones are handles on the same connections.
///
/// All processes make the same calls in the same order; another call of a peer is an error
/// ([`GroupError::OutOfStep`]). After the first error every call fails at once with the same one, and the
/// peers are told of it. A wire that is dropped takes its leave: the others go on as long as they want
/// nothing of this process. A process that ends otherwise is lost to them within about a second, one on a
/// machine that is unreachable within a minute.
#[derive(Clone)]
pub struct Wire(Arc<Inner>);

struct Inner {
    rank: usize,
    world_size: usize,
    timeout: Duration,
    links: Mutex<Links>,
    failure: Failure,
}

impl Wire {
    /// Finds the peers through `store` and connects to all of them.
    ///
    /// Only processes that know a secret from the store are let in; nothing that is sent is encrypted, so
    /// that the network between the processes has to be trusted.
    ///
    /// # Errors
    /// [`GroupError::Rendezvous`]: two processes have the same rank, ranks are missing when the time is over
    /// (the error names them), or a peer cannot be connected to. A process that cannot go on tells the others
    /// through the store.
    pub fn connect(options: &WireOptions, store: &dyn Store) -> Result<Self, GroupError> {
        let WireOptions { rank, world_size, timeout, .. } = *options;
        if rank >= world_size {
            return Err(GroupError::Rendezvous(format!(
                "rank {rank} of {world_size} processes: ranks begin at 0"
            )));
        }
        let failure =
            Failure::new().map_err(|error| GroupError::Rendezvous(format!("a pair of sockets: {error}")))?;
        let links = if world_size == 1 { Vec::new() } else { rendezvous::meet(options, store)? };
        let links = links.into_iter().map(|(rank, socket)| Link::new(rank, socket)).collect();
        let links = Mutex::new(Links::new(rank, links));
        Ok(Self(Arc::new(Inner { rank, world_size, timeout, links, failure })))
    }

    /// The number of this process, from 0.
    pub fn rank(&self) -> usize {
        self.0.rank
    }

    /// The number of processes.
    pub fn world_size(&self) -> usize {
        self.0.world_size
    }

    /// The longest time that a peer is waited for while nothing comes.
    pub fn timeout(&self) -> Duration {
        self.0.timeout
    }

    /// Rank 0 tells all others, which [`Wire::hear`]. It waits for nobody, except where the bytes are more
    /// than the connections hold (about 100 KB) and a peer does not hear them within the wire's timeout.
    ///
    /// # Errors
    /// When a peer has failed or is lost; [`GroupError::OutOfStep`] for another rank than 0.
    pub fn tell(&self, bytes: &[u8]) -> Result<(), GroupError> {
        if self.rank() != 0 {
            return Err(
                self.fail_with(GroupError::OutOfStep(format!("rank {} tells: only rank 0 may", self.rank())))
            );
        }
        let terms = Terms { kind: Kind::Tell, local: 0, limit: Some(self.0.timeout) };
        self.exchange(&terms, Outgoing::ToAll(bytes), Incoming::Nothing)
    }

    /// The bytes that rank 0 [tells](Wire::tell), for all others. There is no time limit, since rank 0 may be
    /// evaluating.
    ///
    /// # Errors
    /// When rank 0 is lost, any peer has failed, or any peer is lost without having taken its leave;
    /// [`GroupError::OutOfStep`] for rank 0.
    pub fn hear(&self) -> Result<Vec<u8>, GroupError> {
        if self.rank() == 0 {
            return Err(
                self.fail_with(GroupError::OutOfStep("rank 0 is the one that tells: it cannot hear".into()))
            );
        }
        let terms = Terms { kind: Kind::Tell, local: 0, limit: None };
        let mut bytes = Vec::new();
        self.exchange(&terms, Outgoing::Nothing, Incoming::First(&mut bytes))?;
        Ok(bytes)
    }

    /// Gives rank 0 the bytes of every rank, in order, its own first; the others get None and do not wait for
    /// rank 0. `limit` bounds how long nothing may come; None: no limit.
    ///
    /// # Errors
    /// When a peer has failed, is lost, or does not answer in time.
    pub fn collect(
        &self,
        bytes: Vec<u8>,
        limit: Option<Duration>,
    ) -> Result<Option<Vec<Vec<u8>>>, GroupError> {
        let terms = Terms { kind: Kind::Collect, local: 0, limit };
        if self.rank() > 0 {
            return self.exchange(&terms, Outgoing::ToFirst(&bytes), Incoming::Nothing).map(|()| None);
        }
        let mut all = vec![Vec::new(); self.world_size()];
        self.exchange(&terms, Outgoing::Nothing, Incoming::All(&mut all))?;
        all[0] = bytes;
        Ok(Some(all))
    }

    /// Tells all peers that this process has failed, and why, as far as that is possible within a second.
    /// Afterwards every call of this wire fails with that cause; one that waits in another thread does at
    /// once.
    pub fn fail(&self, cause: &str) {
        self.fail_with(GroupError::Failed { who: format!("rank {}", self.rank()), cause: cause.to_owned() });
    }

    /// The same with an error. The first one stays, and is returned.
    pub(crate) fn fail_with(&self, error: GroupError) -> GroupError {
        let error = self.0.failure.raise(error);
        let until = Instant::now() + TELLING;
        loop {
            let mut links = match self.0.links.try_lock() {
                Ok(links) => links,
                Err(TryLockError::Poisoned(links)) => links.into_inner(),
                // The call that waits in another thread wakes, and tells the peers itself.
                Err(TryLockError::WouldBlock) if Instant::now() < until => {
                    thread::sleep(Duration::from_millis(1));
                    continue;
                }
                Err(TryLockError::WouldBlock) => return error,
            };
            links.tell_failure(&error, Outgoing::Nothing);
            return error;
        }
    }

    /// The error that every call has from now on, if there is one.
    pub(crate) fn failure(&self) -> Option<GroupError> {
        self.0.failure.get()
    }

    /// One exchange with all peers.
    pub(crate) fn exchange(
        &self,
        terms: &Terms,
        outgoing: Outgoing<'_>,
        incoming: Incoming<'_>,
    ) -> Result<(), GroupError> {
        self.links().exchange(terms, outgoing, incoming, &self.0.failure)
    }

    fn links(&self) -> MutexGuard<'_, Links> {
        self.0.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("rank", &self.rank()).field("world_size", &self.world_size()).finish()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let links = self.links.get_mut().unwrap_or_else(PoisonError::into_inner);
        if thread::panicking() {
            let who = format!("rank {}", self.rank);
            links.tell_failure(
                &GroupError::Failed { who, cause: "it panicked".to_owned() },
                Outgoing::Nothing,
            );
        }
        links.say_goodbye();
    }
}
