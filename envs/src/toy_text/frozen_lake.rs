//! FrozenLake: cross a slippery frozen lake from start to goal without falling into a hole.
//!
//! The dynamics, the two named maps and the options are those of Gymnasium 1.3's `FrozenLake-v1`.

use rand::RngExt;

use super::ansi::{ON_RED, paint};
use super::grid::Heading;
use super::lake::{Lake, Tile};
use super::tabular::{Outcome, Outcomes, World, choose};
use crate::render::Picture;
use crate::{Action, Env, EnvError, EnvOptions, EnvState, ObsMut, Space, Step};

const MAP_4X4: [&str; 4] = ["SFFF", "FHFH", "FFFH", "HFFG"];
const MAP_8X8: [&str; 8] =
    ["SFFFFFFF", "FFFFFFFF", "FFFHFFFF", "FFFFFHFF", "FFFHFFFF", "FHHFFFHF", "FHFFHFHF", "FFFHFFFG"];

/// The heading of each action, in the order of the actions: neighbours are at right angles.
const HEADINGS: [Heading; ACTIONS] = [Heading::Left, Heading::Down, Heading::Right, Heading::Up];
const NAMES: [&str; ACTIONS] = ["Left", "Down", "Right", "Up"];
const ACTIONS: usize = 4;

/// The options of a [`FrozenLake`].
#[derive(Clone, Debug, PartialEq)]
pub struct FrozenLakeOptions {
    /// The map, one text a row: `S` a start, `F` frozen, `H` a hole, `G` a goal. With several starts an
    /// episode begins on one of them, drawn uniformly.
    pub desc: Vec<String>,
    /// True if the walker may slip to either side of the action's heading.
    pub is_slippery: bool,
    /// On a slippery lake, the probability of moving in the action's heading; the rest is shared by the two
    /// sides.
    pub success_rate: f64,
    /// The rewards for reaching a goal, a hole, and any other tile.
    pub reward_schedule: [f64; 3],
}

impl FrozenLakeOptions {
    /// A slippery lake with the map of this name, `4x4` or `8x8`.
    ///
    /// # Errors
    /// [`EnvError::Option`] for another name.
    pub fn named(map_name: &str) -> Result<Self, EnvError> {
        let rows: &[&str] = match map_name {
            "4x4" => &MAP_4X4,
            "8x8" => &MAP_8X8,
            other => {
                let message =
                    format!("`map_name` is `{other}`: give 4x4 or 8x8, or a map of your own as `desc`");
                return Err(EnvError::Option(message));
            }
        };
        let desc = rows.iter().map(ToString::to_string).collect();
        Ok(Self { desc, is_slippery: true, success_rate: 1.0 / 3.0, reward_schedule: [1.0, 0.0, 0.0] })
    }

    /// The options from a configuration; a map of its own as `desc` takes precedence over `map_name`.
    pub(super) fn read(options: &EnvOptions, map_name: &str) -> Result<Self, EnvError> {
        let default = Self::named(&options.text("map_name", map_name)?)?;
        Ok(Self {
            desc: options.texts("desc")?.unwrap_or(default.desc),
            is_slippery: options.flag("is_slippery", default.is_slippery)?,
            success_rate: options.number("success_rate", default.success_rate)?,
            reward_schedule: options.numbers("reward_schedule", default.reward_schedule)?,
        })
    }
}

/// The lake and its walker. Observation: the walker's tile, counted row by row from 0; actions: 0 left, 1
/// down, 2 right, 3 up. The episode ends in a hole or at a goal.
#[derive(Clone, Debug)]
pub struct FrozenLake {
    lake: Lake,
    /// None on ice that is not slippery.
    success_rate: Option<f64>,
    reward_schedule: [f64; 3],
    observations: Space,
    actions: Space,
    world: World,
}

impl FrozenLake {
    /// The environment with these options.
    ///
    /// # Errors
    /// [`EnvError::Option`] for a map that is no rectangle, has size zero, has unknown letters, lacks a start
    /// or a goal or has a start without a way to a goal; for a success rate outside of 0 to 1; for rewards
    /// that are not finite.
    pub fn new(options: &FrozenLakeOptions) -> Result<Self, EnvError> {
        let rate = super::probability("success_rate", options.success_rate)?;
        if let Some(reward) = options.reward_schedule.iter().find(|reward| !reward.is_finite()) {
            let message = format!("`reward_schedule` has {reward}: give three finite numbers");
            return Err(EnvError::Option(message));
        }
        let lake = Lake::parse(&options.desc)?;
        Ok(Self {
            success_rate: options.is_slippery.then_some(rate),
            reward_schedule: options.reward_schedule,
            observations: Space::Discrete(lake.grid.cells() as i64),
            actions: Space::Discrete(ACTIONS as i64),
            world: World::new(lake.starts[0]),
            lake,
        })
    }

