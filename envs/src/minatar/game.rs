//! The common parts of the games: the moves, the rules, the random draws, and the grid of an observation.

use rand::RngExt;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{EnvError, SeededRng, Step};

/// Cells along each side of the grid.
pub const SIDE: i8 = 10;

/// Cells of the grid.
pub const CELLS: usize = SIDE as usize * SIDE as usize;

/// The player's moves. The full action set has all six, in this order; a game's minimal set has those that do
/// something in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Move {
    /// Nothing.
    Stay,
    /// One cell to the left.
    Left,
    /// One cell up.
    Up,
    /// One cell to the right.
    Right,
    /// One cell down.
    Down,
    /// A shot.
    Fire,
}

impl Move {
    /// The full action set.
    pub const ALL: [Move; 6] = [Move::Stay, Move::Left, Move::Up, Move::Right, Move::Down, Move::Fire];
}

/// The rules of play.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// With this probability a step repeats the move of the step before, whatever the action is (Machado et
    /// al., "Revisiting the Arcade Learning Environment", 2018).
    pub sticky_action_prob: f64,
    /// True if the game becomes harder with time. Breakout and Freeway never do.
    pub difficulty_ramping: bool,
}

impl Default for Rules {
    /// As in the paper: sticky actions with probability 0.1, and ramping.
    fn default() -> Self {
        Self { sticky_action_prob: 0.1, difficulty_ramping: true }
    }
}

impl Rules {
    pub(super) fn check(self) -> Result<Self, EnvError> {
        let given = self.sticky_action_prob;
        if (0.0..=1.0).contains(&given) {
            return Ok(self);
        }
        let message = format!("`sticky_action_prob` is {given}: give a probability from 0 to 1");
        Err(EnvError::Option(message))
    }
}

/// The source of a game's random draws: a generator in play, a script of recorded draws where two
/// implementations are compared.
pub trait Draws {
    /// Returns true with this probability.
    fn chance(&mut self, probability: f64) -> bool;

    /// A whole number from `0..n`, drawn uniformly; `n` is at least 1.
    fn below(&mut self, n: u8) -> u8;
}

impl Draws for SeededRng {
    fn chance(&mut self, probability: f64) -> bool {
        self.random::<f64>() < probability
    }

    fn below(&mut self, n: u8) -> u8 {
        self.random_range(0..n)
    }
}

/// The rules of one game, without sticky actions and without the bookkeeping of episodes: [`super::MinAtar`]
/// makes an environment of it.
pub trait Game: Clone + Send + Serialize + DeserializeOwned + Sized {
    /// The channels of the observation, one for each kind of thing on the grid.
    const CHANNELS: usize;

    /// The moves that do something.
    const MINIMAL: &'static [Move];

    /// The first moment of an episode.
    fn start(draws: &mut impl Draws) -> Self;

    /// One step of an episode that is not over.
    fn step(&mut self, action: Move, difficulty_ramping: bool, draws: &mut impl Draws) -> Step;

    /// Writes the whole observation: a cell's channels side by side, cells row by row from the top left.
    fn observe(&self, cells: &mut [u8]);

    /// Returns true if the numbers can belong to a game. `step` need not handle others, which only a damaged
    /// saved state can hold.
    fn is_sound(&self) -> bool;
}

/// A game and the move that a sticky action repeats.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Round<G> {
    pub game: G,
    /// The original keeps it over resets, so that the first step of an episode can repeat the last move of
    /// the episode before.
    pub last_move: Move,
}

impl<G: Game> Round<G> {
    pub fn new(draws: &mut impl Draws) -> Self {
        Self { game: G::start(draws), last_move: Move::Stay }
    }

    pub fn step(&mut self, action: Move, rules: Rules, draws: &mut impl Draws) -> Step {
        // The number is drawn even where nothing sticks, as in the original, so that one script of draws fits
        // both.
        if !draws.chance(rules.sticky_action_prob) {
            self.last_move = action;
        }
        self.game.step(self.last_move, rules.difficulty_ramping, draws)
    }
}

/// The cells of an observation with `C` channels, all clear at first.
pub(super) struct Grid<'a, const C: usize>(&'a mut [[u8; C]]);

impl<'a, const C: usize> Grid<'a, C> {
    pub fn clear(cells: &'a mut [u8]) -> Self {
        cells.fill(0);
        Self(cells.as_chunks_mut().0)
    }

    /// Marks a cell in a channel; a place outside of the grid is ignored.
    pub fn mark(&mut self, (x, y): (i8, i8), channel: usize) {
        if on_grid((x, y))
            && let Some(cell) = self.0.get_mut(index((x, y)))
        {
            cell[channel] = 1;
        }
    }

    /// Marks every cell of the board in each of the channels, in which nothing else is marked.
    pub fn mark_all<const N: usize>(&mut self, mut board: u128, channels: [usize; N]) {
        const WIDTH: usize = SIDE as usize;
        // Works row by row without a test for each cell: boards have few rows in use, but these may be full.
        let (rows, _) = self.0.as_chunks_mut::<WIDTH>();
        for row in rows {
            let marks = board as u16 & ((1 << WIDTH) - 1);
            if marks != 0 {
                for (x, cell) in row.iter_mut().enumerate() {
                    channels.iter().for_each(|&channel| cell[channel] = (marks >> x & 1) as u8);
                }
            }
            board >>= WIDTH;
            if board == 0 {
                break;
            }
        }
    }
}

/// Returns true if the place lies on the grid.
pub(super) fn on_grid((x, y): (i8, i8)) -> bool {
    (0..SIDE).contains(&x) && (0..SIDE).contains(&y)
}

fn index((x, y): (i8, i8)) -> usize {
    y as usize * SIDE as usize + x as usize
}

/// The bit of one cell, or none for a place outside of the grid. Boards have one bit per cell, the top left
/// cell lowest.
pub(super) fn bit(place: (i8, i8)) -> u128 {
    if on_grid(place) { 1 << index(place) } else { 0 }
}

/// The board of a rectangle, with these ranges of columns and rows.
pub(super) const fn rectangle(columns: (u32, u32), rows: (u32, u32)) -> u128 {
    let row = (1_u128 << columns.1) - (1 << columns.0);
    let (mut board, mut y) = (0, rows.0);
    while y < rows.1 {
        board |= row << (y * SIDE as u32);
        y += 1;
    }
    board
}
