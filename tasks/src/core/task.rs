//! A task as a fit drives it, and the configuration that builds it.
//!
//! ```text
//! loop { task.learn(batch, progress);  now and then: task.measure(validation) }
//! ```
//!
//! The loop owns the data and the clock. Everything that a task holds is in its state, so that a fit
//! continues from a checkpoint bit for bit.

use std::collections::BTreeMap;

use pavlov_data::{Batch, Input, Target};
use pavlov_group::Group;
use pavlov_nn::{LoadReport, Rename, StateDict, StateView};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tch::{Device, Tensor};

use super::error::TaskError;
use super::learning::LearningConfig;
use super::picture::{Picture, Pictures};

/// Named numbers to log.
pub type Metrics = BTreeMap<String, f64>;

/// The batches of a measurement, each sample once, in order.
pub trait Batches {
    /// The next batch; `None` after the last.
    ///
    /// # Errors
    /// [`TaskError::Data`] when a sample cannot be read.
    fn next(&mut self) -> Result<Option<Batch>, TaskError>;
}

/// The result of a measurement.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Numbers by name: `loss`, `accuracy`, ...
    pub metrics: Metrics,
    /// Pictures by name.
    pub pictures: Vec<(String, Picture)>,
}

/// The number by which a task's weights are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Criterion {
    /// Its name among [`Measured::metrics`].
    pub metric: &'static str,
    /// True if more is better.
    pub highest_is_best: bool,
}

impl Criterion {
    /// True if this value is better than the best one before it. One that is no number never is.
    pub fn improves(&self, value: f64, best: Option<f64>) -> bool {
        let better = |best: f64| if self.highest_is_best { value > best } else { value < best };
        !value.is_nan() && best.is_none_or(better)
    }
}

/// A wish for samples of what a model has learned to make.
#[derive(Clone, Debug)]
pub struct SampleRequest {
    /// The number of samples.
    pub count: usize,
    /// The seed from which they are drawn.
    pub seed: u64,
    /// The class of all samples; `None` for all classes in turn.
    pub class: Option<usize>,
    /// How far a choice among tokens departs from the likeliest: 1 as learned, near 0 always the likeliest.
    pub temperature: f64,
    /// The beginning of a text.
    pub prompt: String,
    /// The number of tokens of a text.
    pub length: usize,
}

impl Default for SampleRequest {
    fn default() -> Self {
        Self { count: 64, seed: 0, class: None, temperature: 1.0, prompt: String::new(), length: 500 }
    }
}

/// Samples that a model made.
#[derive(Clone, Debug)]
pub enum Samples {
    /// Pictures.
    Pictures(Pictures),
    /// Texts.
    Texts(Vec<String>),
}

/// A model that learns from batches.
pub trait Task: Send {
    /// One update from these batches, whose gradients count together. `progress` is the share of the fit that
    /// is done, 0 to 1: learning rates run over it.
    ///
    /// # Errors
    /// [`TaskError::Diverged`] when the loss is no longer finite.
    fn learn(&mut self, batches: &[Batch], progress: f64) -> Result<(), TaskError>;

    /// The updates made so far.
    fn updates(&self) -> u64;

    /// The means of what updates have told since the last call, named `train/loss` and so on.
    ///
    /// # Errors
    /// [`TaskError::Diverged`] when one is no longer finite.
    fn take_metrics(&mut self) -> Result<Metrics, TaskError>;

    /// True if updates lower one loss, `train/loss`; false for networks that learn against each other.
    fn has_one_loss(&self) -> bool {
        true
    }

    /// Measures the model on batches that it has not learned from, without learning from them.
    ///
    /// # Errors
    /// [`TaskError`] when the model or the data fails.
    fn measure(&mut self, batches: &mut dyn Batches) -> Result<Measured, TaskError>;

    /// The number by which weights are compared.
    fn criterion(&self) -> Criterion;

    /// Takes in that a validation gave this value of the criterion: learning rates may fall on a plateau.
    fn validated(&mut self, value: f64);

    /// The outputs for the inputs of a batch, f32, a row for each sample: the chances of the classes
    /// `[rows, classes]`, the numbers `[rows, numbers]` of a regression, the restored inputs of an
    /// autoencoder, the chances of each next token `[rows, length, vocabulary]`.
    ///
    /// # Errors
    /// [`TaskError::Unsupported`] for a task whose model has no inputs.
    fn predict(&mut self, batch: &Batch) -> Result<Tensor, TaskError>;

    /// Makes samples.
    ///
    /// # Errors
    /// [`TaskError::Unsupported`] for a task that makes none.
    fn samples(&mut self, request: &SampleRequest) -> Result<Samples, TaskError>;

    /// The weights, named as PyTorch names them.
    ///
    /// # Errors
    /// [`TaskError`] when a tensor cannot be copied.
    fn weights(&self) -> Result<StateDict<'static>, TaskError>;

    /// Takes over weights that [`Task::weights`] gave.
    ///
    /// # Errors
    /// [`TaskError`] when they do not fit; nothing is changed then.
    fn load_weights(&mut self, weights: &StateView<'_>) -> Result<(), TaskError>;

    /// Takes over those of some other network's weights that fit, by their names after these renames, and
    /// reports what matched.
    ///
    /// # Errors
    /// [`TaskError`] when two arrays come to the same name; nothing is changed then.
    fn load_pretrained(
        &mut self,
        weights: &StateView<'_>,
        renames: &[Rename],
    ) -> Result<LoadReport, TaskError>;

    /// Everything to continue from.
    ///
    /// # Errors
    /// [`TaskError`] when a tensor cannot be copied.
    fn state(&self) -> Result<StateDict<'_>, TaskError>;

    /// Continues from what [`Task::state`] gave.
    ///
    /// # Errors
    /// [`TaskError`] when it does not fit. The task must not be used after that.
    fn load_state(&mut self, state: &StateView<'_>) -> Result<(), TaskError>;
}

/// The circumstances that a task is made for.
#[derive(Clone, Debug)]
pub struct TaskContext {
    /// The kind of the inputs.
    pub input: Input,
    /// The kind of the targets.
    pub target: Target,
    /// True if inputs have been given the mean 0 and the deviation 1, so that pictures are not between 0 and
    /// 1.
    pub is_normalized: bool,
    /// The settings of its learning.
    pub learning: LearningConfig,
    /// The fit's seed, from which every generator of the task is derived.
    pub seed: u64,
    /// Where the networks live.
    pub device: Device,
    /// The shards that learn together, of which this is one.
    pub group: Group,
}

/// The configuration of a task, from which it is built. Implementing this and registering it is all that a
/// new task needs to have the command line, recording, checkpoints and validation.
pub trait TaskConfig: Serialize + DeserializeOwned + Default + 'static {
    /// The name on the command line.
    const NAME: &'static str;
    /// One line that says what the task is.
    const SUMMARY: &'static str;

    /// Checks every field and how the fields go together.
    ///
    /// # Errors
    /// [`TaskError::Config`] naming the field and what to set it to.
    fn validate(&self) -> Result<(), TaskError>;

    /// Builds the task.
    ///
    /// # Errors
    /// [`TaskError::Unsupported`] when the task cannot learn from such data.
    fn build(&self, context: &TaskContext) -> Result<Box<dyn Task>, TaskError>;
}
