//! Critics, their targets, and the gradient that they give a policy.

use pavlov_common::SeededRng;
use pavlov_nn::{
    Ensemble, HostBuffer, Layout, NnError, OptimizerConfig, Parameters, Pass, StateDict, StateView,
    Trainable, backward,
};
use tch::Tensor;

use super::losses;
use crate::agent::AgentContext;
use crate::core::host::{on_device, read};
use crate::core::{AgentError, Scalar};
use crate::networks::{Encoder, Front, NetConfig, NetworkContext};

/// The settings of critics.
#[derive(Clone, Debug)]
pub struct CriticsSetup<'a> {
    /// The number of critics.
    pub count: usize,
    /// The encoder of observations.
    pub encoder: &'a Encoder,
    /// The numbers of an action that go in behind the features: none of a discrete one.
    pub action_inputs: usize,
    /// The number of outputs: 1, or a value for each discrete action.
    pub outputs: usize,
    /// The networks: one front for all critics, and the hidden layers of each.
    pub net: &'a NetConfig,
    /// The optimiser.
    pub optimizer: &'a OptimizerConfig,
    /// The largest norm of an update's gradient.
    pub gradient_clip_norm: Option<f64>,
    /// True if transitions are drawn by priority, so that the errors of regressions are asked for.
    pub prioritized: bool,
    /// The environments and the device.
    pub context: &'a AgentContext,
}

/// The critic whose value a policy climbs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judge {
    /// The first one.
    First,
    /// For each row the one with the smallest value.
    Smallest,
}

/// One front, and the critics behind it.
#[derive(Debug)]
struct CriticsNetwork {
    front: Front,
    ensemble: Ensemble,
}

impl CriticsNetwork {
    /// The input of the critics: the features of the observations, f32 `[batch, inputs]`, and the actions
    /// behind them, f32 `[batch, action]`, where they are continuous.
    fn inputs(&self, pass: &mut Pass<'_>, seen: Judged<'_>) -> Result<Tensor, NnError> {
        let features = self.front.forward(pass, seen.observations, None)?.features;
        match seen.actions {
            Some(actions) => Ok(Tensor::f_cat(&[&features, actions], 1)?),
            None => Ok(features),
        }
    }

    /// The values, f32 `[critics, batch, outputs]`.
    fn forward(&self, pass: &mut Pass<'_>, seen: Judged<'_>) -> Result<Tensor, NnError> {
        let inputs = self.inputs(pass, seen)?;
        self.ensemble.forward(pass, &inputs)
    }
}

/// The observations and actions that critics judge.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a> {
    /// Encoded observations, f32 `[batch, width]`.
    pub observations: &'a Tensor,
    /// Continuous actions as the policy gives them, f32 `[batch, action]`; none where the critics have a
    /// value for each discrete action.
    pub actions: Option<&'a Tensor>,
}

/// The targets of a regression, in the form in which its loss is to be computed.
#[derive(Clone, Copy, Debug)]
pub enum Targets<'a> {
    /// Numbers in ordinary memory.
    Rows {
        /// The action that was taken in each row, `[batch]`; empty where critics have one output.
        choices: &'a [i64],
        /// The target of each row, `[batch]`.
        targets: &'a [f32],
        /// The weight of each row's error, `[batch]`.
        weights: &'a [f32],
    },
    /// Tensors on the critics' device.
    Tensors {
        /// The action that was taken in each row, i64 `[batch, 1]`; none where critics have one output.
        choices: Option<&'a Tensor>,
        /// The target of each row, f32 `[batch]`.
        targets: &'a Tensor,
        /// The weight of each row's error, f32 `[batch]`.
        weights: &'a Tensor,
    },
}

/// Critics of one shape and their slowly following targets. All weights lie in one arena, named `q0.`, `q1.`
/// ..., those of the front as [`Front::new`] names them.
#[derive(Debug)]
pub struct Critics {
    net: CriticsNetwork,
    trained: Trainable,
    /// The same weights, through which a gradient reaches the actions and is left nowhere else.
    view: Parameters,
    target: Parameters,
    values: Vec<f32>,
    errors: Vec<f32>,
    /// True if the errors of a regression on tensors are read back: where transitions are drawn by priority.
    reads_errors: bool,
    gradient: HostBuffer<f32>,
}

