//! The network of an actor-critic: from observations to a distribution of actions and a value.

use pavlov_nn::{Distribution, Init, Mlp, MlpConfig, NnError, ParameterId, Pass, backward};
use tch::Tensor;

use super::{ActionHead, ExplorationConfig};
use crate::core::AgentError;
use crate::networks::{Features, Front, NetConfig, NetworkContext, Sequences};

/// The policy's and the value's network, named `policy.` and `value.`; a continuous policy has
/// `log_deviation` besides. The parts before the hidden layers are named `policy_features.`, `policy_front.`,
/// `policy_memory.` and so on, or, where both share it, `features.`, `trunk.` and `memory.`. A description:
/// the numbers are given with each call.
#[derive(Clone, Debug)]
pub struct ActorCritic {
    policy_front: Front,
    /// `None` where it is the policy's.
    value_front: Option<Front>,
    policy: Mlp,
    /// From the features of state-dependent exploration to the means, named `mean.`.
    mean: Option<Mlp>,
    value: Mlp,
    log_deviation: Option<ParameterId>,
}

/// The output of the policy's network for `rows` observations.
#[derive(Debug)]
pub struct PolicyOutputs {
    /// Logits, or the means of a Gaussian: f32 `[rows, outputs]`.
    pub outputs: Tensor,
    /// The features that state-dependent exploration depends on: f32 `[rows, features]`.
    pub features: Option<Tensor>,
    /// The memory's state after each step: f32 `[steps, count, width]`.
    pub states: Option<Tensor>,
}

/// The output of the value's network.
#[derive(Debug)]
pub struct ValueOutputs {
    /// f32 `[rows, 1]`
    pub values: Tensor,
    /// The memory's state after each step: f32 `[steps, count, width]`.
    pub states: Option<Tensor>,
}

/// The outputs of both networks in an update, and the way back from them.
#[derive(Debug)]
pub struct Outputs {
    /// Those of the policy's network.
    pub policy: PolicyOutputs,
    /// The values, f32 `[rows, 1]`.
    pub values: Tensor,
    /// The features that both were computed from, where they share them: as they were computed, and as a leaf
    /// on which the gradients of both meet, so that the backward pass goes through the shared part once.
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
        self.backward_shared()
    }

    /// From a loss that autograd recorded, f32 `[]`, to the gradients of the parameters.
    ///
    /// # Errors
    /// [`AgentError`] when libtorch fails.
    pub fn backward_loss(&self, loss: &Tensor) -> Result<(), AgentError> {
        loss.f_backward()?;
        self.backward_shared()
    }

    fn backward_shared(&self) -> Result<(), AgentError> {
        match &self.shared {
            Some((features, leaf)) => Ok(backward(features, &leaf.f_grad()?)?),
            None => Ok(()),
        }
    }
}

