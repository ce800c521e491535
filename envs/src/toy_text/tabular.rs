//! The common parts of worlds with a table of transitions: the outcomes of an action, and the state of an
//! episode.

use serde::{Deserialize, Serialize};

use crate::{End, EnvError, EnvState, SeededRng, Step};

/// One outcome of an action: an entry of Gymnasium's table `P`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// The outcome's probability.
    pub probability: f64,
    /// The state that follows, as an observation shows it.
    pub state: usize,
    /// The reward of the step.
    pub reward: f64,
    /// True if the episode ends there.
    pub terminated: bool,
}

/// All outcomes of an action, in the order of Gymnasium's table `P`: for dynamic programming, and for the
/// step itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcomes {
    all: [Outcome; 3],
    count: usize,
}

impl Outcomes {
    /// An action whose outcome is certain.
    pub(super) fn certain(outcome: Outcome) -> Self {
        Self { all: [outcome; 3], count: 1 }
    }

    /// An action with three outcomes.
    pub(super) fn one_of(all: [Outcome; 3]) -> Self {
        Self { all, count: 3 }
    }

    /// The outcomes; their probabilities add up to 1. Two of them may lead to the same state.
    pub fn as_slice(&self) -> &[Outcome] {
        &self.all[..self.count]
    }

    /// The outcome that a number drawn uniformly from `0..1` selects.
    pub fn choose(&self, draw: f64) -> Outcome {
        self.all[choose(self.as_slice().iter().map(|outcome| outcome.probability), draw)]
    }
}

/// The index that a number drawn uniformly from `0..1` selects: the first one up to which the weights add up
/// to more than `draw`. If rounding keeps all sums below a draw near 1, the index is 0, as in Gymnasium.
pub(super) fn choose(weights: impl IntoIterator<Item = f64>, draw: f64) -> usize {
    let mut sum = 0.0;
    let beyond = |weight: f64| {
        sum += weight;
        sum > draw
    };
    weights.into_iter().map(beyond).position(|beyond| beyond).unwrap_or(0)
}

/// The state of an episode.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct World {
    pub state: usize,
    /// The action that led here; none in the first state.
    pub last_action: Option<usize>,
    pub running: bool,
    pub rng: SeededRng,
}

impl World {
    /// A world before its first episode; episodes begin in `state`.
    pub fn new(state: usize) -> Self {
        Self { state, last_action: None, running: false, rng: SeededRng::default() }
    }

    /// Starts an episode.
    pub fn begin(&mut self, state: usize) {
        (self.state, self.last_action, self.running) = (state, None, true);
    }

    /// Follows `action` to its outcome.
    pub fn follow(&mut self, action: usize, outcome: Outcome) -> Step {
        (self.state, self.last_action, self.running) = (outcome.state, Some(action), !outcome.terminated);
        Step::new(outcome.reward, End::terminated_if(outcome.terminated))
    }

    /// Refuses a loaded world whose numbers are outside of `states` and `actions`.
    pub fn check(self, states: usize, actions: usize) -> Result<Self, EnvError> {
        let refuse = |what: &str, number: usize, count: usize| {
            let message = format!("its {what} is {number}, and this environment has {count} of them");
            Err(EnvError::State(message))
        };
        match self.last_action {
            _ if self.state >= states => refuse("state", self.state, states),
            Some(action) if action >= actions => refuse("last action", action, actions),
            _ => Ok(self),
        }
    }

    /// A saved world, checked.
    pub fn load(state: &EnvState, states: usize, actions: usize) -> Result<Self, EnvError> {
        state.unpack::<Self>()?.check(states, actions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_chooses_the_first_sum_beyond_it() {
        let weights = [0.25, 0.5, 0.0, 0.25];
        let chosen = [0.0, 0.2, 0.25, 0.7, 0.75, 0.999].map(|draw| choose(weights, draw));
        assert_eq!(chosen, [0, 0, 1, 1, 3, 3]);
        assert_eq!(choose([0.0, 0.5], 0.75), 0);
    }

    #[test]
    fn a_world_that_does_not_fit_is_refused() {
        let load = |state, last_action| {
            let world = World { state, last_action, ..World::new(0) };
            World::load(&EnvState::pack(&world).unwrap(), 16, 4).map_err(|error| error.to_string())
        };
        assert!(load(15, Some(3)).is_ok());
        let state = "environment state: its state is 16, and this environment has 16 of them";
        assert_eq!(load(16, None).unwrap_err(), state);
        let action = "environment state: its last action is 4, and this environment has 4 of them";
        assert_eq!(load(0, Some(4)).unwrap_err(), action);
    }
}
