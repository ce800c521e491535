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
    /// Where the logarithm of a continuous policy's deviation starts.
    pub log_deviation_start: f64,
    /// Whether a continuous policy explores by noise that depends on the observation (gSDE, Raffin et al. 2021); else its
    /// deviation is the same everywhere.
    pub state_dependent_exploration: bool,
    /// Steps for which state-dependent noise stays the same function; 0 keeps it for a whole rollout.
    pub exploration_resample_steps: usize,
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
            state_dependent_exploration: false,
            exploration_resample_steps: 0,
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
        if self.state_dependent_exploration && self.hidden_sizes.is_empty() {
            let message = "net.state_dependent_exploration needs a hidden layer: give net.hidden_sizes one";
            return Err(AgentError::Config(message.into()));
        }
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
    /// From the features of state-dependent exploration to the means, named `mean.`.
    mean: Option<Mlp>,
    value: Mlp,
    log_deviation: Option<ParameterId>,
}

/// What the policy's network gives for `rows` observations.
#[derive(Debug)]
pub struct PolicyOutputs {
    /// Logits, or the means of a Gaussian: f32 `[rows, outputs]`.
    pub outputs: Tensor,
    /// What state-dependent exploration depends on: f32 `[rows, features]`.
    pub features: Option<Tensor>,
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
        let actions = match head.distribution() {
            Distribution::Gaussian(n) => Some(*n as i64),
            _ => None,
        };
        let outputs = actions.unwrap_or(head.distribution().parameters() as i64);
        let (policy, mean) = match config.hidden_sizes.split_last() {
            Some((features, before)) if actions.is_some() && config.state_dependent_exploration => {
                let body = MlpConfig {
                    output_activation: config.activation,
                    dropout: 0.0,
                    ..config.mlp(before, 2f64.sqrt())
                };
                let body = Mlp::new(layout, "policy.", inputs, *features, &body)?;
                (body, Some(Mlp::new(layout, "mean.", *features, outputs, &config.mlp(&[], 0.01))?))
            }
            _ => {
                let whole = config.mlp(&config.hidden_sizes, 0.01);
                (Mlp::new(layout, "policy.", inputs, outputs, &whole)?, None)
            }
        };
        let value = Mlp::new(layout, "value.", inputs, 1, &config.mlp(&config.value_hidden_sizes, 1.0))?;
        let start = Init::Constant { value: config.log_deviation_start };
        let shape = |n| if mean.is_some() { vec![policy.outputs(), n] } else { vec![n] };
        let log_deviation = actions.map(|n| layout.add("log_deviation", &shape(n), start)).transpose()?;
        Ok(Self { policy, mean, value, log_deviation })
    }

    /// What the policy's network gives for observations, f32 `[rows, inputs]`.
    ///
    /// # Errors
    /// [`AgentError`] when the shape does not fit.
    pub fn policy(
        &self,
        parameters: &Parameters,
        x: &Tensor,
        mode: Mode,
    ) -> Result<PolicyOutputs, AgentError> {
        let outputs = self.policy.forward(parameters, x, mode)?;
        let Some(mean) = &self.mean else { return Ok(PolicyOutputs { outputs, features: None }) };
        let features = Some(outputs.f_detach()?);
        Ok(PolicyOutputs { outputs: mean.forward(parameters, &outputs, mode)?, features })
    }

    /// The values of observations (f32 `[rows, inputs]`): f32 `[rows, 1]`.
    ///
    /// # Errors
    /// [`AgentError`] when the shape does not fit.
    pub fn value(&self, parameters: &Parameters, x: &Tensor, mode: Mode) -> Result<Tensor, AgentError> {
        Ok(self.value.forward(parameters, x, mode)?)
    }

    /// Where the logarithm of a continuous policy's deviation stands: `[actions]`, or `[features, actions]` where it
    /// depends on the observation.
    pub fn log_deviation(&self) -> Option<ParameterId> {
        self.log_deviation
    }
}
