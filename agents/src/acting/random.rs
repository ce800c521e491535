//! A policy that knows nothing: the measure of what others have learned.

use pavlov_common::SeededRng;
use pavlov_envs::{ActionBatch, ObsBatch, Space};
use rand::RngExt;

use crate::core::{ActMode, AgentError, Policy};
use crate::networks::Encoder;

/// Draws each action uniformly from the action space; with an action mask, from the actions that make sense.
#[derive(Clone, Debug)]
pub struct RandomPolicy {
    actions: Space,
    encoder: Encoder,
}

impl RandomPolicy {
    /// A policy for environments with these spaces.
    pub fn new(observations: &Space, actions: &Space) -> Self {
        Self { actions: actions.clone(), encoder: Encoder::new(observations) }
    }
}

impl Policy for RandomPolicy {
    fn act(
        &mut self,
        observations: &ObsBatch,
        _mode: ActMode,
        rng: &mut SeededRng,
        actions: &mut ActionBatch,
    ) -> Result<(), AgentError> {
        for row in 0..observations.rows() {
            match (self.encoder.mask(observations.row(row)), &mut *actions) {
                (Some(mask), ActionBatch::Discrete(choices)) => choices[row] = sensible(mask, rng),
                (_, actions) => actions.sample_row(row, &self.actions, rng),
            }
        }
        Ok(())
    }
}

/// One of the actions that a mask allows, all equally likely.
pub(crate) fn sensible(mask: &[f32], rng: &mut SeededRng) -> i64 {
    let allowed = || (0..).zip(mask).filter(|(_, allowed)| **allowed == 1.0);
    let chosen = rng.random_range(0..allowed().count().max(1));
    allowed().nth(chosen).map_or(0, |(action, _)| action)
}

#[cfg(test)]
mod tests {
    use pavlov_envs::ACTION_MASK;

    use super::*;

    #[test]
    fn every_sensible_action_is_drawn_and_no_other() {
        let observations = Space::Dict(vec![(ACTION_MASK.into(), Space::MultiBinary(4))]);
        let mut policy = RandomPolicy::new(&observations, &Space::Discrete(4));
        let mut seen = ObsBatch::new(&observations, 200);
        seen.floats_mut().chunks_exact_mut(4).for_each(|row| row.copy_from_slice(&[1.0, 0.0, 1.0, 1.0]));
        let mut actions = ActionBatch::Discrete(vec![0; 200]);
        policy.act(&seen, ActMode::Exploit, &mut SeededRng::seeded(1), &mut actions).unwrap();
        let ActionBatch::Discrete(mut choices) = actions else { panic!() };
        choices.sort_unstable();
        choices.dedup();
        assert_eq!(choices, [0, 2, 3]);
    }
}
