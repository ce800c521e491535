//! Epsilon-greedy over a Q-network.

use pavlov_envs::{ActionBatch, EnvRng, ObsBatch, ObsRef};
use pavlov_nn::{HostBuffer, Mlp, Mode, Parameters};
use rand::RngExt;

use crate::random::sensible;
use crate::{ActMode, AgentError, Encoder, Policy};

/// A Q-network's description and the buffers to ask it with; the weights are given with each call.
#[derive(Debug)]
pub struct QNetwork {
    pub(super) net: Mlp,
    pub(super) encoder: Encoder,
    rows: HostBuffer<f32>,
    values: Vec<f32>,
}

impl QNetwork {
    pub(super) fn new(net: Mlp, encoder: Encoder) -> Result<Self, AgentError> {
        Ok(Self { rows: HostBuffer::new(&[0, net.inputs()])?, net, encoder, values: Vec::new() })
    }

    pub(super) fn twin(&self) -> Result<Self, AgentError> {
        Self::new(self.net.clone(), self.encoder.clone())
    }

    /// Writes a random action with chance `epsilon`, the best known one else, for each observation.
    pub(super) fn epsilon_greedy(
        &mut self,
        parameters: &Parameters,
        observations: &ObsBatch,
        epsilon: f64,
        rng: &mut EnvRng,
        actions: &mut ActionBatch,
    ) -> Result<(), AgentError> {
        let ActionBatch::Discrete(choices) = actions else {
            return Err(AgentError::Unsupported("a Q-network needs discrete actions".into()));
        };
        // Random choices first: where all are random the network is not asked at all.
        let mut asked = false;
        for (row, choice) in choices.iter_mut().enumerate() {
            let random = epsilon > 0.0 && rng.random::<f64>() < epsilon;
            *choice = if random { self.any_action(observations.row(row), rng) } else { -1 };
            asked |= !random;
        }
        if !asked {
            return Ok(());
        }
        self.evaluate(parameters, observations)?;
        let count = self.net.outputs() as usize;
        for (row, (choice, values)) in choices.iter_mut().zip(self.values.chunks_exact(count)).enumerate() {
            if *choice < 0 {
                *choice = argmax(values, self.encoder.mask(observations.row(row)))
                    .ok_or_else(|| AgentError::Diverged(format!("the action values are {values:?}")))?;
            }
        }
        Ok(())
    }

    /// One of the actions that make sense, all equally likely.
    fn any_action(&self, observation: ObsRef<'_>, rng: &mut EnvRng) -> i64 {
        match self.encoder.mask(observation) {
            Some(mask) => sensible(mask, rng),
            None => rng.random_range(0..self.net.outputs()),
        }
    }

    fn evaluate(&mut self, parameters: &Parameters, observations: &ObsBatch) -> Result<(), AgentError> {
        let (rows, width) = (observations.rows(), self.encoder.width());
        if self.rows.tensor().size()[0] != rows as i64 {
            self.rows = HostBuffer::new(&[rows as i64, width as i64])?;
            self.values = vec![0.0; rows * self.net.outputs() as usize];
        }
        let encoded = self.rows.as_mut_slice();
        for row in 0..rows {
            self.encoder.encode(observations.row(row), &mut encoded[row * width..(row + 1) * width]);
        }
        let _guard = tch::no_grad_guard();
        let on_device = match parameters.device() {
            tch::Device::Cpu => self.net.forward(parameters, self.rows.tensor(), Mode::Eval)?,
            device => self.net.forward(parameters, &self.rows.tensor().f_to_device(device)?, Mode::Eval)?,
        };
        let count = self.values.len();
        Ok(on_device.f_copy_data(&mut self.values, count)?)
    }
}

/// The first of the largest values among those that the mask allows; `None` if one of them is NaN.
fn argmax(values: &[f32], mask: Option<&[f32]>) -> Option<i64> {
    let allowed = |index: usize| mask.is_none_or(|mask| mask[index] == 1.0);
    let mut best: Option<usize> = None;
    for (index, value) in values.iter().enumerate().filter(|(index, _)| allowed(*index)) {
        if value.is_nan() {
            return None;
        }
        if best.is_none_or(|best| *value > values[best]) {
            best = Some(index);
        }
    }
    best.map(|index| index as i64)
}

/// A Q-network with weights of its own and a fixed chance of a random action.
#[derive(Debug)]
pub struct QPolicy {
    pub(super) network: QNetwork,
    pub(super) parameters: Parameters,
    pub(super) epsilon: f64,
}

impl Policy for QPolicy {
    fn act(
        &mut self,
        observations: &ObsBatch,
        mode: ActMode,
        rng: &mut EnvRng,
        actions: &mut ActionBatch,
    ) -> Result<(), AgentError> {
        let epsilon = match mode {
            ActMode::Explore => self.epsilon,
            ActMode::Exploit => 0.0,
        };
        self.network.epsilon_greedy(&self.parameters, observations, epsilon, rng, actions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equal_values_wins_and_nan_is_seen() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0], None), Some(1));
        assert_eq!(argmax(&[f32::NEG_INFINITY, -1.0], None), Some(1));
        assert_eq!(argmax(&[1.0, f32::NAN], None), None);
        assert_eq!(argmax(&[1.0, 3.0, 2.0], Some(&[1.0, 0.0, 1.0])), Some(2));
    }
}
