//! The slot: it holds the latest value, from one writer to many readers.

use crate::sync::{Arc, AtomicU64, Condvar, Mutex, Ordering};

/// A published value with its version. It never changes after its publication.
#[derive(Debug)]
pub struct Snapshot<T> {
    /// The version: the slot's first version, and one more for each publication.
    pub version: u64,
    /// The value.
    pub value: T,
}

#[derive(Debug)]
struct Inner<T> {
    latest: Arc<Snapshot<T>>,
    closed: bool,
}

/// Holds the latest [`Snapshot`]. Publishing swaps a pointer and reading clones one. The lock is never held
/// while values are written or copied, and a reader that is up to date does not take it.
#[derive(Debug)]
pub struct Slot<T> {
    inner: Mutex<Inner<T>>,
    version: AtomicU64,
    changed: Condvar,
}

impl<T> Slot<T> {
    /// A slot with its first value and version, and its only publisher.
    pub fn new(value: T, version: u64) -> (Arc<Self>, Publisher<T>) {
        let latest = Arc::new(Snapshot { version, value });
        let slot = Arc::new(Self {
            inner: Mutex::new(Inner { latest, closed: false }),
            version: AtomicU64::new(version),
            changed: Condvar::new(),
        });
        (slot.clone(), Publisher { slot, retired: Vec::new() })
    }

    /// The latest version.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The latest snapshot.
    pub fn latest(&self) -> Arc<Snapshot<T>> {
        self.lock().latest.clone()
    }

    /// The latest snapshot, if it is newer than `version`.
    pub fn newer_than(&self, version: u64) -> Option<Arc<Snapshot<T>>> {
        (self.version() > version).then(|| self.latest())
    }

    /// Waits until there is a version of at least `version`; `None` if the slot is closed first.
    pub fn wait_for(&self, version: u64) -> Option<Arc<Snapshot<T>>> {
        let mut inner = self.lock();
        loop {
            if inner.latest.version >= version {
                return Some(inner.latest.clone());
            }
            if inner.closed {
                return None;
            }
            inner = self.changed.wait(inner).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }

    /// Closes the slot: no value will be published any more, and the threads that wait are released.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    // A panic cannot leave a half-written pointer behind: the lock always holds a complete value.
    #[cfg(not(feature = "model"))]
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    #[cfg(feature = "model")]
    fn lock(&self) -> loom::sync::MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The only writer of a slot.
#[derive(Debug)]
pub struct Publisher<T> {
    slot: Arc<Slot<T>>,
    /// Snapshots that are no longer the latest. One that nobody reads any more is overwritten.
    retired: Vec<Arc<Snapshot<T>>>,
}

impl<T: Default> Publisher<T> {
    /// Publishes the value that `write` makes of an old value or of a fresh one, and returns its version.
    ///
    /// # Errors
    /// That of `write`; the slot is unchanged then.
    pub fn publish<E>(&mut self, write: impl FnOnce(&mut T) -> Result<(), E>) -> Result<u64, E> {
        let mut snapshot =
            self.unread().unwrap_or_else(|| Arc::new(Snapshot { version: 0, value: T::default() }));
        let version = self.slot.version() + 1;
        if let Some(own) = Arc::get_mut(&mut snapshot) {
            write(&mut own.value)?;
            own.version = version;
        }
        let old = std::mem::replace(&mut self.slot.lock().latest, snapshot);
        self.slot.version.store(version, Ordering::Release);
        self.slot.changed.notify_all();
        self.retired.push(old);
        Ok(version)
    }

    /// Takes a retired snapshot that nobody reads.
    fn unread(&mut self) -> Option<Arc<Snapshot<T>>> {
        let index = self.retired.iter_mut().position(|snapshot| Arc::get_mut(snapshot).is_some())?;
        Some(self.retired.swap_remove(index))
    }

    /// The slot.
    pub fn slot(&self) -> &Arc<Slot<T>> {
        &self.slot
    }
}

#[cfg(all(test, not(feature = "model")))]
mod tests {
    use std::convert::Infallible;
    use std::sync::Barrier;
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn publish(publisher: &mut Publisher<Vec<u64>>, number: u64) -> u64 {
        let written = publisher.publish(|value| {
            value.clear();
            value.resize(64, number);
            Ok::<(), Infallible>(())
        });
        let Ok(version) = written;
        version
    }

    #[test]
    fn readers_see_whole_values_in_order_and_buffers_go_round() {
        let (slot, mut publisher) = Slot::new(vec![0; 64], 0);
        let start = Barrier::new(4);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    start.wait();
                    let mut version = 0;
                    while version < 20_000 {
                        let Some(snapshot) = slot.newer_than(version) else { continue };
                        assert!(snapshot.version > version);
                        version = snapshot.version;
                        assert!(snapshot.value.iter().all(|&number| number == version));
                    }
                });
            }
            start.wait();
            for number in 1..=20_000 {
                assert_eq!(publish(&mut publisher, number), number);
            }
        });
        // One for each reader that may hold one, and the next one to write.
        assert!(publisher.retired.len() <= 5, "{}", publisher.retired.len());
    }

    #[test]
    fn a_waiting_reader_is_woken_by_a_publication_and_by_the_end() {
        let (slot, mut publisher) = Slot::new(vec![0; 64], 3);
        assert_eq!(slot.wait_for(3).map(|snapshot| snapshot.version), Some(3));
        thread::scope(|scope| {
            let waiting = scope.spawn(|| slot.wait_for(5).map(|snapshot| snapshot.version));
            let in_vain = scope.spawn(|| slot.wait_for(9).is_none());
            thread::sleep(Duration::from_millis(5));
            publish(&mut publisher, 4);
            publish(&mut publisher, 5);
            assert_eq!(waiting.join().unwrap(), Some(5));
            slot.close();
            assert!(in_vain.join().unwrap());
        });
    }

    #[test]
    fn a_failed_write_publishes_nothing() {
        let (slot, mut publisher) = Slot::new(vec![7], 0);
        assert_eq!(publisher.publish(|_| Err("full")), Err("full"));
        assert_eq!((slot.version(), slot.latest().value.clone()), (0, vec![7]));
    }
}
