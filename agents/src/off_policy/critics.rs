//! Critics, their targets, and what they teach a policy.

use pavlov_common::SeededRng;
use pavlov_nn::{
    Ensemble, Features, HostBuffer, Layout, MlpConfig, Mode, NnError, OptimizerConfig, Parameters, StateDict,
    StateView, backward,
};
use tch::{Device, Tensor};

use super::losses;
use crate::host::{on_device, read};
use crate::{AgentError, Encoder, ImageConfig, Trained};

/// What critics are made of.
#[derive(Clone, Debug)]
pub struct CriticsSetup<'a> {
    /// How many there are.
    pub count: usize,
    /// What observations are encoded by.
    pub encoder: &'a Encoder,
    /// How many numbers of an action go in after them: none of a discrete one.
    pub action_inputs: usize,
    /// How many come out: 1, or a value for each discrete action.
    pub outputs: usize,
    /// What images go through: one front for all critics.
    pub cnn: &'a ImageConfig,
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

/// One front for images, and the critics behind it.
#[derive(Debug)]
struct CriticsNetwork {
    features: Features,
    ensemble: Ensemble,
}

impl CriticsNetwork {
    /// From `x` (f32 `[batch, inputs]`) to f32 `[critics, batch, outputs]`.
    fn forward(&self, parameters: &Parameters, x: &Tensor, mode: Mode) -> Result<Tensor, NnError> {
        self.ensemble.forward(parameters, &self.features.forward(parameters, x, mode)?, mode)
    }

    /// The first critic's values alone, f32 `[batch, outputs]`.
    fn first(&self, parameters: &Parameters, x: &Tensor, mode: Mode) -> Result<Tensor, NnError> {
        self.ensemble.members()[0].forward(parameters, &self.features.forward(parameters, x, mode)?, mode)
    }
}

/// Critics of one shape and their slowly following targets. All weights lie in one arena, named `q0.`, `q1.` ...,
/// and `features.` where there are images.
#[derive(Debug)]
pub struct Critics {
    net: CriticsNetwork,
    trained: Trained,
    /// The same weights, through which a gradient reaches the actions and is left nowhere else.
    view: Parameters,
    target: Parameters,
    values: Vec<f32>,
    errors: Vec<f32>,
    gradient: HostBuffer<f32>,
}

impl Critics {
    /// Untrained critics; their targets start as copies.
    ///
    /// # Errors
    /// [`AgentError`] when a configuration makes no sense.
    pub fn new(setup: &CriticsSetup<'_>, rng: &mut SeededRng) -> Result<Self, AgentError> {
        let mut layout = Layout::new();
        let seen = (setup.encoder, setup.action_inputs);
        let features = setup.cnn.features(&mut layout, "features.", seen, setup.net.init)?;
        let features = features.with_precision(setup.net.precision);
        let (inputs, outputs) = (features.outputs(), setup.outputs as i64);
        let ensemble = Ensemble::new(&mut layout, "q", setup.count, inputs, outputs, setup.net)?;
        let net = CriticsNetwork { features, ensemble };
        let parameters = Parameters::new(&layout, rng, setup.device)?;
        Ok(Self {
            net,
            view: parameters.frozen_view()?,
            target: parameters.frozen_copy()?,
            trained: Trained::new(parameters, setup.optimizer, setup.gradient_clip_norm)?,
            values: Vec::new(),
            errors: Vec::new(),
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

    /// How far the values were from their targets when they were last regressed, the mean over the critics: `[batch]`.
    pub fn errors(&self) -> &[f32] {
        &self.errors
    }

    fn count(&self) -> usize {
        self.net.ensemble.members().len()
    }

    /// The smallest of the targets' values of each row of `inputs`, `[batch, outputs]`.
    ///
    /// # Errors
    /// [`AgentError`] when the inputs do not fit.
    pub fn smallest_target(&mut self, inputs: &Tensor, smallest: &mut Vec<f32>) -> Result<(), AgentError> {
        let _guard = tch::no_grad_guard();
        read(&self.net.forward(&mut Pass::eval(&self.target), inputs)?, &mut self.values)?;
        losses::smallest(&self.values, self.count(), smallest);
        Ok(())
    }

    /// The smallest of the present values of each row of `inputs`, `[batch, outputs]`.
    ///
    /// # Errors
    /// [`AgentError`] when the inputs do not fit.
    pub fn smallest(&mut self, inputs: &Tensor, smallest: &mut Vec<f32>) -> Result<(), AgentError> {
        let _guard = tch::no_grad_guard();
        read(&self.net.forward(&mut Pass::eval(&self.view), inputs)?, &mut self.values)?;
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
        (targets, weights): (&[f32], &[f32]),
        learning_rate: f64,
    ) -> Result<f64, AgentError> {
        let outputs = self
            .net
            .forward(&mut Pass::train(&self.trained.parameters, &mut SeededRng::seeded(1)), inputs)?;
        read(&outputs, &mut self.values)?;
        self.make_room(&outputs)?;
        let (values, gradient) =
            ((&self.values[..], outputs.size()[2] as usize), self.gradient.as_mut_slice());
        let loss = losses::regress(values, choices, (targets, weights), gradient, &mut self.errors);
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
            Judge::First => self.net.first(&self.view, &inputs, Mode::Eval)?,
            Judge::Smallest => self.net.forward(&mut Pass::eval(&self.view), &inputs)?,
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
