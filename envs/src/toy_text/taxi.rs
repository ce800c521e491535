//! Taxi: fetch a passenger at one of four stands and bring them to another.
//!
//! The world of Dietterich, "Hierarchical Reinforcement Learning with the MAXQ Value Function Decomposition"
//! (2000), with the dynamics of Gymnasium 1.3's `Taxi-v4`.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::ansi::{BLUE, MAGENTA, ON_GREEN, ON_YELLOW, paint};
use super::grid::Heading;
use super::tabular::{self, Outcome, Outcomes, choose};
use super::town::{ABOARD, MAP, Ride, STARTS, STATES, place, stand};
use crate::render::Picture;
use crate::{Action, Env, EnvError, EnvOptions, EnvState, ObsMut, Space, Step};

const ACTIONS: usize = 6;
const NAMES: [&str; ACTIONS] = ["South", "North", "East", "West", "Pickup", "Dropoff"];
const PICKUP: usize = 4;
/// The heading of each of the first four actions, with its left and its right side.
const HEADINGS: [[Heading; 3]; 4] = [
    [Heading::Down, Heading::Right, Heading::Left],
    [Heading::Up, Heading::Left, Heading::Right],
    [Heading::Right, Heading::Up, Heading::Down],
    [Heading::Left, Heading::Down, Heading::Up],
];

const STEP_REWARD: f64 = -1.0;
const DELIVERY_REWARD: f64 = 20.0;
/// The reward of a pickup without a passenger there, and of a drop-off away from the stands or without a
/// passenger.
const MISTAKE_REWARD: f64 = -10.0;

/// The options of a [`Taxi`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TaxiOptions {
    /// True if the taxi may drift to either side of the action's heading. It drifts only if the way ahead is
    /// free.
    pub is_rainy: bool,
    /// In rain, the probability of moving in the action's heading; the rest is shared by the two sides.
    pub rainy_probability: f64,
    /// True if the passenger may change their destination, once, with the first move after a pickup.
    pub fickle_passenger: bool,
    /// The probability that a fickle passenger changes their destination; drawn when the episode starts.
    pub fickle_probability: f64,
}

impl Default for TaxiOptions {
    fn default() -> Self {
        Self { is_rainy: false, rainy_probability: 0.8, fickle_passenger: false, fickle_probability: 0.3 }
    }
}

impl TaxiOptions {
    /// The options as a configuration gives them.
    pub(super) fn read(options: &EnvOptions) -> Result<Self, EnvError> {
        let default = Self::default();
        Ok(Self {
            is_rainy: options.flag("is_rainy", default.is_rainy)?,
            rainy_probability: options.number("rainy_probability", default.rainy_probability)?,
            fickle_passenger: options.flag("fickle_passenger", default.fickle_passenger)?,
            fickle_probability: options.number("fickle_probability", default.fickle_probability)?,
        })
    }
}

/// The town, the taxi and its passenger.
///
/// Observation: `((row * 5 + column) * 5 + passenger) * 4 + destination`, the passenger being at stand 0
/// (red), 1 (green), 2 (yellow) or 3 (blue), or 4 in the taxi, and the destination one of the stands.
/// Actions: 0 south, 1 north, 2 east, 3 west, 4 pick up, 5 drop off. A delivery earns 20 and ends the
/// episode, a mistaken pickup or drop-off costs 10, any other step 1.
#[derive(Clone, Debug)]
pub struct Taxi {
    options: TaxiOptions,
    observations: Space,
    actions: Space,
    world: World,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct World {
    town: tabular::World,
    /// True if the passenger will change their destination with the first move.
    fickle: bool,
}

impl Taxi {
    /// The environment with these options.
    ///
    /// # Errors
    /// [`EnvError::Option`] for a probability outside of 0 to 1.
    pub fn new(options: TaxiOptions) -> Result<Self, EnvError> {
        super::probability("rainy_probability", options.rainy_probability)?;
        super::probability("fickle_probability", options.fickle_probability)?;
        // The first state in which an episode may start: passenger at red, destination green.
        let town = tabular::World::new(1);
        Ok(Self {
            options,
            observations: Space::Discrete(STATES as i64),
            actions: Space::Discrete(ACTIONS as i64),
            world: World { town, fickle: false },
        })
    }

