//! One update of DQN: from a batch of transitions to better weights.

use pavlov_nn::{Mlp, Mode, Optimizer, Parameters, StateDict, StateView, optim};
use tch::{Device, Kind, Tensor};

use super::{DqnConfig, losses};
use crate::AgentError;
use crate::replay::Batch;

/// The online and the target network, the optimiser and the means to log.
#[derive(Debug)]
pub struct DqnLearner {
    config: DqnConfig,
    net: Mlp,
    pub(super) online: Parameters,
    target: Parameters,
    optimizer: Optimizer,
    pub(super) updates: u64,
    /// Sums over the updates since the last log, on the device so that no update waits for it: loss, gradient norm.
    sums: Tensor,
    summed: u64,
}

impl DqnLearner {
    /// A learner that starts from these weights; the target network starts as their copy.
    ///
    /// # Errors
    /// [`AgentError`] when the optimiser's configuration makes no sense or memory runs out.
    pub fn new(config: DqnConfig, net: Mlp, online: Parameters) -> Result<Self, AgentError> {
        let target = online.frozen_copy()?;
        let optimizer = Optimizer::new(&config.optimizer, &online)?;
        let sums = Tensor::f_zeros([2], (Kind::Double, online.device()))?;
        Ok(Self { config, net, online, target, optimizer, updates: 0, sums, summed: 0 })
    }

    /// One update. `learning_rate` is that of the schedule at this moment.
    ///
    /// # Errors
    /// [`AgentError`] when the batch does not fit the network.
    pub fn update(&mut self, batch: &Batch, learning_rate: f64) -> Result<(), AgentError> {
        let device = self.online.device();
        let targets = self.targets(batch, device)?;

        let q = self.net.forward(&self.online, &batch.observations(device)?, Mode::Train)?;
        let loss = losses::td_loss(&q, &batch.choices(device)?, &targets, self.config.loss)?;

        self.online.zero_gradients();
        loss.f_backward()?;
        let norm = match self.config.gradient_clip_norm {
            Some(largest) => Some(optim::clip_gradient_norm(&mut self.online, largest)?),
            None => None,
        };
        self.optimizer.step(&mut self.online, learning_rate)?;

        let _guard = tch::no_grad_guard();
        let _ = self.sums.f_select(0, 0)?.f_add_(&loss)?;
        if let Some(norm) = norm {
            let _ = self.sums.f_select(0, 1)?.f_add_(&norm)?;
        }
        self.summed += 1;
        self.updates += 1;
        Ok(())
    }

    fn targets(&self, batch: &Batch, device: Device) -> Result<Tensor, AgentError> {
        let _guard = tch::no_grad_guard();
        let next = batch.next_observations(device)?;
        let target_q = self.net.forward(&self.target, &next, Mode::Eval)?;
        let values = if self.config.double {
            losses::double_value(&self.net.forward(&self.online, &next, Mode::Eval)?, &target_q)?
        } else {
            losses::max_value(&target_q)?
        };
        losses::td_target(&batch.rewards(device)?, &batch.continues(device)?, &values, self.config.discount)
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
        let loss = self.sums.f_double_value(&[0])? / count;
        let norm = self.config.gradient_clip_norm.map(|_| self.sums.double_value(&[1]) / count);
        self.summed = 0;
        let _ = self.sums.f_zero_()?;
        if !loss.is_finite() {
            return Err(AgentError::Diverged(format!("the mean loss is {loss}")));
        }
        Ok(Some((loss, norm)))
    }

    /// Everything to continue from.
    ///
    /// # Errors
    /// [`AgentError`] when a tensor cannot be copied.
    pub fn state(&self) -> Result<StateDict<'_>, AgentError> {
        let mut state = StateDict::new();
        state.nest("online", self.online.state()?);
        state.nest("target", self.target.state()?);
        state.nest("optimizer", self.optimizer.state()?);
        state.put_tensor("sums", &self.sums)?;
        state.put_value("summed", &self.summed)?;
        state.put_value("updates", &self.updates)?;
        Ok(state)
    }

    /// Continues from a saved state.
    ///
    /// # Errors
    /// [`AgentError`] when it does not fit.
    pub fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        self.online.load_state(&state.part("online"))?;
        self.target.load_state(&state.part("target"))?;
        self.optimizer.load_state(&state.part("optimizer"))?;
        self.sums.f_copy_(&state.tensor("sums")?)?;
        self.summed = state.value("summed")?;
        self.updates = state.value("updates")?;
        Ok(())
    }
}
