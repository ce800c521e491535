//! Epsilon-greedy over a Q-network.

use pavlov_common::SeededRng;
use pavlov_envs::{ActionBatch, ObsBatch, ObsRef};
use rand::RngExt;

use super::{DqnConfig, QNetwork, losses};
use crate::acting::sensible;
use crate::acting::{Inference, PolicyNetwork, RowNetwork};
use crate::core::{ActMode, AgentError, Metrics};
use crate::networks::Encoder;
use crate::off_policy::Explorer;

/// A random action with chance epsilon, the best known one else; of masked ones always one that makes sense.
#[derive(Debug)]
pub struct EpsilonGreedy {
    pub(super) network: PolicyNetwork<QNetwork>,
    config: DqnConfig,
    total_env_steps: u64,
    /// The first environment's number, and how many there are, those of others included.
    place: (usize, usize),
}

impl EpsilonGreedy {
    /// Acts by this network for a training of `total_env_steps`.
    ///
    /// # Errors
    /// [`AgentError`] when memory runs out.
    pub fn new(
        config: DqnConfig,
        net: QNetwork,
        encoder: Encoder,
        total_env_steps: u64,
    ) -> Result<Self, AgentError> {
        let network = PolicyNetwork::new(net, encoder)?;
        Ok(Self { network, config, total_env_steps, place: (0, 1) })
    }

    /// The chance of a random action after so many env steps, before it is spread over environments; before
    /// the first update there is nothing to follow but chance.
    pub fn epsilon(&self, env_steps: u64) -> f64 {
        if env_steps < self.config.warmup_env_steps {
            return 1.0;
        }
        let DqnConfig { epsilon_start, epsilon_end, epsilon_decay_fraction, .. } = self.config;
        let decay_env_steps = epsilon_decay_fraction * self.total_env_steps as f64;
        losses::epsilon(env_steps, epsilon_start, epsilon_end, decay_env_steps)
    }

    fn epsilon_greedy(
        &mut self,
        inference: Inference<'_>,
        observations: &ObsBatch,
        epsilon: f64,
        rng: &mut SeededRng,
        actions: &mut ActionBatch,
    ) -> Result<(), AgentError> {
        let ActionBatch::Discrete(choices) = actions else {
            return Err(AgentError::Unsupported("a Q-network needs discrete actions".into()));
        };
        // Random choices first: where all are random the network is not asked at all.
        let mut asked = false;
        for (row, choice) in choices.iter_mut().enumerate() {
            let epsilon =
                losses::spread(epsilon, self.place.0 + row, self.place.1, self.config.epsilon_spread);
            let random = epsilon > 0.0 && rng.random::<f64>() < epsilon;
            *choice = if random { self.any_action(observations.row(row), rng) } else { -1 };
            asked |= !random;
        }
        if !asked {
            return Ok(());
        }
        let count = self.network.net.actions();
        let (values, encoder) = self.network.evaluate(inference, observations)?;
        for (row, (choice, values)) in choices.iter_mut().zip(values.chunks_exact(count)).enumerate() {
            if *choice < 0 {
                *choice = argmax(values, encoder.mask(observations.row(row)))
                    .ok_or_else(|| AgentError::Diverged(format!("the action values are {values:?}")))?;
            }
        }
        Ok(())
    }

    /// One of the actions that make sense, all equally likely.
    fn any_action(&self, observation: ObsRef<'_>, rng: &mut SeededRng) -> i64 {
        match self.network.encoder.mask(observation) {
            Some(mask) => sensible(mask, rng),
            None => rng.random_range(0..self.network.net.actions() as i64),
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

impl Explorer for EpsilonGreedy {
    fn act(
        &mut self,
        inference: Inference<'_>,
        observations: &ObsBatch,
        (mode, env_steps): (ActMode, u64),
        rng: &mut SeededRng,
        actions: &mut ActionBatch,
    ) -> Result<(), AgentError> {
        let epsilon = match mode {
            ActMode::Explore => self.epsilon(env_steps),
            ActMode::Exploit => 0.0,
        };
        self.epsilon_greedy(inference, observations, epsilon, rng, actions)
    }

    fn twin(&self, first: usize, total: usize) -> Result<Box<dyn Explorer>, AgentError> {
        Ok(Box::new(Self {
            network: self.network.twin()?,
            config: self.config.clone(),
            place: (first, total),
            ..*self
        }))
    }

    fn network(&self) -> Box<dyn RowNetwork> {
        Box::new(self.network.net.clone())
    }

    fn metrics(&self, env_steps: u64) -> Metrics {
        Metrics::from([("rollout/exploration_rate", self.epsilon(env_steps))])
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
