//! The meeting of the shards of one process, each in a thread of its own.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::GroupError;
use crate::order::{Order, Step, add};
use crate::sum::{Number, Summer};
use crate::wire::{Incoming, Kind, Outgoing, Terms, Wire};

/// The time for which a shard looks for the others again and again before it sleeps.
const SPIN: Duration = Duration::from_micros(50);

/// The longest time that the shards of the only process wait for one another. One whose thread ends is noticed at once.
const ONLY_PROCESS: Duration = Duration::from_secs(3600);

/// The purpose of a meeting. All shards of a meeting need the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Sum(usize),
    SumF64(usize),
    Gather,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sum(length) => write!(f, "a sum of {length} f32"),
            Self::SumF64(length) => write!(f, "a sum of {length} f64"),
            Self::Gather => f.write_str("a gathering"),
        }
    }
}

/// The shards of one process, and the way to those of others.
#[derive(Debug)]
pub struct Hub {
    /// The number of the first shard of this process.
    first: usize,
    local: usize,
    wire: Option<Wire>,
    /// The longest time that a shard is waited for.
    limit: Duration,
    meeting: Mutex<Meeting>,
    changed: Condvar,
    /// The number of meetings that are over.
    round: AtomicU64,
    /// True if the meeting has failed.
    failed: AtomicBool,
    sum_f32: Board<f32>,
    sum_f64: Board<f64>,
    /// The bytes that each shard gives to be gathered, and all that were.
    given: Vec<Mutex<Vec<u8>>>,
    gathered: RwLock<Vec<Vec<u8>>>,
}

/// The meeting that goes on: the shards that have come, and its purpose.
#[derive(Debug)]
struct Meeting {
    call: Option<Call>,
    has_come: Vec<bool>,
    /// The shards whose handles are gone.
    has_left: Vec<bool>,
    failure: Option<GroupError>,
}

/// The numbers of each shard, and their sum.
#[derive(Debug)]
struct Board<T> {
    /// The additions within this process, and where the sums for the other processes then stand.
    steps: Vec<Step>,
    places: Vec<usize>,
    rows: Vec<Mutex<Vec<T>>>,
    sum: RwLock<Vec<T>>,
    summer: Mutex<Summer<T>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    /// The hub of a process with so many shards.
    pub fn new(local: usize, wire: Option<Wire>) -> Self {
        let (rank, world_size) = wire.as_ref().map_or((0, 1), |wire| (wire.rank(), wire.world_size()));
        let meeting =
            Meeting { call: None, has_come: vec![false; local], has_left: vec![false; local], failure: None };
        Self {
            first: rank * local,
            local,
            limit: wire.as_ref().map_or(ONLY_PROCESS, Wire::timeout),
            wire,
            meeting: Mutex::new(meeting),
            changed: Condvar::new(),
            round: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            sum_f32: Board::new(local, rank, world_size),
            sum_f64: Board::new(local, rank, world_size),
            given: (0..local).map(|_| Mutex::default()).collect(),
            gathered: RwLock::default(),
        }
    }

    /// The number of the first shard of this process.
    pub fn first(&self) -> usize {
        self.first
    }

    /// The number of all shards.
    pub fn shards(&self) -> usize {
        self.local * self.wire.as_ref().map_or(1, Wire::world_size)
    }

    /// Sums the numbers of all shards. `place` is the shard's number within this process.
    pub fn sum_f32(&self, place: usize, numbers: &mut [f32]) -> Result<(), GroupError> {
        self.sum(place, &self.sum_f32, Call::Sum(numbers.len()), numbers)
    }

    pub fn sum_f64(&self, place: usize, numbers: &mut [f64]) -> Result<(), GroupError> {
        self.sum(place, &self.sum_f64, Call::SumF64(numbers.len()), numbers)
    }

