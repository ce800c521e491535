//! One update of DQN: from a batch of transitions to better weights.

use pavlov_common::{SeededRng, derive_seed};
use pavlov_envs::{ACTION_MASK, Space};
use pavlov_nn::losses::regress_columns;
use pavlov_nn::{Layout, Mode, Optimizer, Parameters, StateDict, StateView, backward, optim};
use tch::{Kind, Tensor};

use super::{DqnConfig, EpsilonGreedy, losses};
use crate::host::read;
use crate::off_policy::{Explorer, OffPolicyLearner, due};
use crate::replay::{Batch, Transitions};
use crate::{AgentContext, AgentError, Encoder, Metrics, Network};

/// What the action values of a batch should be.
enum Targets {
    /// f32 `[batch]`
    Ready(Tensor),
    /// The target network's values of the next states, f32 `[batch, actions]`; which of them counts the online network
    /// says, which each update changes.
    Double(Tensor),
}

/// The online and the target network, the optimiser and the means to log.
#[derive(Debug)]
pub struct DqnLearner {
    config: DqnConfig,
    explorer: EpsilonGreedy,
    pub(super) online: Parameters,
    target: Parameters,
    optimizer: Optimizer,
    updates: u64,
    /// Sums over the updates since the last log, f64 `[]`, on the device so that no update waits for it.
    loss_sum: Tensor,
    norm_sum: Tensor,
    summed: u64,
    /// How far the last batch's values were from their targets, if anybody wants to know.
    errors: Vec<f32>,
    minibatch_errors: Vec<f32>,
}

impl DqnLearner {
    /// An untrained learner for such environments.
    ///
    /// # Errors
    /// [`AgentError::Unsupported`] for actions that are not discrete.
    pub fn for_environments(config: DqnConfig, context: &AgentContext) -> Result<Self, AgentError> {
        let Space::Discrete(actions) = context.action_space else {
            let space = &context.action_space;
            let message =
                format!("dqn needs discrete actions, the environment's are {space}: try another agent");
            return Err(AgentError::Unsupported(message));
        };
        let encoder = Encoder::new(&context.observation_space);
        if ![0, actions as usize].contains(&encoder.mask_width()) {
            let width = encoder.mask_width();
            let message = format!(
                "the environment's `{ACTION_MASK}` is for {width} actions, but it has {actions}: give one bit for each"
            );
            return Err(AgentError::Unsupported(message));
        }
        let mut layout = Layout::new();
        let net = Network::new(&mut layout, "", (&encoder, actions as usize), (&config.cnn, &config.net))?;
        let mut rng = SeededRng::seeded(derive_seed(context.seed, "weights", 0));
        let online = Parameters::new(&layout, &mut rng, context.device)?;
        let explorer = EpsilonGreedy::new(config.clone(), net, encoder, context.total_env_steps)?;
        Self::new(config, explorer, online)
    }

    /// A learner that starts from these weights; the target network starts as their copy.
    ///
    /// # Errors
    /// [`AgentError`] when the optimiser's configuration makes no sense or memory runs out.
    pub fn new(config: DqnConfig, explorer: EpsilonGreedy, online: Parameters) -> Result<Self, AgentError> {
        let target = online.frozen_copy()?;
        let optimizer = Optimizer::new(&config.optimizer, &online)?;
        let zero = || Tensor::f_zeros([0; 0], (Kind::Double, online.device()));
        Ok(Self {
            loss_sum: zero()?,
            norm_sum: zero()?,
            config,
            explorer,
            online,
            target,
            optimizer,
            updates: 0,
            summed: 0,
            errors: Vec::new(),
            minibatch_errors: Vec::new(),
        })
    }

    fn net(&self) -> &Network {
        &self.explorer.network.net
    }

    fn is_prioritized(&self) -> bool {
        self.config.replay.priority_exponent.is_some()
    }

