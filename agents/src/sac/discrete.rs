//! One update with discrete actions, over all of which expectations are taken exactly (Christodoulou 2019).

use pavlov_nn::{HostBuffer, Pass};
use tch::{Kind, Tensor};

use super::learner::SacParts;
use super::losses;
use crate::core::host::{on_device, read};
use crate::core::{AgentError, LossForm, Scalar};
use crate::off_policy::{Judged, Targets, losses as critics};
use crate::replay::{Batch, Transitions};

/// The update with discrete actions, with room for its losses by rows.
#[derive(Debug)]
pub(super) struct Discrete {
    form: LossForm,
    actions: usize,
    logits: Vec<f32>,
    log_probs: Vec<f32>,
    values: Vec<f32>,
    targets: Vec<f32>,
    gradient: HostBuffer<f32>,
}

/// The means of the policy's step.
struct Improved {
    loss: Scalar,
    entropy: Scalar,
}

impl Discrete {
    pub fn new(batch_size: usize, actions: usize, form: LossForm) -> Result<Self, AgentError> {
        Ok(Self {
            form,
            actions,
            logits: Vec::new(),
            log_probs: vec![0.0; batch_size * actions],
            values: Vec::new(),
            targets: vec![0.0; batch_size],
            gradient: HostBuffer::new(&[batch_size as i64, actions as i64])?,
        })
    }

    pub fn update(
        &mut self,
        parts: &mut SacParts,
        batch: &Batch,
        learning_rate: f64,
    ) -> Result<(), AgentError> {
        let all = batch.transitions(parts.trained.parameters().device())?;
        let temperature = parts.temperature.now(self.form)?;
        let critic_loss = self.improve_critics(parts, (batch, &all), &temperature, learning_rate)?;
        let Improved { loss, entropy } =
            self.improve_policy(parts, (batch, &all), &temperature, learning_rate)?;
        let usual = parts.temperature.target_entropy();
        let target = match &entropy {
            Scalar::Known(_) => losses::target_entropy(usual, self.actions, batch.numbers().masks).into(),
            Scalar::Pending(_) => losses::tensors::target_entropy(usual, &all.masks)?,
        };
        parts.temperature.update(&entropy, &target, learning_rate)?;

        parts.means.add_scalar("train/critic_loss", &critic_loss)?;
        parts.means.add_scalar("train/actor_loss", &loss)?;
        Ok(parts.means.add_scalar("train/entropy", &entropy)?)
    }

    /// One step of the critics towards `y = r + gamma sum_a pi(a|s') (min_i Q_i'(s', a) - alpha log
    /// pi(a|s'))`; gives the loss.
    fn improve_critics(
        &mut self,
        parts: &mut SacParts,
        (batch, all): (&Batch, &Transitions),
        temperature: &Scalar,
        learning_rate: f64,
    ) -> Result<Scalar, AgentError> {
        let seen = Judged { observations: &all.observations, actions: None };
        match temperature {
            Scalar::Known(temperature) => {
                self.find_row_targets(parts, batch, all, *temperature as f32)?;
                let (choices, weights) = (batch.numbers().choices, batch.numbers().weights);
                let targets = Targets::Rows { choices, targets: &self.targets, weights };
                parts.critics.regress(seen, targets, learning_rate)
            }
            Scalar::Pending(temperature) => {
                let targets = &tensor_targets(parts, all, temperature)?;
                let (choices, weights) = (Some(&all.choices), &all.weights);
                parts.critics.regress(seen, Targets::Tensors { choices, targets, weights }, learning_rate)
            }
        }
    }

