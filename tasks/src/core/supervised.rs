//! The loop body that most tasks share: one network, one loss, one gradient step for each update.

use pavlov_common::{SeededRng, derive_seed};
use pavlov_data::Batch;
use pavlov_nn::means::check_losses;
use pavlov_nn::{Layout, LoadReport, Means, Parameters, Pass, Rename, StateDict, StateView};
use tch::Tensor;

use super::error::TaskError;
use super::learning::{Learner, check_loss};
use super::task::{Batches, Criterion, Measured, Metrics, SampleRequest, Samples, Task, TaskContext};
use super::tensors::Tensors;

/// The loss of a batch.
#[derive(Debug)]
pub struct Loss {
    /// The mean over the batch, f32 `[]`, recorded by autograd.
    pub total: Tensor,
    /// Further numbers to log, f32 `[]` each, by their tags.
    pub parts: Vec<(&'static str, Tensor)>,
}

impl Loss {
    /// A loss alone.
    pub fn of(total: Tensor) -> Self {
        Self { total, parts: Vec::new() }
    }
}

/// The part of a task that is its own: what its loss is, and what is measured.
pub trait Model: Send {
    /// Sums of a measurement.
    type Sums: Default;

    /// The number by which weights are compared.
    const CRITERION: Criterion;

    /// The tags of numbers that [`Loss::parts`] may have.
    const PARTS: &'static [&'static str] = &[];

