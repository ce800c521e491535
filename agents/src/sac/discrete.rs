//! One update with discrete actions, over all of which expectations are taken exactly (Christodoulou 2019).

use pavlov_nn::{HostBuffer, Pass};
use tch::Tensor;

use super::learner::SacParts;
use super::losses;
use crate::core::AgentError;
use crate::core::host::{on_device, read};
use crate::off_policy::{Judged, losses::td_targets};
use crate::replay::{Batch, Transitions};

/// An update's room.
#[derive(Debug)]
pub(super) struct Discrete {
    actions: usize,
    logits: Vec<f32>,
    log_probs: Vec<f32>,
    values: Vec<f32>,
    targets: Vec<f32>,
    gradient: HostBuffer<f32>,
}

impl Discrete {
    pub fn new(batch_size: usize, actions: usize) -> Result<Self, AgentError> {
        Ok(Self {
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
        let (numbers, temperature) = (batch.numbers(), parts.temperature.value() as f32);

        self.find_targets(parts, batch, &all, temperature)?;
        let seen = Judged { observations: &all.observations, actions: None };
        let critic_loss =
            parts.critics.regress(seen, numbers.choices, (&self.targets, numbers.weights), learning_rate)?;

        let outputs = parts.policy.network.net.forward(&mut parts.trained.pass(), &all.observations)?;
        self.find_log_probs(&outputs, numbers.masks)?;
        parts.critics.smallest(seen, &mut self.values)?;
        let (soft_value, entropy) = self.fill_gradient(temperature);
        let gradient = on_device(self.gradient.tensor(), all.rewards.device())?;
        parts.trained.descend(&outputs, &gradient, learning_rate)?;
        parts.temperature.update(entropy, learning_rate)?;

        parts.means.add("train/critic_loss", critic_loss);
        parts.means.add("train/actor_loss", -soft_value);
        parts.means.add("train/entropy", entropy);
        Ok(())
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

    /// `y = r + gamma sum_a pi(a|s') (min_i Q_i'(s', a) - alpha log pi(a|s'))`
    fn find_targets(
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
        td_targets(numbers.rewards, numbers.continues, parts.config.discount, &mut self.targets);
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