impl Critics {
    /// Untrained critics; their targets start as copies.
    ///
    /// # Errors
    /// [`AgentError`] when a configuration makes no sense.
    pub fn new(setup: &CriticsSetup<'_>, rng: &mut SeededRng) -> Result<Self, AgentError> {
        let mut layout = Layout::new();
        let networks = &setup.context.networks;
        let mut with = NetworkContext { layout: &mut layout, encoder: setup.encoder, networks };
        let front = Front::new(&mut with, "", setup.net)?;
        front.refuse_memory()?;
        let inputs = front.outputs() + setup.action_inputs as i64;
        let layers = setup.net.mlp(setup.net.value_hidden_sizes(), 1.0);
        let ensemble = Ensemble::new(&mut layout, "q", setup.count, inputs, setup.outputs as i64, &layers)?;
        let parameters = Parameters::new(&layout, rng, setup.context.device)?;
        let seed = setup.context.shard_seed("critics_dropout");
        let optimizer = setup.optimizer.for_network(&layout);
        Ok(Self {
            net: CriticsNetwork { front, ensemble },
            view: parameters.frozen_view()?,
            target: parameters.frozen_copy()?,
            trained: Trainable::new(parameters, &optimizer, setup.gradient_clip_norm, seed)?
                .in_group(&setup.context.group),
            values: Vec::new(),
            errors: Vec::new(),
            reads_errors: setup.prioritized,
            gradient: HostBuffer::new(&[0])?,
        })
    }

    /// The present weights.
    pub fn parameters(&self) -> &Parameters {
        self.trained.parameters()
    }

    /// The targets' weights.
    pub fn target(&self) -> &Parameters {
        &self.target
    }

    /// The distance of each row's values from its target in the last regression, the mean over the critics:
    /// `[batch]`. A regression on tensors gives it only where transitions are drawn by priority.
    pub fn errors(&self) -> &[f32] {
        &self.errors
    }

    fn count(&self) -> usize {
        self.net.ensemble.members().len()
    }

    /// The smallest of the targets' values of each row, `[batch, outputs]`.
    ///
    /// # Errors
    /// [`AgentError`] when observations and actions do not fit.
    pub fn smallest_target(&mut self, seen: Judged<'_>, smallest: &mut Vec<f32>) -> Result<(), AgentError> {
        let _guard = tch::no_grad_guard();
        read(&self.net.forward(&mut Pass::eval(&self.target), seen)?, &mut self.values)?;
        losses::smallest(&self.values, self.count(), smallest);
        Ok(())
    }

    /// The smallest of the present values of each row, `[batch, outputs]`.
    ///
    /// # Errors
    /// [`AgentError`] when observations and actions do not fit.
    pub fn smallest(&mut self, seen: Judged<'_>, smallest: &mut Vec<f32>) -> Result<(), AgentError> {
        let _guard = tch::no_grad_guard();
        read(&self.net.forward(&mut Pass::eval(&self.view), seen)?, &mut self.values)?;
        losses::smallest(&self.values, self.count(), smallest);
        Ok(())
    }

    /// The smallest of the targets' values of each row as a tensor without gradient, f32 `[batch, outputs]`.
    ///
    /// # Errors
    /// [`AgentError`] when observations and actions do not fit.
    pub fn smallest_target_tensor(&self, seen: Judged<'_>) -> Result<Tensor, AgentError> {
        let _guard = tch::no_grad_guard();
        losses::tensors::smallest(&self.net.forward(&mut Pass::eval(&self.target), seen)?)
    }

    /// The smallest of the present values of each row as a tensor without gradient, f32 `[batch, outputs]`.
    ///
    /// # Errors
    /// [`AgentError`] when observations and actions do not fit.
    pub fn smallest_tensor(&self, seen: Judged<'_>) -> Result<Tensor, AgentError> {
        let _guard = tch::no_grad_guard();
        losses::tensors::smallest(&self.net.forward(&mut Pass::eval(&self.view), seen)?)
    }