    fn sum<T: Number>(
        &self,
        place: usize,
        board: &Board<T>,
        call: Call,
        numbers: &mut [T],
    ) -> Result<(), GroupError> {
        if self.local == 1 {
            // Nobody else of this process comes: the numbers need not be copied.
            return self.meet(place, call, || board.sum_processes(self.wire.as_ref(), numbers));
        }
        let mut row = lock(&board.rows[place]);
        row.clear();
        row.extend_from_slice(numbers);
        drop(row);
        self.meet(place, call, || board.sum(self.wire.as_ref(), numbers.len()))?;
        numbers.copy_from_slice(&board.sum.read().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }

    /// The bytes of all shards.
    pub fn gather(&self, place: usize, bytes: Vec<u8>) -> Result<Vec<Vec<u8>>, GroupError> {
        *lock(&self.given[place]) = bytes;
        self.meet(place, Call::Gather, || {
            let own: Vec<Vec<u8>> =
                self.given.iter().map(|given| std::mem::take(&mut *lock(given))).collect();
            let all = match &self.wire {
                Some(wire) => gather_processes(wire, own)?,
                None => own,
            };
            *self.gathered.write().unwrap_or_else(PoisonError::into_inner) = all;
            Ok(())
        })?;
        Ok(self.gathered.read().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Waits until all shards of this process have come; the last one does what they came for.
    fn meet(
        &self,
        place: usize,
        call: Call,
        act: impl FnOnce() -> Result<(), GroupError>,
    ) -> Result<(), GroupError> {
        let mut meeting = lock(&self.meeting);
        if let Some(error) = meeting.failure.clone() {
            return Err(error);
        }
        if let Some(error) = self.wire.as_ref().and_then(Wire::failure) {
            drop(meeting);
            return Err(self.fail_with(error));
        }
        if let Err(error) = meeting.come(self.first, place, call) {
            drop(meeting);
            return Err(self.fail_with(error));
        }
        if meeting.has_come.iter().all(|has_come| *has_come) {
            drop(meeting);
            return self.finish(act());
        }
        let round = self.round.load(Ordering::Acquire);
        drop(meeting);
        self.wait(round)
    }

    /// Ends a meeting.
    fn finish(&self, result: Result<(), GroupError>) -> Result<(), GroupError> {
        let mut meeting = lock(&self.meeting);
        if let Err(error) = result {
            let error = meeting.failure.get_or_insert(error).clone();
            drop(meeting);
            return Err(self.fail_with(error));
        }
        meeting.call = None;
        meeting.has_come.fill(false);
        self.round.fetch_add(1, Ordering::Release);
        drop(meeting);
        self.changed.notify_all();
        Ok(())
    }

    /// Waits for the end of the meeting that follows so many.
    fn wait(&self, round: u64) -> Result<(), GroupError> {
        let begun = Instant::now();
        let is_open = || self.round.load(Ordering::Acquire) == round;
        while is_open() && !self.failed.load(Ordering::Acquire) && begun.elapsed() < SPIN {
            thread::yield_now();
        }
        let mut meeting = lock(&self.meeting);
        while is_open() {
            if let Some(error) = meeting.failure.clone() {
                return Err(error);
            }
            let rest = self.limit.saturating_sub(begun.elapsed());
            // Once all have come, the last one watches over the time.
            if let Some(late) = meeting.late().filter(|_| rest.is_zero()) {
                let cause = format!("it has not come to {} for {} s", meeting.call(), self.limit.as_secs());
                drop(meeting);
                return Err(self.fail_with(self.shard_failed(late, cause)));
            }
            let rest = if rest.is_zero() { self.limit } else { rest };
            meeting = self.changed.wait_timeout(meeting, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    fn shard_failed(&self, place: usize, cause: String) -> GroupError {
        GroupError::Failed { who: format!("shard {}", self.first + place), cause }
    }

    /// A shard has failed: all calls, waiting or to come, fail with its cause, in other processes too.
    pub fn fail(&self, place: usize, cause: &str) {
        self.fail_with(self.shard_failed(place, cause.to_owned()));
    }

    /// The first error stays, and is returned.
    fn fail_with(&self, error: GroupError) -> GroupError {
        let error = lock(&self.meeting).failure.get_or_insert(error).clone();
        self.failed.store(true, Ordering::Release);
        self.changed.notify_all();
        if let Some(wire) = &self.wire {
            wire.fail_with(error.clone());
        }
        error
    }

    /// The last handle of a shard is gone. That is an error for those that wait for it now, or come later.
    pub fn leave(&self, place: usize) {
        let mut meeting = lock(&self.meeting);
        meeting.has_left[place] = true;
        let is_wanted = meeting.call.is_some() && meeting.failure.is_none();
        drop(meeting);
        if thread::panicking() {
            self.fail(place, "its thread panicked");
        } else if is_wanted {
            self.fail(place, LEFT);
        }
    }
}

/// The cause that is told of a shard whose handle is gone.
const LEFT: &str = "it has left the group";

impl Meeting {
    /// A shard comes. Errors are a meeting's end.
    fn come(&mut self, first: usize, place: usize, call: Call) -> Result<(), GroupError> {
        if let Some(left) = self.has_left.iter().position(|has_left| *has_left) {
            return Err(GroupError::Failed {
                who: format!("shard {}", first + left),
                cause: LEFT.to_owned(),
            });
        }
        let shard = first + place;
        if self.has_come[place] {
            return Err(GroupError::OutOfStep(format!(
                "shard {shard} has called twice at once: one thread of a shard may use its group at a time"
            )));
        }
        let agreed = *self.call.get_or_insert(call);
        if agreed != call {
            let other = self.has_come.iter().position(|has_come| *has_come).unwrap_or_default();
            return Err(GroupError::OutOfStep(format!(
                "shard {shard} is at another point of the program: it calls for {call}, shard {} for \
                 {agreed}",
                first + other
            )));
        }
        self.has_come[place] = true;
        Ok(())
    }

    /// A shard that has not come.
    fn late(&self) -> Option<usize> {
        self.has_come.iter().position(|has_come| !has_come)
    }

    fn call(&self) -> String {
        self.call.map_or_else(String::new, |call| call.to_string())
    }
}

impl<T: Number> Board<T> {
    fn new(local: usize, rank: usize, world_size: usize) -> Self {
        let (steps, places) = Order::new(local, world_size).local_steps(rank);
        Self {
            steps,
            places,
            rows: (0..local).map(|_| Mutex::default()).collect(),
            sum: RwLock::default(),
            summer: Mutex::new(Summer::new(local, rank, world_size)),
        }
    }

    /// Sums the rows of this process's shards, and over all processes.
    fn sum(&self, wire: Option<&Wire>, length: usize) -> Result<(), GroupError> {
        for &(to, other) in &self.steps {
            add(&mut lock(&self.rows[to]), &lock(&self.rows[other]));
        }
        let mut sum = self.sum.write().unwrap_or_else(PoisonError::into_inner);
        match self.places[..] {
            // A shard fills its row anew each time, so that any buffer will do.
            [place] => std::mem::swap(&mut *sum, &mut *lock(&self.rows[place])),
            _ => {
                sum.clear();
                for &place in &self.places {
                    sum.extend_from_slice(&lock(&self.rows[place]));
                }
            }
        }
        if let Some(wire) = wire {
            lock(&self.summer).sum(wire, &mut sum, length)?;
        }
        sum.truncate(length);
        Ok(())
    }

    /// Sums over processes with one shard each.
    fn sum_processes(&self, wire: Option<&Wire>, numbers: &mut [T]) -> Result<(), GroupError> {
        let length = numbers.len();
        wire.map_or(Ok(()), |wire| lock(&self.summer).sum(wire, numbers, length))
    }
}

/// The bytes of the shards of all processes. A process sends the lengths of its shards' bytes, then the
/// bytes.
fn gather_processes(wire: &Wire, own: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, GroupError> {
    let local = own.len();
    let mut outgoing: Vec<u8> = own.iter().flat_map(|bytes| (bytes.len() as u64).to_ne_bytes()).collect();
    own.iter().for_each(|bytes| outgoing.extend_from_slice(bytes));
    let mut incoming = vec![Vec::new(); wire.world_size()];
    let terms = Terms {
        kind: Kind::Gather,
        local: local.try_into().unwrap_or(u16::MAX),
        limit: Some(wire.timeout()),
    };
    wire.exchange(&terms, Outgoing::ToAll(&outgoing), Incoming::All(&mut incoming))?;
    incoming[wire.rank()] = outgoing;
    let mut all = Vec::with_capacity(local * incoming.len());
    for (rank, bytes) in incoming.iter().enumerate() {
        let Some(parts) = shards_of(bytes, local) else {
            return Err(GroupError::OutOfStep(format!(
                "rank {rank} sent bytes for a gathering that make no sense"
            )));
        };
        all.extend(parts.into_iter().map(<[u8]>::to_vec));
    }
    Ok(all)
}

/// The bytes of each shard in what a process sent.
fn shards_of(bytes: &[u8], local: usize) -> Option<Vec<&[u8]>> {
    let (lengths, mut rest) = bytes.split_at_checked(local.checked_mul(8)?)?;
    let mut parts = Vec::with_capacity(local);
    for length in lengths.as_chunks().0 {
        let (part, behind) = rest.split_at_checked(usize::try_from(u64::from_ne_bytes(*length)).ok()?)?;
        parts.push(part);
        rest = behind;
    }
    rest.is_empty().then_some(parts)
}
