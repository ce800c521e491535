//! Seaquest: a submarine shoots fish and submarines, picks up divers and comes up for air.

use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};

use super::game::{Draws, Game, Grid, Move, SIDE, bit, on_grid, rectangle};
use crate::{End, Step};

/// A full tank, in steps under water.
const OXYGEN: i16 = 200;
/// Steps from one enemy to the next, at first.
const SPAWN_INTERVAL: u8 = 20;
/// Steps from one diver to the next.
const DIVER_SPAWN_INTERVAL: u8 = 30;
/// Steps that an enemy rests between two moves, at first and at last.
const REST: u8 = 5;
const SHORTEST_REST: u8 = 2;
/// Steps that a diver rests between two moves.
const DIVER_REST: u8 = 5;
/// Steps from one shot of the player to the next.
const RELOAD: u8 = 5;
/// Steps that an enemy submarine waits between two shots.
const ENEMY_RELOAD: u8 = 10;
/// The divers for whom there is room on board.
const SEATS: i32 = 6;
/// The deepest row of the player; enemies and divers keep to rows 1 to this.
const DEEPEST: i8 = SIDE - 2;
/// The row of the gauges.
const GAUGES: i8 = SIDE - 1;
const GRID: u128 = rectangle((0, 10), (0, 10));
const LEFT_EDGE: u128 = rectangle((0, 1), (0, 10));
const RIGHT_EDGE: u128 = rectangle((9, 10), (0, 10));

// An enemy crosses the grid in at most ten moves of `REST + 1` steps. While that is more than three steps,
// enemies arrive at least fifteen steps apart; later, when they arrive with every step, thirty have room on
// the grid.
const MOST_ENEMIES: usize = 32;
// A diver leaves the grid after two others have arrived, a bullet after one other.
const MOST_DIVERS: usize = 4;
const MOST_BULLETS: usize = 4;

const SUB_FRONT: usize = 0;
const SUB_BACK: usize = 1;
const OWN_BULLET: usize = 2;
const TRAIL: usize = 3;
const ENEMY_BULLET: usize = 4;
const FISH: usize = 5;
const ENEMY_SUB: usize = 6;
const OXYGEN_GAUGE: usize = 7;
const DIVER_GAUGE: usize = 8;
const DIVER: usize = 9;

