//! Training an agent in turns or with actors, its evaluations, and the use of a trained policy.

mod build;
mod episodes;
mod evaluation;
mod export;
mod infos;
mod job;
mod live;
mod normalized;
mod phase_log;
mod predict;
mod pretrained;
mod report;
mod review;
mod trained;
mod trial;
mod turns;

pub(crate) use episodes::Episodes;
pub(crate) use evaluation::cut_off;
pub use evaluation::{Evaluation, EvaluationOptions, Evaluator, evaluate};
pub use export::{Exported, export};
pub use job::Training;
pub use live::Live;
pub use report::{Report, ThreadsReport};
pub use trained::Trained;
