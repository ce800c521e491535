//! Asking an actor-critic for actions and values.

use pavlov_envs::{ActionBatch, EnvRng, ObsBatch};
use pavlov_nn::{HostBuffer, Mode, Parameters};
use tch::{Device, Tensor};

use super::{ActionHead, ActorCritic};
use crate::{ActMode, AgentError, Encoder, Policy};

/// An actor-critic's description, what stands between it and the environment, and room for its answers. The weights are
/// given with each call.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The networks.
    pub net: ActorCritic,
    /// From observations to the networks' inputs.
    pub encoder: Encoder,
    /// From draws to actions.
    pub head: ActionHead,
    /// The distributions' parameters, `[rows, parameters]`.
    rows: Vec<f32>,
}

impl Actor {
    /// Puts the parts together.
    pub fn new(net: ActorCritic, encoder: Encoder, head: ActionHead) -> Self {
        Self { net, encoder, head, rows: Vec::new() }
    }

    /// Writes the networks' inputs, `[rows, encoder.width()]`, and the masks, `[rows, encoder.mask_width()]`.
    pub fn encode(&self, observations: &ObsBatch, inputs: &mut [f32], masks: &mut [f32]) {
        let (width, bits) = (self.encoder.width(), self.encoder.mask_width());
        for row in 0..observations.rows() {
            let observation = observations.row(row);
            self.encoder.encode(observation, &mut inputs[row * width..(row + 1) * width]);
            let mask = &mut masks[row * bits..(row + 1) * bits];
            match self.encoder.mask(observation) {
                Some(known) => mask.copy_from_slice(known),
                None => mask.fill(1.0),
            }
        }
    }

    /// Draws an action for each row of `inputs` (f32 `[rows, width]` on the CPU) into `draws`, or takes the likeliest
    /// one, and writes the logarithm of its probability.
    ///
    /// # Errors
    /// [`AgentError::Diverged`] when the network gives NaN.
    pub fn draw(
        &mut self,
        parameters: &Parameters,
        (inputs, masks): (&Tensor, &[f32]),
        (mode, rng): (ActMode, &mut EnvRng),
        (draws, log_probs): (&mut [f32], &mut [f32]),
    ) -> Result<(), AgentError> {
        let _guard = tch::no_grad_guard();
        let outputs = self.net.policy(parameters, &on_device(inputs, parameters.device())?, Mode::Eval)?;
        distribution_rows(&self.net, parameters, &self.head, &outputs, &mut self.rows)?;
        let distribution = self.head.distribution();
        let (count, width) = (distribution.parameters(), distribution.width());
        let each = self.rows.chunks_exact(count).zip(draws.chunks_exact_mut(width)).zip(log_probs);
        for (index, ((row, draw), log_prob)) in each.enumerate() {
            let mask = mask_row(masks, count, index);
            let drawn = match mode {
                ActMode::Explore => distribution.sample_row(row, mask, rng, draw),
                ActMode::Exploit => distribution.mode_row(row, mask, draw),
            };
            if !drawn {
                return Err(AgentError::Diverged(format!("the policy's outputs are {row:?}")));
            }
            *log_prob = distribution.evaluate_row(row, mask, draw).0;
        }
        Ok(())
    }

    /// Writes the values of observations, f32 `[rows, width]` on the CPU.
    ///
    /// # Errors
    /// [`AgentError::Diverged`] when one of them is NaN.
    pub fn values(
        &self,
        parameters: &Parameters,
        inputs: &Tensor,
        values: &mut [f32],
    ) -> Result<(), AgentError> {
        if values.is_empty() {
            return Ok(());
        }
        let _guard = tch::no_grad_guard();
        let inputs = on_device(inputs, parameters.device())?;
        let count = values.len();
        self.net.value(parameters, &inputs, Mode::Eval)?.f_copy_data(values, count)?;
        match values.iter().all(|value| value.is_finite()) {
            true => Ok(()),
            false => Err(AgentError::Diverged("a value is not a finite number".into())),
        }
    }
}

/// The mask of row `index`, if there are masks.
pub(super) fn mask_row(masks: &[f32], width: usize, index: usize) -> Option<&[f32]> {
    (!masks.is_empty()).then(|| &masks[index * width..(index + 1) * width])
}

/// What parametrises each row's distribution, in ordinary memory: `rows` becomes `[rows, parameters]`.
pub(super) fn distribution_rows(
    net: &ActorCritic,
    parameters: &Parameters,
    head: &ActionHead,
    outputs: &Tensor,
    rows: &mut Vec<f32>,
) -> Result<(), AgentError> {
    let batch = outputs.size()[0] as usize;
    let (count, width) = (head.distribution().parameters(), outputs.size()[1] as usize);
    rows.resize(batch * count, 0.0);
    let Some(id) = net.log_deviation() else {
        return Ok(outputs.f_copy_data(rows, batch * count)?);
    };
    let mut means = vec![0.0; batch * width];
    outputs.f_copy_data(&mut means, batch * width)?;
    let mut log_deviation = vec![0.0; width];
    parameters.get(id).f_copy_data(&mut log_deviation, width)?;
    for (row, means) in rows.chunks_exact_mut(count).zip(means.chunks_exact(width)) {
        row[..width].copy_from_slice(means);
        row[width..].copy_from_slice(&log_deviation);
    }
    Ok(())
}

pub(super) fn on_device(tensor: &Tensor, device: Device) -> Result<Tensor, AgentError> {
    Ok(if device == Device::Cpu { tensor.shallow_clone() } else { tensor.f_to_device(device)? })
}

/// A stochastic policy with weights of its own.
#[derive(Debug)]
pub struct StochasticPolicy {
    actor: Actor,
    parameters: Parameters,
    inputs: HostBuffer<f32>,
    masks: Vec<f32>,
    draws: Vec<f32>,
    log_probs: Vec<f32>,
}

impl StochasticPolicy {
    /// A policy with these weights, which nobody else changes.
    ///
    /// # Errors
    /// [`AgentError`] when memory runs out.
    pub fn new(actor: Actor, parameters: Parameters) -> Result<Self, AgentError> {
        let inputs = HostBuffer::new(&[0, actor.encoder.width() as i64])?;
        Ok(Self { actor, parameters, inputs, masks: Vec::new(), draws: Vec::new(), log_probs: Vec::new() })
    }
}

impl Policy for StochasticPolicy {
    fn act(
        &mut self,
        observations: &ObsBatch,
        mode: ActMode,
        rng: &mut EnvRng,
        actions: &mut ActionBatch,
    ) -> Result<(), AgentError> {
        let rows = observations.rows();
        let width = self.actor.head.distribution().width();
        if self.log_probs.len() != rows {
            self.inputs = HostBuffer::new(&[rows as i64, self.actor.encoder.width() as i64])?;
            self.masks.resize(rows * self.actor.encoder.mask_width(), 1.0);
            self.draws.resize(rows * width, 0.0);
            self.log_probs.resize(rows, 0.0);
        }
        self.actor.encode(observations, self.inputs.as_mut_slice(), &mut self.masks);
        let asked = (self.inputs.tensor(), self.masks.as_slice());
        let answers = (self.draws.as_mut_slice(), self.log_probs.as_mut_slice());
        self.actor.draw(&self.parameters, asked, (mode, rng), answers)?;
        for (row, draw) in self.draws.chunks_exact(width).enumerate() {
            self.actor.head.write(draw, row, actions);
        }
        Ok(())
    }
}
