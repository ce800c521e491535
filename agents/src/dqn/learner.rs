//! One update of DQN: from a batch of transitions to better weights.

use pavlov_common::{SeededRng, derive_seed};
use pavlov_envs::{ACTION_MASK, Space};
use pavlov_nn::{Layout, Parameters, Pass, StateDict, StateView, Trainable};
use tch::{Kind, Tensor};

use super::values::NextStates;
use super::{DqnConfig, EpsilonGreedy, QNetwork, losses};
use crate::agent::AgentContext;
use crate::core::host::read;
use crate::core::{AgentError, Metrics};
use crate::networks::{Encoder, NetworkContext};
use crate::off_policy::{Explorer, OffPolicyLearner, due};
use crate::replay::{Batch, Transitions};

/// The targets of the outputs of the chosen actions.
enum Targets {
    /// f32, the batch first.
    Ready(Tensor),
    /// The target network's outputs in the next states: which action counts the online network says, which
    /// each update changes.
    Double(Tensor),
}

/// The online and the target network, and the means to log.
#[derive(Debug)]
pub struct DqnLearner {
    config: DqnConfig,
    explorer: EpsilonGreedy,
    pub(super) online: Trainable,
    target: Parameters,
    /// The sum of the losses since the last log, f64 `[]`, on the device so that no update waits for it.
    loss_sum: Tensor,
    summed: u64,
    /// Each transition's error in the last batch, where priorities are made of it.
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
        let encoder = config.encoder(&context.observation_space)?;
        if ![0, actions as usize].contains(&encoder.mask_width()) {
            let width = encoder.mask_width();
            let message = format!(
                "the environment's `{ACTION_MASK}` is for {width} actions, but it has {actions}: give one bit for each"
            );
            return Err(AgentError::Unsupported(message));
        }
        let mut layout = Layout::new();
        let networks = &context.networks;
        let mut with = NetworkContext { layout: &mut layout, encoder: &encoder, networks };
        let net = QNetwork::new(&mut with, actions as usize, &config)?;
        let mut rng = SeededRng::seeded(derive_seed(context.seed, "weights", 0));
        let online = Parameters::new(&layout, &mut rng, context.device)?;
        let explorer = EpsilonGreedy::new(config.clone(), net, encoder, context.total_env_steps)?;
        let learner = Self::new(config, explorer, online, context.shard_seed("dropout"))?;
        Ok(Self { online: learner.online.in_group(&context.group), ..learner })
    }

    /// A learner that starts from these weights; the target network starts as their copy. `seed` is
    /// dropout's.
    ///
    /// # Errors
    /// [`AgentError`] when the optimiser's configuration makes no sense or memory runs out.
    pub fn new(
        config: DqnConfig,
        explorer: EpsilonGreedy,
        online: Parameters,
        seed: u64,
    ) -> Result<Self, AgentError> {
        let target = online.frozen_copy()?;
        Ok(Self {
            loss_sum: Tensor::f_zeros([0; 0], (Kind::Double, online.device()))?,
            online: Trainable::new(online, &config.optimizer, config.gradient_clip_norm, seed)?,
            config,
            explorer,
            target,
            summed: 0,
            errors: Vec::new(),
            minibatch_errors: Vec::new(),
        })
    }

    fn net(&self) -> &QNetwork {
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
        let all = batch.transitions(self.target.device())?;
        let targets = self.targets(&all)?;
        let size = self.config.batch_size as i64;
        self.errors.clear();
        for start in (0..all.rewards.size()[0]).step_by(self.config.batch_size) {
            let rows = |tensor: &Tensor| tensor.f_narrow(0, start, size);
            let targets = match &targets {
                Targets::Ready(targets) => rows(targets)?,
                Targets::Double(outputs) => self.double_targets(&all, outputs, start)?,
            };
            let net = &self.explorer.network.net;
            let outputs = net.forward(&mut self.online.pass(), &rows(&all.observations)?)?;
            let weights = self.is_prioritized().then(|| rows(&all.weights)).transpose()?;
            let choices = rows(&all.choices)?;
            let td = self.net().values().regress(&outputs, &choices, &targets, weights.as_ref())?;
            self.online.descend(&outputs, &td.gradient, learning_rate)?;
            self.count(&td.loss)?;
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
        let outputs = self.net().forward(&mut Pass::eval(&self.target), &all.next_observations)?;
        if self.config.double {
            return Ok(Targets::Double(outputs));
        }
        let values = losses::masked(self.net().values().values(&outputs)?, &all.next_masks)?;
        let next = NextStates {
            outputs: &outputs,
            best: &losses::greedy(&values)?,
            rewards: &all.rewards,
            continues: &all.continues,
            discount: self.config.discount,
        };
        Ok(Targets::Ready(self.net().values().targets(next)?))
    }

    /// The targets of the minibatch that starts at this row, by the online network as it now stands.
    fn double_targets(&self, all: &Transitions, outputs: &Tensor, start: i64) -> Result<Tensor, AgentError> {
        let _guard = tch::no_grad_guard();
        let rows = |tensor: &Tensor| tensor.f_narrow(0, start, self.config.batch_size as i64);
        let next_observations = rows(&all.next_observations)?;
        let online = self.net().forward(&mut Pass::eval(self.online.parameters()), &next_observations)?;
        let values = losses::masked(self.net().values().values(&online)?, &rows(&all.next_masks)?)?;
        self.net().values().targets(NextStates {
            outputs: &rows(outputs)?,
            best: &losses::greedy(&values)?,
            rewards: &rows(&all.rewards)?,
            continues: &rows(&all.continues)?,
            discount: self.config.discount,
        })
    }

    fn count(&mut self, loss: &Tensor) -> Result<(), AgentError> {
        let _guard = tch::no_grad_guard();
        let _ = self.loss_sum.f_add_(loss)?;
        self.summed += 1;
        Ok(())
    }

    /// Moves the target network as the configuration says, as often as `times`.
    ///
    /// # Errors
    /// [`AgentError`] when libtorch fails.
    pub fn update_target(&mut self, times: u64) -> Result<(), AgentError> {
        let tau = self.config.target_update_tau;
        if tau == 1.0 {
            return Ok(self.target.copy_from(self.online.parameters())?);
        }
        for _ in 0..times {
            self.target.polyak_update(self.online.parameters(), tau)?;
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
        let loss = self.loss_sum.f_double_value(&[])? / self.summed as f64;
        self.summed = 0;
        let _ = self.loss_sum.f_zero_()?;
        if !loss.is_finite() {
            return Err(AgentError::Diverged(format!("the mean loss is {loss}")));
        }
        Ok(Some((loss, self.online.take_gradient_norm()?)))
    }
}

impl OffPolicyLearner for DqnLearner {
    fn explorer(&self) -> Result<Box<dyn Explorer>, AgentError> {
        self.explorer.twin(0, 1)
    }

    fn encoder(&self) -> &Encoder {
        &self.explorer.network.encoder
    }

    fn acting(&self) -> &Parameters {
        self.online.parameters()
    }

    /// More transitions at once use the processor better, to a point; but priorities must not lag behind.
    fn updates_at_once(&self) -> usize {
        let updates = self.config.updates_per_phase.count(self.config.train_every_env_steps);
        if self.is_prioritized() { 1 } else { updates.min(16) as usize }
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
        self.online.updates()
    }

    fn weights(&self) -> Result<StateDict<'static>, AgentError> {
        Ok(self.online.parameters().state()?)
    }

    fn load_weights(&mut self, weights: &StateView<'_>) -> Result<(), AgentError> {
        self.online.load_weights(weights)?;
        // Learning goes on from these weights, and its targets with them.
        Ok(self.target.copy_from(self.online.parameters())?)
    }

    fn state(&self) -> Result<StateDict<'_>, AgentError> {
        let mut state = StateDict::new();
        state.nest("online", self.online.state()?);
        state.nest("target", self.target.state()?);
        state.put_tensor("loss_sum", &self.loss_sum)?;
        state.put_value("summed", &self.summed)?;
        Ok(state)
    }

    fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        self.online.load_state(&state.part("online"))?;
        self.target.load_state(&state.part("target"))?;
        self.loss_sum.f_copy_(&state.tensor("loss_sum")?)?;
        self.summed = state.value("summed")?;
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
