//! The log of a run while its job is at work.

use super::clock::{Clock, Moment};
use super::job::{Plan, Values};
use super::progress::{Progress, Status};
use crate::record::{Recorder, Row};

/// Writes rows that become due within a stretch of work, and tells the user of the progress.
pub struct Log<'a> {
    pub(super) clock: &'a Clock,
    pub(super) plan: Plan,
    pub(super) recorder: &'a Recorder,
    pub(super) progress: &'a mut dyn Progress,
    /// The units at which the stretch ends. The session itself writes that row.
    pub(super) until: u64,
    /// The units of the last row.
    pub(super) logged: u64,
}

impl Log<'_> {
    /// The units that were done when the stretch began.
    pub fn done(&self) -> u64 {
        self.clock.done
    }

    /// The moment at which so many units are done.
    pub fn moment(&self, done: u64) -> Moment {
        self.clock.moment(done)
    }

    /// True if a row is due now that so many units are done.
    pub fn is_due(&self, done: u64) -> bool {
        let every = self.plan.log_every;
        done / every > self.logged / every && done < self.until
    }

    /// Writes a row.
    pub fn row(&mut self, done: u64, mut values: Values) {
        self.logged = done;
        values.extend(self.clock.moment(done).values());
        self.recorder.row(Row { step: done, values });
    }

    /// Tells the user of the progress.
    pub fn report(&mut self, status: &dyn Status) {
        self.progress.report(status);
    }

    /// Tells the user of something unexpected.
    pub fn warn(&mut self, message: &str) {
        self.progress.warn(message);
    }
}
