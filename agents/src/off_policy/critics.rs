//! Critics, their targets, and what they teach a policy.

use pavlov_envs::EnvRng;
use pavlov_nn::{
    Ensemble, HostBuffer, Layout, MlpConfig, Mode, OptimizerConfig, Parameters, StateDict, StateView,
    backward,
};
use tch::{Device, Tensor};

use super::losses;
use crate::host::{on_device, read};
use crate::{AgentError, Trained};

/// What critics are made of.
#[derive(Clone, Debug)]
pub struct CriticsSetup<'a> {
    /// How many there are.
    pub count: usize,
    /// How many numbers go in: the encoded observation, and the action unless it is discrete.
    pub inputs: usize,
    /// How many come out: 1, or a value for each discrete action.
    pub outputs: usize,
    /// What each looks like.
    pub net: &'a MlpConfig,
    /// What turns gradients into steps.
    pub optimizer: &'a OptimizerConfig,
    /// The largest norm of an update's gradient.
    pub gradient_clip_norm: Option<f64>,
    /// Where they live.
    pub device: Device,
}

/// Which critic a policy listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judge {
    /// The first one.
    First,
    /// For each row the one with the smallest value.
    Smallest,
}

/// Critics of one shape and their slowly following targets. All weights lie in one arena, named `q0.`, `q1.` ...
#[derive(Debug)]
pub struct Critics {
    net: Ensemble,
    trained: Trained,
    /// The same weights, through which a gradient reaches the actions and is left nowhere else.
    view: Parameters,
    target: Parameters,
    values: Vec<f32>,
    gradient: HostBuffer<f32>,
}

impl Critics {
    /// Untrained critics; their targets start as copies.
    ///
    /// # Errors
    /// [`AgentError`] when a configuration makes no sense.
    pub fn new(setup: &CriticsSetup<'_>, rng: &mut EnvRng) -> Result<Self, AgentError> {
        let mut layout = Layout::new();
        let (inputs, outputs) = (setup.inputs as i64, setup.outputs as i64);
        let net = Ensemble::new(&mut layout, "q", setup.count, inputs, outputs, setup.net)?;
        let parameters = Parameters::new(&layout, rng, setup.device)?;
        Ok(Self {
            net,
            view: parameters.frozen_view()?,
            target: parameters.frozen_copy()?,
            trained: Trained::new(parameters, setup.optimizer, setup.gradient_clip_norm)?,
            values: Vec::new(),
            gradient: HostBuffer::new(&[0])?,
        })
    }

    /// The present weights.
    pub fn parameters(&self) -> &Parameters {
        &self.trained.parameters
    }

    /// The targets' weights.
    pub fn target(&self) -> &Parameters {
        &self.target
    }

    /// The networks.
    pub fn net(&self) -> &Ensemble {
        &self.net
    }

    fn count(&self) -> usize {
        self.net.members().len()
    }

    /// The smallest of the targets' values of each row of `inputs`, `[batch, outputs]`.
    ///
    /// # Errors
    /// [`AgentError`] when the inputs do not fit.
    pub fn smallest_target(&mut self, inputs: &Tensor, smallest: &mut Vec<f32>) -> Result<(), AgentError> {
        let _guard = tch::no_grad_guard();
        read(&self.net.forward(&self.target, inputs, Mode::Eval)?, &mut self.values)?;
        losses::smallest(&self.values, self.count(), smallest);
        Ok(())
    }

    /// The smallest of the present values of each row of `inputs`, `[batch, outputs]`.
    ///
    /// # Errors
    /// [`AgentError`] when the inputs do not fit.
    pub fn smallest(&mut self, inputs: &Tensor, smallest: &mut Vec<f32>) -> Result<(), AgentError> {
        let _guard = tch::no_grad_guard();
        read(&self.net.forward(&self.view, inputs, Mode::Eval)?, &mut self.values)?;
        losses::smallest(&self.values, self.count(), smallest);
        Ok(())
    }

    /// One step of all critics towards the targets, `[batch]`; gives the loss ([`losses::regress`]).
    ///
    /// # Errors
    /// [`AgentError::Diverged`] when the loss is not finite.
    pub fn regress(
        &mut self,
        inputs: &Tensor,
        choices: &[i64],
        targets: &[f32],
        learning_rate: f64,
    ) -> Result<f64, AgentError> {
        let outputs = self.net.forward(&self.trained.parameters, inputs, Mode::Train)?;
        read(&outputs, &mut self.values)?;
        self.make_room(&outputs)?;
        let (columns, gradient) = (outputs.size()[2] as usize, self.gradient.as_mut_slice());
        let loss = losses::regress(&self.values, columns, choices, targets, gradient);
        if !loss.is_finite() {
            return Err(AgentError::Diverged(format!("the critics' loss is {loss}")));
        }
        let gradient = on_device(self.gradient.tensor(), inputs.device())?;
        self.trained.descend(&outputs, &gradient, learning_rate)?;
        Ok(loss)
    }

    /// The gradient of minus the mean value with respect to the actions, `[batch, action]`; gives the mean value. The
    /// critics' weights are left as they are and get no gradient.
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
        let inputs = Tensor::f_cat(&[observations, actions], 1)?.f_set_requires_grad(true)?;
        let outputs = match judge {
            Judge::First => self.net.members()[0].forward(&self.view, &inputs, Mode::Eval)?,
            Judge::Smallest => self.net.forward(&self.view, &inputs, Mode::Eval)?,
        };
        read(&outputs, &mut self.values)?;
        self.make_room(&outputs)?;
        let critics = if judge == Judge::First { 1 } else { self.count() };
        let mean = losses::ascend_smallest(&self.values, critics, self.gradient.as_mut_slice());
        backward(&outputs, &on_device(self.gradient.tensor(), inputs.device())?)?;
        let width = actions.size()[1];
        read(&inputs.f_grad()?.f_narrow(1, observations.size()[1], width)?, gradient)?;
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
        Ok(self.target.polyak_update(&self.trained.parameters, tau)?)
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
