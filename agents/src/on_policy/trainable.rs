//! Weights with all that a gradient step needs.

use pavlov_nn::{OptimizerConfig, Parameters, StateDict, StateView};
use tch::Kind;

use super::{Actor, Evaluation, Evaluator, Minibatch, RowGradients};
use crate::{AgentError, Means, Metrics, Trained};

/// An actor-critic's weights, their optimiser, and the means of what their updates were like.
#[derive(Debug)]
pub struct Trainable {
    /// What to log, filled by the algorithm.
    pub means: Means,
    trained: Trained,
    evaluator: Evaluator,
    updates: u64,
}

impl Trainable {
    /// Weights that have not been trained yet.
    ///
    /// # Errors
    /// [`AgentError`] when the optimiser's configuration makes no sense.
    pub fn new(
        parameters: Parameters,
        optimizer: &OptimizerConfig,
        gradient_clip_norm: Option<f64>,
    ) -> Result<Self, AgentError> {
        Ok(Self {
            means: Means::default(),
            trained: Trained::new(parameters, optimizer, gradient_clip_norm)?,
            evaluator: Evaluator::default(),
            updates: 0,
        })
    }

    /// The weights.
    pub fn parameters(&self) -> &Parameters {
        &self.trained.parameters
    }

    /// Takes over saved weights.
    ///
    /// # Errors
    /// [`AgentError`] when they do not fit; nothing is changed then.
    pub fn load_weights(&mut self, weights: &StateView<'_>) -> Result<(), AgentError> {
        Ok(self.trained.parameters.load_state(weights)?)
    }

    /// How many gradient steps were made.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// What the present weights make of a minibatch.
    ///
    /// # Errors
    /// [`AgentError`] when the minibatch does not fit.
    pub fn evaluate(&self, actor: &Actor, minibatch: &Minibatch) -> Result<Evaluation, AgentError> {
        self.evaluator.evaluate(actor, &self.trained.parameters, minibatch)
    }

    /// One gradient step down a loss, given by its changes with the numbers of `evaluation`.
    ///
    /// # Errors
    /// [`AgentError::Diverged`] when the gradient is no longer finite.
    pub fn descend(
        &mut self,
        actor: &Actor,
        seen: (&Minibatch, &Evaluation),
        by: &RowGradients,
        learning_rate: f64,
    ) -> Result<(), AgentError> {
        self.trained.parameters.zero_gradients();
        self.evaluator.backward(actor, &self.trained.parameters, seen, by)?;
        if let Some(norm) = self.trained.clip()? {
            let norm = norm.f_double_value(&[])?;
            if !norm.is_finite() {
                return Err(AgentError::Diverged(format!("the gradient's norm is {norm}")));
            }
            self.means.add("train/gradient_norm", norm);
        }
        self.trained.step(learning_rate)?;
        self.updates += 1;
        Ok(())
    }

    /// What there is to log since the last call: the means of these tags, and what every actor-critic has.
    ///
    /// # Errors
    /// [`AgentError`] when libtorch fails.
    pub fn take_metrics(&mut self, actor: &Actor, tags: &[&'static str]) -> Result<Metrics, AgentError> {
        let mut metrics = Metrics::from([("train/n_updates", self.updates as f64)]);
        metrics.extend(self.means.take(&["train/gradient_norm"]));
        metrics.extend(self.means.take(tags));
        if let Some(id) = actor.net.log_deviation() {
            let deviation = self.trained.parameters.get(id).f_detach()?.f_exp()?.f_mean(Kind::Float)?;
            metrics.insert("train/std", deviation.f_double_value(&[])?);
        }
        Ok(metrics)
    }

    /// Everything to continue from.
    ///
    /// # Errors
    /// [`AgentError`] when a tensor cannot be copied.
    pub fn state(&self) -> Result<StateDict<'_>, AgentError> {
        let mut state = self.trained.state()?;
        state.put_value("means", &self.means)?;
        state.put_value("updates", &self.updates)?;
        Ok(state)
    }

    /// Continues from a saved state.
    ///
    /// # Errors
    /// [`AgentError`] when it does not fit.
    pub fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        self.trained.load_state(state)?;
        self.means = state.value("means")?;
        self.updates = state.value("updates")?;
        Ok(())
    }
}
