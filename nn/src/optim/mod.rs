//! Optimisers and gradient clipping over the whole arena.
//!
//! An [`Optimizer`] steps over all parameters in one pass: on the CPU in a loop of its own that reads and writes each
//! number once, on other devices by libtorch's fused operations. Its moments are flat tensors like the arena's, so
//! they are saved and restored whole. The learning rate is an argument of each step: what it is at a moment of
//! training is the business of a [`Schedule`](crate::Schedule).
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
//!     let error = net.forward(&mut Pass::train(&parameters, &mut rng), &x)?.mse_loss(&target, tch::Reduction::Mean);
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
mod rule;
#[cfg(test)]
mod tests;

use tch::{Device, Tensor};

use crate::shim::optim::Arena;
use crate::{NnError, Parameters, StateDict, StateView, device};
use rule::Rule;

pub use clip::{clip_gradient_norm, clip_gradient_value, gradient_norm};
pub use config::{AdamConfig, AdamwConfig, OptimizerConfig, RmspropConfig, SgdConfig};

/// An optimiser of one network's parameters, with its moments.
///
/// Two optimisers of one configuration that were given the same gradients hold the same bits, on the CPU whatever its
/// vector width.
#[derive(Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    rule: Rule,
    len: i64,
    device: Device,
    steps: u64,
}

impl Optimizer {
    /// An optimiser of these parameters that has made no step yet.
    ///
    /// # Errors
    /// [`NnError::Config`] when the configuration makes no sense or the parameters are frozen, [`NnError::Torch`]
    /// when memory runs out.
    pub fn new(config: &OptimizerConfig, parameters: &Parameters) -> Result<Self, NnError> {
        config.validate()?;
        gradients_of(parameters)?;
        let (len, device) = (parameters.layout().trainable_len(), parameters.device());
        Ok(Self { config: *config, rule: Rule::new(config, len, device)?, len, device, steps: 0 })
    }

    /// Moves the parameters by one step along their gradients, which stay as they are.
    ///
    /// # Errors
    /// [`NnError::Config`] when the learning rate is negative or not finite, or the parameters are frozen;
    /// [`NnError::Shape`] when they are not like those that the optimiser was made for.
    pub fn step(&mut self, parameters: &mut Parameters, learning_rate: f64) -> Result<(), NnError> {
        self.step_by(parameters, learning_rate, false)
    }

    /// `portable` takes libtorch's operations on the CPU too, so that they are tested where there is no other device.
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
        self.check_fit(parameters)?;
        let arena =
            Arena { values: parameters.trainable_values(), gradients: gradients_of(parameters)?, portable };
        self.rule.step(arena, learning_rate, self.steps + 1)?;
        self.steps += 1;
        Ok(())
    }

    fn check_fit(&self, parameters: &Parameters) -> Result<(), NnError> {
        let (len, at) = (parameters.layout().trainable_len(), parameters.device());
        if len == self.len && at == self.device {
            return Ok(());
        }
        let (own_at, at) = (device::name(self.device), device::name(at));
        let own = self.len;
        Err(NnError::Shape(format!(
            "the optimiser was made for {own} parameters on {own_at}, these are {len} on {at}: make one for each \
             network"
        )))
    }

    /// What the optimiser is.
    pub fn config(&self) -> &OptimizerConfig {
        &self.config
    }

    /// How many steps it has made.
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
        for (name, moment) in &moments {
            state.put_tensor(name, moment)?;
        }
        Ok(state)
    }

    /// Continues from a saved state, bit for bit. Nothing is changed unless all of it fits.
    ///
    /// # Errors
    /// [`NnError::State`] when the state is that of another optimiser or of a network of another size.
    pub fn load_state(&mut self, state: &StateView<'_>) -> Result<(), NnError> {
        let moments = self.rule.moments();
        self.check_kind(state, &moments)?;
        let steps = state.value("steps")?;
        let mut loaded = Vec::with_capacity(moments.len());
        for (name, _) in &moments {
            let tensor = state.tensor(name)?;
            if tensor.size() != [self.len] || tensor.kind() != tch::Kind::Float {
                let (have, kind, len) = (tensor.size(), tensor.kind(), self.len);
                return Err(NnError::State(format!(
                    "the optimiser's `{name}` is {kind:?} {have:?}, the network needs Float [{len}]: it was saved for \
                     a network of another shape"
                )));
            }
            loaded.push(tensor);
        }
        for ((_, moment), tensor) in moments.into_iter().zip(&loaded) {
            moment.shallow_clone().f_copy_(tensor)?;
        }
        self.steps = steps;
        Ok(())
    }

    fn check_kind(&self, state: &StateView<'_>, moments: &[(&str, &Tensor)]) -> Result<(), NnError> {
        let (saved, own): (String, _) = (state.value("kind")?, self.config.kind());
        if saved != own {
            return Err(NnError::State(format!(
                "the optimiser's state was saved by {saved}, the configuration says {own}: set kind = \"{saved}\", or \
                 start the optimiser anew"
            )));
        }
        let saved: Vec<String> = state.value("moments")?;
        if moments.iter().map(|(name, _)| *name).ne(saved.iter().map(String::as_str)) {
            let own: Vec<_> = moments.iter().map(|(name, _)| name).collect();
            return Err(NnError::State(format!(
                "the optimiser's state was saved with {saved:?}, the configuration needs {own:?}: give {} the options \
                 that it was saved with",
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
