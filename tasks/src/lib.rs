//! Models that learn from data: classifiers, regression, autoencoders, GANs, language models.
//!
//! A [`Task`] takes batches and makes updates; the loop around it owns data, clock and files. Most tasks are
//! a [`Model`], which says what its loss is and what is measured; [`Supervised`] is the rest. Nothing here
//! starts threads, opens files or prints.
//!
//! * [`core`]: the vocabulary, errors, how networks learn, pictures;
//! * [`networks`]: the standard networks, and lists of layers of the user's own;
//! * [`classifier`], [`regression`], [`autoencoder`], [`gan`], [`language`]: the tasks;
//! * [`TaskRegistry`]: the tasks by name.

pub mod autoencoder;
pub mod classifier;
pub mod core;
pub mod gan;
pub mod language;
pub mod networks;
#[cfg(test)]
mod recorded;
mod registry;
pub mod regression;

pub use core::{
    Batches, Criterion, Learner, LearningConfig, Loss, Measured, Metrics, Model, Picture, Pictures,
    SampleRequest, Samples, Supervised, Task, TaskConfig, TaskContext, TaskError, Tensors,
};
pub use registry::{TaskRegistry, TaskSpec};