impl ActorCritic {
    /// Describes the networks and adds their parameters to the layout.
    ///
    /// # Errors
    /// [`AgentError`] for a configuration that makes no sense.
    pub fn new(
        context: &mut NetworkContext<'_>,
        head: &ActionHead,
        config: &NetConfig,
        exploration: &ExplorationConfig,
    ) -> Result<Self, AgentError> {
        config.validate()?;
        exploration.validate(config)?;
        let (policy_front, value_front) = match config.shared {
            true => (Front::new(context, "", config)?, None),
            false => {
                let policy = Front::new(context, "policy_", config)?;
                (policy, Some(Front::new(context, "value_", config)?))
            }
        };
        let (layout, inputs) = (&mut *context.layout, policy_front.outputs());
        let actions = match head.distribution() {
            Distribution::Gaussian(n) => Some(*n as i64),
            _ => None,
        };
        let outputs = actions.unwrap_or(head.distribution().parameters() as i64);
        let (policy, mean) = match config.hidden_sizes.split_last() {
            Some((features, before)) if actions.is_some() && exploration.state_dependent => {
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
        let value = Mlp::new(layout, "value.", inputs, 1, &config.mlp(config.value_hidden_sizes(), 1.0))?;
        let start = Init::Constant { value: exploration.log_deviation_start };
        let shape = |n| if mean.is_some() { vec![policy.outputs(), n] } else { vec![n] };
        let log_deviation = actions.map(|n| layout.add("log_deviation", &shape(n), start)).transpose()?;
        Ok(Self { policy_front, value_front, policy, mean, value, log_deviation })
    }

    /// Runs the policy's network on observations, f32 `[rows, inputs]`; a network with a memory needs to be
    /// told how they follow one another.
    ///
    /// # Errors
    /// [`AgentError`] when the shape does not fit.
    pub fn policy(
        &self,
        pass: &mut Pass<'_>,
        x: &Tensor,
        sequences: Option<Sequences<'_>>,
    ) -> Result<PolicyOutputs, AgentError> {
        let front = self.policy_front.forward(pass, x, sequences)?;
        Ok(PolicyOutputs { states: front.states, ..self.policy_head(pass, &front.features)? })
    }

    fn policy_head(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<PolicyOutputs, AgentError> {
        let outputs = self.policy.forward(pass, x)?;
        let Some(mean) = &self.mean else {
            return Ok(PolicyOutputs { outputs, features: None, states: None });
        };
        let features = Some(outputs.f_detach()?);
        Ok(PolicyOutputs { outputs: mean.forward(pass, &outputs)?, features, states: None })
    }

    /// The values of observations (f32 `[rows, inputs]`).
    ///
    /// # Errors
    /// [`AgentError`] when the shape does not fit.
    pub fn value(
        &self,
        pass: &mut Pass<'_>,
        x: &Tensor,
        sequences: Option<Sequences<'_>>,
    ) -> Result<ValueOutputs, AgentError> {
        let front = self.value_front.as_ref().unwrap_or(&self.policy_front);
        let Features { features, states } = front.forward(pass, x, sequences)?;
        Ok(ValueOutputs { values: self.value.forward(pass, &features)?, states })
    }

    /// Runs both networks, recorded by autograd; sequences are the policy's and the value's.
    ///
    /// # Errors
    /// [`AgentError`] when the shape does not fit.
    pub fn both(
        &self,
        pass: &mut Pass<'_>,
        x: &Tensor,
        (policy, value): (Option<Sequences<'_>>, Option<Sequences<'_>>),
    ) -> Result<Outputs, AgentError> {
        if self.value_front.is_some() || self.policy_front.is_identity() {
            return Ok(Outputs {
                policy: self.policy(pass, x, policy)?,
                values: self.value(pass, x, value)?.values,
                shared: None,
            });
        }
        let features = self.policy_front.forward(pass, x, policy)?.features;
        if !features.requires_grad() {
            // A front without trainable parameters: nothing behind it asks for a gradient.
            return Ok(Outputs {
                policy: self.policy_head(pass, &features)?,
                values: self.value.forward(pass, &features)?,
                shared: None,
            });
        }
        let leaf = features.f_detach()?.f_set_requires_grad(true)?;
        Ok(Outputs {
            policy: self.policy_head(pass, &leaf)?,
            values: self.value.forward(pass, &leaf)?,
            shared: Some((features, leaf)),
        })
    }

    /// The widths of the policy's output, of the features that exploration depends on, and of the logarithms
    /// of deviations.
    pub(super) fn policy_widths(&self) -> (usize, usize, usize) {
        let features = self.mean.as_ref().map_or(0, |_| self.policy.outputs());
        let outputs = self.mean.as_ref().unwrap_or(&self.policy).outputs();
        let deviations = self.log_deviation.map_or(0, |_| features.max(1) * outputs);
        (outputs as usize, features as usize, deviations as usize)
    }

    /// The width of the policy's memory for each environment; 0 without a memory.
    pub fn policy_state_width(&self) -> usize {
        self.policy_front.state_width()
    }

    /// The width of the value network's memory for each environment; 0 without a memory.
    pub fn value_state_width(&self) -> usize {
        self.value_front.as_ref().unwrap_or(&self.policy_front).state_width()
    }

    /// The parameter that holds the logarithm of a continuous policy's deviation: `[actions]`, or `[features,
    /// actions]` where it depends on the observation.
    pub fn log_deviation(&self) -> Option<ParameterId> {
        self.log_deviation
    }

    /// The place in the policy's network where numbers stop being finite, for a message.
    pub(super) fn find_non_finite(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Option<String>, NnError> {
        self.policy_front.find_non_finite(pass, x)
    }
}
