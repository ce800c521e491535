//! The learning of a network: its learning rate, its optimiser, what is frozen, the mean of its weights.

use pavlov_common::{SeededRng, derive_seed, optional};
use pavlov_group::Group;
use pavlov_nn::{
    Layout, LoadReport, NnError, OptimizerConfig, Parameters, Pass, Rename, Schedule, StateDict, StateView,
    Trainable,
};
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use super::error::TaskError;
use super::task::Criterion;

/// The settings by which the networks of a task learn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LearningConfig {
    /// The learning rate over the fit.
    pub rate: Schedule,
    /// The optimiser.
    pub optimizer: OptimizerConfig,
    /// The largest norm of the gradients, or "off".
    #[serde(with = "optional")]
    pub gradient_clip_norm: Option<f64>,
    /// The factor of the sum of all weights' absolute values in the loss (biases and norms are left out).
    pub l1: f64,
    /// The share of the weights' moving mean that each update keeps, or "off". Validation, and the weights
    /// that are kept, are the mean's.
    #[serde(with = "optional")]
    pub ema_decay: Option<f64>,
    /// Lowers the learning rate when validations no longer become better.
    pub plateau: PlateauConfig,
    /// The parameters that do not learn, by patterns of their names.
    pub freeze: Vec<String>,
    /// The share of the fit after which everything learns.
    pub unfreeze_at: f64,
}

/// When the learning rate falls because validations no longer become better.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlateauConfig {
    /// The factor of the learning rate at each fall; 1 never lowers it.
    pub factor: f64,
    /// Validations without progress that pass before it falls with the next one.
    pub patience: u64,
}

impl Default for PlateauConfig {
    fn default() -> Self {
        Self { factor: 1.0, patience: 5 }
    }
}

impl Default for LearningConfig {
    fn default() -> Self {
        Self {
            rate: Schedule::constant(1e-3),
            optimizer: OptimizerConfig::default(),
            gradient_clip_norm: None,
            l1: 0.0,
            ema_decay: None,
            plateau: PlateauConfig::default(),
            freeze: Vec::new(),
            unfreeze_at: 1.0,
        }
    }
}

impl LearningConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`TaskError::Config`] naming the field and what to set it to.
    pub fn validate(&self) -> Result<(), TaskError> {
        let wrong = |what: String| Err(TaskError::Config(what));
        self.optimizer.validate()?;
        self.rate.validate().map_err(in_key("learning.rate"))?;
        if !(self.l1 >= 0.0 && self.l1.is_finite()) {
            return wrong(format!("learning.l1 is {}: give 0 or more", self.l1));
        }
        if self.gradient_clip_norm.is_some_and(|norm| !(norm > 0.0 && norm.is_finite())) {
            return wrong("learning.gradient_clip_norm: give a number above 0, or \"off\"".into());
        }
        if self.ema_decay.is_some_and(|decay| !(0.0..1.0).contains(&decay)) {
            return wrong("learning.ema_decay: give 0 to below 1 (0.999, say), or \"off\"".into());
        }
        if !(self.plateau.factor > 0.0 && self.plateau.factor <= 1.0) {
            let factor = self.plateau.factor;
            return wrong(format!("learning.plateau.factor is {factor}: give more than 0 and at most 1"));
        }
        if !(0.0..=1.0).contains(&self.unfreeze_at) {
            return wrong(format!("learning.unfreeze_at is {}: give 0 to 1", self.unfreeze_at));
        }
        Ok(())
    }

    /// The same for one of several networks: without the names of parameters, frozen or in groups, that it
    /// does not have.
    ///
    /// # Errors
    /// [`TaskError::Config`] for a name that none of the networks has.
    pub fn for_network(&self, layout: &Layout, all: &[&Layout]) -> Result<Self, TaskError> {
        self.optimizer.check_names(all)?;
        let mut own = self.clone();
        own.optimizer = self.optimizer.for_network(layout);
        for name in &self.freeze {
            let found: Vec<_> = all.iter().map(|layout| layout.check_name(name)).collect();
            if let (true, Some(Err(error))) = (found.iter().all(Result::is_err), found.into_iter().next()) {
                return Err(TaskError::Config(format!("learning.freeze: {error}")));
            }
        }
        own.freeze.retain(|name| layout.check_name(name).is_ok());
        Ok(own)
    }
}

