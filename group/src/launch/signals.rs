//! The signals that a process was sent, on the way from its handler to whoever acts on them.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Signals this soon after one that counted belong to it: `timeout`, a terminal that closes and Slurm send
/// the same request twice, to a process and to its group. A person that presses Ctrl-C again is slower.
const ONE_REQUEST: Duration = Duration::from_millis(500);

/// Counts requests to stop (SIGINT, SIGTERM, SIGHUP). A signal's handler notifies; clones share the count.
#[derive(Clone, Debug, Default)]
pub struct SignalInbox {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    requests: Mutex<Requests>,
    came: Condvar,
}

#[derive(Debug, Default)]
struct Requests {
    count: u32,
    last: Option<Instant>,
}

impl SignalInbox {
    /// An inbox without a request.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes note of a signal and returns the number of requests so far; signals within half a second of a
    /// request are part of it. To be called from a thread, as the `ctrlc` crate does, and not from within a
    /// raw handler.
    pub fn notify(&self) -> u32 {
        let mut requests = self.lock();
        let now = Instant::now();
        if requests.last.is_none_or(|last| now.duration_since(last) >= ONE_REQUEST) {
            requests.count += 1;
            requests.last = Some(now);
            self.shared.came.notify_all();
        }
        requests.count
    }

    /// The number of requests so far.
    pub fn count(&self) -> u32 {
        self.lock().count
    }

    /// Waits until there are more requests than `seen`, at most `limit`, and returns their number.
    pub(super) fn wait(&self, seen: u32, limit: Duration) -> u32 {
        let requests = self.lock();
        let waited = self.shared.came.wait_timeout_while(requests, limit, |requests| requests.count <= seen);
        waited.unwrap_or_else(PoisonError::into_inner).0.count
    }

    fn lock(&self) -> MutexGuard<'_, Requests> {
        self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
