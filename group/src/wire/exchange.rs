//! An exchange: frames to and from all peers at once, none of which waits for another.

use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};

use super::frame::{self, Header, Kind};
use super::link::Link;
use crate::GroupError;

/// The time for which a process looks for bytes again and again before it sleeps: sleeping and waking cost as much.
const SPIN: Duration = Duration::from_micros(50);

/// The time for which a peer's end is not taken for a loss while nothing of it is wanted.
const GRACE: Duration = Duration::from_secs(1);

/// The longest time for which a failure is told.
const LAST_WORDS: Duration = Duration::from_millis(400);

/// The bytes that go to each peer.
#[derive(Clone, Copy)]
pub enum Outgoing<'a> {
    Nothing,
    ToAll(&'a [u8]),
    ToFirst(&'a [u8]),
    /// For each rank its own part.
    Parts(&'a [u8], &'a [Range<usize>]),
}

impl<'a> Outgoing<'a> {
    fn to(&self, rank: usize) -> Option<&'a [u8]> {
        match self {
            Self::Nothing => None,
            Self::ToAll(bytes) => Some(bytes),
            Self::ToFirst(bytes) => (rank == 0).then_some(bytes),
            Self::Parts(bytes, parts) => Some(&bytes[parts[rank].clone()]),
        }
    }
}

/// The places for the bytes of each peer.
pub enum Incoming<'a> {
    Nothing,
    /// Bytes of known length, in the order of the ranks, in one buffer that is lent without this process's
    /// own part: what stands before it, and what stands behind it.
    Parts {
        before: &'a mut [u8],
        behind: &'a mut [u8],
        /// For each rank its part of the whole buffer.
        parts: &'a [Range<usize>],
    },
    /// Bytes of any length from every peer.
    All(&'a mut [Vec<u8>]),
    /// Bytes of any length from rank 0.
    First(&'a mut Vec<u8>),
}

impl Incoming<'_> {
    fn wants(&self, rank: usize) -> bool {
        match self {
            Self::Nothing => false,
            Self::Parts { .. } | Self::All(_) => true,
            Self::First(_) => rank == 0,
        }
    }

    /// Makes room for so many bytes of a peer. The error is the number that was expected instead.
    fn make_room(&mut self, rank: usize, length: u64) -> Result<(), usize> {
        let bytes = match self {
            Self::Nothing => return Err(0),
            Self::Parts { parts, .. } => {
                let expected = parts[rank].len();
                return if length == expected as u64 { Ok(()) } else { Err(expected) };
            }
            Self::All(all) => &mut all[rank],
            Self::First(bytes) => &mut **bytes,
        };
        let length = usize::try_from(length).map_err(|_| usize::MAX)?;
        bytes.clear();
        bytes.try_reserve_exact(length).map_err(|_| usize::MAX)?;
        bytes.resize(length, 0);
        Ok(())
    }

    fn room(&mut self, rank: usize) -> &mut [u8] {
        match self {
            Self::Nothing => &mut [],
            Self::Parts { before, behind, parts } => {
                let part = parts[rank].clone();
                if part.end <= before.len() {
                    &mut before[part]
                } else {
                    let whole = parts.last().map_or(0, |last| last.end);
                    let skipped = whole - behind.len();
                    &mut behind[part.start - skipped..part.end - skipped]
                }
            }
            Self::All(all) => &mut all[rank],
            Self::First(bytes) => bytes,
        }
    }
}

/// The failure of a wire: the first one, kept for all later calls, which also wakes the call that waits.
#[derive(Debug)]
pub struct Failure {
    raised: AtomicBool,
    error: Mutex<Option<GroupError>>,
    /// Bytes written to the one wake the poll at the other.
    wake: (UnixStream, UnixStream),
}

impl Failure {
    pub fn new() -> std::io::Result<Self> {
        let wake = UnixStream::pair()?;
        wake.0.set_nonblocking(true)?;
        Ok(Self { raised: AtomicBool::new(false), error: Mutex::new(None), wake })
    }

