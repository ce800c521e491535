//! One update with continuous actions: from a batch of transitions to better weights.

use pavlov_common::SeededRng;
use pavlov_nn::{HostBuffer, Pass};
use rand::RngExt;
use rand_distr::StandardNormal;
use tch::{Kind, Tensor};

use super::learner::SacParts;
use super::losses;
use crate::core::host::{on_device, read, sent};
use crate::core::{AgentError, LossForm, Scalar};
use crate::off_policy::{Judge, Judged, Targets, losses as critics};
use crate::replay::{Batch, Transitions};

/// The draws of a policy at the states of a batch, by rows: an action for each, with the numbers that led to
/// it.
#[derive(Debug)]
struct RowDraws {
    outputs: Vec<f32>,
    noise: Vec<f32>,
    log_probs: Vec<f32>,
    actions: HostBuffer<f32>,
}

impl RowDraws {
    fn new(rows: usize, width: usize) -> Result<Self, AgentError> {
        Ok(Self {
            outputs: Vec::new(),
            noise: vec![0.0; rows * width],
            log_probs: vec![0.0; rows],
            actions: HostBuffer::new(&[rows as i64, width as i64])?,
        })
    }

    /// Draws an action for each row of the policy's outputs.
    fn draw(&mut self, outputs: &Tensor, width: usize, rng: &mut SeededRng) -> Result<(), AgentError> {
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

/// The draws on tensors, with noise that is drawn in ordinary memory and sent.
fn draw_on_tensors(outputs: &Tensor, rng: &mut SeededRng) -> Result<losses::tensors::Draws, AgentError> {
    let shape = [outputs.size()[0], outputs.size()[1] / 2];
    let noise: Vec<f32> = (0..shape[0] * shape[1]).map(|_| rng.sample(StandardNormal)).collect();
    losses::tensors::draw(outputs, &sent(&noise, &shape, outputs.device())?)
}

/// The draws at the states that were acted on, in the form of the update's losses.
#[derive(Debug)]
enum Drawn {
    /// They are in [`Continuous::now`].
    Rows,
    Tensors(losses::tensors::Draws),
}

/// The update with continuous actions, with room for its losses by rows.
#[derive(Debug)]
pub(super) struct Continuous {
    form: LossForm,
    width: usize,
    now: RowDraws,
    next: RowDraws,
    by_action: Vec<f32>,
    targets: Vec<f32>,
    gradient: HostBuffer<f32>,
}

impl Continuous {
    pub fn new(batch_size: usize, width: usize, form: LossForm) -> Result<Self, AgentError> {
        Ok(Self {
            form,
            width,
            now: RowDraws::new(batch_size, width)?,
            next: RowDraws::new(batch_size, width)?,
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
        let temperature = parts.temperature.now(self.form)?;

        let outputs = parts.policy.network.net.forward(&mut parts.trained.pass(), &all.observations)?;
        let (drawn, entropy) = self.draw(&outputs, &mut parts.rng)?;
        let critic_loss = self.improve_critics(parts, (batch, &all), &temperature, learning_rate)?;
        let actor_loss = self.improve_policy(parts, &all, (&outputs, &drawn), &temperature, learning_rate)?;
        // Behind another step, where shards that learn together have just met: they need not wait for one another
        // once more.
        let target = parts.temperature.target_entropy().into();
        parts.temperature.update(&entropy, &target, learning_rate)?;

        parts.means.add_scalar("train/critic_loss", &critic_loss)?;
        parts.means.add_scalar("train/actor_loss", &actor_loss)?;
        Ok(parts.means.add_scalar("train/entropy", &entropy)?)
    }

    /// Draws an action for each row of the policy's outputs; gives the estimate of the entropy, `-mean(log
    /// pi(a|s))`, too.
    fn draw(&mut self, outputs: &Tensor, rng: &mut SeededRng) -> Result<(Drawn, Scalar), AgentError> {
        match self.form {
            LossForm::Rows => {
                self.now.draw(outputs, self.width, rng)?;
                Ok((Drawn::Rows, (-mean(&self.now.log_probs)).into()))
            }
            LossForm::Tensors => {
                let draws = draw_on_tensors(outputs, rng)?;
                let entropy = draws.log_probs.f_detach()?.f_mean(Kind::Float)?.f_neg()?;
                Ok((Drawn::Tensors(draws), entropy.into()))
            }
        }
    }

    /// One step of the critics towards `y = r + gamma (min_i Q_i'(s', a') - alpha log pi(a'|s'))`, with `a'`
    /// drawn from the present policy; gives the loss.
    fn improve_critics(
        &mut self,
        parts: &mut SacParts,
        (batch, all): (&Batch, &Transitions),
        temperature: &Scalar,
        learning_rate: f64,
    ) -> Result<Scalar, AgentError> {
        let seen = Judged { observations: &all.observations, actions: Some(&all.points) };
        match temperature {
            Scalar::Known(temperature) => {
                self.find_row_targets(parts, batch, all, *temperature as f32)?;
                let weights = batch.numbers().weights;
                let targets = Targets::Rows { choices: &[], targets: &self.targets, weights };
                parts.critics.regress(seen, targets, learning_rate)
            }
            Scalar::Pending(temperature) => {
                let targets = tensor_targets(parts, all, temperature)?;
                let targets = Targets::Tensors { choices: None, targets: &targets, weights: &all.weights };
                parts.critics.regress(seen, targets, learning_rate)
            }
        }
    }

    fn find_row_targets(
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
        critics::td_targets(numbers.rewards, numbers.continues, parts.config.discount, &mut self.targets);
        Ok(())
    }

    /// One step of the policy down `mean(alpha log pi(a|s) - min_i Q_i(s, a))`, with `a` as it was drawn;
    /// gives the loss.
    fn improve_policy(
        &mut self,
        parts: &mut SacParts,
        all: &Transitions,
        (outputs, drawn): (&Tensor, &Drawn),
        temperature: &Scalar,
        learning_rate: f64,
    ) -> Result<Scalar, AgentError> {
        match drawn {
            Drawn::Rows => {
                let temperature = temperature.value()? as f32;
                let actions = on_device(self.now.actions.tensor(), all.rewards.device())?;
                let (observations, judge) = (&all.observations, Judge::Smallest);
                let value = parts.critics.by_action(judge, observations, &actions, &mut self.by_action)?;
                self.fill_gradient(temperature);
                let gradient = on_device(self.gradient.tensor(), all.rewards.device())?;
                parts.trained.descend(outputs, &gradient, learning_rate)?;
                Ok((f64::from(temperature) * mean(&self.now.log_probs) - value).into())
            }
            Drawn::Tensors(draws) => {
                let value = parts.critics.judge(Judge::Smallest, &all.observations, &draws.actions)?;
                let loss = losses::tensors::policy_loss(&draws.log_probs, &value, temperature.tensor()?)?;
                parts.trained.descend_loss(&loss, learning_rate)?;
                Ok(loss.f_detach()?.into())
            }
        }
    }

    /// The gradient of the mean of `alpha log pi(a|s) - min_i Q_i(s, a)`; the critics' part is a mean
    /// already.
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

/// The targets of [`Continuous::improve_critics`] on tensors, f32 `[batch]`.
fn tensor_targets(
    parts: &mut SacParts,
    all: &Transitions,
    temperature: &Tensor,
) -> Result<Tensor, AgentError> {
    let _guard = tch::no_grad_guard();
    let net = &parts.policy.network.net;
    let outputs = net.forward(&mut Pass::eval(parts.trained.parameters()), &all.next_observations)?;
    let next = draw_on_tensors(&outputs, &mut parts.rng)?;
    let seen = Judged { observations: &all.next_observations, actions: Some(&next.actions) };
    let values = parts.critics.smallest_target_tensor(seen)?.f_squeeze_dim(1)?;
    let values = losses::tensors::soft_value(&values, &next.log_probs, temperature)?;
    critics::tensors::td_targets(&all.rewards, &all.continues, parts.config.discount, &values)
}

fn mean(numbers: &[f32]) -> f64 {
    numbers.iter().map(|&number| f64::from(number)).sum::<f64>() / numbers.len() as f64
}
