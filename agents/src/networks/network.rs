//! A network with one head: from observations to a row of numbers.

use pavlov_nn::{Activation, Mlp, MlpConfig, NnError, Pass};
use tch::Tensor;

use super::{Front, NetConfig, NetworkContext};

/// A front and the hidden layers behind it. A description: the numbers are given with each call.
#[derive(Clone, Debug)]
pub struct Network {
    front: Front,
    mlp: Mlp,
}

impl Network {
    /// Describes a network to `outputs` numbers and adds its parameters to the layout: the front's, as
    /// [`Front::new`] names them, and those of the hidden layers, named `prefix` + `0.weight` ...
    ///
    /// # Errors
    /// [`NnError::Config`] for a configuration that makes no sense or does not fit the observations.
    pub fn new(
        context: &mut NetworkContext<'_>,
        prefix: &str,
        outputs: usize,
        output_activation: Activation,
        config: &NetConfig,
    ) -> Result<Self, NnError> {
        let front = Front::new(context, prefix, config)?;
        let layers = MlpConfig { output_activation, ..config.mlp(&config.hidden_sizes, 1.0) };
        let mlp = Mlp::new(context.layout, prefix, front.outputs(), outputs as i64, &layers)?;
        Ok(Self { front, mlp })
    }

    /// The number of inputs.
    pub fn inputs(&self) -> i64 {
        self.front.inputs()
    }

    /// The number of outputs.
    pub fn outputs(&self) -> i64 {
        self.mlp.outputs()
    }

    /// The front before the hidden layers.
    pub fn front(&self) -> &Front {
        &self.front
    }

    /// From `x` (f32 `[batch, inputs]`) to f32 `[batch, outputs]`.
    ///
    /// # Errors
    /// [`NnError::Shape`] for an input of another shape or type.
    pub fn forward(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        let features = self.front.forward(pass, x, None)?.features;
        self.mlp.forward(pass, &features)
    }
}