    /// Keeps the error unless there is one, and returns the one that is kept.
    pub fn raise(&self, error: GroupError) -> GroupError {
        let mut kept = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        let error = kept.get_or_insert(error).clone();
        self.raised.store(true, Ordering::Release);
        // The byte is never read: every later poll returns at once.
        let _ = send(&self.wake.0, &[1], SendFlags::NOSIGNAL);
        error
    }

    pub fn get(&self) -> Option<GroupError> {
        if !self.raised.load(Ordering::Acquire) {
            return None;
        }
        self.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// An exchange's terms.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub kind: Kind,
    /// The number of shards in each process, or 0 where it does not matter.
    pub local: u16,
    /// The longest time in which nothing happens. None: no limit.
    pub limit: Option<Duration>,
}

/// The connections of a process, in the order of the ranks, without its own.
#[derive(Debug)]
pub struct Links {
    rank: usize,
    links: Vec<Link>,
    sequence: u64,
    /// True if the peers know of this process's failure.
    told: bool,
}

impl Links {
    pub fn new(rank: usize, links: Vec<Link>) -> Self {
        Self { rank, links, sequence: 0, told: false }
    }

    /// Sends and receives; returns when all is sent and received. An error is raised and told to the peers.
    pub fn exchange(
        &mut self,
        terms: &Terms,
        outgoing: Outgoing<'_>,
        mut incoming: Incoming<'_>,
        failure: &Failure,
    ) -> Result<(), GroupError> {
        let own = Header { kind: terms.kind, local: terms.local, sequence: self.sequence, length: 0 };
        self.sequence += 1;
        if let Some(error) = failure.get() {
            self.tell_failure(&error, Outgoing::Nothing);
            return Err(error);
        }
        for link in &mut self.links {
            let header = outgoing.to(link.rank).map(|bytes| Header { length: bytes.len() as u64, ..own });
            link.start(header.as_ref(), incoming.wants(link.rank));
        }
        let looked = self.look(outgoing);
        looked.and_then(|()| self.run(&own, terms.limit, outgoing, &mut incoming, failure)).map_err(|error| {
            let error = failure.raise(error);
            self.tell_failure(&error, outgoing);
            error
        })
    }

    /// Looks for failures of peers of which nothing is wanted now, so that an exchange which only sends
    /// notices them too. The end of a peer is an error only where something goes to it.
    fn look(&mut self, outgoing: Outgoing<'_>) -> Result<(), GroupError> {
        for link in &mut self.links {
            if link.may_peek() {
                match link.header() {
                    Err(GroupError::Lost { .. }) if outgoing.to(link.rank).is_none() => {}
                    looked => drop(looked?),
                }
            }
        }
        Ok(())
    }

    fn run(
        &mut self,
        own: &Header,
        limit: Option<Duration>,
        outgoing: Outgoing<'_>,
        incoming: &mut Incoming<'_>,
        failure: &Failure,
    ) -> Result<(), GroupError> {
        let mut moved_at = Instant::now();
        loop {
            if let Some(error) = failure.get() {
                return Err(error);
            }
            let (mut moved, mut open) = (false, false);
            for link in &mut self.links {
                if link.sends() {
                    moved |= link.push(outgoing.to(link.rank).unwrap_or_default())?;
                }
                if link.receives() {
                    moved |= pull(link, self.rank, own, incoming)?;
                }
                open |= link.sends() || link.receives();
            }
            if !open {
                return Ok(());
            }
            if moved {
                moved_at = Instant::now();
                continue;
            }
            let idle = moved_at.elapsed();
            if idle < SPIN {
                // Another thread of this machine may be the one that is waited for.
                thread::yield_now();
                continue;
            }
            if let Some(limit) = limit.filter(|limit| idle >= *limit) {
                let waits = |link: &&Link| link.receives() || link.sends();
                let rank = self.links.iter().find(waits).map_or(self.rank, |link| link.rank);
                return Err(GroupError::TimedOut { rank, seconds: limit.as_secs() });
            }
            self.sleep(limit.map(|limit| limit - idle), failure)?;
        }
    }

