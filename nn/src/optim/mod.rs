//! Optimisers and gradient clipping over the whole arena.
//!
//! An [`Optimizer`] steps over all parameters in one pass: on the CPU in a loop of its own that reads and
//! writes each number once, on other devices by libtorch's fused operations. Its moments are flat tensors
//! like the arena's, so they are saved and restored whole. Frozen parameters and buffers are never touched.
//! The learning rate is an argument of each step: what it is at a moment of training is the business of a
//! [`Schedule`](crate::Schedule).
//!
//! ```
//! use pavlov_common::SeededRng;
//! use pavlov_nn::{Layout, Mlp, MlpConfig, Optimizer, OptimizerConfig, Parameters, Pass, optim};
//! let mut layout = Layout::new();
//! let net = Mlp::new(&mut layout, "", 1, 1, &MlpConfig::default())?;
//! let mut rng = SeededRng::seeded(1);
//! let mut parameters = Parameters::new(&layout, &mut rng, tch::Device::Cpu)?;
//! let mut optimizer = Optimizer::new(&OptimizerConfig::default(), &parameters)?;
//!
//! let x = tch::Tensor::linspace(-1.0, 1.0, 64, tch::kind::FLOAT_CPU).view([64, 1]);
//! let target = x.square();
//! let mut loss = f64::INFINITY;
//! for _ in 0..200 {
//!     let output = net.forward(&mut Pass::train(&parameters, &mut rng), &x)?;
//!     let error = output.mse_loss(&target, tch::Reduction::Mean);
//!     parameters.zero_gradients();
//!     error.backward();
//!     optim::clip_gradient_norm(&mut parameters, 1.0)?;
//!     optimizer.step(&mut parameters, 1e-2)?;
//!     loss = error.double_value(&[]);
//! }
//! assert!(loss < 1e-2);
//! # Ok::<(), pavlov_nn::NnError>(())
//! ```

mod clip;
mod config;
mod groups;
mod rule;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tch::{Device, Tensor};

use crate::shim::optim::{Arena, Part};
use crate::{Layout, NnError, Parameters, Role, StateDict, StateView, device};
use groups::{Run, runs, trainable};
use rule::Rule;

pub use clip::{clip_gradient_norm, clip_gradient_value, gradient_norm};
pub use config::{AdamConfig, AdamwConfig, OptimizerConfig, RmspropConfig, SgdConfig};
pub use groups::ParameterGroup;

/// An optimiser of one network's parameters, with its moments.
///
/// Two optimisers of one configuration that were given the same gradients hold the same bits, on the CPU
/// whatever its vector width.
#[derive(Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    rule: Rule,
    layout: Arc<Layout>,
    device: Device,
    steps: u64,
    /// For each trainable parameter, in the order of the flat tensor: the steps made before it was taken on.
    taken_on_after: Vec<u64>,
    runs: Vec<Run>,
}

impl Optimizer {
    /// An optimiser of these parameters that has made no step yet.
    ///
    /// # Errors
    /// [`NnError::Config`] when the configuration makes no sense, names parameters that are not there, or
    /// nothing is trainable; [`NnError::Torch`] when memory runs out.
    pub fn new(config: &OptimizerConfig, parameters: &Parameters) -> Result<Self, NnError> {
        config.validate()?;
        gradients_of(parameters)?;
        let (layout, device) = (parameters.shared_layout().clone(), parameters.device());
        check_trainable(&layout)?;
        let taken_on_after = vec![0; trainable(&layout).count()];
        Ok(Self {
            config: config.clone(),
            rule: Rule::new(config, layout.trainable_len(), device)?,
            runs: runs(config.groups(), &layout, &taken_on_after)?,
            layout,
            device,
            steps: 0,
            taken_on_after,
        })
    }

    /// One step along the gradients, which stay as they are. Where parameters were frozen or unfrozen since
    /// the last step, the optimiser follows first ([`Optimizer::follow`]).
    ///
    /// # Errors
    /// [`NnError::Config`] for a learning rate that is negative or not finite, [`NnError::Shape`] for the
    /// parameters of another network.
    pub fn step(&mut self, parameters: &mut Parameters, learning_rate: f64) -> Result<(), NnError> {
        self.step_by(parameters, learning_rate, false)
    }

