//! The way of the children's output to the launcher's own.
//!
//! A thread for each stream of each child reads and cuts it into lines; one thread writes, so that lines
//! never mix. Between them is a queue of bounded size: where the terminal takes less than the children write,
//! they wait, as they would at the terminal itself. Whoever supervises the children never waits for the
//! terminal.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::lines::Lines;
use super::signals::SignalInbox;
use crate::GroupError;

/// The bytes that may wait for the terminal.
const WAITING: usize = 1 << 20;

/// The largest piece that is read at once.
const PIECE: usize = 64 * 1024;

/// The most bytes that are read from a stream whose child has ended: as much as a pipe holds. A process that has
/// outlived the child could go on for ever.
const REST: usize = 1 << 20;

/// A reader looks this often whether its child has ended.
const INTERVAL: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// The time that a message of the launcher itself waits for room.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

/// Where the output goes.
pub(super) struct Sinks {
    pub stdout: Box<dyn Write + Send>,
    pub stderr: Box<dyn Write + Send>,
}

impl Sinks {
    /// Those of this process.
    pub fn own() -> Self {
        Self { stdout: Box::new(io::stdout()), stderr: Box::new(io::stderr()) }
    }
}

/// The threads that carry output.
pub(super) struct Output {
    queue: Arc<Queue>,
    writer: JoinHandle<()>,
    readers: Vec<JoinHandle<()>>,
    /// True once the children that are read from have ended.
    ended: Arc<AtomicBool>,
    /// The requests to stop that the children have had. A further one is about the output.
    pub heard: u32,
    /// True if rank 0's standard output is for a program, and stays as it is.
    bare: bool,
}

impl Output {
    pub fn start(sinks: Sinks, bare: bool) -> Result<Self, GroupError> {
        let queue = Arc::new(Queue::default());
        let own = queue.clone();
        let writer = spawn("output".into(), move || write_all(&own, sinks))?;
        Ok(Self { queue, writer, readers: Vec::new(), ended: Arc::default(), heard: 0, bare })
    }

    /// Carries a stream of a child.
    pub fn follow(&mut self, rank: usize, stream: Stream, from: OwnedFd) -> Result<(), GroupError> {
        let (queue, ended) = (self.queue.clone(), self.ended.clone());
        let bare = self.bare && rank == 0 && stream == Stream::Stdout;
        let lines = if bare { Lines::bare() } else { Lines::new(rank) };
        let reading = move || read_all(lines, stream, File::from(from), &queue, &ended);
        self.readers.push(spawn(format!("rank {rank}"), reading)?);
        Ok(())
    }

    /// A line of the launcher itself, on stderr. It is dropped if the terminal takes nothing for a second.
    pub fn say(&self, line: &str) {
        self.queue.push(Stream::Stderr, format!("[launch] {line}\n").into_bytes(), Some(PATIENCE));
    }

    /// The children have ended: their last lines come before what follows, if the terminal takes them in
    /// time.
    pub fn children_ended(&mut self, signals: &SignalInbox) {
        self.ended.store(true, Ordering::Release);
        let asked = || signals.count() > self.heard;
        wait_until(PATIENCE, || asked() || self.readers.iter().all(JoinHandle::is_finished));
        self.readers.retain(|reader| !reader.is_finished());
        self.ended = Arc::default();
    }

    /// Waits until all is written. A terminal or a pipe that takes nothing is waited for, as every program
    /// does, but not after a further request to stop.
    pub fn finish(self, signals: &SignalInbox) {
        let asked = || signals.count() > self.heard;
        self.ended.store(true, Ordering::Release);
        while !asked() && !self.readers.iter().all(JoinHandle::is_finished) {
            thread::sleep(Duration::from_millis(5));
        }
        self.queue.end(asked());
        while !asked() && !self.writer.is_finished() {
            thread::sleep(Duration::from_millis(5));
        }
        self.queue.end(asked());
        // Readers end with the queue; a writer that is stuck in a write cannot be woken, and is left.
        for reader in self.readers {
            let _ = reader.join();
        }
        if self.writer.is_finished() {
            let _ = self.writer.join();
        }
    }
}

