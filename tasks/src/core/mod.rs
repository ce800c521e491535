//! The parts that all tasks share: the vocabulary, errors, how networks learn, pictures. Nothing here knows a task.

mod error;
mod filters;
mod learning;
mod picture;
mod supervised;
mod task;
mod tensors;

pub use error::TaskError;
pub use filters::first_filters;
pub use learning::{Learner, LearningConfig, PlateauConfig, check_loss, in_key};
pub use picture::{Picture, Pictures, confusion, sheet};
pub use supervised::{Loss, Model, Supervised};
pub use task::{
    Batches, Criterion, Measured, Metrics, SampleRequest, Samples, Task, TaskConfig, TaskContext,
};
pub use tensors::Tensors;
