//! RepeatPrevious: cards are dealt one by one; name the suit of an earlier one.
//!
//! After POPGym's `RepeatPrevious` (Morad et al., "POPGym: Benchmarking Partially Observable Reinforcement
//! Learning", 2023). POPGym's easy, medium and hard versions are 1 deck with k = 4, 2 decks with k = 32, 3
//! decks with k = 64.

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::render::Picture;
use crate::{Action, End, Env, EnvError, EnvState, ObsMut, SeededRng, Space, Step};

/// Cards in a deck.
const DECK: u32 = 52;
/// Spades, diamonds, clubs, hearts.
const SUITS: [char; 4] = ['♠', '♦', '♣', '♥'];

/// The card game. Observation: the suit of the card just dealt; the action names the suit of the k-th last
/// card, the one just dealt being the first. From the k-th card on each answer earns or costs the same share,
/// so that a faultless episode earns 1. The episode ends with the last card.
#[derive(Clone, Debug)]
pub struct RepeatPrevious {
    world: World,
    k: usize,
    observations: Space,
    actions: Space,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct World {
    /// The suits of all cards, in the order of dealing.
    suits: Vec<u8>,
    /// The number of cards dealt.
    dealt: usize,
    running: bool,
    rng: SeededRng,
}

impl RepeatPrevious {
    /// The cards in this number of decks.
    pub fn cards(decks: u32) -> u32 {
        DECK.saturating_mul(decks)
    }

    /// The game with so many decks (at least 1), asking for the k-th last card; `k` is held
    /// between 1 and the last card but one.
    pub fn new(decks: u32, k: u32) -> Self {
        let cards = Self::cards(decks.max(1));
        let world =
            World { suits: vec![0; cards as usize], dealt: 1, running: false, rng: SeededRng::default() };
        Self {
            world,
            k: k.clamp(1, cards - 1) as usize,
            observations: Space::Discrete(SUITS.len() as i64),
            actions: Space::Discrete(SUITS.len() as i64),
        }
    }

    /// Starts an episode in which the cards have these suits, from 0 to 3, in the order of dealing.
    ///
    /// # Errors
    /// [`EnvError::State`] for another number of cards, or for a suit above 3.
    pub fn start_from(&mut self, suits: &[u8]) -> Result<(), EnvError> {
        let rng = self.world.rng.clone();
        self.replace_world(World { suits: suits.to_vec(), dealt: 1, running: true, rng })
    }

    fn replace_world(&mut self, world: World) -> Result<(), EnvError> {
        let cards = self.world.suits.len();
        if !world.is_sound(cards) {
            let message = format!("a game of {cards} cards cannot go on from it: were there other decks?");
            return Err(EnvError::State(message));
        }
        self.world = world;
        Ok(())
    }

    /// The place of the card that is asked for, once there is one.
    fn asked(&self) -> Option<usize> {
        self.world.dealt.checked_sub(self.k)
    }
}

impl World {
    fn observe(&self, observation: ObsMut<'_>) {
        observation.floats[0] = f32::from(self.suits[self.dealt - 1]);
    }

    fn is_sound(&self, cards: usize) -> bool {
        let suits =
            self.suits.len() == cards && self.suits.iter().all(|&suit| usize::from(suit) < SUITS.len());
        // An episode under way has a card left to deal.
        suits && (1..=cards).contains(&self.dealt) && !(self.running && self.dealt == cards)
    }
}

impl Env for RepeatPrevious {
    fn observation_space(&self) -> &Space {
        &self.observations
    }

    fn action_space(&self) -> &Space {
        &self.actions
    }

    fn reset(&mut self, seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        let World { suits, dealt, running, rng } = &mut self.world;
        rng.reseed(seed);
        // The cards are shuffled from the same order each time, so that the seed alone decides.
        suits.iter_mut().zip((0..SUITS.len() as u8).cycle()).for_each(|(card, suit)| *card = suit);
        suits.shuffle(rng);
        (*dealt, *running) = (1, true);
        self.world.observe(observation);
        Ok(())
    }

    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        let answer = action.discrete(SUITS.len() as i64)?;
        if !self.world.running {
            return Err(EnvError::NeedsReset);
        }
        let cards = self.world.suits.len();
        let share = 1.0 / (cards - self.k) as f64;
        let reward = match self.asked().map(|card| usize::from(self.world.suits[card])) {
            None => 0.0,
            Some(suit) if suit == answer => share,
            Some(_) => -share,
        };
        self.world.dealt += 1;
        self.world.running = self.world.dealt < cards;
        self.world.observe(observation);
        Ok(Step::new(reward, End::terminated_if(!self.world.running)))
    }

    /// The cards dealt so far, the one that is asked for in brackets.
    fn render(&self) -> Option<Picture> {
        let dealt = self.world.suits[..self.world.dealt].iter().enumerate();
        let text = dealt.map(|(place, &suit)| {
            let suit = SUITS[usize::from(suit)];
            if self.asked() == Some(place) { format!("[{suit}]") } else { format!(" {suit} ") }
        });
        Some(Picture::Text(text.collect()))
    }

