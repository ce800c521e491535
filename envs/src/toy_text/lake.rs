//! Maps of frozen lakes.

use super::grid::{Grid, Heading};
use crate::EnvError;

/// The most tiles of a map. An observation counts tiles as `f32`, which holds every whole number up to this.
const MOST_TILES: usize = 1 << 24;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tile {
    Start,
    Frozen,
    Hole,
    Goal,
}

impl Tile {
    fn from_letter(letter: char) -> Option<Self> {
        [Self::Start, Self::Frozen, Self::Hole, Self::Goal].into_iter().find(|tile| tile.letter() == letter)
    }

    pub fn letter(self) -> char {
        match self {
            Self::Start => 'S',
            Self::Frozen => 'F',
            Self::Hole => 'H',
            Self::Goal => 'G',
        }
    }

    /// Returns true if an episode ends here.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Hole | Self::Goal)
    }
}

/// A lake that can be crossed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lake {
    pub grid: Grid,
    /// The tiles, row by row.
    pub tiles: Vec<Tile>,
    /// The tiles on which an episode may start; never empty.
    pub starts: Vec<usize>,
}

impl Lake {
    /// Reads a map, one text a row.
    ///
    /// # Errors
    /// [`EnvError::Option`] for a map that is no rectangle, is empty or too large, has letters other than
    /// `S`, `F`, `H` and `G`, lacks a start or a goal, or has a start from which no goal can be reached.
    pub fn parse(rows: &[String]) -> Result<Self, EnvError> {
        let grid = measure(rows).map_err(refuse)?;
        let mut tiles = Vec::with_capacity(grid.cells());
        for (index, letter) in rows.iter().flat_map(|row| row.chars()).enumerate() {
            let unknown = || {
                let place = place(grid, index);
                refuse(format!("has `{letter}` in {place}: use S (start), F (frozen), H (hole) and G (goal)"))
            };
            tiles.push(Tile::from_letter(letter).ok_or_else(unknown)?);
        }
        let starts: Vec<_> = (0..tiles.len()).filter(|&index| tiles[index] == Tile::Start).collect();
        if starts.is_empty() {
            return Err(refuse("has no start: mark at least one tile with S"));
        }
        if !tiles.contains(&Tile::Goal) {
            return Err(refuse("has no goal: mark at least one tile with G"));
        }
        let safe = leading_to_a_goal(grid, &tiles);
        match starts.iter().find(|&&start| !safe[start]) {
            None => Ok(Self { grid, tiles, starts }),
            Some(&start) => {
                let place = place(grid, start);
                Err(refuse(format!(
                    "has no way to a goal from the start in {place}: free one of its holes (H)"
                )))
            }
        }
    }
}

fn measure(rows: &[String]) -> Result<Grid, String> {
    let width = |row: &String| row.chars().count();
    let columns = rows.first().map_or(0, width);
    if let Some(index) = rows.iter().position(|row| width(row) != columns) {
        let (row, tiles) = (index + 1, width(&rows[index]));
        return Err(format!(
            "is no rectangle: row {row} has {tiles} tiles and row 1 has {columns}; give rows of one length"
        ));
    }
    let count = rows.len() * columns;
    match count {
        0 => Err("has no tiles: give rows of the letters S, F, H and G, such as [\"SF\", \"FG\"]".into()),
        count if count > MOST_TILES => Err(format!("has {count} tiles: give at most {MOST_TILES}")),
        _ => Ok(Grid { rows: rows.len(), columns }),
    }
}

/// True for the tiles from which a walker can reach a goal without a hole on the way. The search starts at
/// the goals.
fn leading_to_a_goal(grid: Grid, tiles: &[Tile]) -> Vec<bool> {
    let mut found: Vec<_> = tiles.iter().map(|&tile| tile == Tile::Goal).collect();
    let mut frontier: Vec<_> = (0..tiles.len()).filter(|&index| found[index]).collect();
    while let Some(index) = frontier.pop() {
        for heading in [Heading::Up, Heading::Right, Heading::Down, Heading::Left] {
            let beside = grid.beside(index, heading);
            if !found[beside] && !tiles[beside].is_end() {
                found[beside] = true;
                frontier.push(beside);
            }
        }
    }
    found
}

fn place(grid: Grid, index: usize) -> String {
    format!("row {}, column {}", index / grid.columns + 1, index % grid.columns + 1)
}

fn refuse(reason: impl std::fmt::Display) -> EnvError {
    EnvError::Option(format!("the map `desc` {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(rows: &[&str]) -> String {
        let rows: Vec<_> = rows.iter().map(ToString::to_string).collect();
        let message = Lake::parse(&rows).unwrap_err().to_string();
        message.strip_prefix("environment option: the map `desc` ").unwrap().to_owned()
    }

    #[test]
    fn a_map_that_is_no_rectangle_is_refused() {
        let message = "is no rectangle: row 2 has 3 tiles and row 1 has 2; give rows of one length";
        assert_eq!(error(&["SF", "FFG"]), message);
        assert_eq!(error(&["", "SFG"]), message.replace("row 1 has 2", "row 1 has 0"));
    }

    #[test]
    fn a_map_of_size_zero_is_refused() {
        let message = "has no tiles: give rows of the letters S, F, H and G, such as [\"SF\", \"FG\"]";
        assert_eq!(error(&[]), message);
        assert_eq!(error(&["", ""]), message);
    }

    #[test]
    fn a_map_of_more_tiles_than_an_observation_can_count_is_refused() {
        let row = "F".repeat(1 << 12);
        let rows = vec![row.as_str(); (1 << 12) + 1];
        assert_eq!(error(&rows), "has 16781312 tiles: give at most 16777216");
    }

    #[test]
    fn unknown_letters_are_refused() {
        let message = "in row 2, column 1: use S (start), F (frozen), H (hole) and G (goal)";
        assert_eq!(error(&["SF", "XG"]), format!("has `X` {message}"));
        assert_eq!(error(&["SF", "❄G"]), format!("has `❄` {message}"));
        assert_eq!(error(&["SF", "gG"]), format!("has `g` {message}"));
    }

    #[test]
    fn a_map_without_a_start_or_a_goal_is_refused() {
        assert_eq!(error(&["FF", "FG"]), "has no start: mark at least one tile with S");
        assert_eq!(error(&["SF", "FF"]), "has no goal: mark at least one tile with G");
    }

    #[test]
    fn a_goal_that_cannot_be_reached_is_refused() {
        let message = "has no way to a goal from the start in row 1, column 1: free one of its holes (H)";
        assert_eq!(error(&["SH", "HG"]), message);
        // The second start has a way, the first has none.
        assert_eq!(error(&["SHS", "HHG"]), message);
    }

    #[test]
    fn a_map_is_read_row_by_row() {
        let lake = Lake::parse(&["SFS".to_owned(), "HFG".to_owned()]).unwrap();
        assert_eq!(lake.grid, Grid { rows: 2, columns: 3 });
        assert_eq!(lake.starts, [0, 2]);
        assert_eq!(lake.tiles.iter().map(|tile| tile.letter()).collect::<String>(), "SFSHFG");
    }
}
