//! Warnings about what a world gives, collected for whoever can show them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The subject of a warning. Each is told once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// A number beyond the bounds of a box of `f32`.
    Bounds,
    /// A reward so large that its square may overflow.
    Reward,
}

/// Warnings about what a world gives, shared by all its copies. Each subject is told once.
#[derive(Clone, Debug, Default)]
pub struct Warnings(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    subjects: BTreeSet<Subject>,
    news: Vec<String>,
}

impl Warnings {
    /// Takes the warnings that are new since the last call.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).news)
    }

    /// Leaves out warnings of this subject from now on.
    pub(crate) fn leave_out(&self, subject: Subject) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).subjects.insert(subject);
    }

    /// Adds a warning, unless there was one of its subject before.
    pub(crate) fn add(&self, subject: Subject, message: impl FnOnce() -> String) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.subjects.insert(subject) {
            told.news.push(message());
        }
    }
}