    /// True for each of the six actions that changes `state` (an observation): a move that no wall stops, a
    /// pickup or a drop-off that is no mistake. `None` where there is no such state.
    ///
    /// ```
    /// use pavlov_envs::Taxi;
    ///
    /// // In the upper left corner, with the passenger who waits there: south, east and pickup make sense.
    /// assert_eq!(Taxi::action_mask(1), Some([true, false, true, false, true, false]));
    /// assert_eq!(Taxi::action_mask(500), None);
    /// ```
    pub fn action_mask(state: usize) -> Option<[bool; 6]> {
        let ride = Ride::from_state(state);
        (state < STATES).then(|| {
            let [south, north, east, west] = HEADINGS.map(|[ahead, ..]| ride.moved(ahead) != ride);
            [south, north, east, west, ride.picked_up().is_some(), ride.dropped_off().is_some()]
        })
    }

    /// The outcomes of `action` in `state`; `None` where there is no such state or action. Changes of a
    /// fickle passenger's destination are left out.
    pub fn outcomes(&self, state: usize, action: usize) -> Option<Outcomes> {
        (state < STATES && action < ACTIONS).then(|| self.transitions(state, action))
    }

    fn transitions(&self, state: usize, action: usize) -> Outcomes {
        let ride = Ride::from_state(state);
        let certain = |ride: Ride, reward: f64, terminated: bool| {
            Outcomes::certain(Outcome { probability: 1.0, state: ride.state(), reward, terminated })
        };
        if let Some(&headings) = HEADINGS.get(action) {
            return if self.options.is_rainy {
                self.drifting(ride, headings)
            } else {
                certain(ride.moved(headings[0]), STEP_REWARD, false)
            };
        }
        let after = if action == PICKUP { ride.picked_up() } else { ride.dropped_off() };
        match after {
            None => certain(ride, MISTAKE_REWARD, false),
            Some(after) if after.passenger == after.destination => certain(after, DELIVERY_REWARD, true),
            Some(after) => certain(after, STEP_REWARD, false),
        }
    }

    fn drifting(&self, ride: Ride, headings: [Heading; 3]) -> Outcomes {
        let blocked = ride.moved(headings[0]) == ride;
        let ahead = self.options.rainy_probability;
        let side = (1.0 - ahead) / 2.0;
        let toward = |(heading, probability)| {
            let after = if blocked { ride } else { ride.moved(heading) };
            Outcome { probability, state: after.state(), reward: STEP_REWARD, terminated: false }
        };
        let [front, left, right] = headings;
        Outcomes::one_of([(front, ahead), (left, side), (right, side)].map(toward))
    }

    /// Starts an episode; two draws from `0..1` choose the state and decide whether the passenger is fickle.
    pub(super) fn begin(&mut self, [start, fickle]: [f64; 2], observation: ObsMut<'_>) {
        let start = choose(std::iter::repeat_n(1.0 / STARTS as f64, STARTS), start);
        self.world.town.begin(Ride::start(start).state());
        self.world.fickle = self.options.fickle_passenger && fickle < self.options.fickle_probability;
        super::write(observation, [self.world.town.state]);
    }

    /// Steps: `draw` from `0..1` decides the taxi's drift, and `other` from `0..3` the new destination of a
    /// passenger who changes it now.
    pub(super) fn advance(
        &mut self,
        action: usize,
        draw: f64,
        other: usize,
        observation: ObsMut<'_>,
    ) -> Step {
        let mut outcome = self.transitions(self.world.town.state, action).choose(draw);
        let (before, after) = (Ride::from_state(self.world.town.state), Ride::from_state(outcome.state));
        if self.world.fickle && before.passenger == ABOARD && before.taxi != after.taxi {
            self.world.fickle = false;
            outcome.state = after.redirected(other).state();
        }
        let step = self.world.town.follow(action, outcome);
        super::write(observation, [self.world.town.state]);
        step
    }
}

impl Env for Taxi {
    fn observation_space(&self) -> &Space {
        &self.observations
    }

