//! One update with continuous actions: from a batch of transitions to better weights.

use pavlov_nn::{HostBuffer, Pass};
use rand::RngExt;
use rand_distr::StandardNormal;
use tch::Tensor;

use super::learner::SacParts;
use super::losses;
use crate::core::AgentError;
use crate::core::host::{on_device, read};
use crate::off_policy::{Judge, Judged, losses::td_targets};
use crate::replay::{Batch, Transitions};

/// Draws of a policy at the states of a batch, with room for what follows from them.
#[derive(Debug)]
struct Draws {
    outputs: Vec<f32>,
    noise: Vec<f32>,
    log_probs: Vec<f32>,
    actions: HostBuffer<f32>,
}

impl Draws {
    fn new(rows: usize, width: usize) -> Result<Self, AgentError> {
        Ok(Self {
            outputs: Vec::new(),
            noise: vec![0.0; rows * width],
            log_probs: vec![0.0; rows],
            actions: HostBuffer::new(&[rows as i64, width as i64])?,
        })
    }

    /// Draws an action for each row of what the policy's network gave.
    fn draw(
        &mut self,
        outputs: &Tensor,
        width: usize,
        rng: &mut pavlov_envs::SeededRng,
    ) -> Result<(), AgentError> {
        read(outputs, &mut self.outputs)?;
        self.noise.fill_with(|| rng.sample(StandardNormal));
        let rows = self.outputs.chunks_exact(2 * width).zip(self.noise.chunks_exact(width));
        let actions = self.actions.as_mut_slice().chunks_exact_mut(width);
        for (((outputs, noise), action), log_prob) in rows.zip(actions).zip(&mut self.log_probs) {
            *log_prob = losses::draw(outputs, noise, action);
        }
        Ok(())
    }
}

/// An update's room.
#[derive(Debug)]
pub(super) struct Continuous {
    width: usize,
    now: Draws,
    next: Draws,
    by_action: Vec<f32>,
    targets: Vec<f32>,
    gradient: HostBuffer<f32>,
}

impl Continuous {
    pub fn new(batch_size: usize, width: usize) -> Result<Self, AgentError> {
        Ok(Self {
            width,
            now: Draws::new(batch_size, width)?,
            next: Draws::new(batch_size, width)?,
            by_action: Vec::new(),
            targets: Vec::new(),
            gradient: HostBuffer::new(&[batch_size as i64, 2 * width as i64])?,
        })
    }

    pub fn update(
        &mut self,
        parts: &mut SacParts,
        batch: &Batch,
        learning_rate: f64,
    ) -> Result<(), AgentError> {
        let all = batch.transitions(parts.trained.parameters().device())?;
        let temperature = parts.temperature.value() as f32;

        let outputs = parts.policy.network.net.forward(&mut parts.trained.pass(), &all.observations)?;
        self.now.draw(&outputs, self.width, &mut parts.rng)?;
        let entropy = -mean(&self.now.log_probs);
        parts.temperature.update(entropy, learning_rate)?;

        self.find_targets(parts, batch, &all, temperature)?;
        let seen = Judged { observations: &all.observations, actions: Some(&all.points) };
        let critic_loss =
            parts.critics.regress(seen, &[], (&self.targets, batch.numbers().weights), learning_rate)?;

        let actions = on_device(self.now.actions.tensor(), all.rewards.device())?;
        let value =
            parts.critics.by_action(Judge::Smallest, &all.observations, &actions, &mut self.by_action)?;
        self.fill_gradient(temperature);
        let gradient = on_device(self.gradient.tensor(), all.rewards.device())?;
        parts.trained.descend(&outputs, &gradient, learning_rate)?;

        parts.means.add("train/critic_loss", critic_loss);
        parts.means.add("train/actor_loss", -f64::from(temperature) * entropy - value);
        parts.means.add("train/entropy", entropy);
        Ok(())
    }

    /// `y = r + gamma (min_i Q_i'(s', a') - alpha log pi(a'|s'))`, with `a'` drawn from the present policy.
    fn find_targets(
        &mut self,
        parts: &mut SacParts,
        batch: &Batch,
        all: &Transitions,
        temperature: f32,
    ) -> Result<(), AgentError> {
        let _guard = tch::no_grad_guard();
        let net = &parts.policy.network.net;
        let outputs = net.forward(&mut Pass::eval(parts.trained.parameters()), &all.next_observations)?;
        self.next.draw(&outputs, self.width, &mut parts.rng)?;
        let actions = on_device(self.next.actions.tensor(), all.rewards.device())?;
        let seen = Judged { observations: &all.next_observations, actions: Some(&actions) };
        parts.critics.smallest_target(seen, &mut self.targets)?;
        for (target, log_prob) in self.targets.iter_mut().zip(&self.next.log_probs) {
            *target = losses::soft_value(*target, *log_prob, temperature);
        }
        let numbers = batch.numbers();
        td_targets(numbers.rewards, numbers.continues, parts.config.discount, &mut self.targets);
        Ok(())
    }

    /// The gradient of the mean of `alpha log pi(a|s) - min_i Q_i(s, a)`; the critics' part is a mean already.
    fn fill_gradient(&mut self, temperature: f32) {
        let (width, share) = (self.width, temperature / self.now.log_probs.len() as f32);
        let rows = self.now.outputs.chunks_exact(2 * width).zip(self.now.noise.chunks_exact(width));
        let actions = self.now.actions.as_slice().chunks_exact(width);
        let by_action = self.by_action.chunks_exact(width);
        let gradient = self.gradient.as_mut_slice().chunks_exact_mut(2 * width);
        for ((((outputs, noise), action), by_action), gradient) in
            rows.zip(actions).zip(by_action).zip(gradient)
        {
            losses::policy_gradient(outputs, noise, action, by_action, share, gradient);
        }
    }
}

fn mean(numbers: &[f32]) -> f64 {
    numbers.iter().map(|&number| f64::from(number)).sum::<f64>() / numbers.len() as f64
}