    /// One step of the policy up the mean soft value, `sum_a pi(a|s) (min_i Q_i(s, a) - alpha log pi(a|s))`.
    fn improve_policy(
        &mut self,
        parts: &mut SacParts,
        (batch, all): (&Batch, &Transitions),
        temperature: &Scalar,
        learning_rate: f64,
    ) -> Result<Improved, AgentError> {
        let seen = Judged { observations: &all.observations, actions: None };
        let outputs = parts.policy.network.net.forward(&mut parts.trained.pass(), &all.observations)?;
        match temperature {
            Scalar::Known(temperature) => {
                self.find_log_probs(&outputs, batch.numbers().masks)?;
                parts.critics.smallest(seen, &mut self.values)?;
                let (soft_value, entropy) = self.fill_gradient(*temperature as f32);
                let gradient = on_device(self.gradient.tensor(), all.rewards.device())?;
                parts.trained.descend(&outputs, &gradient, learning_rate)?;
                Ok(Improved { loss: (-soft_value).into(), entropy: entropy.into() })
            }
            Scalar::Pending(temperature) => {
                let log_probs = losses::tensors::log_probabilities(&outputs, &all.masks)?;
                let values = parts.critics.smallest_tensor(seen)?;
                let expected = losses::tensors::expected(&log_probs, &values, temperature)?;
                let loss = expected.soft_values.f_mean(Kind::Float)?.f_neg()?;
                parts.trained.descend_loss(&loss, learning_rate)?;
                let entropy = expected.entropies.f_detach()?.f_mean(Kind::Float)?;
                Ok(Improved { loss: loss.f_detach()?.into(), entropy: entropy.into() })
            }
        }
    }

    fn find_log_probs(&mut self, outputs: &Tensor, masks: &[f32]) -> Result<(), AgentError> {
        read(outputs, &mut self.logits)?;
        let n = self.actions;
        let rows = self.logits.chunks_exact(n).zip(self.log_probs.chunks_exact_mut(n));
        for (row, (logits, log_probs)) in rows.enumerate() {
            let mask = (!masks.is_empty()).then(|| &masks[row * n..(row + 1) * n]);
            losses::log_probabilities(logits, mask, log_probs);
        }
        Ok(())
    }

    fn find_row_targets(
        &mut self,
        parts: &mut SacParts,
        batch: &Batch,
        all: &Transitions,
        temperature: f32,
    ) -> Result<(), AgentError> {
        let _guard = tch::no_grad_guard();
        let numbers = batch.numbers();
        let net = &parts.policy.network.net;
        let outputs = net.forward(&mut Pass::eval(parts.trained.parameters()), &all.next_observations)?;
        self.find_log_probs(&outputs, numbers.next_masks)?;
        let seen = Judged { observations: &all.next_observations, actions: None };
        parts.critics.smallest_target(seen, &mut self.values)?;
        let rows = self.log_probs.chunks_exact(self.actions).zip(self.values.chunks_exact(self.actions));
        for ((log_probs, values), target) in rows.zip(&mut self.targets) {
            *target = losses::expected(log_probs, values, temperature).soft_value;
        }
        critics::td_targets(numbers.rewards, numbers.continues, parts.config.discount, &mut self.targets);
        Ok(())
    }

    /// The gradient of minus the mean soft value; gives the mean soft value and the mean entropy.
    fn fill_gradient(&mut self, temperature: f32) -> (f64, f64) {
        let (n, count) = (self.actions, self.targets.len() as f32);
        let (mut soft_value, mut entropy) = (0.0, 0.0);
        let rows = self.log_probs.chunks_exact(n).zip(self.values.chunks_exact(n));
        for ((log_probs, values), gradient) in rows.zip(self.gradient.as_mut_slice().chunks_exact_mut(n)) {
            let expected = losses::expected(log_probs, values, temperature);
            losses::discrete_gradient(log_probs, values, expected.soft_value, temperature, gradient);
            gradient.iter_mut().for_each(|number| *number /= count);
            soft_value += f64::from(expected.soft_value / count);
            entropy += f64::from(expected.entropy / count);
        }
        (soft_value, entropy)
    }
}

/// The targets of [`Discrete::improve_critics`] on tensors, f32 `[batch]`.
fn tensor_targets(parts: &SacParts, all: &Transitions, temperature: &Tensor) -> Result<Tensor, AgentError> {
    let _guard = tch::no_grad_guard();
    let net = &parts.policy.network.net;
    let outputs = net.forward(&mut Pass::eval(parts.trained.parameters()), &all.next_observations)?;
    let log_probs = losses::tensors::log_probabilities(&outputs, &all.next_masks)?;
    let seen = Judged { observations: &all.next_observations, actions: None };
    let values = parts.critics.smallest_target_tensor(seen)?;
    let soft_values = losses::tensors::expected(&log_probs, &values, temperature)?.soft_values;
    critics::tensors::td_targets(&all.rewards, &all.continues, parts.config.discount, &soft_values)
}