/// A network's numbers while they learn.
#[derive(Debug)]
pub struct Learner {
    trainable: Trainable,
    config: LearningConfig,
    mean: Option<Parameters>,
    plateau: Plateau,
    /// The learning rate of the last update.
    rate: f64,
}

/// The progress of validations. Part of a checkpoint.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Plateau {
    factor: f64,
    best: Option<f64>,
    since: u64,
}

impl Learner {
    /// The parameters of this layout, initialised, that have not learned yet. `purpose` keeps the generators
    /// of several networks of one task apart.
    ///
    /// # Errors
    /// [`TaskError::Nn`] when the configuration does not fit the network.
    pub fn new(
        layout: &Layout,
        config: &LearningConfig,
        purpose: &str,
        (seed, device, group): (u64, Device, &Group),
    ) -> Result<Self, TaskError> {
        let mut layout = layout.clone();
        if !config.freeze.is_empty() && config.unfreeze_at > 0.0 {
            layout.freeze(&config.freeze)?;
        }
        let mut rng = SeededRng::seeded(derive_seed(seed, purpose, 0));
        let parameters = Parameters::new(&layout, &mut rng, device)?;
        let mean = config.ema_decay.map(|_| parameters.frozen_copy()).transpose()?;
        let seed = derive_seed(seed, purpose, 1 + group.shard() as u64);
        let trainable = Trainable::new(parameters, &config.optimizer, config.gradient_clip_norm, seed)?;
        let trainable = trainable.in_group(group);
        let plateau = Plateau { factor: 1.0, best: None, since: 0 };
        Ok(Self { trainable, config: config.clone(), mean, plateau, rate: 0.0 })
    }

    /// The same with its learning rates multiplied.
    pub fn with_rate_factor(mut self, factor: f64) -> Self {
        self.plateau.factor = factor;
        self
    }

    /// One update along the gradients that `accumulate` leaves, of so many samples, at this share of the fit.
    ///
    /// # Errors
    /// Those of `accumulate`, and [`TaskError::Diverged`] when a gradient is no longer finite.
    pub fn update(
        &mut self,
        progress: f64,
        samples: usize,
        accumulate: impl FnOnce(&mut Pass<'_>) -> Result<(), TaskError>,
    ) -> Result<(), TaskError> {
        self.unfreeze_if_due(progress)?;
        self.rate = self.config.rate.value(progress) * self.plateau.factor;
        let l1 = self.config.l1;
        self.trainable.weigh(samples);
        self.trainable.descend_in_pass(self.rate, |pass| {
            accumulate(pass)?;
            add_l1(pass.parameters(), l1)
        })?;
        if let (Some(mean), Some(decay)) = (&mut self.mean, self.config.ema_decay) {
            mean.polyak_update(self.trainable.parameters(), 1.0 - decay)?;
        }
        Ok(())
    }

    /// Makes the buffers those of all shards, after a pass in training that no update belongs to.
    ///
    /// # Errors
    /// When a shard is lost.
    pub fn average_buffers(&mut self) -> Result<(), TaskError> {
        Ok(self.trainable.average_buffers()?)
    }

    fn unfreeze_if_due(&mut self, progress: f64) -> Result<(), TaskError> {
        if self.config.freeze.is_empty() || progress < self.config.unfreeze_at {
            return Ok(());
        }
        self.config.freeze.clear();
        Ok(self.trainable.unfreeze(&["*"])?)
    }

    /// The parameters that learn.
    pub fn parameters(&self) -> &Parameters {
        self.trainable.parameters()
    }

    /// The parameters to use: their moving mean, where one is kept.
    pub fn best_parameters(&self) -> &Parameters {
        self.mean.as_ref().unwrap_or(self.trainable.parameters())
    }

    /// The number of updates.
    pub fn updates(&self) -> u64 {
        self.trainable.updates()
    }

    /// The learning rate of the last update.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// The mean norm of the gradients since the last call, where they are clipped.
    ///
    /// # Errors
    /// [`TaskError::Diverged`] when it is not finite.
    pub fn take_gradient_norm(&mut self) -> Result<Option<f64>, TaskError> {
        Ok(self.trainable.take_gradient_norm()?)
    }

    /// Takes in a validation's value: the rate falls when more than `plateau.patience` of them in a row made
    /// no progress.
    pub fn validated(&mut self, value: f64, criterion: Criterion) {
        let Plateau { factor, best, since } = &mut self.plateau;
        if criterion.improves(value, *best) {
            (*best, *since) = (Some(value), 0);
            return;
        }
        *since += 1;
        if *since > self.config.plateau.patience {
            (*factor, *since) = (*factor * self.config.plateau.factor, 0);
        }
    }

    /// The weights to use, by name.
    ///
    /// # Errors
    /// [`TaskError::Nn`] when a tensor cannot be copied.
    pub fn weights(&self) -> Result<StateDict<'static>, TaskError> {
        Ok(self.best_parameters().state()?)
    }

