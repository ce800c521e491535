//! The rate limiter: it holds the ratio of learning to data, instead of leaving it to the speed of threads.

/// Bounds the lead of learning over data, and of data over learning: after every sample and before every
/// insert
///
/// ```text
/// 0 <= (inserts - free) * samples_per_insert - samples <= tolerance * samples_per_insert
/// ```
///
/// The first `free` inserts do not count, and no sample may be taken before they are there. Similar to
/// Reverb's limiter (Cassirer et al. 2021). It is plain arithmetic, for one thread that both inserts and
/// samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLimiter {
    samples_per_insert: f64,
    free: u64,
    tolerance: f64,
    inserts: u64,
    samples: f64,
}

impl RateLimiter {
    /// A limiter before the first insert. `tolerance` is in inserts.
    pub fn new(samples_per_insert: f64, free: u64, tolerance: f64) -> Self {
        Self { samples_per_insert, free, tolerance, inserts: 0, samples: 0.0 }
    }

    /// The same limits after so many inserts, with so many samples due.
    pub fn after(self, inserts: u64, due: f64) -> Self {
        let all = Self { inserts, samples: 0.0, ..self };
        Self { samples: all.due() - due, ..all }
    }

    /// The number of samples that are due and not taken yet; below 0 if more were taken.
    pub fn due(&self) -> f64 {
        self.inserts.saturating_sub(self.free) as f64 * self.samples_per_insert - self.samples
    }

    /// Returns true if an insert is allowed: not while too many samples are due.
    pub fn may_insert(&self) -> bool {
        self.inserts < self.free || self.due() <= self.tolerance * self.samples_per_insert
    }

    /// Returns true if so many samples are due.
    pub fn may_sample(&self, samples: u64) -> bool {
        self.due() >= samples as f64
    }

    /// Counts inserts.
    pub fn inserted(&mut self, inserts: u64) {
        self.inserts += inserts;
    }

    /// Counts samples.
    pub fn sampled(&mut self, samples: u64) {
        self.samples += samples as f64;
    }

    /// Takes samples back that were never used.
    pub fn returned(&mut self, samples: u64) {
        self.samples -= samples as f64;
    }

    /// The number of inserts so far.
    pub fn inserts(&self) -> u64 {
        self.inserts
    }

    /// The samples taken for each insert that counted.
    pub fn ratio(&self) -> f64 {
        self.samples / (self.inserts.saturating_sub(self.free).max(1)) as f64
    }
}

#[cfg(all(test, not(feature = "model")))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// For any order of inserts and samples, one of the two is always allowed, and the ratio holds.
        #[test]
        fn the_ratio_holds_and_nobody_is_stuck(
            per_insert in 0.1f64..40.0,
            free in 0u64..50,
            batch in 1u64..300,
            rows in 1u64..20,
            wishes in prop::collection::vec(any::<bool>(), 1..400),
        ) {
            // A smaller tolerance would leave no room for one batch.
            let tolerance = batch as f64 / per_insert;
            let mut limiter = RateLimiter::new(per_insert, free, tolerance);
            for inserts in wishes {
                prop_assert!(limiter.may_insert() || limiter.may_sample(batch));
                match inserts {
                    true if limiter.may_insert() => limiter.inserted(rows),
                    false if limiter.may_sample(batch) => limiter.sampled(batch),
                    _ => continue,
                }
                let most = (tolerance + rows as f64) * per_insert + 1e-6;
                prop_assert!((-1e-6..=most).contains(&limiter.due()), "{} due", limiter.due());
            }
        }
    }

    #[test]
    fn nothing_is_taken_before_there_is_enough() {
        let mut limiter = RateLimiter::new(2.0, 3, 10.0);
        limiter.inserted(3);
        assert!(limiter.may_insert() && !limiter.may_sample(1));
        limiter.inserted(11);
        assert!(limiter.may_sample(22) && !limiter.may_sample(23) && !limiter.may_insert());
        limiter.sampled(10);
        assert!(limiter.may_sample(12) && !limiter.may_sample(13) && limiter.may_insert());
        limiter.returned(4);
        assert!(limiter.may_sample(16) && !limiter.may_sample(17));
        assert_eq!(limiter.after(103, 150.0).ratio(), 0.5);
    }
}