    /// As many updates as the batch holds minibatches of `batch_size` transitions, one after the other.
    /// `learning_rate` is that of the schedule at this moment.
    ///
    /// # Errors
    /// [`AgentError`] when the batch does not fit the network.
    pub fn descend(&mut self, batch: &Batch, learning_rate: f64) -> Result<(), AgentError> {
        let all = batch.transitions(self.online.device())?;
        let targets = self.targets(&all)?;
        let size = self.config.batch_size as i64;
        self.errors.clear();
        for start in (0..all.rewards.size()[0]).step_by(self.config.batch_size) {
            let rows = |tensor: &Tensor| tensor.f_narrow(0, start, size);
            let targets = match &targets {
                Targets::Ready(targets) => rows(targets)?,
                Targets::Double(target_q) => self.double_targets(&all, target_q, start)?,
            };
            let q = self.net().forward(
                &mut Pass::train(&self.online, &mut SeededRng::seeded(1)),
                &rows(&all.observations)?,
            )?;
            let weights = self.is_prioritized().then(|| rows(&all.weights)).transpose()?;
            let choices = rows(&all.choices)?;
            let td = regress_columns(&q, &choices, &targets, weights.as_ref(), self.config.loss)?;

            self.online.zero_gradients();
            backward(&q, &td.gradient)?;
            let norm = match self.config.gradient_clip_norm {
                Some(largest) => Some(optim::clip_gradient_norm(&mut self.online, largest)?),
                None => None,
            };
            self.optimizer.step(&mut self.online, learning_rate)?;
            self.count(&td.loss, norm.as_ref())?;
            if self.is_prioritized() {
                read(&td.errors, &mut self.minibatch_errors)?;
                self.errors.extend_from_slice(&self.minibatch_errors);
            }
        }
        Ok(())
    }

    /// The target network stands still between the updates of one batch: it is asked once for all of them.
    fn targets(&self, all: &Transitions) -> Result<Targets, AgentError> {
        let _guard = tch::no_grad_guard();
        let target_q = self.net().forward(&mut Pass::eval(&self.target), &all.next_observations)?;
        if self.config.double {
            return Ok(Targets::Double(target_q));
        }
        let values = losses::max_value(&losses::masked(target_q, &all.next_masks)?)?;
        let targets = losses::td_target(&all.rewards, &all.continues, &values, self.config.discount)?;
        Ok(Targets::Ready(targets))
    }

    /// The targets of the minibatch that starts at this row, by the online network as it now stands.
    fn double_targets(&self, all: &Transitions, target_q: &Tensor, start: i64) -> Result<Tensor, AgentError> {
        let _guard = tch::no_grad_guard();
        let rows = |tensor: &Tensor| tensor.f_narrow(0, start, self.config.batch_size as i64);
        let online_q = self.net().forward(&mut Pass::eval(&self.online), &rows(&all.next_observations)?)?;
        let online_q = losses::masked(online_q, &rows(&all.next_masks)?)?;
        let values = losses::double_value(&online_q, &rows(target_q)?)?;
        losses::td_target(&rows(&all.rewards)?, &rows(&all.continues)?, &values, self.config.discount)
    }

    fn count(&mut self, loss: &Tensor, norm: Option<&Tensor>) -> Result<(), AgentError> {
        let _guard = tch::no_grad_guard();
        let _ = self.loss_sum.f_add_(loss)?;
        if let Some(norm) = norm {
            let _ = self.norm_sum.f_add_(norm)?;
        }
        self.summed += 1;
        self.updates += 1;
        Ok(())
    }

    /// Moves the target network as the configuration says, as often as `times`.
    ///
    /// # Errors
    /// [`AgentError`] when libtorch fails.
    pub fn update_target(&mut self, times: u64) -> Result<(), AgentError> {
        let tau = self.config.target_update_tau;
        if tau == 1.0 {
            return Ok(self.target.copy_from(&self.online)?);
        }
        for _ in 0..times {
            self.target.polyak_update(&self.online, tau)?;
        }
        Ok(())
    }

