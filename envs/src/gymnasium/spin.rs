//! Spinning: waiting for a short time without sleeping.

use std::cell::Cell;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

/// The time for which staying awake pays. Being woken costs time, most of all in a virtual machine, and the
/// answers of light worlds come sooner.
const WINDOW: Duration = Duration::from_micros(100);
/// After a wait that was longer, so many waits sleep at once: a world that is slow now is likely to stay slow
/// for a while.
const RESTS: u32 = 16;

/// Stays awake while waits are short, and yields the core to other threads during the wait.
#[derive(Debug, Default)]
pub(super) struct Spin {
    rests: Cell<u32>,
}

impl Spin {
    /// Calls `ready` again and again for a short time. Returns `None` when the caller should sleep.
    pub fn wait<T>(&self, mut ready: impl FnMut() -> io::Result<Option<T>>) -> io::Result<Option<T>> {
        if let Some(left) = self.rests.get().checked_sub(1) {
            self.rests.set(left);
            return Ok(None);
        }
        let start = Instant::now();
        while start.elapsed() < WINDOW {
            let value = ready()?;
            if value.is_some() {
                return Ok(value);
            }
            thread::yield_now();
        }
        self.rests.set(RESTS);
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_answer_is_not_spun_for_again_at_once() {
        let (spin, asked) = (Spin::default(), Cell::new(0));
        let never = || {
            asked.set(asked.get() + 1);
            Ok(None::<()>)
        };
        assert!(spin.wait(never).is_ok_and(|value| value.is_none()) && asked.get() > 0);
        let before = asked.get();
        for _ in 0..RESTS {
            assert!(spin.wait(|| Ok(Some(1))).is_ok_and(|value| value.is_none()));
        }
        assert_eq!(asked.get(), before);
        assert!(spin.wait(|| Ok(Some(1))).is_ok_and(|value| value == Some(1)));
        assert!(
            spin.wait(|| Ok(Some(2))).is_ok_and(|value| value == Some(2)),
            "a quick answer is waited for"
        );
        assert!(spin.wait(|| Err::<Option<()>, _>(io::ErrorKind::BrokenPipe.into())).is_err());
    }
}