    /// The outcomes of `action` on tile `state`; `None` where there is no such tile or action.
    pub fn outcomes(&self, state: usize, action: usize) -> Option<Outcomes> {
        (state < self.lake.grid.cells() && action < ACTIONS).then(|| self.transitions(state, action))
    }

    fn transitions(&self, state: usize, action: usize) -> Outcomes {
        if self.lake.tiles[state].is_end() {
            return Outcomes::certain(Outcome { probability: 1.0, state, reward: 0.0, terminated: true });
        }
        let toward = |turns: usize, probability: f64| {
            let state = self.lake.grid.beside(state, HEADINGS[(action + turns) % ACTIONS]);
            let tile = self.lake.tiles[state];
            let [goal, hole, other] = self.reward_schedule;
            let reward = match tile {
                Tile::Goal => goal,
                Tile::Hole => hole,
                Tile::Start | Tile::Frozen => other,
            };
            Outcome { probability, state, reward, terminated: tile.is_end() }
        };
        match self.success_rate {
            None => Outcomes::certain(toward(0, 1.0)),
            Some(rate) => {
                let side = (1.0 - rate) / 2.0;
                Outcomes::one_of([toward(3, side), toward(0, rate), toward(1, side)])
            }
        }
    }

    /// Starts an episode; `draw` from `0..1` chooses the start.
    pub(super) fn begin(&mut self, draw: f64, observation: ObsMut<'_>) {
        let starts = &self.lake.starts;
        let weights = std::iter::repeat_n(1.0 / starts.len() as f64, starts.len());
        self.world.begin(starts[choose(weights, draw)]);
        super::write(observation, [self.world.state]);
    }

    /// Steps; `draw` from `0..1` decides whether and to which side the walker slips.
    pub(super) fn advance(&mut self, action: usize, draw: f64, observation: ObsMut<'_>) -> Step {
        let outcome = self.transitions(self.world.state, action).choose(draw);
        let step = self.world.follow(action, outcome);
        super::write(observation, [self.world.state]);
        step
    }
}

impl Env for FrozenLake {
    fn observation_space(&self) -> &Space {
        &self.observations
    }

    fn action_space(&self) -> &Space {
        &self.actions
    }

    fn reset(&mut self, seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        self.world.rng.reseed(seed);
        let draw = self.world.rng.random();
        self.begin(draw, observation);
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

    /// The last action and the map, the walker's tile on red.
    fn render(&self) -> Option<Picture> {
        let mut text = match self.world.last_action {
            Some(action) => format!("  ({})\n", NAMES[action]),
            None => "\n".into(),
        };
        for (index, tile) in self.lake.tiles.iter().enumerate() {
            if index == self.world.state {
                text += &paint(tile.letter().encode_utf8(&mut [0; 4]), ON_RED);
            } else {
                text.push(tile.letter());
            }
            if (index + 1) % self.lake.grid.columns == 0 {
                text.push('\n');
            }
        }
        Some(Picture::Text(text))
    }

    fn save_state(&self) -> Option<EnvState> {
        EnvState::pack(&self.world)
    }

    fn load_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.world = World::load(state, self.lake.grid.cells(), ACTIONS)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> FrozenLakeOptions {
        FrozenLakeOptions::named("4x4").unwrap()
    }

    fn error(options: &FrozenLakeOptions) -> String {
        FrozenLake::new(options).unwrap_err().to_string()
    }

    #[test]
    fn wrong_options_are_refused() {
        let message =
            "environment option: `map_name` is `5x5`: give 4x4 or 8x8, or a map of your own as `desc`";
        assert_eq!(FrozenLakeOptions::named("5x5").unwrap_err().to_string(), message);
        for success_rate in [-0.1, 1.1, f64::NAN] {
            let message = format!(
                "environment option: `success_rate` is {success_rate}: give a probability, from 0 to 1"
            );
            assert_eq!(error(&FrozenLakeOptions { success_rate, ..options() }), message);
        }
        let infinite = FrozenLakeOptions { reward_schedule: [1.0, f64::INFINITY, 0.0], ..options() };
        let message = "environment option: `reward_schedule` has inf: give three finite numbers";
        assert_eq!(error(&infinite), message);
        let holed = FrozenLakeOptions { desc: vec!["SHG".into()], ..options() };
        assert!(error(&holed).contains("no way to a goal"));
    }

    #[test]
    fn a_walker_slips_to_both_sides() {
        let lake = FrozenLake::new(&FrozenLakeOptions { success_rate: 0.5, ..options() }).unwrap();
        // From the tile above the hole in the second row, walking right.
        let outcomes = lake.outcomes(1, 2).unwrap();
        let seen: Vec<_> = outcomes.as_slice().iter().map(|o| (o.probability, o.state)).collect();
        assert_eq!(seen, [(0.25, 5), (0.5, 2), (0.25, 1)]);
        assert!(outcomes.as_slice()[0].terminated);
        assert_eq!(lake.outcomes(16, 0), None);
        assert_eq!(lake.outcomes(0, 4), None);
    }
}
