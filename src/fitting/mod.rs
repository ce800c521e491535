//! Fitting a model to data: a task's updates, validations and pictures as the job of a run, and the use of a
//! fitted model.

mod data;
mod finder;
mod fitted;
mod frames;
mod job;
mod pictures;
mod status;

pub use data::FitData;
pub use finder::{FoundRates, RateFinder, RatePoint, RateSearch};
pub use fitted::Fitted;
pub use frames::{FRAMES, frames};
pub use job::Fit;
pub use pictures::png;
pub use status::FitStatus;
