//! Words for people: lines on the standard error, short numbers.

use std::fmt::Display;
use std::io::{self, Write};

/// Writes a line. A reader that has gone (`2>&1 | head`) misses it, and the work goes on: `eprintln!` would panic.
pub(crate) fn tell(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// A count in few characters: `999`, `12.5k`, `3M`.
pub(crate) fn short_count(count: u64) -> String {
    let short = |unit: f64, letter: &str| {
        let text = format!("{:.2}", count as f64 / unit);
        format!("{}{letter}", text.trim_end_matches('0').trim_end_matches('.'))
    };
    match count {
        0..1_000 => count.to_string(),
        1_000..1_000_000 => short(1e3, "k"),
        _ => short(1e6, "M"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_short() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1_000, "1k"), (12_500, "12.5k"), (50_000, "50k"), (3_000_000, "3M")]
        {
            assert_eq!(short_count(number), text);
        }
    }
}