    /// `portable` takes libtorch's operations on the CPU too, so that they are tested where there is no other
    /// device.
    fn step_by(
        &mut self,
        parameters: &mut Parameters,
        learning_rate: f64,
        portable: bool,
    ) -> Result<(), NnError> {
        if !(learning_rate.is_finite() && learning_rate >= 0.0) {
            let message = format!("the learning rate is {learning_rate}: give a number that is not negative");
            return Err(NnError::Config(message));
        }
        self.follow(parameters)?;
        let (values, gradients) = (parameters.trainable_values(), gradients_of(parameters)?);
        for run in &self.runs {
            let part = Part { from: run.from, count: run.len };
            let arena = Arena { values, gradients, part, portable };
            self.rule.step(arena, learning_rate, self.steps + 1, run.pace)?;
        }
        self.steps += 1;
        Ok(())
    }

    /// Takes over which parameters are trainable: those that stay so keep their moments, those that were
    /// unfrozen start as at an optimiser's first step.
    ///
    /// # Errors
    /// [`NnError::Shape`] for the parameters of another network or on another device, [`NnError::Config`]
    /// when nothing is trainable; nothing is changed then.
    pub fn follow(&mut self, parameters: &Parameters) -> Result<(), NnError> {
        let layout = parameters.shared_layout();
        self.check_device(parameters)?;
        if Arc::ptr_eq(layout, &self.layout) {
            return Ok(());
        }
        if *layout == self.layout {
            self.layout = layout.clone();
            return Ok(());
        }
        self.check_network(layout)?;
        check_trainable(layout)?;
        let before = |index: usize| {
            let position = trainable(&self.layout).position(|(own, _)| own == index)?;
            Some((self.layout.specs()[index].offset, self.taken_on_after[position]))
        };
        let rule = Rule::new(&self.config, layout.trainable_len(), self.device)?;
        let mut taken_on_after = Vec::new();
        for (index, spec) in trainable(layout) {
            let kept = before(index);
            taken_on_after.push(kept.map_or(self.steps, |(_, after)| after));
            let Some((offset, _)) = kept else { continue };
            for ((_, from), (_, to)) in self.rule.moments().into_iter().zip(rule.moments()) {
                let part = |moment: &Tensor, offset| moment.f_narrow(0, offset, spec.len());
                part(to, spec.offset)?.f_copy_(&part(from, offset)?)?;
            }
        }
        self.runs = runs(self.config.groups(), layout, &taken_on_after)?;
        (self.rule, self.layout, self.taken_on_after) = (rule, layout.clone(), taken_on_after);
        Ok(())
    }

    fn check_device(&self, parameters: &Parameters) -> Result<(), NnError> {
        let at = parameters.device();
        if at == self.device {
            return Ok(());
        }
        let (own, at) = (device::name(self.device), device::name(at));
        let message = format!("the optimiser was made for parameters on {own}, these are on {at}");
        Err(NnError::Shape(message + ": make one for each network"))
    }

    fn check_network(&self, layout: &Layout) -> Result<(), NnError> {
        if self.layout.is_same_network(layout) {
            return Ok(());
        }
        let (own, other) = (self.layout.len(), layout.len());
        let numbers = match own == other {
            true => "parameters of other names or shapes".to_string(),
            false => format!("a network of {own} numbers, this one has {other}"),
        };
        Err(NnError::Shape(format!("the optimiser was made for {numbers}: make one for each network")))
    }

    /// The optimiser's configuration.
    pub fn config(&self) -> &OptimizerConfig {
        &self.config
    }