    /// One step of all critics towards the targets; gives the loss ([`losses::regress`]).
    ///
    /// # Errors
    /// [`AgentError::Diverged`] when the loss is known not to be finite.
    pub fn regress(
        &mut self,
        seen: Judged<'_>,
        targets: Targets<'_>,
        learning_rate: f64,
    ) -> Result<Scalar, AgentError> {
        let outputs = self.net.forward(&mut self.trained.pass(), seen)?;
        match targets {
            Targets::Rows { choices, targets, weights } => {
                read(&outputs, &mut self.values)?;
                self.make_room(&outputs)?;
                let (values, gradient) =
                    ((&self.values[..], outputs.size()[2] as usize), self.gradient.as_mut_slice());
                let loss = losses::regress(values, choices, (targets, weights), gradient, &mut self.errors);
                if !loss.is_finite() {
                    return Err(AgentError::Diverged(format!("the critics' loss is {loss}")));
                }
                let gradient = on_device(self.gradient.tensor(), outputs.device())?;
                self.trained.descend(&outputs, &gradient, learning_rate)?;
                Ok(loss.into())
            }
            Targets::Tensors { choices, targets, weights } => {
                let (loss, errors) = losses::tensors::regress(&outputs, choices, (targets, weights))?;
                self.trained.descend_loss(&loss, learning_rate)?;
                if self.reads_errors {
                    read(&errors, &mut self.errors)?;
                }
                Ok(loss.f_detach()?.into())
            }
        }
    }

    /// The value of each row's action, f32 `[batch]`, recorded by autograd as a function of the actions
    /// alone: the critics' weights get no gradient.
    ///
    /// # Errors
    /// [`AgentError`] when observations and actions do not fit.
    pub fn judge(&self, judge: Judge, observations: &Tensor, actions: &Tensor) -> Result<Tensor, AgentError> {
        let mut pass = Pass::eval(&self.view);
        let inputs = self.net.inputs(&mut pass, Judged { observations, actions: Some(actions) })?;
        let values = match judge {
            Judge::First => self.net.ensemble.members()[0].forward(&mut pass, &inputs)?,
            Judge::Smallest => losses::tensors::smallest(&self.net.ensemble.forward(&mut pass, &inputs)?)?,
        };
        Ok(values.f_squeeze_dim(1)?)
    }

    /// The gradient of minus the mean value with respect to the actions, `[batch, action]`; gives the mean
    /// value. The critics' weights are left as they are and get no gradient.
    ///
    /// # Errors
    /// [`AgentError`] when observations and actions do not fit.
    pub fn by_action(
        &mut self,
        judge: Judge,
        observations: &Tensor,
        actions: &Tensor,
        gradient: &mut Vec<f32>,
    ) -> Result<f64, AgentError> {
        let mut pass = Pass::eval(&self.view);
        // No gradient is asked for of the features: it begins behind the front.
        let inputs = {
            let _guard = tch::no_grad_guard();
            self.net.inputs(&mut pass, Judged { observations, actions: Some(actions) })?
        };
        let inputs = inputs.f_set_requires_grad(true)?;
        let outputs = match judge {
            Judge::First => self.net.ensemble.members()[0].forward(&mut pass, &inputs)?,
            Judge::Smallest => self.net.ensemble.forward(&mut pass, &inputs)?,
        };
        read(&outputs, &mut self.values)?;
        self.make_room(&outputs)?;
        let critics = if judge == Judge::First { 1 } else { self.count() };
        let mean = losses::ascend_smallest(&self.values, critics, self.gradient.as_mut_slice());
        backward(&outputs, &on_device(self.gradient.tensor(), inputs.device())?)?;
        let width = actions.size()[1];
        read(&inputs.f_grad()?.f_narrow(1, inputs.size()[1] - width, width)?, gradient)?;
        Ok(mean)
    }

    /// Room for the gradient of these outputs.
    fn make_room(&mut self, outputs: &Tensor) -> Result<(), AgentError> {
        let shape = outputs.size();
        if self.gradient.tensor().size() != shape {
            self.gradient = HostBuffer::new(&shape)?;
        }
        Ok(())
    }

    /// Moves the targets towards the present weights.
    ///
    /// # Errors
    /// [`AgentError`] when libtorch fails.
    pub fn update_target(&mut self, tau: f64) -> Result<(), AgentError> {
        Ok(self.target.polyak_update(self.trained.parameters(), tau)?)
    }

    /// Everything to continue from.
    ///
    /// # Errors
    /// [`AgentError`] when a tensor cannot be copied.
    pub fn state(&self) -> Result<StateDict<'_>, AgentError> {
        let mut state = self.trained.state()?;
        state.nest("target", self.target.state()?);
        Ok(state)
    }

    /// Continues from a saved state.
    ///
    /// # Errors
    /// [`AgentError`] when it does not fit.
    pub fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        self.trained.load_state(state)?;
        Ok(self.target.load_state(&state.part("target"))?)
    }
}