    /// Sleeps until a peer moves, something is raised, or `most` is over. Notices failures of peers of which
    /// nothing is wanted now.
    fn sleep(&mut self, most: Option<Duration>, failure: &Failure) -> Result<(), GroupError> {
        let mut most = most.unwrap_or(Duration::from_secs(3600));
        if self.links.iter().any(Link::is_lost) {
            most = most.min(GRACE / 10);
        }
        let mut fds = Vec::with_capacity(self.links.len() + 1);
        fds.push(PollFd::new(&failure.wake.1, PollFlags::IN));
        for link in &self.links {
            let mut events = PollFlags::empty();
            events.set(PollFlags::IN, link.receives() || link.may_peek());
            events.set(PollFlags::OUT, link.sends());
            // Without events a closed connection would still wake the poll, again and again.
            if !events.is_empty() {
                fds.push(PollFd::from_borrowed_fd(link.fd(), events));
            }
        }
        let timeout = Timespec { tv_sec: most.as_secs() as _, tv_nsec: most.subsec_nanos() as _ };
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => {
                let cause = format!("poll: {error}");
                return Err(GroupError::Failed { who: format!("rank {}", self.rank), cause });
            }
        }
        drop(fds);
        self.look(Outgoing::Nothing)?;
        // A peer's end is no error yet: what is wanted may be under way.
        self.links.iter().find_map(|link| link.lost_for(GRACE)).map_or(Ok(()), Err)
    }

    /// Tells all peers of an error once, behind what was begun; for as long as [`LAST_WORDS`] at most.
    pub fn tell_failure(&mut self, error: &GroupError, outgoing: Outgoing<'_>) {
        if !self.told {
            let frame = frame::failure(error);
            self.say_last(&frame, outgoing, Instant::now() + LAST_WORDS);
        }
    }

    /// Takes leave of all peers.
    pub fn say_goodbye(&mut self) {
        if !self.told {
            let header = Header { kind: Kind::Goodbye, local: 0, sequence: self.sequence, length: 0 };
            self.say_last(&header.encode(), Outgoing::Nothing, Instant::now());
        }
    }

    /// Sends a last frame to every peer, behind what was begun, and waits for the end of what they send: a
    /// peer in a call ends at once, one that computes does not hear. All that is left is given up then.
    fn say_last(&mut self, frame: &[u8], outgoing: Outgoing<'_>, until: Instant) {
        self.told = true;
        let (first, rest) = frame.split_at(frame::HEADER);
        let Some(header) = first.first_chunk().and_then(Header::decode) else { return };
        let mut stages = vec![Stage::Begun; self.links.len()];
        loop {
            let mut open = false;
            for (link, stage) in self.links.iter_mut().zip(&mut stages) {
                if *stage == Stage::Begun && !link.is_half_sent() {
                    link.start(Some(&header), false);
                    *stage = Stage::Last;
                }
                let bytes =
                    if *stage == Stage::Begun { outgoing.to(link.rank).unwrap_or_default() } else { rest };
                if !link.push_last(bytes) && *stage == Stage::Last {
                    link.finish();
                    *stage = Stage::Sent;
                }
                open |= !link.drain();
            }
            if !open || Instant::now() >= until {
                break;
            }
            thread::sleep(Duration::from_millis(1));
        }
        self.links.iter_mut().for_each(Link::finish);
    }
}

/// The last frame to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The rest of a frame that was begun.
    Begun,
    Last,
    Sent,
}

/// Receives what is there of the frame of one peer. Returns true if that is anything.
fn pull(link: &mut Link, rank: usize, own: &Header, incoming: &mut Incoming<'_>) -> Result<bool, GroupError> {
    let Some(header) = link.header()? else { return Ok(false) };
    if !link.has_room() {
        header.check(link.rank, own, rank)?;
        incoming
            .make_room(link.rank, header.length)
            .map_err(|expected| frame::other_length(own.kind, link.rank, header.length, rank, expected))?;
        link.set_room();
    }
    link.pull(incoming.room(link.rank))
}
