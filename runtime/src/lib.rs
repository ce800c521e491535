//! Synchronisation of acting and learning threads, independent of environments, networks and algorithms. It
//! is needed where threads step environments while another thread learns.
//!
//! * [`Slot`]: the latest value, from one writer to many readers;
//! * [`RateLimiter`]: a bound on the ratio of samples to inserts;
//! * [`Meter`]: the share of its time that a thread waits.

mod limiter;
mod meter;
mod slot;
mod sync;

pub use limiter::RateLimiter;
pub use meter::Meter;
pub use slot::{Publisher, Slot, Snapshot};
