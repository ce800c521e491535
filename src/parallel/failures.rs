//! The count of failed environments, which stops a training in which they fail again and again.

/// Counts environments that failed, over the whole training.
#[derive(Debug)]
pub(super) struct Failures {
    pub count: u64,
    limit: u64,
}

impl Failures {
    /// No failure yet; the training stops at the `limit`th.
    pub fn new(limit: u64) -> Self {
        Self { count: 0, limit }
    }

    /// Counts one more; returns the reason to stop if the limit is reached.
    pub fn note(&mut self, message: &str) -> Option<String> {
        self.count += 1;
        let count = self.count;
        (count >= self.limit)
            .then(|| format!("environments have failed {count} times, most recently: {message}"))
    }
}