    /// The loss of a batch in training. `rng` is for what is random beside the network.
    ///
    /// # Errors
    /// [`TaskError`] when the batch does not fit the network.
    fn loss(&self, pass: &mut Pass<'_>, batch: &Tensors, rng: &mut SeededRng) -> Result<Loss, TaskError>;

    /// Adds a batch to a measurement. Nothing is recorded by autograd.
    ///
    /// # Errors
    /// [`TaskError`] when the batch does not fit the network.
    fn add(&self, pass: &mut Pass<'_>, batch: &Tensors, sums: &mut Self::Sums) -> Result<(), TaskError>;

    /// The result of a measurement.
    ///
    /// # Errors
    /// [`TaskError`] when a picture cannot be made.
    fn measured(&self, pass: &mut Pass<'_>, sums: Self::Sums) -> Result<Measured, TaskError>;

    /// The outputs for these inputs, as [`Task::predict`] gives them.
    ///
    /// # Errors
    /// [`TaskError::Unsupported`] for a model that says nothing of a single input.
    fn predict(&self, _: &mut Pass<'_>, _: &Tensor) -> Result<Tensor, TaskError> {
        Err(TaskError::Unsupported("this task's model does not say what it gives for an input".into()))
    }

    /// Samples of what was learned.
    ///
    /// # Errors
    /// [`TaskError::Unsupported`] for a task that makes none.
    fn samples(&self, _: &Parameters, _: &SampleRequest) -> Result<Samples, TaskError> {
        Err(TaskError::Unsupported("this task makes no samples: it judges what it is given".into()))
    }
}

/// A [`Model`] as a [`Task`].
pub struct Supervised<M> {
    model: M,
    learner: Learner,
    context: TaskContext,
    means: Means,
    rng: SeededRng,
}

impl<M: Model> Supervised<M> {
    /// The task of a model whose parameters this layout has.
    ///
    /// # Errors
    /// [`TaskError`] when the configuration does not fit the network.
    pub fn new(model: M, layout: &Layout, context: &TaskContext) -> Result<Self, TaskError> {
        let TaskContext { learning, seed, device, group, .. } = context;
        Ok(Self {
            model,
            learner: Learner::new(layout, learning, "network", (*seed, *device, group))?,
            context: context.clone(),
            means: Means::default(),
            rng: SeededRng::seeded(derive_seed(*seed, "loss", group.shard() as u64)),
        })
    }

    fn tensors(&self, batch: &Batch) -> Result<Tensors, TaskError> {
        let TaskContext { input, target, device, .. } = &self.context;
        Tensors::of(batch, input, target, *device)
    }
}

impl<M: Model> Task for Supervised<M> {
    fn learn(&mut self, batches: &[Batch], progress: f64) -> Result<(), TaskError> {
        let samples = batches.iter().map(|batch| batch.rows).sum();
        let batches = batches.iter().map(|batch| self.tensors(batch)).collect::<Result<Vec<_>, _>>()?;
        let Self { model, learner, means, rng, .. } = self;
        let share = 1.0 / batches.len() as f64;
        learner.update(progress, samples, |pass| {
            for batch in &batches {
                let loss = model.loss(pass, batch, rng)?;
                check_loss(&loss.total, &batch.indices)?;
                match batches.len() {
                    1 => loss.total.f_backward()?,
                    _ => loss.total.f_mul_scalar(share)?.f_backward()?,
                }
                means.add_scalar("train/loss", &loss.total.into())?;
                for (tag, part) in loss.parts {
                    means.add_scalar(tag, &part.into())?;
                }
            }
            Ok(())
        })
    }

    fn updates(&self) -> u64 {
        self.learner.updates()
    }

    fn take_metrics(&mut self) -> Result<Metrics, TaskError> {
        let means = self.means.take(&[&["train/loss"], M::PARTS].concat())?;
        check_losses(&means, &["train/loss"])?;
        let mut metrics: Metrics = means.into_iter().map(|(tag, mean)| (tag.to_string(), mean)).collect();
        metrics.insert("train/learning_rate".into(), self.learner.rate());
        metrics.insert("train/n_updates".into(), self.learner.updates() as f64);
        if let Some(norm) = self.learner.take_gradient_norm()? {
            metrics.insert("train/gradient_norm".into(), norm);
        }
        Ok(metrics)
    }

    fn measure(&mut self, batches: &mut dyn Batches) -> Result<Measured, TaskError> {
        let _guard = tch::no_grad_guard();
        let mut pass = Pass::eval(self.learner.best_parameters());
        let mut sums = M::Sums::default();
        while let Some(batch) = batches.next()? {
            self.model.add(&mut pass, &self.tensors(&batch)?, &mut sums)?;
        }
        self.model.measured(&mut pass, sums)
    }

    fn criterion(&self) -> Criterion {
        M::CRITERION
    }

    fn validated(&mut self, value: f64) {
        self.learner.validated(value, M::CRITERION);
    }

    fn predict(&mut self, batch: &Batch) -> Result<Tensor, TaskError> {
        let _guard = tch::no_grad_guard();
        let inputs = self.tensors(batch)?.inputs;
        self.model.predict(&mut Pass::eval(self.learner.best_parameters()), &inputs)
    }

    fn samples(&mut self, request: &SampleRequest) -> Result<Samples, TaskError> {
        let _guard = tch::no_grad_guard();
        self.model.samples(self.learner.best_parameters(), request)
    }

    fn weights(&self) -> Result<StateDict<'static>, TaskError> {
        self.learner.weights()
    }

    fn load_weights(&mut self, weights: &StateView<'_>) -> Result<(), TaskError> {
        self.learner.load_weights(weights)
    }

    fn load_pretrained(
        &mut self,
        weights: &StateView<'_>,
        renames: &[Rename],
    ) -> Result<LoadReport, TaskError> {
        self.learner.load_matching(weights, renames)
    }

    fn state(&self) -> Result<StateDict<'_>, TaskError> {
        let mut state = self.learner.state()?;
        state.put_value("rng", &self.rng)?;
        state.put_value("means", &self.means.saved()?)?;
        Ok(state)
    }

    fn load_state(&mut self, state: &StateView<'_>) -> Result<(), TaskError> {
        self.learner.load_state(state)?;
        self.rng = state.value("rng")?;
        self.means = Means::from_saved(state.value("means")?);
        Ok(())
    }
}
