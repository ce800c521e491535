//! A rectangle of cells, numbered row by row from the top left.

/// The four directions of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heading {
    Up,
    Right,
    Down,
    Left,
}

/// The size of the rectangle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    pub rows: usize,
    pub columns: usize,
}

impl Grid {
    /// The number of cells.
    pub const fn cells(self) -> usize {
        self.rows * self.columns
    }

    /// The cell beside `cell`, or `cell` itself at the rectangle's edge.
    pub fn beside(self, cell: usize, heading: Heading) -> usize {
        let (row, column) = (cell / self.columns, cell % self.columns);
        match heading {
            Heading::Up if row > 0 => cell - self.columns,
            Heading::Right if column + 1 < self.columns => cell + 1,
            Heading::Down if row + 1 < self.rows => cell + self.columns,
            Heading::Left if column > 0 => cell - 1,
            _ => cell,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walker_stops_at_the_edges() {
        let grid = Grid { rows: 2, columns: 3 };
        let ends = |cell| {
            [Heading::Up, Heading::Right, Heading::Down, Heading::Left]
                .map(|heading| grid.beside(cell, heading))
        };
        assert_eq!(ends(0), [0, 1, 3, 0]);
        assert_eq!(ends(4), [1, 5, 4, 3]);
        assert_eq!(ends(5), [2, 5, 5, 4]);
    }
}
