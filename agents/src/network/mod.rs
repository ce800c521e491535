//! The networks of agents that learn from a replay: convolutions for an observation's images, then an MLP.

mod images;
mod policy_network;

use pavlov_nn::{Features, Layout, Mlp, MlpConfig, Mode, NnError, Parameters};
use tch::Tensor;

pub use images::ImageConfig;
pub use policy_network::PolicyNetwork;

use crate::{AgentError, Encoder, RowNetwork};

/// From encoded observations to numbers. A description: the weights are given with each call.
#[derive(Clone, Debug)]
pub struct Network {
    features: Features,
    mlp: Mlp,
}

impl Network {
    /// Describes a network to `outputs` numbers and adds its parameters to the layout: those of the convolutions are
    /// named `prefix` + `features.0.weight` ..., the MLP's `prefix` + `0.weight` ...
    ///
    /// # Errors
    /// [`NnError::Config`] for a configuration that makes no sense or does not fit the observations.
    pub fn new(
        layout: &mut Layout,
        prefix: &str,
        (encoder, outputs): (&Encoder, usize),
        (images, config): (&ImageConfig, &MlpConfig),
    ) -> Result<Self, NnError> {
        let features = images.features(layout, &format!("{prefix}features."), (encoder, 0), config.init)?;
        let features = features.with_precision(config.precision);
        let mlp = Mlp::new(layout, prefix, features.outputs(), outputs as i64, config)?;
        Ok(Self { features, mlp })
    }

    /// How many numbers go in.
    pub fn inputs(&self) -> i64 {
        self.features.inputs()
    }

    /// How many come out.
    pub fn outputs(&self) -> i64 {
        self.mlp.outputs()
    }

    /// From `x` (f32 `[batch, inputs]`) to f32 `[batch, outputs]`.
    ///
    /// # Errors
    /// [`NnError::Shape`] for an input of another shape or type.
    pub fn forward(&self, parameters: &Parameters, x: &Tensor, mode: Mode) -> Result<Tensor, NnError> {
        self.mlp.forward(parameters, &self.features.forward(parameters, x, mode)?, mode)
    }
}

impl RowNetwork for Network {
    fn widths(&self) -> (usize, usize) {
        (self.inputs() as usize, self.outputs() as usize)
    }

    fn forward(&self, weights: &Parameters, rows: &Tensor) -> Result<Tensor, AgentError> {
        let _guard = tch::no_grad_guard();
        Ok(Network::forward(&mut Pass::eval(self), weights, rows)?)
    }
}
