//! The meter of idle time: the share of its time that a thread waits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Adds up the waiting time of the threads that share it. It can be read from any thread.
#[derive(Debug, Default)]
pub struct Meter {
    idle: AtomicU64,
    total: AtomicU64,
}

impl Meter {
    /// A meter before any time has passed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a call that may wait, and counts its time as waiting.
    pub fn waiting<T>(&self, wait: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let result = wait();
        self.idle.fetch_add(nanoseconds(started), Ordering::Relaxed);
        result
    }

    /// Counts a thread's time since `started`, and sets `started` to now.
    pub fn lived(&self, started: &mut Instant) {
        let now = Instant::now();
        self.total.fetch_add(now.duration_since(*started).as_nanos() as u64, Ordering::Relaxed);
        *started = now;
    }

    /// The share of the time since the last call that the threads waited, 0 to 1; `None` if no time has
    /// passed.
    pub fn take_share(&self) -> Option<f64> {
        let (idle, total) = (self.idle.swap(0, Ordering::Relaxed), self.total.swap(0, Ordering::Relaxed));
        (total > 0).then(|| (idle as f64 / total as f64).min(1.0))
    }
}

fn nanoseconds(started: Instant) -> u64 {
    started.elapsed().as_nanos() as u64
}

#[cfg(all(test, not(feature = "model")))]
mod tests {
    use std::thread::sleep;
    use std::time::Duration;

    use super::*;

    #[test]
    fn half_the_time_is_half_the_time() {
        let (meter, mut started) = (Meter::new(), Instant::now());
        assert_eq!(meter.take_share(), None);
        meter.waiting(|| sleep(Duration::from_millis(20)));
        let busy = Instant::now();
        while busy.elapsed() < Duration::from_millis(20) {}
        meter.lived(&mut started);
        let share = meter.take_share().unwrap();
        assert!((0.2..0.95).contains(&share), "{share}");
        assert_eq!(meter.take_share(), None);
    }
}
