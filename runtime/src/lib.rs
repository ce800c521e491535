//! What threads that act and threads that learn share. Nothing of environments, networks or learning.
//!
//! * [`Slot`]: the latest of something, from one writer to many readers;
//! * [`RateLimiter`]: how far taking out may run ahead of putting in, and the other way round;
//! * [`Meter`]: which share of its time a thread waits.

mod limiter;
mod meter;
mod slot;
mod sync;

pub use limiter::RateLimiter;
pub use meter::Meter;
pub use slot::{Publisher, Slot, Snapshot};
