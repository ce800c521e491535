//! CliffWalking: walk along a cliff from start to goal without falling off.
//!
//! Example 6.6 of Sutton and Barto's "Reinforcement Learning: An Introduction", with the dynamics of
//! Gymnasium 1.3's `CliffWalking-v1`.

use rand::RngExt;

use super::grid::{Grid, Heading};
use super::tabular::{Outcome, Outcomes, World};
use crate::render::Picture;
use crate::{Action, Env, EnvError, EnvState, ObsMut, Space, Step};

const GRID: Grid = Grid { rows: 4, columns: 12 };
/// The lower left corner.
const START: usize = 36;
/// The lower right corner; the cliff lies between the two.
const GOAL: usize = 47;
/// The heading of each action, in the order of the actions: neighbours are at right angles.
const HEADINGS: [Heading; ACTIONS] = [Heading::Up, Heading::Right, Heading::Down, Heading::Left];
const ACTIONS: usize = 4;

/// The cliff and its walker. Observation: the walker's cell, counted row by row from 0; actions: 0 up, 1
/// right, 2 down, 3 left. Every step costs 1; one over the cliff's edge costs 100 and leads back to the
/// start. Only the goal ends the episode.
#[derive(Clone, Debug)]
pub struct CliffWalking {
    is_slippery: bool,
    observations: Space,
    actions: Space,
    world: World,
}

impl CliffWalking {
    /// The environment. On slippery ground an action leads to its heading or to either side, each with
    /// probability 1/3.
    pub fn new(is_slippery: bool) -> Self {
        let (observations, actions) = (Space::Discrete(GRID.cells() as i64), Space::Discrete(ACTIONS as i64));
        Self { is_slippery, observations, actions, world: World::new(START) }
    }

    /// The outcomes of `action` in cell `state`; `None` where there is no such cell or action.
    pub fn outcomes(&self, state: usize, action: usize) -> Option<Outcomes> {
        (state < GRID.cells() && action < ACTIONS).then(|| self.transitions(state, action))
    }

    fn transitions(&self, state: usize, action: usize) -> Outcomes {
        let toward = |turns: usize, probability: f64| {
            let state = GRID.beside(state, HEADINGS[(action + turns) % ACTIONS]);
            if is_cliff(state) {
                return Outcome { probability, state: START, reward: -100.0, terminated: false };
            }
            Outcome { probability, state, reward: -1.0, terminated: state == GOAL }
        };
        if self.is_slippery {
            Outcomes::one_of([3, 0, 1].map(|turns| toward(turns, 1.0 / 3.0)))
        } else {
            Outcomes::certain(toward(0, 1.0))
        }
    }

    /// Starts an episode.
    pub(super) fn begin(&mut self, observation: ObsMut<'_>) {
        self.world.begin(START);
        super::write(observation, [START]);
    }

    /// Steps; `draw` from `0..1` decides whether and to which side the walker slips.
    pub(super) fn advance(&mut self, action: usize, draw: f64, observation: ObsMut<'_>) -> Step {
        let outcome = self.transitions(self.world.state, action).choose(draw);
        let step = self.world.follow(action, outcome);
        super::write(observation, [self.world.state]);
        step
    }
}

fn is_cliff(cell: usize) -> bool {
    START < cell && cell < GOAL
}

impl Env for CliffWalking {
    fn observation_space(&self) -> &Space {
        &self.observations
    }

    fn action_space(&self) -> &Space {
        &self.actions
    }

    fn reset(&mut self, seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        self.world.rng.reseed(seed);
        self.begin(observation);
        Ok(())
    }

    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        let action = action.discrete(ACTIONS as i64)?;
        if !self.world.running {
            return Err(EnvError::NeedsReset);
        }
        let draw = self.world.rng.random();
        Ok(self.advance(action, draw, observation))
    }

    /// The cells: `x` is the walker, `C` the cliff, `T` the goal, `o` any other.
    fn render(&self) -> Option<Picture> {
        let letter = |cell| match cell {
            cell if cell == self.world.state => "x",
            GOAL => "T",
            cell if is_cliff(cell) => "C",
            _ => "o",
        };
        let row = |row| {
            let cells: Vec<_> = (row * GRID.columns..(row + 1) * GRID.columns).map(letter).collect();
            cells.join("  ") + "\n"
        };
        Some(Picture::Text((0..GRID.rows).map(row).collect::<String>() + "\n"))
    }

    fn save_state(&self) -> Option<EnvState> {
        EnvState::pack(&self.world)
    }

    fn load_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.world = World::load(state, GRID.cells(), ACTIONS)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fall_costs_100_and_leads_back_to_the_start() {
        let cliff = CliffWalking::new(false);
        let only = |state, action| cliff.outcomes(state, action).unwrap().as_slice()[0];
        let fall = Outcome { probability: 1.0, state: START, reward: -100.0, terminated: false };
        assert_eq!(only(START, 1), fall);
        assert_eq!(only(30, 2), fall);
        assert_eq!(only(35, 2), Outcome { probability: 1.0, state: GOAL, reward: -1.0, terminated: true });
        assert!(cliff.outcomes(48, 0).is_none() && cliff.outcomes(0, 4).is_none());
    }

    #[test]
    fn slippery_ground_leads_to_three_sides() {
        let outcomes = CliffWalking::new(true).outcomes(START, 0).unwrap();
        let states: Vec<_> = outcomes.as_slice().iter().map(|o| (o.state, o.reward)).collect();
        assert_eq!(states, [(START, -1.0), (24, -1.0), (START, -100.0)]);
    }
}
