//! Training: the lock-step loop, evaluation, and continuing from a checkpoint.

mod episodes;
mod evaluation;
mod normalized;
mod notes;
mod progress;
mod session;
mod trained;

pub use evaluation::{Evaluation, evaluate};
pub use progress::{Json, Progress, Quiet, Report, Terminal};
pub use session::{Outcome, Session, StopReason};
pub use trained::Trained;
