//! Asterix: enemies and treasure run across the field from its sides.

use serde::{Deserialize, Serialize};

use super::game::{Draws, Game, Grid, Move, SIDE, on_grid};
use crate::{End, Step};

/// Rows in which runners move, one in each; the first row lies one below the top.
const LANES: usize = 8;
/// Steps from one ramp of the difficulty to the next, less two.
const RAMP_INTERVAL: i8 = 100;
/// Steps from one arrival to the next, at first.
const SPAWN_INTERVAL: u8 = 10;
/// Steps from one move of the runners to the next, at first.
const MOVE_INTERVAL: u8 = 5;

const PLAYER: usize = 0;
const ENEMY: usize = 1;
const TRAIL: usize = 2;
const GOLD: usize = 3;

/// The game's state. Each treasure is worth 1; the episode ends when the player meets an enemy. With ramping,
/// runners arrive and move more and more often. Channels: player, enemies, trails of the runners, treasure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Asterix {
    player: (i8, i8),
    /// The runner in each lane.
    runners: [Option<Runner>; LANES],
    spawn_interval: u8,
    spawn_timer: u8,
    move_interval: u8,
    move_timer: u8,
    ramp_timer: i8,
    /// True if the next ramp speeds up the runners too, as every second one does.
    ramp_moves: bool,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Runner {
    x: i8,
    rightward: bool,
    gold: bool,
}

impl Runner {
    fn direction(self) -> i8 {
        if self.rightward { 1 } else { -1 }
    }
}

impl Asterix {
    /// Puts a new runner at a side of an empty lane, if there is one.
    fn spawn(&mut self, draws: &mut impl Draws) {
        let rightward = draws.chance(1.0 / 2.0);
        let gold = draws.chance(1.0 / 3.0);
        let empty = self.runners.iter().filter(|runner| runner.is_none()).count();
        if empty == 0 {
            return;
        }
        let choice = draws.below(empty as u8).into();
        if let Some(lane) = self.runners.iter_mut().filter(|runner| runner.is_none()).nth(choice) {
            *lane = Some(Runner { x: if rightward { 0 } else { SIDE - 1 }, rightward, gold });
        }
    }

    fn walk(&mut self, action: Move) {
        let (x, y) = &mut self.player;
        match action {
            Move::Left => *x = (*x - 1).max(0),
            Move::Right => *x = (*x + 1).min(SIDE - 1),
            Move::Up => *y = (*y - 1).max(1),
            Move::Down => *y = (*y + 1).min(LANES as i8),
            Move::Stay | Move::Fire => {}
        }
    }

    /// Meets the runner at the player's place, if any. Returns the reward of a treasure, and true for an
    /// enemy.
    fn meet(&mut self) -> (f64, bool) {
        let (x, y) = self.player;
        let lane = &mut self.runners[y as usize - 1];
        match *lane {
            Some(runner) if runner.x == x => {
                if runner.gold {
                    *lane = None;
                }
                (f64::from(u8::from(runner.gold)), !runner.gold)
            }
            _ => (0.0, false),
        }
    }

    fn run(&mut self) {
        for lane in &mut self.runners {
            if let Some(runner) = lane {
                runner.x += runner.direction();
                if !(0..SIDE).contains(&runner.x) {
                    *lane = None;
                }
            }
        }
    }

    fn ramp(&mut self) {
        if self.spawn_interval <= 1 && self.move_interval <= 1 {
            return;
        }
        if self.ramp_timer >= 0 {
            self.ramp_timer -= 1;
            return;
        }
        if self.ramp_moves {
            self.move_interval = (self.move_interval - 1).max(1);
        }
        self.spawn_interval = (self.spawn_interval - 1).max(1);
        self.ramp_moves = !self.ramp_moves;
        self.ramp_timer = RAMP_INTERVAL;
    }
}

impl Game for Asterix {
    const CHANNELS: usize = 4;
    const MINIMAL: &'static [Move] = &[Move::Stay, Move::Left, Move::Up, Move::Right, Move::Down];

    fn start(_draws: &mut impl Draws) -> Self {
        Self {
            player: (5, 5),
            runners: [None; LANES],
            spawn_interval: SPAWN_INTERVAL,
            spawn_timer: SPAWN_INTERVAL,
            move_interval: MOVE_INTERVAL,
            move_timer: MOVE_INTERVAL,
            ramp_timer: RAMP_INTERVAL,
            ramp_moves: false,
        }
    }

    fn step(&mut self, action: Move, difficulty_ramping: bool, draws: &mut impl Draws) -> Step {
        if self.spawn_timer == 0 {
            self.spawn(draws);
            self.spawn_timer = self.spawn_interval;
        }
        self.walk(action);
        let (mut reward, mut dead) = self.meet();
        if self.move_timer == 0 {
            self.move_timer = self.move_interval;
            self.run();
            let met = self.meet();
            (reward, dead) = (reward + met.0, dead || met.1);
        }
        self.spawn_timer -= 1;
        self.move_timer -= 1;
        if difficulty_ramping {
            self.ramp();
        }
        Step::new(reward, End::terminated_if(dead))
    }

    fn observe(&self, cells: &mut [u8]) {
        let mut grid = Grid::<{ Self::CHANNELS }>::clear(cells);
        grid.mark(self.player, PLAYER);
        for (runner, y) in self.runners.iter().zip(1..) {
            if let Some(runner) = runner {
                grid.mark((runner.x, y), if runner.gold { GOLD } else { ENEMY });
                grid.mark((runner.x - runner.direction(), y), TRAIL);
            }
        }
    }

    fn is_sound(&self) -> bool {
        on_grid(self.player)
            && (1..=LANES as i8).contains(&self.player.1)
            && self.runners.iter().flatten().all(|runner| on_grid((runner.x, 1)))
            && self.spawn_interval >= 1
            && self.move_interval >= 1
    }
}
