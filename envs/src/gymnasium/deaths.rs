//! The count of a worker's deaths, which gives up on one that dies again and again.

use std::time::{Duration, Instant};

/// This many deaths within [`WINDOW`], or without a step in between, are too many.
const TOO_MANY: usize = 3;
const WINDOW: Duration = Duration::from_secs(10);

/// The deaths of one worker and its successors.
#[derive(Debug, Default)]
pub(super) struct Deaths {
    /// The times of the last deaths, the oldest first.
    recent: Vec<Instant>,
    since_step: usize,
    total: u64,
}

impl Deaths {
    /// Counts a death at this time; returns true if it is one too many.
    pub fn count(&mut self, now: Instant) -> bool {
        self.recent.retain(|then| now.duration_since(*then) < WINDOW);
        self.recent.push(now);
        self.since_step += 1;
        self.total += 1;
        self.recent.len().max(self.since_step) >= TOO_MANY
    }

    /// Counts a step that went well.
    pub fn step(&mut self) {
        self.since_step = 0;
    }

    /// Forgets the recent deaths: after an error, a reset may try again.
    pub fn forgive(&mut self) {
        (self.since_step, self.recent) = (0, Vec::new());
    }

    /// All deaths so far.
    pub fn total(&self) -> u64 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_in_a_short_time_are_too_many() {
        let start = Instant::now();
        let mut deaths = Deaths::default();
        let mut count = |seconds| {
            deaths.step();
            deaths.count(start + Duration::from_secs(seconds))
        };
        assert!(!count(0) && !count(6) && !count(11), "the first is forgotten");
        assert!(count(15));
        assert_eq!(deaths.total(), 4);
    }

    #[test]
    fn three_without_a_step_are_too_many() {
        let start = Instant::now();
        let mut deaths = Deaths::default();
        let mut count = |seconds| deaths.count(start + Duration::from_secs(seconds));
        assert!(!count(0) && !count(60) && count(120));
        deaths.forgive();
        assert!(!deaths.count(start + Duration::from_secs(180)));
    }
}
