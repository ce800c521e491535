//! Locks and atomics: the standard library's, or those of the model checker.

#[cfg(feature = "model")]
pub(crate) use loom::sync::{
    Arc, Condvar, Mutex,
    atomic::{AtomicU64, Ordering},
};
#[cfg(not(feature = "model"))]
pub(crate) use std::sync::{
    Arc, Condvar, Mutex,
    atomic::{AtomicU64, Ordering},
};
