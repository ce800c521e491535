//! The network of an actor-critic: from observations to a distribution of actions and a value.

use pavlov_nn::{Activation, Distribution, Init, Layout, Mlp, MlpConfig, Mode, ParameterId, Parameters};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::ActionHead;
use crate::{AgentError, Encoder};

/// What the networks of policy and value look like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ActorCriticConfig {
    /// The widths of the policy's hidden layers.
    pub hidden_sizes: Vec<i64>,
    /// The widths of the value's hidden layers.
    pub value_hidden_sizes: Vec<i64>,
    /// After each hidden layer.
    pub activation: Activation,
    /// Whether weights start orthogonal: hidden layers with gain `sqrt(2)`, the policy's last one with 0.01, the value's
    /// with 1, biases zero; else as PyTorch's layers do.
    pub orthogonal_init: bool,
    /// Where the logarithm of a continuous policy's deviation starts; it does not depend on the observation.
    pub log_deviation_start: f64,
    /// Whether each hidden layer is normalised before its activation (Ba et al. 2016).
    pub layer_norm: bool,
    /// The share of hidden units that dropout silences in updates, `0 <= dropout < 1`; never where the agent acts.
    pub dropout: f64,
}

impl Default for ActorCriticConfig {
    fn default() -> Self {
        Self {
            hidden_sizes: vec![64, 64],
            value_hidden_sizes: vec![64, 64],
            activation: Activation::Tanh,
            orthogonal_init: true,
            log_deviation_start: 0.0,
            layer_norm: false,
            dropout: 0.0,
        }
    }
}

impl ActorCriticConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`AgentError`] naming the field that makes no sense.
    pub fn validate(&self) -> Result<(), AgentError> {
        self.mlp(&self.hidden_sizes, 0.01).validate()?;
        self.mlp(&self.value_hidden_sizes, 1.0).validate()?;
        if !self.log_deviation_start.is_finite() {
            let message = format!("net.log_deviation_start is {}: give a number", self.log_deviation_start);
            return Err(AgentError::Config(message));
        }
        Ok(())
    }

    fn mlp(&self, hidden_sizes: &[i64], output_gain: f64) -> MlpConfig {
        let orthogonal = |gain| match self.orthogonal_init {
            true => Init::Orthogonal { gain },
            false => Init::Torch,
        };
        MlpConfig {
            hidden_sizes: hidden_sizes.to_vec(),
            activation: self.activation,
            output_activation: Activation::Identity,
            init: orthogonal(2f64.sqrt()),
            output_init: orthogonal(output_gain),
            layer_norm: self.layer_norm,
            dropout: self.dropout,
        }
    }
}

/// The policy's and the value's network, named `policy.` and `value.`; a continuous policy has `log_deviation` besides.
/// A description: the numbers are given with each call.
#[derive(Clone, Debug)]
pub struct ActorCritic {
    policy: Mlp,
    value: Mlp,
    log_deviation: Option<ParameterId>,
}

impl ActorCritic {
    /// Describes the networks and adds their parameters to the layout.
    ///
    /// # Errors
    /// [`AgentError`] for a configuration that makes no sense.
    pub fn new(
        layout: &mut Layout,
        encoder: &Encoder,
        head: &ActionHead,
        config: &ActorCriticConfig,
    ) -> Result<Self, AgentError> {
        config.validate()?;
        let inputs = encoder.width() as i64;
        let (outputs, deviations) = match head.distribution() {
            Distribution::Gaussian(n) => (*n, Some(*n)),
            discrete => (discrete.parameters(), None),
        };
        let policy = config.mlp(&config.hidden_sizes, 0.01);
        let value = config.mlp(&config.value_hidden_sizes, 1.0);
        let policy = Mlp::new(layout, "policy.", inputs, outputs as i64, &policy)?;
        let value = Mlp::new(layout, "value.", inputs, 1, &value)?;
        let start = Init::Constant { value: config.log_deviation_start };
        let log_deviation =
            deviations.map(|n| layout.add("log_deviation", &[n as i64], start)).transpose()?;
        Ok(Self { policy, value, log_deviation })
    }

    /// What the policy's network gives for observations (f32 `[rows, inputs]`): logits, or the means of a Gaussian,
    /// f32 `[rows, outputs]`.
    ///
    /// # Errors
    /// [`AgentError`] when the shape does not fit.
    pub fn policy(&self, parameters: &Parameters, x: &Tensor, mode: Mode) -> Result<Tensor, AgentError> {
        Ok(self.policy.forward(parameters, x, mode)?)
    }

    /// The values of observations (f32 `[rows, inputs]`): f32 `[rows, 1]`.
    ///
    /// # Errors
    /// [`AgentError`] when the shape does not fit.
    pub fn value(&self, parameters: &Parameters, x: &Tensor, mode: Mode) -> Result<Tensor, AgentError> {
        Ok(self.value.forward(parameters, x, mode)?)
    }

    /// Where the logarithm of a continuous policy's deviation stands.
    pub fn log_deviation(&self) -> Option<ParameterId> {
        self.log_deviation
    }
}