/// The game's state. Each fish or submarine shot is worth 1. Surfacing fills the tank and costs a diver; with
/// six on board it is worth up to 10, by the oxygen left, and the places on board are empty. The episode ends
/// when an enemy or its bullet meets the player, when the oxygen is used up, or on surfacing without a diver.
/// With ramping, enemies arrive and move more often after each surfacing.
///
/// Channels: the player's bow, its stern, its bullets, the swimmers' trails, enemy bullets, fish, enemy
/// submarines, the gauge of oxygen, the gauge of divers, divers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Seaquest {
    /// The player's place.
    sub: (i8, i8),
    rightward: bool,
    reload: u8,
    bullets: ArrayVec<Bullet, MOST_BULLETS>,
    /// Bullets that fly to the left, and to the right.
    enemy_bullets: [u128; 2],
    /// In the order of arrival, as are the submarines and divers: a bullet hits the first one that it meets.
    fish: ArrayVec<Swimmer, MOST_ENEMIES>,
    enemy_subs: ArrayVec<EnemySub, MOST_ENEMIES>,
    divers: ArrayVec<Swimmer, MOST_DIVERS>,
    /// Divers on board. Surfacing with six leaves -1, as in the original: the next surfacings are then free.
    on_board: i32,
    oxygen: i16,
    surfaced: bool,
    spawn_interval: u8,
    spawn_timer: u8,
    diver_timer: u8,
    rest: u8,
    /// True if the next ramp speeds up the enemies too, as every second one does.
    ramp_moves: bool,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Bullet {
    at: (i8, i8),
    rightward: bool,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Swimmer {
    at: (i8, i8),
    rightward: bool,
    /// Steps until the swimmer moves.
    rest: u8,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct EnemySub {
    body: Swimmer,
    reload: u8,
}

/// The results of a step so far.
#[derive(Default)]
struct Turn {
    reward: u32,
    dead: bool,
}

fn direction(rightward: bool) -> i8 {
    if rightward { 1 } else { -1 }
}

impl Swimmer {
    /// A swimmer at a side of the grid, in a row under water.
    fn enter(rightward: bool, row: u8, rest: u8) -> Self {
        Self { at: (if rightward { 0 } else { SIDE - 1 }, row as i8), rightward, rest }
    }

    /// Moves if it has rested enough; returns true if so.
    fn swim(&mut self, rest: u8) -> bool {
        if self.rest > 0 {
            self.rest -= 1;
            return false;
        }
        self.rest = rest;
        self.at.0 += direction(self.rightward);
        true
    }
}

impl Seaquest {
    fn spawn(&mut self, draws: &mut impl Draws) {
        self.spawn_timer = self.spawn_interval;
        let rightward = draws.chance(1.0 / 2.0);
        let is_sub = draws.chance(1.0 / 3.0);
        let body = Swimmer::enter(rightward, 1 + draws.below(DEEPEST as u8), self.rest);
        // Enemies in one row all go the same way.
        let blocks = |other: &Swimmer| other.at.1 == body.at.1 && other.rightward != rightward;
        let full = self.fish.is_full() || self.enemy_subs.is_full();
        if full || self.enemy_subs.iter().any(|sub| blocks(&sub.body)) || self.fish.iter().any(blocks) {
            return;
        }
        if is_sub {
            self.enemy_subs.push(EnemySub { body, reload: ENEMY_RELOAD });
        } else {
            self.fish.push(body);
        }
    }

    fn spawn_diver(&mut self, draws: &mut impl Draws) {
        self.diver_timer = DIVER_SPAWN_INTERVAL;
        let rightward = draws.chance(1.0 / 2.0);
        let diver = Swimmer::enter(rightward, 1 + draws.below(DEEPEST as u8), DIVER_REST);
        if !self.divers.is_full() {
            self.divers.push(diver);
        }
    }

    fn steer(&mut self, action: Move) {
        let (x, y) = &mut self.sub;
        match action {
            Move::Left => (*x, self.rightward) = ((*x - 1).max(0), false),
            Move::Right => (*x, self.rightward) = ((*x + 1).min(SIDE - 1), true),
            Move::Up => *y = (*y - 1).max(0),
            Move::Down => *y = (*y + 1).min(DEEPEST),
            Move::Fire if self.reload == 0 && !self.bullets.is_full() => {
                self.bullets.push(Bullet { at: self.sub, rightward: self.rightward });
                self.reload = RELOAD;
            }
            Move::Fire | Move::Stay => {}
        }
    }

    fn move_bullets(&mut self, turn: &mut Turn) {
        // Here and below the order is from the last to the first, because the results at one place depend on
        // it.
        for index in (0..self.bullets.len()).rev() {
            let bullet = &mut self.bullets[index];
            bullet.at.0 += direction(bullet.rightward);
            let at = bullet.at;
            if !on_grid(at) {
                self.bullets.remove(index);
            } else if let Some(hit) = self.fish.iter().position(|fish| fish.at == at) {
                self.fish.remove(hit);
                self.bullets.remove(index);
                turn.reward += 1;
            } else if let Some(hit) = self.enemy_subs.iter().position(|sub| sub.body.at == at) {
                self.enemy_subs.remove(hit);
                self.bullets.remove(index);
                turn.reward += 1;
            }
        }
    }

    fn move_divers(&mut self) {
        for index in (0..self.divers.len()).rev() {
            let diver = &mut self.divers[index];
            let boards = |diver: &Swimmer| diver.at == self.sub && self.on_board < SEATS;
            let picked_up = boards(diver) || (diver.swim(DIVER_REST) && boards(diver));
            if picked_up {
                self.on_board += 1;
            }
            if picked_up || !on_grid(diver.at) {
                self.divers.remove(index);
            }
        }
    }

    /// An enemy's move. Returns true if it is gone: off the grid, or hit by a bullet.
    fn move_enemy(&mut self, enemy: &mut Swimmer, turn: &mut Turn) -> bool {
        turn.dead |= enemy.at == self.sub;
        if !enemy.swim(self.rest) {
            return false;
        }
        if !on_grid(enemy.at) {
            return true;
        }
        if enemy.at == self.sub {
            turn.dead = true;
        } else if let Some(hit) = self.bullets.iter().position(|bullet| bullet.at == enemy.at) {
            self.bullets.remove(hit);
            turn.reward += 1;
            return true;
        }
        false
    }

    fn move_enemy_subs(&mut self, turn: &mut Turn) {
        for index in (0..self.enemy_subs.len()).rev() {
            let mut sub = self.enemy_subs[index];
            let gone = self.move_enemy(&mut sub.body, turn);
            // A submarine that is shot in this very step still fires.
            if sub.reload == 0 {
                sub.reload = ENEMY_RELOAD;
                self.enemy_bullets[usize::from(sub.body.rightward)] |= bit(sub.body.at);
            } else {
                sub.reload -= 1;
            }
            if gone {
                self.enemy_subs.remove(index);
            } else {
                self.enemy_subs[index] = sub;
            }
        }
    }

    fn move_enemy_bullets(&mut self, turn: &mut Turn) {
        let [left, right] = self.enemy_bullets;
        let moved = [(left & !LEFT_EDGE) >> 1, (right & !RIGHT_EDGE) << 1];
        // A bullet and the player can pass each other unless both its places count.
        turn.dead |= (left | right | moved[0] | moved[1]) & bit(self.sub) != 0;
        self.enemy_bullets = moved;
    }

    fn move_fish(&mut self, turn: &mut Turn) {
        for index in (0..self.fish.len()).rev() {
            let mut fish = self.fish[index];
            if self.move_enemy(&mut fish, turn) {
                self.fish.remove(index);
            } else {
                self.fish[index] = fish;
            }
        }
    }

    fn breathe(&mut self, difficulty_ramping: bool, turn: &mut Turn) {
        turn.dead |= self.oxygen <= 0;
        if self.sub.1 > 0 {
            self.oxygen -= 1;
            self.surfaced = false;
        } else if !self.surfaced {
            if self.on_board == 0 {
                turn.dead = true;
            } else {
                turn.reward += self.surface();
                if difficulty_ramping {
                    self.ramp();
                }
            }
        }
    }

    /// Surfaces with divers on board; returns the reward.
    fn surface(&mut self) -> u32 {
        self.surfaced = true;
        let mut reward = 0;
        if self.on_board == SEATS {
            self.on_board = 0;
            reward = tenths(self.oxygen);
        }
        self.oxygen = OXYGEN;
        self.on_board = self.on_board.saturating_sub(1);
        reward.into()
    }

    fn ramp(&mut self) {
        if self.spawn_interval <= 1 && self.rest <= SHORTEST_REST {
            return;
        }
        if self.ramp_moves {
            self.rest = (self.rest - 1).max(SHORTEST_REST);
        }
        self.spawn_interval = (self.spawn_interval - 1).max(1);
        self.ramp_moves = !self.ramp_moves;
    }

    fn swimmers_are_sound(&self) -> bool {
        let sound = |swimmer: &Swimmer| on_grid(swimmer.at) && (1..=DEEPEST).contains(&swimmer.at.1);
        self.fish.iter().chain(&self.divers).all(sound)
            && self.enemy_subs.iter().all(|sub| sound(&sub.body))
            && self.bullets.iter().all(|bullet| on_grid(bullet.at))
            && (self.enemy_bullets[0] | self.enemy_bullets[1]) & !GRID == 0
    }
}

/// The oxygen in tenths of a tank, rounded down.
fn tenths(oxygen: i16) -> u8 {
    (oxygen.max(0) * 10 / OXYGEN) as u8
}

impl Game for Seaquest {
    const CHANNELS: usize = 10;
    const MINIMAL: &'static [Move] = &Move::ALL;

    fn start(_draws: &mut impl Draws) -> Self {
        Self {
            sub: (5, 0),
            rightward: false,
            reload: 0,
            bullets: ArrayVec::new(),
            enemy_bullets: [0; 2],
            fish: ArrayVec::new(),
            enemy_subs: ArrayVec::new(),
            divers: ArrayVec::new(),
            on_board: 0,
            oxygen: OXYGEN,
            surfaced: true,
            spawn_interval: SPAWN_INTERVAL,
            spawn_timer: SPAWN_INTERVAL,
            diver_timer: DIVER_SPAWN_INTERVAL,
            rest: REST,
            ramp_moves: false,
        }
    }

    fn step(&mut self, action: Move, difficulty_ramping: bool, draws: &mut impl Draws) -> Step {
        if self.spawn_timer == 0 {
            self.spawn(draws);
        }
        if self.diver_timer == 0 {
            self.spawn_diver(draws);
        }
        let mut turn = Turn::default();
        self.steer(action);
        self.move_bullets(&mut turn);
        self.move_divers();
        self.move_enemy_subs(&mut turn);
        self.move_enemy_bullets(&mut turn);
        self.move_fish(&mut turn);
        self.spawn_timer -= 1;
        self.diver_timer -= 1;
        self.reload = self.reload.saturating_sub(1);
        self.breathe(difficulty_ramping, &mut turn);
        Step::new(turn.reward.into(), End::terminated_if(turn.dead))
    }

    fn observe(&self, cells: &mut [u8]) {
        let mut grid = Grid::<{ Self::CHANNELS }>::clear(cells);
        let (x, y) = self.sub;
        grid.mark((x, y), SUB_FRONT);
        grid.mark((x - direction(self.rightward), y), SUB_BACK);
        (0..tenths(self.oxygen) as i8).for_each(|x| grid.mark((x, GAUGES), OXYGEN_GAUGE));
        let divers = self.on_board.clamp(0, SEATS) as i8;
        (SIDE - 1 - divers..SIDE - 1).for_each(|x| grid.mark((x, GAUGES), DIVER_GAUGE));
        self.bullets.iter().for_each(|bullet| grid.mark(bullet.at, OWN_BULLET));
        grid.mark_all(self.enemy_bullets[0] | self.enemy_bullets[1], [ENEMY_BULLET]);
        let mut swim = |swimmer: &Swimmer, channel| {
            let (x, y) = swimmer.at;
            grid.mark((x, y), channel);
            grid.mark((x - direction(swimmer.rightward), y), TRAIL);
        };
        self.fish.iter().for_each(|fish| swim(fish, FISH));
        self.enemy_subs.iter().for_each(|sub| swim(&sub.body, ENEMY_SUB));
        self.divers.iter().for_each(|diver| swim(diver, DIVER));
    }

    fn is_sound(&self) -> bool {
        on_grid(self.sub)
            && self.sub.1 <= DEEPEST
            && self.swimmers_are_sound()
            && self.on_board <= SEATS
            && (-1..=OXYGEN).contains(&self.oxygen)
            && self.spawn_interval >= 1
            && self.rest >= 1
    }
}
