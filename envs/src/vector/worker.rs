//! A worker: a thread that does a piece of work over and over, in turns with the owner of the work.

use std::hint;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle, Thread};

use crate::EnvError;

/// The turn is the owner's: the work is done, or not given yet.
const OWNER: u8 = 0;
/// The work is ready; the worker or the owner does it, whichever comes first.
const EITHER: u8 = 1;
/// The turn is the worker's, which does the work.
const WORKER: u8 = 2;
/// The worker has ended, and nobody has a turn.
const NOBODY: u8 = 3;

/// The number of times that a waiting thread checks for its turn before it sleeps: some tens of microseconds,
/// about the cost of being woken. A loop of steps without a pause never sleeps; an idle one soon does.
const LOOKS: u32 = 2000;

/// A thread and its work, which belongs to the thread and to the owner in turns. Passing it on neither
/// allocates nor copies. An owner that wants the result before the thread has begun does the work itself, so
/// that a thread that is slow to wake, or gets no processor, delays nothing.
pub(super) struct Worker<T> {
    seat: Arc<Seat<T>>,
    run: fn(&mut T),
    thread: Option<JoinHandle<()>>,
}

struct Seat<T> {
    turn: AtomicU8,
    work: Mutex<Work<T>>,
}

struct Work<T> {
    value: T,
    /// The owner's thread, which waits for the result.
    owner: Thread,
}

impl<T: Send + 'static> Worker<T> {
    /// A thread that calls `run` with the work whenever it has the turn.
    ///
    /// # Errors
    /// [`EnvError::World`] when the system has no thread left.
    pub fn new(value: T, run: fn(&mut T)) -> Result<Self, EnvError> {
        let work = Mutex::new(Work { value, owner: thread::current() });
        let seat = Arc::new(Seat { turn: AtomicU8::new(OWNER), work });
        let thread = thread::Builder::new().name("environments".into()).spawn({
            let seat = Arc::clone(&seat);
            move || seat.serve(run)
        });
        let thread = thread.map_err(|error| EnvError::World(format!("no thread can be started: {error}")))?;
        Ok(Self { seat, run, thread: Some(thread) })
    }

    /// Prepares the work and leaves it to the worker.
    ///
    /// # Errors
    /// As [`Worker::work`].
    pub fn start(&self, prepare: impl FnOnce(&mut T)) -> Result<(), EnvError> {
        {
            let mut work = self.lock()?;
            work.owner = thread::current();
            prepare(&mut work.value);
        }
        self.seat.turn.store(EITHER, Ordering::Release);
        self.wake();
        Ok(())
    }

    /// Gives access to the work once it is done.
    ///
    /// # Errors
    /// [`EnvError::World`] when the worker has died at its work.
    pub fn work<R>(&self, look: impl FnOnce(&mut T) -> R) -> Result<R, EnvError> {
        if self.seat.pass(EITHER, OWNER) {
            (self.run)(&mut self.lock()?.value);
        }
        self.seat.wait(|turn| turn == OWNER);
        Ok(look(&mut self.lock()?.value))
    }

    fn lock(&self) -> Result<MutexGuard<'_, Work<T>>, EnvError> {
        let died = |_| EnvError::World("a thread that steps environments has died".into());
        self.seat.work.lock().map_err(died)
    }
}

impl<T> Seat<T> {
    fn serve(&self, run: fn(&mut T)) {
        while self.wait(|turn| turn == EITHER || turn == NOBODY) == EITHER {
            if !self.pass(EITHER, WORKER) {
                continue;
            }
            let Ok(owner) = self.work.lock().map(|work| work.owner.clone()) else { return };
            let _returning = Returning { seat: self, owner };
            let Ok(mut work) = self.work.lock() else { return };
            run(&mut work.value);
        }
    }

    /// Passes the turn on, if it is still as expected.
    fn pass(&self, from: u8, to: u8) -> bool {
        self.turn.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Waits until `wanted` returns true for the turn, and returns the turn.
    fn wait(&self, wanted: impl Fn(u8) -> bool) -> u8 {
        let mut looks = 0;
        loop {
            let turn = self.turn.load(Ordering::Acquire);
            if wanted(turn) {
                return turn;
            }
            if looks < LOOKS {
                looks += 1;
                hint::spin_loop();
            } else {
                thread::park();
            }
        }
    }
}

impl<T> Worker<T> {
    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl<T> Drop for Worker<T> {
    fn drop(&mut self) {
        self.seat.turn.store(NOBODY, Ordering::Release);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // The thread has ended, with a panic or without.
            let _ = thread.join();
        }
    }
}

/// Gives the turn back when it is dropped, also after a panic, so that nobody waits for a dead thread.
struct Returning<'a, T> {
    seat: &'a Seat<T>,
    owner: Thread,
}

impl<T> Drop for Returning<'_, T> {
    fn drop(&mut self) {
        if self.seat.pass(WORKER, OWNER) {
            self.owner.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_work_goes_to_and_fro() {
        let worker = Worker::new(0_u64, |sum| *sum *= 2).unwrap();
        let mut expected = 0;
        for term in 0..1000 {
            // Now and then all threads get time to fall asleep.
            if term % 250 == 0 {
                thread::sleep(Duration::from_millis(2));
            }
            expected = (expected + term) % 1000 * 2;
            worker.start(|sum| *sum = (*sum + term) % 1000).unwrap();
            assert_eq!(worker.work(|sum| *sum), Ok(expected));
        }
    }

    #[test]
    fn a_dead_worker_is_an_error_and_no_wait_without_end() {
        let worker = Worker::new((), |()| panic!("on purpose")).unwrap();
        worker.start(|()| ()).unwrap();
        // The worker is to begin before this thread does.
        worker.seat.wait(|turn| turn == OWNER);
        for _ in 0..2 {
            assert!(worker.work(|()| ()).unwrap_err().to_string().contains("has died"));
            assert!(worker.start(|()| ()).is_err());
        }
    }

    #[test]
    fn a_worker_can_be_left_at_its_work() {
        let worker = Worker::new((), |()| thread::sleep(Duration::from_millis(20))).unwrap();
        worker.start(|()| ()).unwrap();
    }

    #[test]
    fn work_that_nobody_has_begun_is_done_by_the_owner() {
        let seat = Seat {
            turn: AtomicU8::new(EITHER),
            work: Mutex::new(Work { value: 0, owner: thread::current() }),
        };
        // A worker whose thread never came to life.
        let worker = Worker { seat: Arc::new(seat), run: |done| *done += 1, thread: None };
        assert_eq!(worker.work(|done| *done), Ok(1));
        assert_eq!(worker.work(|done| *done), Ok(1));
    }
}