    /// The number of steps that it has made.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Everything to continue from: the number of steps and the moments.
    ///
    /// # Errors
    /// [`NnError::Torch`] when a moment cannot be copied.
    pub fn state(&self) -> Result<StateDict<'_>, NnError> {
        let mut state = StateDict::new();
        let moments = self.rule.moments();
        let names: Vec<_> = moments.iter().map(|(name, _)| name).collect();
        state.put_value("kind", &self.config.kind())?;
        state.put_value("moments", &names)?;
        state.put_value("steps", &self.steps)?;
        state.put_value("parameters", &self.named())?;
        for (name, moment) in &moments {
            state.put_tensor(name, moment)?;
        }
        Ok(state)
    }

    /// The trainable parameters by name, each with the steps made before it was taken on.
    fn named(&self) -> Vec<(&str, u64)> {
        let names = trainable(&self.layout).map(|(_, spec)| spec.name.as_str());
        names.zip(self.taken_on_after.iter().copied()).collect()
    }

    /// Continues from a saved state, bit for bit. Nothing is changed unless all of it fits.
    ///
    /// # Errors
    /// [`NnError::State`] when the state is that of another optimiser, of a network of another size, or was
    /// saved while other parameters were frozen.
    pub fn load_state(&mut self, state: &StateView<'_>) -> Result<(), NnError> {
        let moments = self.rule.moments();
        self.check_kind(state, &moments)?;
        let steps = state.value("steps")?;
        let taken_on_after = self.taken_on_after_of(state, steps)?;
        let len = self.layout.trainable_len();
        let mut loaded = Vec::with_capacity(moments.len());
        for (name, _) in &moments {
            let tensor = state.tensor(name)?;
            if tensor.size() != [len] || tensor.kind() != tch::Kind::Float {
                let (have, kind) = (tensor.size(), tensor.kind());
                return Err(NnError::State(format!(
                    "the optimiser's `{name}` is {kind:?} {have:?}, the network needs Float [{len}]: it was \
                     saved for a network of another shape"
                )));
            }
            loaded.push(tensor);
        }
        for ((_, moment), tensor) in moments.into_iter().zip(&loaded) {
            moment.shallow_clone().f_copy_(tensor)?;
        }
        self.runs = runs(self.config.groups(), &self.layout, &taken_on_after)?;
        (self.steps, self.taken_on_after) = (steps, taken_on_after);
        Ok(())
    }

    /// For each trainable parameter, the steps made before it was taken on, as saved.
    fn taken_on_after_of(&self, state: &StateView<'_>, steps: u64) -> Result<Vec<u64>, NnError> {
        let saved: Vec<(String, u64)> = state.value("parameters")?;
        let own = self.named();
        let names = |(saved, own): (&(String, u64), &(&str, u64))| saved.0 == own.0;
        if saved.len() == own.len() && saved.iter().zip(&own).all(names) {
            // A number above that of the steps stands in no state that was saved whole.
            return Ok(saved.into_iter().map(|(_, after)| after.min(steps)).collect());
        }
        let (have, want) = (saved.len(), own.len());
        Err(NnError::State(format!(
            "the optimiser's state is that of {have} trainable parameters, here {want} are trainable, or others: \
             freeze what was frozen when it was saved, or start the optimiser anew"
        )))
    }

    fn check_kind(&self, state: &StateView<'_>, moments: &[(&str, &Tensor)]) -> Result<(), NnError> {
        let (saved, own): (String, _) = (state.value("kind")?, self.config.kind());
        if saved != own {
            return Err(NnError::State(format!(
                "the optimiser's state was saved by {saved}, the configuration says {own}: set kind = \"{saved}\", \
                 or start the optimiser anew"
            )));
        }
        let saved: Vec<String> = state.value("moments")?;
        if moments.iter().map(|(name, _)| *name).ne(saved.iter().map(String::as_str)) {
            let own: Vec<_> = moments.iter().map(|(name, _)| name).collect();
            return Err(NnError::State(format!(
                "the optimiser's state was saved with {saved:?}, the configuration needs {own:?}: give {} the \
                 options that it was saved with",
                self.config.kind()
            )));
        }
        Ok(())
    }
}

fn gradients_of(parameters: &Parameters) -> Result<&Tensor, NnError> {
    let frozen = "these parameters are frozen: only trainable ones have gradients to step along or to clip";
    parameters.gradients().ok_or_else(|| NnError::Config(frozen.into()))
}

/// Fails for a network that has parameters, all of them frozen.
pub(crate) fn check_trainable(layout: &Layout) -> Result<(), NnError> {
    if layout.is_empty() || layout.specs().iter().any(|spec| spec.role == Role::Trainable) {
        return Ok(());
    }
    Err(NnError::Config("every parameter is frozen: unfreeze what an optimiser is to train".into()))
}
