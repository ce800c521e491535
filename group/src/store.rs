//! The keys and values by which processes find one another.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::GroupError;

/// A store of keys and values that all processes of a group reach, such as that of torchrun's agent. It
/// serves the rendezvous alone; what processes say to one another later goes over their
/// [`Wire`](crate::Wire).
pub trait Store: Send {
    /// Sets the value of a key.
    ///
    /// # Errors
    /// When the store cannot be reached.
    fn set(&self, key: &str, value: &[u8]) -> Result<(), GroupError>;

    /// The value of a key, or None if it is not there within `timeout`.
    ///
    /// # Errors
    /// When the store cannot be reached.
    fn get(&self, key: &str, timeout: Duration) -> Result<Option<Vec<u8>>, GroupError>;

    /// Adds to a counter, which starts at 0, and returns the sum.
    ///
    /// # Errors
    /// When the store cannot be reached.
    fn add(&self, key: &str, amount: i64) -> Result<i64, GroupError>;
}

/// A store within one process: for tests, and for threads that stand in for processes. Clones share their
/// content.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    content: Mutex<Content>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Content {
    values: HashMap<String, Vec<u8>>,
    counters: HashMap<String, i64>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.0.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn set(&self, key: &str, value: &[u8]) -> Result<(), GroupError> {
        self.content().values.insert(key.to_owned(), value.to_vec());
        self.0.changed.notify_all();
        Ok(())
    }

    fn get(&self, key: &str, timeout: Duration) -> Result<Option<Vec<u8>>, GroupError> {
        let begun = Instant::now();
        let mut content = self.content();
        loop {
            if let Some(value) = content.values.get(key) {
                return Ok(Some(value.clone()));
            }
            let Some(rest) = timeout.checked_sub(begun.elapsed()).filter(|rest| !rest.is_zero()) else {
                return Ok(None);
            };
            content = self.0.changed.wait_timeout(content, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn add(&self, key: &str, amount: i64) -> Result<i64, GroupError> {
        let mut content = self.content();
        let sum = content.counters.entry(key.to_owned()).or_default();
        *sum = sum.wrapping_add(amount);
        Ok(*sum)
    }
}
