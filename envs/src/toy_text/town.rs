//! The town of the taxi: its map, and the meaning of a state.

use super::grid::{Grid, Heading};

/// The town's picture. A cell stands at every other place of a row; between two cells, `:` lets the taxi pass
/// and `|` is a wall.
pub(super) const MAP: [&str; 7] =
    ["+---------+", "|R: | : :G|", "| : | : : |", "| : : : : |", "| | : | : |", "|Y| : |B: |", "+---------+"];
const GRID: Grid = Grid { rows: 5, columns: 5 };
/// The cells of the stands: red, green, yellow, blue.
const STANDS: [usize; 4] = [0, 4, 20, 23];
/// The value in place of the passenger's stand when the taxi carries them.
pub(super) const ABOARD: usize = 4;

/// The number of states: cells, times stands or aboard, times destinations.
pub(super) const STATES: usize = 25 * 5 * 4;
/// The number of starts: cells, times stands, times destinations other than the passenger's stand.
pub(super) const STARTS: usize = 25 * 4 * 3;

/// The meaning of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ride {
    pub taxi: usize,
    /// The passenger's stand, or [`ABOARD`].
    pub passenger: usize,
    /// The stand to which the passenger wants to go.
    pub destination: usize,
}

impl Ride {
    pub fn from_state(state: usize) -> Self {
        Self { taxi: state / 20, passenger: state / 4 % 5, destination: state % 4 }
    }

    pub fn state(self) -> usize {
        (self.taxi * 5 + self.passenger) * 4 + self.destination
    }

    /// Start `index` of [`STARTS`], in the order of their states.
    pub fn start(index: usize) -> Self {
        let passenger = index / 3 % 4;
        Self { taxi: index / 12, passenger, destination: other_than(passenger, index % 3) }
    }

    /// This ride with the taxi in the next cell, or in its own where the town's edge or a wall is in the way.
    pub fn moved(self, heading: Heading) -> Self {
        let (row, column) = (self.taxi / GRID.columns, self.taxi % GRID.columns);
        let passable = match heading {
            Heading::Right => MAP[row + 1].as_bytes()[2 * column + 2] == b':',
            Heading::Left => MAP[row + 1].as_bytes()[2 * column] == b':',
            Heading::Up | Heading::Down => true,
        };
        if passable { Self { taxi: GRID.beside(self.taxi, heading), ..self } } else { self }
    }

    /// The ride with one of the three destinations that it does not have.
    pub fn redirected(self, other: usize) -> Self {
        Self { destination: other_than(self.destination, other), ..self }
    }

    /// The ride after a pickup; `None` where there is no passenger.
    pub fn picked_up(self) -> Option<Self> {
        let waits_here = self.passenger != ABOARD && STANDS[self.passenger] == self.taxi;
        waits_here.then_some(Self { passenger: ABOARD, ..self })
    }

    /// The ride after a drop-off; `None` without a passenger, or away from the stands.
    pub fn dropped_off(self) -> Option<Self> {
        let here = STANDS.iter().position(|&stand| stand == self.taxi)?;
        (self.passenger == ABOARD).then_some(Self { passenger: here, ..self })
    }
}

/// Number `index` of the stands without `stand`.
fn other_than(stand: usize, index: usize) -> usize {
    index + usize::from(index >= stand)
}

/// The place of a cell in the picture: its line and its column.
pub(super) fn place(cell: usize) -> (usize, usize) {
    (cell / GRID.columns + 1, 2 * (cell % GRID.columns) + 1)
}

/// The cell of this stand; none for [`ABOARD`].
pub(super) fn stand(index: usize) -> Option<usize> {
    STANDS.get(index).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_as_it_is_written() {
        assert!((0..STATES).all(|state| Ride::from_state(state).state() == state));
        assert_eq!(Ride::from_state(499), Ride { taxi: 24, passenger: ABOARD, destination: 3 });
    }

    #[test]
    fn an_episode_starts_wherever_the_passenger_waits_away_from_the_destination() {
        let waits = |ride: &Ride| ride.passenger != ABOARD && ride.passenger != ride.destination;
        let starts: Vec<_> = (0..STATES).map(Ride::from_state).filter(waits).collect();
        assert_eq!((0..STARTS).map(Ride::start).collect::<Vec<_>>(), starts);
    }

    #[test]
    fn walls_stop_the_taxi() {
        let moves = |taxi, heading| Ride { taxi, passenger: 0, destination: 1 }.moved(heading).taxi != taxi;
        assert!(moves(0, Heading::Right) && !moves(1, Heading::Right) && !moves(2, Heading::Left));
        assert!(!moves(0, Heading::Left) && !moves(4, Heading::Right) && !moves(2, Heading::Up));
        assert!(moves(11, Heading::Right) && moves(20, Heading::Up) && !moves(20, Heading::Down));
    }
}
