//! An actor-critic's weights in training.

use pavlov_common::derive_seed;
use pavlov_nn::{self as nn, OptimizerConfig, Parameters, StateDict, StateView};
use tch::Kind;

use super::{ActionEvaluation, Evaluator, Minibatch, PolicySampler, RowGradients};
use crate::core::{AgentError, Means, Metrics};

/// An actor-critic's weights, their optimiser, and the means of what their updates were like.
#[derive(Debug)]
pub struct ActorCriticLearner {
    /// What to log, filled by the algorithm.
    pub means: Means,
    trained: nn::Trainable,
    evaluator: Evaluator,
}

impl ActorCriticLearner {
    /// Weights that have not been trained yet, in a run with this seed.
    ///
    /// # Errors
    /// [`AgentError`] when the optimiser's configuration makes no sense.
    pub fn new(
        parameters: Parameters,
        optimizer: &OptimizerConfig,
        gradient_clip_norm: Option<f64>,
        seed: u64,
    ) -> Result<Self, AgentError> {
        let seed = derive_seed(seed, "dropout", 0);
        Ok(Self {
            means: Means::default(),
            trained: nn::Trainable::new(parameters, optimizer, gradient_clip_norm, seed)?,
            evaluator: Evaluator::default(),
        })
    }

    /// The weights.
    pub fn parameters(&self) -> &Parameters {
        self.trained.parameters()
    }

    /// Takes over saved weights.
    ///
    /// # Errors
    /// [`AgentError`] when they do not fit; nothing is changed then.
    pub fn load_weights(&mut self, weights: &StateView<'_>) -> Result<(), AgentError> {
        Ok(self.trained.load_weights(weights)?)
    }

    /// How many gradient steps were made.
    pub fn updates(&self) -> u64 {
        self.trained.updates()
    }

    /// What the present weights make of a minibatch.
    ///
    /// # Errors
    /// [`AgentError`] when the minibatch does not fit.
    pub fn evaluate(
        &mut self,
        sampler: &PolicySampler,
        minibatch: &Minibatch,
    ) -> Result<ActionEvaluation, AgentError> {
        self.evaluator.evaluate(sampler, &mut self.trained.pass(), minibatch)
    }

    /// One update down a loss, given by its changes with the numbers of `evaluation`.
    ///
    /// # Errors
    /// [`AgentError::Diverged`] when the gradient is no longer finite.
    pub fn descend(
        &mut self,
        sampler: &PolicySampler,
        seen: (&Minibatch, &ActionEvaluation),
        by: &RowGradients,
        learning_rate: f64,
    ) -> Result<(), AgentError> {
        let Self { trained, evaluator, .. } = self;
        trained.descend_by(learning_rate, |parameters| evaluator.backward(sampler, parameters, seen, by))
    }

    /// What there is to log since the last call: the means of these tags, and what every actor-critic has.
    ///
    /// # Errors
    /// [`AgentError`] when libtorch fails.
    pub fn take_metrics(
        &mut self,
        sampler: &PolicySampler,
        tags: &[&'static str],
    ) -> Result<Metrics, AgentError> {
        let mut metrics = Metrics::from([("train/n_updates", self.updates() as f64)]);
        let norm = self.trained.take_gradient_norm()?;
        metrics.extend(norm.map(|norm| ("train/gradient_norm", norm)));
        metrics.extend(self.means.take(tags));
        if let Some(id) = sampler.net.log_deviation() {
            let deviation = self.trained.parameters().get(id).f_detach()?.f_exp()?.f_mean(Kind::Float)?;
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
        Ok(state)
    }

    /// Continues from a saved state.
    ///
    /// # Errors
    /// [`AgentError`] when it does not fit.
    pub fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        self.trained.load_state(state)?;
        self.means = state.value("means")?;
        Ok(())
    }
}
