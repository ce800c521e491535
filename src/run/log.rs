//! The log of a run while its job is at work.

use super::RunFolder;
use super::callback::{Callbacks, Scene};
use super::clock::{Clock, Moment};
use super::job::{Origin, Plan, Values};
use super::progress::{Progress, Status};
use crate::record::{Recorder, Row};

/// The log of a run as its job sees it within a stretch of work: rows that become due, the progress for the user.
pub trait Log {
    /// The units that were done when the stretch began.
    fn done(&self) -> u64;

    /// The moment at which so many units are done.
    fn moment(&self, done: u64) -> Moment;

    /// True if a row is due now that so many units are done.
    fn is_due(&self, done: u64) -> bool;

    /// Writes a row.
    fn row(&mut self, done: u64, values: Values);

    /// Notes that so many updates were made in all.
    fn updated(&mut self, updates: u64);

    /// True if the stretch must end before its time, since a callback has asked for it or failed.
    fn wants_stop(&self) -> bool;

    /// Tells the user of the progress.
    fn report(&mut self, status: &dyn Status);

    /// Tells the user of something unexpected.
    fn warn(&mut self, message: &str);
}

/// The log of a session.
pub(super) struct SessionLog<'a> {
    pub(super) clock: &'a Clock,
    pub(super) plan: Plan,
    pub(super) recorder: &'a Recorder,
    pub(super) progress: &'a mut dyn Progress,
    pub(super) callbacks: &'a mut Callbacks,
    pub(super) folder: &'a RunFolder,
    pub(super) origin: &'a Origin,
    /// The updates so far.
    pub(super) updates: u64,
    /// The units at which the stretch ends. The session itself writes that row.
    pub(super) until: u64,
    /// The units of the last row.
    pub(super) logged: u64,
}

impl Log for SessionLog<'_> {
    fn done(&self) -> u64 {
        self.clock.done
    }

    fn moment(&self, done: u64) -> Moment {
        self.clock.moment(done)
    }

    fn is_due(&self, done: u64) -> bool {
        let every = self.plan.log_every;
        done / every > self.logged / every && done < self.until
    }

    fn row(&mut self, done: u64, mut values: Values) {
        self.logged = done;
        let now = self.clock.moment(done);
        values.extend(now.values());
        let Self { folder, origin, updates, recorder, .. } = *self;
        let progress = &mut *self.progress;
        let scene =
            Scene { folder, origin, unit: self.plan.unit, now, updates, job: None, recorder, progress };
        self.callbacks.row(scene, &mut values);
        self.recorder.row(Row { step: done, values });
    }

    fn updated(&mut self, updates: u64) {
        self.updates = updates;
    }

    fn wants_stop(&self) -> bool {
        self.callbacks.want_stop()
    }

    fn report(&mut self, status: &dyn Status) {
        self.progress.report(status);
    }

    fn warn(&mut self, message: &str) {
        self.progress.warn(message);
    }
}
