//! Breakout: three rows of bricks, a ball that flies diagonally and a paddle below.

use serde::{Deserialize, Serialize};

use super::game::{Draws, Game, Grid, Move, SIDE, bit, on_grid, rectangle};
use crate::{End, Step};

/// The wall of bricks: three full rows, one row below the top.
const WALL: u128 = rectangle((0, 10), (1, 4));
/// The paddle's row.
const FLOOR: i8 = SIDE - 1;

const PADDLE: usize = 0;
const BALL: usize = 1;
const TRAIL: usize = 2;
const BRICK: usize = 3;

/// The game's state. Each brick is worth 1; the episode ends when the ball passes the paddle. Channels:
/// paddle, ball, the ball's place one step before, bricks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Breakout {
    /// The paddle's column.
    paddle: i8,
    ball: (i8, i8),
    /// The ball's place one step before.
    trail: (i8, i8),
    /// The ball's direction, -1 or 1 along each axis.
    heading: (i8, i8),
    bricks: u128,
    /// True if the last step met a brick. The ball flies through the bricks that it meets right after one.
    in_bricks: bool,
}

impl Breakout {
    /// The ball arrives on the floor in column `x`. Returns the row where it continues, and true if it is
    /// lost.
    fn land(&mut self, x: i8) -> (i8, bool) {
        if self.bricks == 0 {
            self.bricks = WALL;
        }
        if self.ball.0 == self.paddle {
            self.heading.1 = -self.heading.1;
        } else if x == self.paddle {
            // Met at its edge, the paddle sends the ball back to where it came from.
            self.heading = (-self.heading.0, -self.heading.1);
        } else {
            return (FLOOR, true);
        }
        (self.ball.1, false)
    }
}

impl Game for Breakout {
    const CHANNELS: usize = 4;
    const MINIMAL: &'static [Move] = &[Move::Stay, Move::Left, Move::Right];

    fn start(draws: &mut impl Draws) -> Self {
        let (ball, heading) = if draws.below(2) == 0 { ((0, 3), (1, 1)) } else { ((9, 3), (-1, 1)) };
        Self { paddle: 4, ball, trail: ball, heading, bricks: WALL, in_bricks: false }
    }

    fn step(&mut self, action: Move, _difficulty_ramping: bool, _draws: &mut impl Draws) -> Step {
        match action {
            Move::Left => self.paddle = (self.paddle - 1).max(0),
            Move::Right => self.paddle = (self.paddle + 1).min(SIDE - 1),
            _ => {}
        }
        let (mut x, mut y) = (self.ball.0 + self.heading.0, self.ball.1 + self.heading.1);
        if !(0..SIDE).contains(&x) {
            x = x.clamp(0, SIDE - 1);
            self.heading.0 = -self.heading.0;
        }
        let (mut reward, mut lost, mut in_bricks) = (0.0, false, false);
        if y < 0 {
            y = 0;
            self.heading.1 = -self.heading.1;
        } else if self.bricks & bit((x, y)) != 0 {
            in_bricks = true;
            if !self.in_bricks {
                reward = 1.0;
                self.bricks &= !bit((x, y));
                y = self.ball.1;
                self.heading.1 = -self.heading.1;
            }
        } else if y >= FLOOR {
            (y, lost) = self.land(x);
        }
        self.in_bricks = in_bricks;
        (self.trail, self.ball) = (self.ball, (x, y));
        Step::new(reward, End::terminated_if(lost))
    }

    fn observe(&self, cells: &mut [u8]) {
        let mut grid = Grid::<{ Self::CHANNELS }>::clear(cells);
        grid.mark((self.paddle, FLOOR), PADDLE);
        grid.mark(self.ball, BALL);
        grid.mark(self.trail, TRAIL);
        grid.mark_all(self.bricks, [BRICK]);
    }

    fn is_sound(&self) -> bool {
        let unit = |step: i8| step == 1 || step == -1;
        on_grid((self.paddle, FLOOR))
            && on_grid(self.ball)
            && on_grid(self.trail)
            && unit(self.heading.0)
            && unit(self.heading.1)
            && self.bricks & !WALL == 0
    }
}
