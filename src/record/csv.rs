//! `progress.csv`: one row per log entry, one column per tag.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pavlov_nn::weights::write_atomically;

use super::append::AppendFile;
use super::entry::Row;

/// The columns that a log may begin with: what its steps are.
const STEP_COLUMNS: [&str; 2] = ["time/total_timesteps", "time/total_updates"];

/// Appends rows. A new tag adds a column, for which the whole file is written anew beside its place and
/// renamed.
#[derive(Debug)]
pub(super) struct CsvSink {
    path: PathBuf,
    columns: Vec<String>,
    file: AppendFile,
}

impl CsvSink {
    /// A file without rows (`None`); or, to resume, the rows up to this step (`Some(None)` keeps none).
    pub(super) fn open(path: &Path, column: &str, resume: Option<Option<u64>>) -> io::Result<Self> {
        let (columns, rows) = match resume {
            Some(last) if path.exists() => {
                let (columns, rows) = read(path)?;
                let kept = |row: &Row| last.is_some_and(|last| row.step <= last);
                (columns, rows.into_iter().filter(kept).collect())
            }
            _ => (vec![column.to_string()], Vec::new()),
        };
        let file = rewrite(path, &columns, &rows)?;
        Ok(Self { path: path.to_path_buf(), columns, file })
    }

    pub(super) fn row(&mut self, row: &Row) -> io::Result<()> {
        let new: Vec<String> = row.values.keys().filter(|tag| !self.columns.contains(tag)).cloned().collect();
        if !new.is_empty() {
            let (_, rows) = read(&self.path)?;
            let columns = [self.columns.clone(), new].concat();
            self.file = rewrite(&self.path, &columns, &rows)?;
            self.columns = columns;
        }
        self.file.append(line(&self.columns, row).as_bytes())
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.file.sync()
    }
}

fn rewrite(path: &Path, columns: &[String], rows: &[Row]) -> io::Result<AppendFile> {
    let mut text = columns.join(",") + "\n";
    rows.iter().for_each(|row| text.push_str(&line(columns, row)));
    write_atomically(path, |beside| fs::write(beside, &text))?;
    AppendFile::open(path, text.len() as u64)
}

fn line(columns: &[String], row: &Row) -> String {
    let cell = |(place, column): (usize, &String)| match place {
        0 => row.step.to_string(),
        _ => row.values.get(column).map(f64::to_string).unwrap_or_default(),
    };
    columns.iter().enumerate().map(cell).collect::<Vec<_>>().join(",") + "\n"
}

/// Reads a `progress.csv`: its columns and its rows. An incomplete last line is left out.
///
/// # Errors
/// When the file cannot be read or is not a log.
pub fn read(path: &Path) -> io::Result<(Vec<String>, Vec<Row>)> {
    let wrong =
        |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()));
    let text = fs::read_to_string(path)?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut lines = whole.lines();
    let columns: Vec<String> = lines.next().unwrap_or_default().split(',').map(Into::into).collect();
    if !STEP_COLUMNS.contains(&columns[0].as_str()) {
        return Err(wrong("the first column of a log is time/total_timesteps or time/total_updates"));
    }
    let rows = lines.map(|line| {
        let mut row = Row::default();
        let mut values = BTreeMap::new();
        for (column, cell) in columns.iter().zip(line.split(',')).filter(|(_, cell)| !cell.is_empty()) {
            if *column == columns[0] {
                row.step = cell.parse().map_err(|_| wrong("steps that are no whole number"))?;
            } else {
                values.insert(column.clone(), cell.parse().map_err(|_| wrong("a value that is no number"))?);
            }
        }
        row.values = values;
        Ok(row)
    });
    let rows = rows.collect::<io::Result<Vec<_>>>()?;
    Ok((columns, rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(step: u64, values: &[(&str, f64)]) -> Row {
        Row { step, values: values.iter().map(|(tag, value)| (tag.to_string(), *value)).collect() }
    }

    #[test]
    fn new_tags_add_columns_and_resuming_drops_later_rows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("progress.csv");
        let mut sink = CsvSink::open(&path, STEP_COLUMNS[0], None).unwrap();
        let rows =
            [row(1, &[("a", 0.1)]), row(2, &[("a", 1.0 / 3.0), ("b", -2.0)]), row(3, &[("b", 1e-300)])];
        rows.iter().for_each(|row| sink.row(row).unwrap());
        assert_eq!(read(&path).unwrap().1, rows);
        let whole = fs::read(&path).unwrap();

        let mut sink = CsvSink::open(&path, STEP_COLUMNS[0], Some(Some(1))).unwrap();
        assert_eq!(read(&path).unwrap().1, rows[..1]);
        rows[1..].iter().for_each(|row| sink.row(row).unwrap());
        assert_eq!(fs::read(&path).unwrap(), whole, "a resumed log equals an uninterrupted one");
    }

    #[test]
    fn a_line_that_was_cut_off_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("progress.csv");
        fs::write(&path, "time/total_timesteps,a\n1,2\n2,").unwrap();
        assert_eq!(read(&path).unwrap().1, [row(1, &[("a", 2.0)])]);
    }
}
