//! One pass through a network: the numbers it is called with, the mode, and the generator that random layers
//! draw from.
//!
//! Modules are descriptions without numbers ([`Module`](crate::Module)). What changes from call to call is in
//! a [`Pass`]:
//!
//! ```
//! use pavlov_common::SeededRng;
//! use pavlov_nn::{Layout, Mlp, MlpConfig, Parameters, Pass};
//! let mut layout = Layout::new();
//! let config = MlpConfig { dropout: 0.5, ..MlpConfig::default() };
//! let net = Mlp::new(&mut layout, "", 4, 2, &config)?;
//! let mut rng = SeededRng::seeded(1);
//! let parameters = Parameters::new(&layout, &mut rng, tch::Device::Cpu)?;
//! let x = tch::Tensor::ones([8, 4], tch::kind::FLOAT_CPU);
//! let trained = net.forward(&mut Pass::train(&parameters, &mut rng), &x)?;
//! let used = net.forward(&mut Pass::eval(&parameters), &x)?;
//! assert_ne!(trained, used);
//! # Ok::<(), pavlov_nn::NnError>(())
//! ```

use pavlov_common::SeededRng;
use tch::{Device, Tensor};

use crate::{NnError, ParameterId, Parameters};

/// The mode of a network: being trained (dropout acts, batch norm takes the batch's statistics) or used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The network is being trained.
    Train,
    /// The network is being used: nothing of it changes, and the same input gives the same output.
    Eval,
}

/// The circumstances of a call of a network: its numbers, the mode and the generator.
#[derive(Debug)]
pub struct Pass<'a> {
    parameters: &'a Parameters,
    mode: Mode,
    rng: Option<&'a mut SeededRng>,
}

impl<'a> Pass<'a> {
    /// A pass of a network in use.
    pub fn eval(parameters: &'a Parameters) -> Self {
        Self { parameters, mode: Mode::Eval, rng: None }
    }

    /// A pass of a network that is being trained. Dropout and noisy layers draw from `rng`; the same
    /// generator in the same state gives the same pass.
    pub fn train(parameters: &'a Parameters, rng: &'a mut SeededRng) -> Self {
        Self { parameters, mode: Mode::Train, rng: Some(rng) }
    }

    /// A pass of a network in use whose noisy layers draw from `rng`: exploration by noise in the weights.
    pub fn noisy(parameters: &'a Parameters, rng: &'a mut SeededRng) -> Self {
        Self { parameters, mode: Mode::Eval, rng: Some(rng) }
    }

    /// The numbers that the network is called with.
    pub fn parameters(&self) -> &'a Parameters {
        self.parameters
    }

    /// True if the network is being trained.
    pub fn is_training(&self) -> bool {
        self.mode == Mode::Train
    }

    /// The generator that random layers draw from; `None` where nothing is random.
    pub fn rng(&mut self) -> Option<&mut SeededRng> {
        self.rng.as_deref_mut()
    }

    /// Where the numbers live.
    pub fn device(&self) -> Device {
        self.parameters.device()
    }

    /// One parameter or buffer in its shape.
    ///
    /// # Errors
    /// [`NnError::Shape`] when the numbers are those of another network.
    pub fn get(&self, id: ParameterId) -> Result<&'a Tensor, NnError> {
        self.parameters.find(id).map(|(value, _)| value)
    }

    /// One parameter or buffer in its shape, where the layer has it.
    ///
    /// # Errors
    /// As [`Pass::get`].
    pub fn get_if(&self, id: Option<ParameterId>) -> Result<Option<&'a Tensor>, NnError> {
        id.map(|id| self.get(id)).transpose()
    }

    /// Where the gradient of a parameter accumulates; `None` where it is frozen.
    ///
    /// # Errors
    /// As [`Pass::get`].
    pub fn gradient(&self, id: ParameterId) -> Result<Option<&'a Tensor>, NnError> {
        self.parameters.find(id).map(|(_, gradient)| gradient)
    }
}
