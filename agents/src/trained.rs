//! A network's numbers with what steps them.

use pavlov_nn::{Optimizer, OptimizerConfig, Parameters, StateDict, StateView, backward, optim};
use tch::Tensor;

use crate::AgentError;

/// Parameters and their optimiser.
#[derive(Debug)]
pub struct Trained {
    /// The network's numbers.
    pub parameters: Parameters,
    optimizer: Optimizer,
    gradient_clip_norm: Option<f64>,
}

impl Trained {
    /// Parameters that have not been trained yet.
    ///
    /// # Errors
    /// [`AgentError`] when the optimiser's configuration makes no sense.
    pub fn new(
        parameters: Parameters,
        optimizer: &OptimizerConfig,
        gradient_clip_norm: Option<f64>,
    ) -> Result<Self, AgentError> {
        Ok(Self { optimizer: Optimizer::new(optimizer, &parameters)?, parameters, gradient_clip_norm })
    }

    /// One step down a loss, given by its gradient with respect to `output`, which these parameters gave.
    ///
    /// # Errors
    /// [`AgentError`] when the gradient does not fit.
    pub fn descend(
        &mut self,
        output: &Tensor,
        gradient: &Tensor,
        learning_rate: f64,
    ) -> Result<(), AgentError> {
        self.parameters.zero_gradients();
        backward(output, gradient)?;
        self.clip()?;
        self.step(learning_rate)
    }

    /// Clips the parameters' gradients. Gives their norm before that, f32 `[]`, where they are to be clipped at all.
    ///
    /// # Errors
    /// [`AgentError`] when the largest norm makes no sense.
    pub fn clip(&mut self) -> Result<Option<Tensor>, AgentError> {
        let clip = |largest| optim::clip_gradient_norm(&mut self.parameters, largest);
        Ok(self.gradient_clip_norm.map(clip).transpose()?)
    }

    /// One step along the parameters' gradients as they are.
    ///
    /// # Errors
    /// [`AgentError`] when the learning rate makes no sense.
    pub fn step(&mut self, learning_rate: f64) -> Result<(), AgentError> {
        Ok(self.optimizer.step(&mut self.parameters, learning_rate)?)
    }

    /// Everything to continue from.
    ///
    /// # Errors
    /// [`AgentError`] when a tensor cannot be copied.
    pub fn state(&self) -> Result<StateDict<'_>, AgentError> {
        let mut state = StateDict::new();
        state.nest("parameters", self.parameters.state()?);
        state.nest("optimizer", self.optimizer.state()?);
        Ok(state)
    }

    /// Continues from a saved state.
    ///
    /// # Errors
    /// [`AgentError`] when it does not fit.
    pub fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        self.parameters.load_state(&state.part("parameters"))?;
        self.optimizer.load_state(&state.part("optimizer"))?;
        Ok(())
    }
}
