//! Whole episodes of the package's games, replayed. `scripts/record-traces/min_atar.py` has recorded them.

use std::collections::BTreeMap;

use flate2::Crc;
use serde::Deserialize;
use serde_json::Value;

use super::game::{CELLS, Draws, Game, Move, Round, Rules};
use super::{Asterix, Breakout, Freeway, Seaquest, SpaceInvaders};
use crate::{BoxLayout, BoxSpace, Dtype, EnvOptions, Registry, Space, fixtures};

/// Steps from one digest to the next.
const DIGEST_INTERVAL: usize = 8;

#[derive(Deserialize)]
struct Fixture {
    spaces: Spaces,
    plays: Vec<Play>,
}

#[derive(Deserialize)]
struct Spaces {
    shape: Vec<usize>,
    /// The number of actions of each id.
    actions: BTreeMap<String, i64>,
}

/// Episodes one after the other in one environment.
#[derive(Deserialize)]
struct Play {
    id: String,
    options: toml::Table,
    draws: String,
    episodes: Vec<Episode>,
}

#[derive(Deserialize)]
struct Episode {
    /// The game's state, if it is not the usual start.
    start: Option<Value>,
    /// One digit for each step.
    actions: String,
    /// Step and reward, for rewards other than 0.
    rewards: Vec<(usize, f64)>,
    terminated: bool,
    /// The CRC-32 of all observations so far, at intervals and after the last step.
    digests: Vec<u32>,
}

/// Recorded draws, a byte each.
struct Script {
    draws: std::vec::IntoIter<u8>,
}

impl Script {
    fn new(hex: &str) -> Self {
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let draws: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        Self { draws: draws.into_iter() }
    }

    fn byte(&mut self) -> u8 {
        self.draws.next().expect("the original has drawn as often")
    }
}

impl Draws for Script {
    fn chance(&mut self, probability: f64) -> bool {
        (f64::from(self.byte()) + 0.5) / 256.0 < probability
    }

    fn below(&mut self, n: u8) -> u8 {
        (u16::from(self.byte()) * u16::from(n) / 256) as u8
    }
}

impl Episode {
    /// Plays the episode and compares; returns its steps.
    fn replay<G: Game>(
        &self,
        round: &mut Round<G>,
        moves: &[Move],
        rules: Rules,
        script: &mut Script,
    ) -> usize {
        let mut cells = vec![7; CELLS * G::CHANNELS];
        let mut digest = Crc::new();
        let (mut rewards, mut digests) = (self.rewards.iter(), self.digests.iter());
        round.game = G::start(script);
        if let Some(state) = &self.start {
            round.game = G::deserialize(state).unwrap();
        }
        round.game.observe(&mut cells);
        digest.update(&cells);
        let mut next_reward = rewards.next();
        for (index, action) in self.actions.bytes().enumerate() {
            let step = round.step(moves[usize::from(action - b'0')], rules, script);
            let reward = next_reward.filter(|(at, _)| *at == index).map_or(0.0, |(_, reward)| *reward);
            if reward != 0.0 {
                next_reward = rewards.next();
            }
            assert_eq!(step.reward, reward, "the reward of step {index}");
            let last = index + 1 == self.actions.len();
            assert_eq!(step.end.is_over(), last && self.terminated, "the end at step {index}");
            assert!(round.game.is_sound(), "step {index} comes to a state that could not be loaded");
            round.game.observe(&mut cells);
            digest.update(&cells);
            if last || (index + 1) % DIGEST_INTERVAL == 0 {
                let same = digests.next() == Some(&digest.sum());
                assert!(same, "an observation of step {index} or of the {DIGEST_INTERVAL} steps before it");
            }
        }
        assert!(next_reward.is_none() && digests.next().is_none());
        self.actions.len()
    }
}

impl Play {
    fn replay<G: Game>(&self) -> usize {
        let options = EnvOptions::new(self.options.clone());
        let rules = Rules {
            sticky_action_prob: options.number("sticky_action_prob", 0.1).unwrap(),
            difficulty_ramping: options.flag("difficulty_ramping", true).unwrap(),
        };
        let moves = if self.id.ends_with("-v0") { &Move::ALL } else { G::MINIMAL };
        let mut script = Script::new(&self.draws);
        // The last move outlives an episode, so that all episodes of a play share one round.
        let unused = G::start(&mut Script { draws: vec![0; 64].into_iter() });
        let mut round = Round { game: unused, last_move: Move::Stay };
        let replay = |episode: &Episode| episode.replay(&mut round, moves, rules, &mut script);
        let steps = self.episodes.iter().map(replay).sum();
        assert_eq!(script.draws.len(), 0, "{}: draws that the original has taken", self.id);
        steps
    }
}

impl Spaces {
    fn assert_equal(&self) {
        let count = self.shape.iter().product();
        let bits = BoxSpace::new(vec![0.0; count], vec![1.0; count], &self.shape, Dtype::U8).unwrap();
        let bits = bits.with_layout(BoxLayout::ChannelsLast).unwrap();
        for (id, actions) in &self.actions {
            let env = Registry::bundled().make(id).unwrap();
            assert_eq!(*env.observation_space(), Space::Box(bits.clone()), "{id}");
            assert_eq!(*env.action_space(), Space::Discrete(*actions), "{id}");
        }
    }
}

/// Compares the game with its fixture. `cargo test parity -- --nocapture` shows the number of steps.
fn assert_parity<G: Game>(name: &str) {
    let fixture = Fixture::deserialize(fixtures::read(&format!("MinAtar-{name}"))).unwrap();
    assert_eq!(fixture.spaces.actions.len(), 2);
    fixture.spaces.assert_equal();
    let steps: usize = fixture.plays.iter().map(Play::replay::<G>).sum();
    let episodes: usize = fixture.plays.iter().map(|play| play.episodes.len()).sum();
    println!("MinAtar/{name}: {episodes} episodes, {steps} steps, no deviation");
}

#[test]
fn asterix_is_the_packages() {
    assert_parity::<Asterix>("Asterix");
}

#[test]
fn breakout_is_the_packages() {
    assert_parity::<Breakout>("Breakout");
}

#[test]
fn freeway_is_the_packages() {
    assert_parity::<Freeway>("Freeway");
}

#[test]
fn seaquest_is_the_packages() {
    assert_parity::<Seaquest>("Seaquest");
}

#[test]
fn space_invaders_is_the_packages() {
    assert_parity::<SpaceInvaders>("SpaceInvaders");
}
