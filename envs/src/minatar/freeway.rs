//! Freeway: a chicken crosses eight lanes of cars, again and again.

use serde::{Deserialize, Serialize};

use super::game::{Draws, Game, Grid, Move, SIDE};
use crate::{End, Step};

/// The lanes, with one car in each; the first lies one below the top.
const LANES: usize = 8;
/// The chicken's column.
const COLUMN: i8 = 4;
/// The chicken's first row, to which a car sends it back.
const START: i8 = SIDE - 1;
/// Steps from one move of the chicken to the next.
const MOVE_INTERVAL: u8 = 3;
/// The steps of an episode, less one.
const DURATION: u16 = 2500;
/// Cars move at most every second and at least every sixth step.
const SPEEDS: u8 = 5;

const CHICKEN: usize = 0;
const CAR: usize = 1;
/// The channel of the trails of the fastest cars; those of slower ones follow.
const FASTEST_TRAIL: usize = 2;

/// The game's state. Each crossing is worth 1 and gives the cars new speeds; an episode has 2501 steps, the
/// last of which terminates it. Channels: chicken, cars, and the cars' trails in one of five channels by
/// speed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Freeway {
    /// The chicken's row.
    row: i8,
    /// Steps until the chicken can move again.
    move_timer: u8,
    cars: [Car; LANES],
    steps_left: u16,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Car {
    x: i8,
    /// Steps until the car moves.
    wait: u8,
    /// Steps that the car stands between two moves, from 1 to 5.
    interval: u8,
    rightward: bool,
}

impl Car {
    fn drive(&mut self) {
        if self.wait > 0 {
            self.wait -= 1;
            return;
        }
        self.wait = self.interval;
        self.x = beside(self.x, self.rightward);
    }
}

/// The column to the right or left of `x`; the grid's edges meet.
fn beside(x: i8, right: bool) -> i8 {
    match (x, right) {
        (9, true) => 0,
        (0, false) => SIDE - 1,
        (x, true) => x + 1,
        (x, false) => x - 1,
    }
}

/// Gives every car a new speed and direction; its place stays.
fn draw_speeds(cars: &mut [Car; LANES], draws: &mut impl Draws) {
    for car in cars.iter_mut() {
        car.interval = 1 + draws.below(SPEEDS);
        car.wait = car.interval;
    }
    for car in cars {
        car.rightward = !draws.chance(0.5);
    }
}

impl Freeway {
    /// Returns true if the car of the chicken's lane is at the chicken's place.
    fn hit(&self) -> bool {
        let car = self.cars.get(self.row as usize - 1);
        car.is_some_and(|car| car.x == COLUMN)
    }
}

impl Game for Freeway {
    const CHANNELS: usize = 7;
    const MINIMAL: &'static [Move] = &[Move::Stay, Move::Up, Move::Down];

    fn start(draws: &mut impl Draws) -> Self {
        let mut cars = [Car::default(); LANES];
        draw_speeds(&mut cars, draws);
        Self { row: START, move_timer: MOVE_INTERVAL, cars, steps_left: DURATION }
    }

    fn step(&mut self, action: Move, _difficulty_ramping: bool, draws: &mut impl Draws) -> Step {
        let mut reward = 0.0;
        if self.move_timer == 0 && matches!(action, Move::Up | Move::Down) {
            self.move_timer = MOVE_INTERVAL;
            self.row = if action == Move::Up { self.row - 1 } else { (self.row + 1).min(START) };
        }
        if self.row == 0 {
            reward = 1.0;
            draw_speeds(&mut self.cars, draws);
            self.row = START;
        }
        // A chicken can run into a car, and a car into a chicken.
        let mut hit = self.hit();
        self.cars.iter_mut().for_each(Car::drive);
        hit |= self.hit();
        if hit {
            self.row = START;
        }
        self.move_timer = self.move_timer.saturating_sub(1);
        let over = self.steps_left == 0;
        self.steps_left = self.steps_left.saturating_sub(1);
        Step::new(reward, End::terminated_if(over))
    }

    fn observe(&self, cells: &mut [u8]) {
        let mut grid = Grid::<{ Self::CHANNELS }>::clear(cells);
        grid.mark((COLUMN, self.row), CHICKEN);
        for (car, y) in self.cars.iter().zip(1..) {
            grid.mark((car.x, y), CAR);
            let trail = FASTEST_TRAIL + usize::from(car.interval) - 1;
            grid.mark((beside(car.x, !car.rightward), y), trail);
        }
    }

    fn is_sound(&self) -> bool {
        let car = |car: &Car| (0..SIDE).contains(&car.x) && (1..=SPEEDS).contains(&car.interval);
        (1..=START).contains(&self.row) && self.cars.iter().all(car)
    }
}
