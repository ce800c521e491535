//! The network of an actor-critic: from observations to a distribution of actions and a value.

use pavlov_nn::{
    Activation, Distribution, Init, Layout, Mlp, MlpConfig, Mode, ParameterId, Parameters, Precision,
    backward,
};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::ActionHead;
use super::trunk::{RecurrentConfig, Sequences, Trunk, TrunkOutputs};
use crate::{AgentError, Encoder, ImageConfig};

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
    /// The convolutions that images go through: "auto", "off", a name, or a list of layers.
    pub cnn: ImageConfig,
    /// What convolutions and layers multiply in: "f32" or "bf16".
    pub precision: Precision,
    /// The widths of layers after the convolutions and before the memory, which policy and value share where `shared`
    /// says so.
    pub trunk_sizes: Vec<i64>,
    /// The memory between what comes before and the hidden layers: "off", "lstm" or "gru".
    pub recurrent: RecurrentConfig,
    /// The units of the memory.
    pub recurrent_size: i64,
    /// Steps of the sequences that a memory learns from; 0 takes whole rollouts.
    pub sequence_length: usize,
    /// Whether policy and value share convolutions, trunk and memory; else each has its own.
    pub shared: bool,
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
            cnn: ImageConfig::default(),
            precision: Precision::default(),
            trunk_sizes: Vec::new(),
            recurrent: RecurrentConfig::default(),
            recurrent_size: 256,
            sequence_length: 0,
            shared: false,
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
        self.mlp(&self.trunk_sizes, 1.0).validate()?;
        if self.state_dependent_exploration && self.hidden_sizes.is_empty() {
            let message = "net.state_dependent_exploration needs a hidden layer: give net.hidden_sizes one";
            return Err(AgentError::Config(message.into()));
        }
        self.cnn.validate()?;
        if self.recurrent_size < 1 {
            let message = format!("net.recurrent_size is {}: give at least 1", self.recurrent_size);
            return Err(AgentError::Config(message));
        }
        if !self.log_deviation_start.is_finite() {
            let message = format!("net.log_deviation_start is {}: give a number", self.log_deviation_start);
            return Err(AgentError::Config(message));
        }
        Ok(())
    }

    pub(super) fn mlp(&self, hidden_sizes: &[i64], output_gain: f64) -> MlpConfig {
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
            precision: self.precision,
        }
    }
}

/// The policy's and the value's network, named `policy.` and `value.`; a continuous policy has `log_deviation` besides.
/// What images, trunk layers and a memory need is named `policy_features.`, `policy_trunk.`, `policy_memory.` and so on, or,
/// where both share it, `features.`, `trunk.` and `memory.`. A description: the numbers are given with each call.
#[derive(Clone, Debug)]
pub struct ActorCritic {
    policy_trunk: Trunk,
    /// `None` where it is the policy's.
    value_trunk: Option<Trunk>,
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
    /// What the policy remembers after each step: f32 `[steps, count, width]`.
    pub states: Option<Tensor>,
}

/// What the value's network gives.
#[derive(Debug)]
pub struct ValueOutputs {
    /// f32 `[rows, 1]`
    pub values: Tensor,
    /// What the value's network remembers after each step: f32 `[steps, count, width]`.
    pub states: Option<Tensor>,
}

/// What both networks give in an update, and the way back from them.
#[derive(Debug)]
pub struct Outputs {
    /// The policy's.
    pub policy: PolicyOutputs,
    /// The values, f32 `[rows, 1]`.
    pub values: Tensor,
    /// What both were computed from, where they share it: as it came, and as a leaf on which their gradients meet, so
    /// that the way back through the shared part is gone once.
    shared: Option<(Tensor, Tensor)>,
}

