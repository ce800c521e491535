//! One gradient step of an actor-critic.

use pavlov_group::Group;
use pavlov_nn::{self as nn, OptimizerConfig, Parameters, StateDict, StateView};
use tch::Kind;

use super::{ActionEvaluation, Evaluator, Minibatch, PolicySampler, RowEvaluation, RowGradients};
use crate::core::{AgentError, LossForm, Means, Metrics, Scalar};
use pavlov_nn::means::check_losses;

/// An actor-critic's weights, their optimiser, and the means of its updates' losses.
#[derive(Debug)]
pub struct ActorCriticLearner {
    /// The means to log, to which the algorithm adds.
    pub means: Means,
    trained: nn::Trainable,
    evaluator: Evaluator,
    form: LossForm,
    group: Group,
}

impl ActorCriticLearner {
    /// Weights that have not been trained yet. `seed` is dropout's.
    ///
    /// # Errors
    /// [`AgentError`] when the optimiser's configuration makes no sense.
    pub fn new(
        parameters: Parameters,
        optimizer: &OptimizerConfig,
        gradient_clip_norm: Option<f64>,
        seed: u64,
    ) -> Result<Self, AgentError> {
        Ok(Self {
            means: Means::default(),
            form: LossForm::of(parameters.device()),
            trained: nn::Trainable::new(parameters, optimizer, gradient_clip_norm, seed)?,
            evaluator: Evaluator::default(),
            group: Group::alone(),
        })
    }

    /// The same in a group, whose shards make every step together.
    pub fn in_group(mut self, group: &Group) -> Self {
        self.trained = self.trained.in_group(group);
        self.group = group.clone();
        self
    }

    /// The shards that learn together.
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// Takes part in a step of the group with nothing to learn from. Alone, it does nothing.
    ///
    /// # Errors
    /// As [`ActorCriticLearner::descend`].
    pub fn abstain(&mut self, learning_rate: f64) -> Result<(), AgentError> {
        Ok(self.trained.abstain(learning_rate)?)
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

    /// The number of gradient steps made.
    pub fn updates(&self) -> u64 {
        self.trained.updates()
    }

    /// The same learner with its losses in this form; without this the device chooses ([`LossForm::of`]).
    pub fn with_loss_form(self, form: LossForm) -> Self {
        Self { form, ..self }
    }

    /// Evaluates a minibatch by the present weights, in the form in which the loss is to be computed.
    ///
    /// # Errors
    /// [`AgentError`] when the minibatch does not fit.
    pub fn evaluate(
        &mut self,
        sampler: &PolicySampler,
        minibatch: &Minibatch,
    ) -> Result<ActionEvaluation, AgentError> {
        match self.form {
            LossForm::Rows => self.evaluate_rows(sampler, minibatch).map(ActionEvaluation::Rows),
            LossForm::Tensors => {
                let pass = &mut self.trained.pass();
                let tensors = self.evaluator.evaluate_on_tensors(sampler, pass, minibatch)?;
                Ok(ActionEvaluation::Tensors(tensors))
            }
        }
    }

    /// Evaluates a minibatch by the present weights row by row, on whatever device they are: for an algorithm
    /// whose loss has this form alone.
    ///
    /// # Errors
    /// [`AgentError`] when the minibatch does not fit.
    pub fn evaluate_rows(
        &mut self,
        sampler: &PolicySampler,
        minibatch: &Minibatch,
    ) -> Result<RowEvaluation, AgentError> {
        self.evaluator.evaluate(sampler, &mut self.trained.pass(), minibatch)
    }

    /// One update down a loss over `evaluation`: by rows along the derivatives `by`, on tensors along the
    /// gradient of `loss`.
    ///
    /// # Errors
    /// [`AgentError::Diverged`] when the gradient is no longer finite, [`AgentError::State`] when loss and
    /// evaluation are not in one form.
    pub fn descend(
        &mut self,
        sampler: &PolicySampler,
        (minibatch, evaluation): (&Minibatch, &ActionEvaluation),
        (loss, by): (&Scalar, &RowGradients),
        learning_rate: f64,
    ) -> Result<(), AgentError> {
        self.trained.weigh(minibatch.learned());
        match evaluation {
            ActionEvaluation::Rows(rows) => self.descend_rows(sampler, (minibatch, rows), by, learning_rate),
            ActionEvaluation::Tensors(tensors) => {
                let loss = loss.tensor()?;
                self.trained.descend_by(learning_rate, |_| tensors.backward(loss))
            }
        }
    }

    /// One update down a loss over rows, along its derivatives.
    ///
    /// # Errors
    /// [`AgentError::Diverged`] when the gradient is no longer finite.
    pub fn descend_rows(
        &mut self,
        sampler: &PolicySampler,
        seen: (&Minibatch, &RowEvaluation),
        by: &RowGradients,
        learning_rate: f64,
    ) -> Result<(), AgentError> {
        let Self { trained, evaluator, .. } = self;
        trained.descend_by(learning_rate, |parameters| evaluator.backward(sampler, parameters, seen, by))
    }

    /// The numbers to log since the last call: the means of these tags, and those that every actor-critic
    /// has.
    ///
    /// # Errors
    /// [`AgentError::Diverged`] when the mean loss is no longer finite.
    pub fn take_metrics(
        &mut self,
        sampler: &PolicySampler,
        tags: &[&'static str],
    ) -> Result<Metrics, AgentError> {
        let mut metrics = Metrics::from([("train/n_updates", self.updates() as f64)]);
        let norm = self.trained.take_gradient_norm()?;
        metrics.extend(norm.map(|norm| ("train/gradient_norm", norm)));
        let means = self.means.take(tags)?;
        check_losses(&means, &["train/loss"])?;
        metrics.extend(means);
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
        state.put_value("means", &self.means.saved()?)?;
        Ok(state)
    }

    /// Continues from a saved state.
    ///
    /// # Errors
    /// [`AgentError`] when it does not fit.
    pub fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        self.trained.load_state(state)?;
        self.means = Means::from_saved(state.value("means")?);
        Ok(())
    }
}
