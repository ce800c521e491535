//! Training in turns or with actors, its evaluations, and the use of a trained policy.

mod clock;
mod episodes;
mod evaluation;
mod normalized;
mod notes;
mod progress;
mod session;
mod trained;
mod trial;
mod turns;

pub use evaluation::{Evaluation, evaluate};
pub use progress::{Json, Progress, Quiet, Report, Terminal, ThreadsReport};
pub use session::{Outcome, Session, StopReason};
pub use trained::Trained;