fn spawn(name: String, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, GroupError> {
    thread::Builder::new()
        .name(name)
        .spawn(work)
        .map_err(|error| GroupError::Launch(format!("no thread can be started for the output: {error}")))
}

/// Waits for something, looking every few milliseconds.
pub(super) fn wait_until(limit: Duration, is_so: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while !is_so() {
        if start.elapsed() >= limit {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
    true
}

/// Reads a stream to its end.
fn read_all(mut lines: Lines, stream: Stream, mut from: File, queue: &Queue, ended: &AtomicBool) {
    let mut piece = vec![0; PIECE];
    let mut rest = REST;
    loop {
        let has_ended = ended.load(Ordering::Acquire);
        let ready = match poll(&mut [PollFd::new(&from, PollFlags::IN)], Some(&INTERVAL)) {
            Ok(ready) => ready > 0,
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => break,
        };
        if !ready {
            if has_ended {
                break;
            }
            continue;
        }
        let length = match from.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        let mut whole = Vec::new();
        lines.take(&piece[..length], Instant::now(), &mut whole);
        if !whole.is_empty() && !queue.push(stream, whole, None) {
            return;
        }
        if has_ended {
            rest = rest.saturating_sub(length);
            if rest == 0 {
                break;
            }
        }
    }
    let mut whole = Vec::new();
    lines.finish(&mut whole);
    if !whole.is_empty() {
        queue.push(stream, whole, None);
    }
}

/// Writes all that comes. What a closed sink does not take is dropped, so that a training outlives its
/// terminal.
fn write_all(queue: &Queue, mut sinks: Sinks) {
    let (mut stdout_open, mut stderr_open) = (true, true);
    while let Some((stream, bytes)) = queue.pop() {
        let (sink, open) = match stream {
            Stream::Stdout => (&mut sinks.stdout, &mut stdout_open),
            Stream::Stderr => (&mut sinks.stderr, &mut stderr_open),
        };
        if *open {
            *open = sink.write_all(&bytes).and_then(|()| sink.flush()).is_ok();
        }
    }
}

/// Whole lines on their way to the writer.
#[derive(Default)]
struct Queue {
    state: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: VecDeque<(Stream, Vec<u8>)>,
    bytes: usize,
    /// True: nothing more comes.
    ended: bool,
}

impl Queue {
    /// Waits for room, then appends; false if the queue has ended or there was no room in time.
    fn push(&self, stream: Stream, bytes: Vec<u8>, limit: Option<Duration>) -> bool {
        let mut state = self.lock();
        let start = Instant::now();
        while state.bytes >= WAITING && !state.ended {
            state = match limit.map(|limit| limit.saturating_sub(start.elapsed())) {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return false,
                Some(left) => {
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        if state.ended {
            return false;
        }
        state.bytes += bytes.len();
        state.lines.push_back((stream, bytes));
        self.changed.notify_all();
        true
    }

    /// Waits for lines; `None` at the end.
    fn pop(&self) -> Option<(Stream, Vec<u8>)> {
        let mut state = self.lock();
        loop {
            if let Some((stream, bytes)) = state.lines.pop_front() {
                state.bytes -= bytes.len();
                self.changed.notify_all();
                return Some((stream, bytes));
            }
            if state.ended {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Nothing more comes; `drop_rest`: what waits is not written either.
    fn end(&self, drop_rest: bool) {
        let mut state = self.lock();
        state.ended = true;
        if drop_rest {
            state.lines.clear();
            state.bytes = 0;
        }
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_holds_back_and_ends() {
        let queue = Queue::default();
        assert!(queue.push(Stream::Stdout, vec![0; WAITING], None));
        assert!(!queue.push(Stream::Stderr, vec![0], Some(Duration::from_millis(10))), "there is no room");
        assert_eq!(queue.pop().map(|(_, bytes)| bytes.len()), Some(WAITING));
        assert!(queue.push(Stream::Stderr, vec![1], None));
        queue.end(false);
        assert!(!queue.push(Stream::Stderr, vec![2], None));
        assert_eq!(queue.pop(), Some((Stream::Stderr, vec![1])));
        assert_eq!(queue.pop(), None);
    }
}