    fn save_state(&self) -> Option<EnvState> {
        EnvState::pack(&self.world)
    }

    fn load_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.replace_world(state.unpack()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EnvOptions, ObsBatch, Registry, fixtures};

    #[derive(Deserialize)]
    struct Fixture {
        episodes: Vec<Episode>,
    }

    #[derive(Deserialize)]
    struct Episode {
        options: toml::Table,
        suits: Vec<u8>,
        actions: Vec<i64>,
        observations: Vec<f32>,
        rewards: Vec<f64>,
        terminated: Vec<bool>,
        truncated: Vec<bool>,
    }

    impl Episode {
        /// The registered environment with the cards of this episode.
        fn env(&self) -> Box<dyn Env> {
            let size = |name: &str| self.options[name].as_integer().unwrap() as u32;
            let mut game = RepeatPrevious::new(size("num_decks"), size("k"));
            game.start_from(&self.suits).unwrap();
            let options = EnvOptions::new(self.options.clone());
            let mut env = Registry::bundled().make_with("RepeatPrevious-v0", &options).unwrap();
            env.load_state(&game.save_state().unwrap()).unwrap();
            env
        }
    }

    /// Compares with `scripts/record-traces/memory.py`.
    #[test]
    fn whole_episodes_are_popgyms() {
        let fixture = Fixture::deserialize(fixtures::read("RepeatPrevious-v0")).unwrap();
        for episode in fixture.episodes {
            let mut env = episode.env();
            let mut seen = ObsBatch::new(env.observation_space(), 1);
            for (index, &action) in episode.actions.iter().enumerate() {
                let step = env.step(Action::Discrete(action), seen.row_mut(0)).unwrap();
                let end = End::terminated_if(episode.terminated[index]);
                assert_eq!((step, episode.truncated[index]), (Step::new(episode.rewards[index], end), false));
                assert_eq!(seen.floats(), [episode.observations[index]]);
            }
        }
    }

    #[test]
    fn a_faultless_episode_earns_one() {
        for (decks, k) in [(1, 4), (2, 32), (3, 64)] {
            let mut env = RepeatPrevious::new(decks, k);
            let mut seen = ObsBatch::new(env.observation_space(), 1);
            env.reset(Some(5), seen.row_mut(0)).unwrap();
            let mut memory = vec![seen.floats()[0]];
            let mut total = 0.0;
            loop {
                let answer = memory[memory.len().saturating_sub(k as usize)];
                let step = env.step(Action::Discrete(answer as i64), seen.row_mut(0)).unwrap();
                total += step.reward;
                memory.push(seen.floats()[0]);
                if step.end.is_over() {
                    break;
                }
            }
            assert!((total - 1.0).abs() < 1e-9, "{total}");
            // Each deck has 13 cards of each suit.
            for suit in 0..4 {
                assert_eq!(memory.iter().filter(|&&seen| seen == suit as f32).count(), 13 * decks as usize);
            }
        }
    }

    #[test]
    fn sizes_are_checked() {
        let make = |options: &str| {
            let options = EnvOptions::new(options.parse().unwrap());
            Registry::bundled().make_with("RepeatPrevious-v0", &options).err().map(|error| error.to_string())
        };
        assert_eq!(make("num_decks = 2\nk = 103"), None);
        assert!(make("k = 52").unwrap().contains("from 1 to 51"));
        assert!(make("k = 0").unwrap().contains("from 1 to 51"));
        assert!(make("num_decks = -1").unwrap().contains("from 1 to 1000"));
    }

    #[test]
    fn impossible_cards_are_refused() {
        let mut env = RepeatPrevious::new(1, 4);
        assert!(env.start_from(&[0; 51]).is_err());
        assert!(env.start_from(&[4; 52]).is_err());
        assert!(env.load_state(&RepeatPrevious::new(2, 4).save_state().unwrap()).is_err());
        env.start_from(&[3; 52]).unwrap();
        for dealt in [0, 52, 53] {
            let mut world = env.world.clone();
            world.dealt = dealt;
            assert!(env.load_state(&EnvState::pack(&world).unwrap()).is_err(), "{dealt}");
        }
    }

    #[test]
    fn the_picture_shows_the_card_that_is_asked_for() {
        let mut env = RepeatPrevious::new(1, 2);
        let suits: Vec<u8> = (0..52).map(|card| card % 4).collect();
        env.start_from(&suits).unwrap();
        assert_eq!(env.render(), Some(Picture::Text(" ♠ ".into())));
        let mut seen = ObsBatch::new(env.observation_space(), 1);
        env.step(Action::Discrete(0), seen.row_mut(0)).unwrap();
        env.step(Action::Discrete(0), seen.row_mut(0)).unwrap();
        assert_eq!(env.render(), Some(Picture::Text(" ♠ [♦] ♣ ".into())));
    }
}
