//! The columns of a table, looked through before they are turned into numbers.

use std::collections::BTreeMap;

/// The most different values of a column that is text or a class.
pub(super) const MOST_VALUES: usize = 10_000;

/// What a column has: numbers or text, and which values.
#[derive(Debug)]
pub(super) struct Survey {
    /// The first cell that is no number, and its line.
    text: Option<(String, u64)>,
    /// Cells that are numbers, and cells that are none.
    numbers: usize,
    texts: usize,
    whole: bool,
    /// The different cells and the places of their values; nothing where they are not needed, or too many.
    cells: Option<BTreeMap<String, usize>>,
    /// The different values by place.
    values: Vec<String>,
}

/// The ways to write that a value is missing, in small letters.
const MISSING: [&str; 6] = ["", "?", "na", "n/a", "nan", "null"];

/// The number in a cell.
pub(super) fn number(cell: &str) -> Result<f32, String> {
    match cell.parse::<f32>() {
        Ok(number) if number.is_finite() => Ok(number),
        Ok(_) => Err(format!("`{cell}` is no finite number")),
        Err(_) => Err(format!("`{cell}` is no number")),
    }
}

impl Survey {
    /// An empty column; `keep` keeps its different values.
    pub fn new(keep: bool) -> Self {
        Self {
            text: None,
            numbers: 0,
            texts: 0,
            whole: true,
            cells: keep.then(BTreeMap::new),
            values: Vec::new(),
        }
    }

    /// Looks at one more cell. A missing value is an error.
    pub fn add(&mut self, cell: &str, line: u64) -> Result<(), String> {
        if MISSING.iter().any(|missing| missing.eq_ignore_ascii_case(cell)) {
            return Err("the value is missing: fill it in, or take the row out".into());
        }
        match cell.parse::<f32>() {
            Ok(_) => {
                self.numbers += 1;
                self.whole &= number(cell)?.fract() == 0.0;
            }
            Err(_) => {
                self.texts += 1;
                self.text.get_or_insert_with(|| (cell.to_string(), line));
            }
        }
        if let Some(cells) = &mut self.cells {
            if !cells.contains_key(cell) {
                cells.insert(cell.to_string(), 0);
            }
            if cells.len() > MOST_VALUES {
                self.cells = None;
            }
        }
        Ok(())
    }

    /// Numbers the values: text in the order of its letters; numbers by size, `1` and `1.0` being one value.
    pub fn finish(&mut self) {
        let is_text = self.is_text();
        let Some(cells) = &mut self.cells else { return };
        if is_text {
            for (place, (cell, at)) in cells.iter_mut().enumerate() {
                *at = place;
                self.values.push(cell.clone());
            }
            return;
        }
        let mut numbers: Vec<_> =
            cells.iter_mut().map(|(cell, at)| (number(cell).unwrap_or(0.0) + 0.0, at)).collect();
        numbers.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let mut last = None;
        for (number, at) in numbers {
            if last != Some(number) {
                self.values.push(number.to_string());
                last = Some(number);
            }
            *at = self.values.len() - 1;
        }
    }

    /// The first text of the column and its line, if it has any.
    pub fn text(&self) -> Option<&(String, u64)> {
        self.text.as_ref()
    }

    /// The text and its line that looks like a slip: nine cells in ten of the column are numbers.
    pub fn slip(&self) -> Option<&(String, u64)> {
        self.text.as_ref().filter(|_| self.numbers >= 9 * self.texts)
    }

    /// True if a cell is no number.
    pub fn is_text(&self) -> bool {
        self.text.is_some()
    }

    /// True if all cells are whole numbers.
    pub fn is_whole(&self) -> bool {
        self.whole && !self.is_text()
    }

    /// The different values, unless there are too many.
    pub fn values(&self) -> Option<&[String]> {
        self.cells.as_ref().map(|_| &*self.values)
    }

    /// The place of a cell's value among the values.
    pub fn place(&self, cell: &str) -> Option<usize> {
        self.cells.as_ref()?.get(cell).copied()
    }
}