impl Outputs {
    /// From the gradients of the policy's outputs and of the values to those of the parameters.
    ///
    /// # Errors
    /// [`AgentError`] when they do not fit.
    pub fn backward(&self, by_policy: &Tensor, by_value: &Tensor) -> Result<(), AgentError> {
        backward(&self.policy.outputs, by_policy)?;
        backward(&self.values, by_value)?;
        if let Some((features, leaf)) = &self.shared {
            backward(features, &leaf.f_grad()?)?;
        }
        Ok(())
    }
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
        let (policy_trunk, value_trunk) = match config.shared {
            true => (Trunk::new(layout, "", encoder, config)?, None),
            false => {
                let policy = Trunk::new(layout, "policy_", encoder, config)?;
                (policy, Some(Trunk::new(layout, "value_", encoder, config)?))
            }
        };
        let inputs = policy_trunk.outputs();
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
        Ok(Self { policy_trunk, value_trunk, policy, mean, value, log_deviation })
    }

    /// What the policy's network gives for observations, f32 `[rows, inputs]`; a network with a memory has to know how
    /// they follow one another.
    ///
    /// # Errors
    /// [`AgentError`] when the shape does not fit.
    pub fn policy(
        &self,
        parameters: &Parameters,
        x: &Tensor,
        sequences: Option<Sequences<'_>>,
        mode: Mode,
    ) -> Result<PolicyOutputs, AgentError> {
        let trunk = self.policy_trunk.forward(parameters, x, sequences, mode)?;
        Ok(PolicyOutputs { states: trunk.states, ..self.policy_head(parameters, &trunk.features, mode)? })
    }

    fn policy_head(
        &self,
        parameters: &Parameters,
        x: &Tensor,
        mode: Mode,
    ) -> Result<PolicyOutputs, AgentError> {
        let outputs = self.policy.forward(parameters, x, mode)?;
        let Some(mean) = &self.mean else {
            return Ok(PolicyOutputs { outputs, features: None, states: None });
        };
        let features = Some(outputs.f_detach()?);
        Ok(PolicyOutputs { outputs: mean.forward(parameters, &outputs, mode)?, features, states: None })
    }

    /// The values of observations (f32 `[rows, inputs]`).
    ///
    /// # Errors
    /// [`AgentError`] when the shape does not fit.
    pub fn value(
        &self,
        parameters: &Parameters,
        x: &Tensor,
        sequences: Option<Sequences<'_>>,
        mode: Mode,
    ) -> Result<ValueOutputs, AgentError> {
        let trunk = self.value_trunk.as_ref().unwrap_or(&self.policy_trunk);
        let TrunkOutputs { features, states } = trunk.forward(parameters, x, sequences, mode)?;
        Ok(ValueOutputs { values: self.value.forward(parameters, &features, mode)?, states })
    }

    /// What both networks give, recorded by autograd; sequences are the policy's and the value's.
    ///
    /// # Errors
    /// [`AgentError`] when the shape does not fit.
    pub fn both(
        &self,
        parameters: &Parameters,
        x: &Tensor,
        (policy, value): (Option<Sequences<'_>>, Option<Sequences<'_>>),
        mode: Mode,
    ) -> Result<Outputs, AgentError> {
        if self.value_trunk.is_some() || self.policy_trunk.is_identity() {
            return Ok(Outputs {
                policy: self.policy(parameters, x, policy, mode)?,
                values: self.value(parameters, x, value, mode)?.values,
                shared: None,
            });
        }
        let features = self.policy_trunk.forward(parameters, x, policy, mode)?.features;
        let leaf = features.f_detach()?.f_set_requires_grad(true)?;
        Ok(Outputs {
            policy: self.policy_head(parameters, &leaf, mode)?,
            values: self.value.forward(parameters, &leaf, mode)?,
            shared: Some((features, leaf)),
        })
    }

    /// How many numbers the policy's network gives for each observation, how many features exploration depends on, and how
    /// many logarithms of deviations there are.
    pub(super) fn policy_widths(&self) -> (usize, usize, usize) {
        let features = self.mean.as_ref().map_or(0, |_| self.policy.outputs());
        let outputs = self.mean.as_ref().unwrap_or(&self.policy).outputs();
        let deviations = self.log_deviation.map_or(0, |_| features.max(1) * outputs);
        (outputs as usize, features as usize, deviations as usize)
    }

    /// How many numbers the policy remembers of each environment; 0 without a memory.
    pub fn policy_state_width(&self) -> usize {
        self.policy_trunk.state_width()
    }

    /// The same of the value's network.
    pub fn value_state_width(&self) -> usize {
        self.value_trunk.as_ref().unwrap_or(&self.policy_trunk).state_width()
    }

    /// Where the logarithm of a continuous policy's deviation stands: `[actions]`, or `[features, actions]` where it
    /// depends on the observation.
    pub fn log_deviation(&self) -> Option<ParameterId> {
        self.log_deviation
    }
}