    /// The mean loss and gradient norm of the updates since the last call; `None` without an update.
    ///
    /// # Errors
    /// [`AgentError::Diverged`] when the loss is not finite.
    pub fn take_means(&mut self) -> Result<Option<(f64, Option<f64>)>, AgentError> {
        if self.summed == 0 {
            return Ok(None);
        }
        let count = self.summed as f64;
        let loss = self.loss_sum.f_double_value(&[])? / count;
        let norm = self.norm_sum.f_double_value(&[])? / count;
        let norm = self.config.gradient_clip_norm.map(|_| norm);
        self.summed = 0;
        let _ = self.loss_sum.f_zero_()?;
        let _ = self.norm_sum.f_zero_()?;
        if !loss.is_finite() {
            return Err(AgentError::Diverged(format!("the mean loss is {loss}")));
        }
        Ok(Some((loss, norm)))
    }
}

impl OffPolicyLearner for DqnLearner {
    fn explorer(&self) -> Result<Box<dyn Explorer>, AgentError> {
        self.explorer.twin(0, 1)
    }

    fn acting(&self) -> &Parameters {
        &self.online
    }

    /// More transitions at once use the processor better, to a point; but priorities must not lag behind.
    fn updates_at_once(&self) -> usize {
        if self.is_prioritized() { 1 } else { self.config.updates_per_training.min(16) as usize }
    }

    fn update(&mut self, batch: &Batch, progress: f64) -> Result<(), AgentError> {
        self.descend(batch, self.config.learning_rate.value(progress))
    }

    fn errors(&self) -> &[f32] {
        &self.errors
    }

    fn advance(&mut self, before: u64, now: u64) -> Result<(), AgentError> {
        match due(before, now, self.config.target_update_every_env_steps) {
            0 => Ok(()),
            times => self.update_target(times),
        }
    }

    fn take_metrics(&mut self, progress: f64) -> Result<Metrics, AgentError> {
        let mut metrics = Metrics::from([("train/learning_rate", self.config.learning_rate.value(progress))]);
        if let Some((loss, norm)) = self.take_means()? {
            metrics.insert("train/loss", loss);
            metrics.extend(norm.map(|norm| ("train/gradient_norm", norm)));
        }
        Ok(metrics)
    }

    fn updates(&self) -> u64 {
        self.updates
    }

    fn weights(&self) -> Result<StateDict<'static>, AgentError> {
        Ok(self.online.state()?)
    }

    fn load_weights(&mut self, weights: &StateView<'_>) -> Result<(), AgentError> {
        Ok(self.online.load_state(weights)?)
    }

    fn state(&self) -> Result<StateDict<'_>, AgentError> {
        let mut state = StateDict::new();
        state.nest("online", self.online.state()?);
        state.nest("target", self.target.state()?);
        state.nest("optimizer", self.optimizer.state()?);
        state.put_tensor("loss_sum", &self.loss_sum)?;
        state.put_tensor("norm_sum", &self.norm_sum)?;
        state.put_value("summed", &self.summed)?;
        state.put_value("updates", &self.updates)?;
        Ok(state)
    }

    fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        self.online.load_state(&state.part("online"))?;
        self.target.load_state(&state.part("target"))?;
        self.optimizer.load_state(&state.part("optimizer"))?;
        self.loss_sum.f_copy_(&state.tensor("loss_sum")?)?;
        self.norm_sum.f_copy_(&state.tensor("norm_sum")?)?;
        self.summed = state.value("summed")?;
        self.updates = state.value("updates")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_does_not_depend_on_the_number_of_environments() {
        for every in [1, 3, 10, 64] {
            for num_envs in [1, 4, 16] {
                let steps = (0..4800).step_by(num_envs);
                let total: u64 = steps.map(|at| due(at, at + num_envs as u64, every)).sum();
                assert_eq!(total, 4800 / every, "every {every} with {num_envs} environments");
            }
        }
    }
}