    fn action_space(&self) -> &Space {
        &self.actions
    }

    fn reset(&mut self, seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        let rng = &mut self.world.town.rng;
        rng.reseed(seed);
        let draws = rng.random();
        self.begin(draws, observation);
        Ok(())
    }

    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        let action = action.discrete(ACTIONS as i64)?;
        if !self.world.town.running {
            return Err(EnvError::NeedsReset);
        }
        let rng = &mut self.world.town.rng;
        let draw = rng.random();
        let other = if self.world.fickle { rng.random_range(0..3) } else { 0 };
        Ok(self.advance(action, draw, other, observation))
    }

    /// The town and the last action. The taxi is on yellow, on green with the passenger aboard; the
    /// passenger's stand is in blue, the destination in magenta.
    fn render(&self) -> Option<Picture> {
        let ride = Ride::from_state(self.world.town.state);
        let mut town = MAP.map(|line| line.split("").map(String::from).collect::<Vec<_>>());
        let mut restyle = |cell: usize, style: &str| {
            let (row, column) = place(cell);
            // Splitting leaves an empty text before the first letter.
            let letter = &mut town[row][column + 1];
            if style == ON_GREEN && letter == " " {
                *letter = "_".into();
            }
            *letter = paint(letter, style);
        };
        restyle(ride.taxi, if ride.passenger == ABOARD { ON_GREEN } else { ON_YELLOW });
        for (index, style) in [(ride.passenger, BLUE), (ride.destination, MAGENTA)] {
            if let Some(cell) = stand(index) {
                restyle(cell, style);
            }
        }
        let mut text: String = town.iter().map(|line| line.concat() + "\n").collect();
        text += &self.world.town.last_action.map_or("\n".into(), |action| format!("  ({})\n", NAMES[action]));
        Some(Picture::Text(text))
    }

    fn save_state(&self) -> Option<EnvState> {
        EnvState::pack(&self.world)
    }

    fn load_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let World { town, fickle } = state.unpack()?;
        self.world = World { town: town.check(STATES, ACTIONS)?, fickle };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taxi(options: TaxiOptions) -> Taxi {
        Taxi::new(options).unwrap()
    }

    #[test]
    fn wrong_probabilities_are_refused() {
        let wrong = TaxiOptions { rainy_probability: 1.5, ..TaxiOptions::default() };
        let message = "environment option: `rainy_probability` is 1.5: give a probability, from 0 to 1";
        assert_eq!(Taxi::new(wrong).unwrap_err().to_string(), message);
        let wrong = TaxiOptions { fickle_probability: f64::NAN, ..TaxiOptions::default() };
        let message = "environment option: `fickle_probability` is NaN: give a probability, from 0 to 1";
        assert_eq!(Taxi::new(wrong).unwrap_err().to_string(), message);
    }

    #[test]
    fn the_mask_allows_the_actions_that_change_the_state() {
        let taxi = taxi(TaxiOptions::default());
        for state in 0..STATES {
            let mask = Taxi::action_mask(state).unwrap();
            let changes = |action| taxi.outcomes(state, action).unwrap().choose(0.0).state != state;
            assert_eq!(mask, std::array::from_fn(changes), "{state}");
        }
        assert_eq!(taxi.outcomes(STATES, 0), None);
        assert_eq!(taxi.outcomes(0, ACTIONS), None);
    }

    #[test]
    fn a_fickle_passenger_changes_the_destination_once() {
        let mut taxi = taxi(TaxiOptions { fickle_passenger: true, ..TaxiOptions::default() });
        let mut floats = [0.0];
        let mut destinations = Vec::new();
        // In the upper left corner, with the passenger there, who wants to go to green.
        taxi.begin([0.0, 0.1], ObsMut { floats: &mut floats, bytes: &mut [] });
        for action in [PICKUP, 1, 0, 0] {
            taxi.advance(action, 0.5, 2, ObsMut { floats: &mut floats, bytes: &mut [] });
            destinations.push(Ride::from_state(floats[0] as usize).destination);
        }
        // A move against the edge does not change the state.
        assert_eq!(destinations, [1, 1, 3, 3]);
    }
}
