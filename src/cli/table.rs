//! Tables for people: columns that fit into the terminal, short times.

use std::time::Duration;

/// The columns of an output that is no terminal.
const PIPED: usize = 100;
/// The narrowest that a column is made, in characters.
const NARROW: usize = 8;

/// The width of the terminal in characters.
pub(super) fn width() -> usize {
    let terminal = console::Term::stdout();
    terminal.size_checked().map_or(PIPED, |(_, columns)| columns.into())
}

/// The table's lines with a head. The last column is whole, since it is there to be copied; where the others are
/// too wide beside it, the widest of those of words give way.
pub(super) fn lines(head: &[&str], rows: &[Vec<String>], width: usize) -> Vec<String> {
    let count = head.len();
    let mut rows: Vec<Vec<String>> = rows.to_vec();
    rows.insert(0, head.iter().map(|word| word.to_string()).collect());
    let length = |cell: &String| cell.chars().count();
    let mut widths: Vec<usize> =
        (0..count).map(|column| rows.iter().map(|row| length(&row[column])).max().unwrap_or(0)).collect();
    let total = |widths: &[usize], gap: usize| widths.iter().sum::<usize>() + gap * (count - 1);
    let gap = if total(&widths, 2) <= width { 2 } else { 1 };
    // The first two columns are words that the run's path has as well, mostly.
    while total(&widths, gap) > width {
        let Some(widest) = (0..2.min(count - 1))
            .filter(|&column| widths[column] > NARROW)
            .max_by_key(|&column| widths[column])
        else {
            break;
        };
        widths[widest] -= 1;
    }
    let line = |row: &Vec<String>| {
        let mut text = String::new();
        for (column, cell) in row.iter().enumerate() {
            let cell = cut(cell, widths[column]);
            match column + 1 == count {
                true => text.push_str(&cell),
                false => text.push_str(&format!("{cell:<width$}{:gap$}", "", width = widths[column])),
            }
        }
        text.trim_end().to_string()
    };
    rows.iter().map(line).collect()
}

/// The text with so many characters at most; a dot at the end says that some are missing.
fn cut(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most.saturating_sub(1)).chain(['.']).collect(),
        false => text.into(),
    }
}

/// A time in one unit: `40 s`, `3 min`, `5 h`, `12 d`.
pub(super) fn age(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        for (seconds, text) in [(5, "5 s"), (200, "3 min"), (7_300, "2 h"), (200_000, "2 d")] {
            assert_eq!(age(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn words_give_way_and_the_last_column_does_not() {
        let row = |on: &str, run: &str| vec!["dqn".into(), on.into(), run.into()];
        let rows = [row("CartPole-v1", "runs/a"), row("AVeryLongEnvironment-v0", "runs/a/very/long/path")];
        let wide = lines(&["agent", "on", "run"], &rows, 100);
        assert_eq!(wide[1], "dqn    CartPole-v1              runs/a");
        let narrow = lines(&["agent", "on", "run"], &rows, 40);
        assert_eq!(narrow[2], "dqn   AVeryLongEn. runs/a/very/long/path");
        assert!(narrow.iter().all(|line| line.len() <= 40));
        let tiny = lines(&["agent", "on", "run"], &rows, 5);
        assert!(tiny[2].ends_with(" runs/a/very/long/path"), "{tiny:?}");
    }
}