    /// Takes over weights.
    ///
    /// # Errors
    /// [`TaskError::Nn`] when they do not fit; nothing is changed then.
    pub fn load_weights(&mut self, weights: &StateView<'_>) -> Result<(), TaskError> {
        self.trainable.load_weights(weights)?;
        self.begin_mean()
    }

    /// Checks that [`Learner::load_weights`] would take these weights, and changes nothing.
    ///
    /// # Errors
    /// [`TaskError::Nn`] when they do not fit.
    pub fn check_weights(&self, weights: &StateView<'_>) -> Result<(), TaskError> {
        Ok(self.parameters().check_state(weights)?)
    }

    /// Takes over the weights that fit, by name.
    ///
    /// # Errors
    /// [`TaskError::Nn`] when two arrays come to the same name; nothing is changed then.
    pub fn load_matching(
        &mut self,
        weights: &StateView<'_>,
        renames: &[Rename],
    ) -> Result<LoadReport, TaskError> {
        let report = self.trainable.load_matching(weights, renames)?;
        self.begin_mean()?;
        Ok(report)
    }

    fn begin_mean(&mut self) -> Result<(), TaskError> {
        if let Some(mean) = &mut self.mean {
            mean.copy_from(self.trainable.parameters())?;
        }
        Ok(())
    }

    /// Everything to continue from.
    ///
    /// # Errors
    /// [`TaskError::Nn`] when a tensor cannot be copied.
    pub fn state(&self) -> Result<StateDict<'_>, TaskError> {
        let mut state = StateDict::new();
        state.nest("trainable", self.trainable.state()?);
        if let Some(mean) = &self.mean {
            state.nest("mean", mean.state()?);
        }
        state.put_value("plateau", &self.plateau)?;
        state.put_value("unfrozen", &self.config.freeze.is_empty())?;
        Ok(state)
    }

    /// Continues from a saved state.
    ///
    /// # Errors
    /// [`TaskError::Nn`] when it does not fit.
    pub fn load_state(&mut self, state: &StateView<'_>) -> Result<(), TaskError> {
        self.trainable.load_state(&state.part("trainable"))?;
        if let Some(mean) = &mut self.mean {
            mean.load_state(&state.part("mean"))?;
        }
        self.plateau = state.value("plateau")?;
        if state.value("unfrozen")? {
            self.config.freeze.clear();
        }
        Ok(())
    }
}

/// Adds the derivative of the weights' absolute values to their gradients.
fn add_l1(parameters: &Parameters, factor: f64) -> Result<(), TaskError> {
    if factor == 0.0 {
        return Ok(());
    }
    let _guard = tch::no_grad_guard();
    for (id, spec) in parameters.layout().ids().zip(parameters.layout().specs()) {
        let Some(gradient) = parameters.gradient(id).filter(|_| spec.shape.len() > 1) else { continue };
        let _ = gradient.shallow_clone().f_add_(&parameters.get(id).f_sign()?.f_mul_scalar(factor)?)?;
    }
    Ok(())
}

/// Refuses a loss that is not finite, where reading it does not wait for a device.
///
/// # Errors
/// [`TaskError::Diverged`] naming the samples.
pub fn check_loss(loss: &Tensor, indices: &[usize]) -> Result<(), TaskError> {
    if loss.device() != Device::Cpu {
        return Ok(());
    }
    let value = loss.f_double_value(&[])?;
    if value.is_finite() {
        return Ok(());
    }
    let shown: Vec<_> = indices.iter().take(8).map(ToString::to_string).collect();
    let more = if indices.len() > 8 { ", ..." } else { "" };
    Err(TaskError::Diverged(format!(
        "the loss is {value} on the batch of the samples {}{more} of the data set",
        shown.join(", ")
    )))
}

/// The error of a network that cannot be put together, with the key under which its layers stand.
pub fn in_key(key: &str) -> impl Fn(NnError) -> TaskError + '_ {
    move |error| TaskError::Config(format!("{key}: {error}"))
}

#[cfg(test)]
#[path = "learning_tests.rs"]
mod tests;
