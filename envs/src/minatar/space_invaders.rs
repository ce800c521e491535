//! Space Invaders: a cannon below, waves of aliens above.

use serde::{Deserialize, Serialize};

use super::game::{CELLS, Draws, Game, Grid, Move, SIDE, bit, rectangle};
use crate::{End, Step};

/// A new wave of aliens: four rows of six.
const WAVE: u128 = rectangle((2, 8), (0, 4));
const GRID: u128 = rectangle((0, 10), (0, 10));
const LEFT_EDGE: u128 = rectangle((0, 1), (0, 10));
const RIGHT_EDGE: u128 = rectangle((9, 10), (0, 10));
const BOTTOM_ROW: u128 = rectangle((0, 10), (9, 10));
/// Bits from a cell to the one below it.
const ROW: u32 = SIDE as u32;
/// The cannon's row.
const FLOOR: i8 = SIDE - 1;

/// Steps from one shot of the cannon to the next.
const RELOAD: u8 = 5;
/// Steps from one move of the first wave to the next. A wave with fewer aliens moves at intervals of as many
/// steps as it has aliens.
const MOVE_INTERVAL: u8 = 12;
/// Ramping shortens that interval by 1 with each wave, down to this.
const SHORTEST_MOVE_INTERVAL: u8 = 6;
/// Steps from one shot of the aliens to the next.
const SHOT_INTERVAL: u8 = 10;

const CANNON: usize = 0;
const ALIEN: usize = 1;
const ALIEN_LEFT: usize = 2;
const ALIEN_RIGHT: usize = 3;
const OWN_BULLET: usize = 4;
const ENEMY_BULLET: usize = 5;

/// The game's state. Each alien is worth 1; the episode ends when the cannon is hit or the aliens have come
/// down to it. With ramping, each wave is quicker than the one before. Channels: cannon, aliens, aliens that
/// move left, aliens that move right, the cannon's bullets, the aliens' bullets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SpaceInvaders {
    /// The cannon's column.
    cannon: i8,
    own_bullets: u128,
    enemy_bullets: u128,
    aliens: u128,
    rightward: bool,
    move_interval: u8,
    move_timer: u8,
    shot_timer: u8,
    reload: u8,
}

impl SpaceInvaders {
    fn aim_and_fire(&mut self, action: Move) {
        match action {
            Move::Left => self.cannon = (self.cannon - 1).max(0),
            Move::Right => self.cannon = (self.cannon + 1).min(SIDE - 1),
            Move::Fire if self.reload == 0 => {
                self.own_bullets |= bit((self.cannon, FLOOR));
                self.reload = RELOAD;
            }
            _ => {}
        }
    }

    /// One cell sideways, or down at an edge, with a turn. Returns true if the aliens have landed.
    fn move_aliens(&mut self) -> bool {
        let ahead = if self.rightward { RIGHT_EDGE } else { LEFT_EDGE };
        if self.aliens & ahead == 0 {
            self.aliens = if self.rightward { self.aliens << 1 } else { self.aliens >> 1 };
            return false;
        }
        self.rightward = !self.rightward;
        let landed = self.aliens & BOTTOM_ROW;
        // The last picture of the episode shows landed aliens at the top, as the original does.
        self.aliens = (self.aliens << ROW) & GRID | landed >> (CELLS as u32 - ROW);
        landed != 0
    }

    /// The lowest alien of the column that is nearest to the cannon, the left one of two that are equally
    /// near.
    fn nearest_alien(&self) -> Option<u128> {
        let columns = (0..SIDE).flat_map(|distance| [self.cannon - distance, self.cannon + distance]);
        let column = columns.filter(|x| (0..SIDE).contains(x)).map(|x| self.aliens & (LEFT_EDGE << x));
        let column = { column }.find(|column| *column != 0)?;
        Some(1 << column.ilog2())
    }
}

impl Game for SpaceInvaders {
    const CHANNELS: usize = 6;
    const MINIMAL: &'static [Move] = &[Move::Stay, Move::Left, Move::Right, Move::Fire];

    fn start(_draws: &mut impl Draws) -> Self {
        Self {
            cannon: 5,
            own_bullets: 0,
            enemy_bullets: 0,
            aliens: WAVE,
            rightward: false,
            move_interval: MOVE_INTERVAL,
            move_timer: MOVE_INTERVAL,
            shot_timer: SHOT_INTERVAL,
            reload: 0,
        }
    }

    fn step(&mut self, action: Move, difficulty_ramping: bool, _draws: &mut impl Draws) -> Step {
        self.aim_and_fire(action);
        let cannon = bit((self.cannon, FLOOR));
        self.own_bullets >>= ROW;
        self.enemy_bullets = (self.enemy_bullets << ROW) & GRID;
        let mut dead = (self.enemy_bullets | self.aliens) & cannon != 0;
        if self.move_timer == 0 {
            self.move_timer = self.move_interval.min(self.aliens.count_ones() as u8);
            dead |= self.move_aliens();
            dead |= self.aliens & cannon != 0;
        }
        if self.shot_timer == 0 {
            self.shot_timer = SHOT_INTERVAL;
            self.enemy_bullets |= self.nearest_alien().unwrap_or(0);
        }
        let killed = self.aliens & self.own_bullets;
        self.aliens &= !killed;
        self.own_bullets &= !killed;

        self.reload = self.reload.saturating_sub(1);
        self.move_timer = self.move_timer.saturating_sub(1);
        self.shot_timer -= 1;
        if self.aliens == 0 {
            if difficulty_ramping && self.move_interval > SHORTEST_MOVE_INTERVAL {
                self.move_interval -= 1;
            }
            self.aliens = WAVE;
        }
        Step::new(killed.count_ones().into(), End::terminated_if(dead))
    }

    fn observe(&self, cells: &mut [u8]) {
        let mut grid = Grid::<{ Self::CHANNELS }>::clear(cells);
        grid.mark((self.cannon, FLOOR), CANNON);
        if self.rightward {
            grid.mark_all(self.aliens, [ALIEN, ALIEN_RIGHT]);
        } else {
            grid.mark_all(self.aliens, [ALIEN, ALIEN_LEFT]);
        }
        grid.mark_all(self.own_bullets, [OWN_BULLET]);
        grid.mark_all(self.enemy_bullets, [ENEMY_BULLET]);
    }

    fn is_sound(&self) -> bool {
        (0..SIDE).contains(&self.cannon)
            && (self.own_bullets | self.enemy_bullets | self.aliens) & !GRID == 0
            && self.aliens != 0
            && self.move_interval >= 1
    }
}
