//! Epsilon-greedy over a Q-network.

use pavlov_envs::{ActionBatch, EnvRng, ObsBatch, ObsRef};
use pavlov_nn::Parameters;
use rand::RngExt;

use crate::random::sensible;
use crate::{ActMode, AgentError, Policy, PolicyNetwork};

/// How a Q-network is asked for actions; the weights are given with each call.
#[derive(Debug)]
pub struct QNetwork(pub(super) PolicyNetwork);

impl QNetwork {
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
        let count = self.0.net.outputs() as usize;
        let (values, encoder) = self.0.evaluate(parameters, observations)?;
        for (row, (choice, values)) in choices.iter_mut().zip(values.chunks_exact(count)).enumerate() {
            if *choice < 0 {
                *choice = argmax(values, encoder.mask(observations.row(row)))
                    .ok_or_else(|| AgentError::Diverged(format!("the action values are {values:?}")))?;
            }
        }
        Ok(())
    }

    /// One of the actions that make sense, all equally likely.
    fn any_action(&self, observation: ObsRef<'_>, rng: &mut EnvRng) -> i64 {
        match self.0.encoder.mask(observation) {
            Some(mask) => sensible(mask, rng),
            None => rng.random_range(0..self.0.net.outputs()),
        }
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
