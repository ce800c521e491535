//! `progress.csv`: one row per log entry, one column per tag.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use pavlov_common::files::{check_own_file, open_plain};
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
    /// A file without rows.
    pub(super) fn new(path: &Path, column: &str) -> io::Result<Self> {
        Self::of(path, vec![column.to_string()], &[])
    }

    /// The rows up to this step, of none where there is no step. Where the file is gone or damaged, what can be
    /// read of it, and a word on that; a damaged file is kept under another name.
    pub(super) fn resume(path: &Path, column: &str, last: Option<u64>) -> io::Result<(Self, Option<String>)> {
        check_own_file(path)?;
        let shown = path.display();
        let (columns, mut rows, warning) = match read(path) {
            Ok((columns, rows)) => (columns, rows, None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let warning = last.map(|_| format!("{shown} is gone: it begins anew"));
                (vec![column.to_string()], Vec::new(), warning)
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let aside = path.with_extension("csv.damaged");
                fs::copy(path, &aside)?;
                let (columns, rows) = readable(path, column)?;
                let kept = format!("{} of its rows can be read and are kept", rows.len());
                let warning =
                    format!("the log is damaged ({error}); {kept}, the file is {} now", aside.display());
                (columns, rows, Some(warning))
            }
            Err(error) => return Err(error),
        };
        rows.retain(|row| last.is_some_and(|last| row.step <= last));
        Ok((Self::of(path, columns, &rows)?, warning))
    }

    fn of(path: &Path, columns: Vec<String>, rows: &[Row]) -> io::Result<Self> {
        let file = rewrite(path, &columns, rows)?;
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
    let mut text = String::new();
    open_plain(path)?.read_to_string(&mut text)?;
    let (columns, rows) = parsed(&text)
        .ok_or_else(|| wrong("the first column of a log is time/total_timesteps or time/total_updates"))?;
    let rows = rows
        .into_iter()
        .enumerate()
        .map(|(place, row)| row.map_err(|what| wrong(&format!("line {}: {what}", place + 2))));
    Ok((columns, rows.collect::<io::Result<Vec<_>>>()?))
}

/// The columns and rows that can be read of a damaged log.
fn readable(path: &Path, column: &str) -> io::Result<(Vec<String>, Vec<Row>)> {
    let bytes = fs::read(path)?;
    Ok(match parsed(&String::from_utf8_lossy(&bytes)).filter(|(columns, _)| columns[0] == column) {
        Some((columns, rows)) => (columns, rows.into_iter().flatten().collect()),
        None => (vec![column.to_string()], Vec::new()),
    })
}

/// A row, or the fault of its line.
type ParsedRow = Result<Row, &'static str>;

/// The columns and the whole lines of a log; nothing where its first column is not that of one.
fn parsed(text: &str) -> Option<(Vec<String>, Vec<ParsedRow>)> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut lines = whole.lines();
    let columns: Vec<String> = lines.next().unwrap_or_default().split(',').map(Into::into).collect();
    if !STEP_COLUMNS.contains(&columns[0].as_str()) {
        return None;
    }
    let rows = lines.map(|line| row(&columns, line)).collect();
    Some((columns, rows))
}

fn row(columns: &[String], line: &str) -> ParsedRow {
    let mut cells = line.split(',');
    let step = cells.next().and_then(|cell| cell.parse().ok()).ok_or("steps that are no whole number")?;
    let mut values = BTreeMap::new();
    for (column, cell) in columns[1..].iter().zip(cells).filter(|(_, cell)| !cell.is_empty()) {
        values.insert(column.clone(), cell.parse().map_err(|_| "a value that is no number")?);
    }
    Ok(Row { step, values })
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
        let mut sink = CsvSink::new(&path, STEP_COLUMNS[0]).unwrap();
        let rows =
            [row(1, &[("a", 0.1)]), row(2, &[("a", 1.0 / 3.0), ("b", -2.0)]), row(3, &[("b", 1e-300)])];
        rows.iter().for_each(|row| sink.row(row).unwrap());
        assert_eq!(read(&path).unwrap().1, rows);
        let whole = fs::read(&path).unwrap();

        let (mut sink, warning) = CsvSink::resume(&path, STEP_COLUMNS[0], Some(1)).unwrap();
        assert_eq!(warning, None);
        assert_eq!(read(&path).unwrap().1, rows[..1]);
        rows[1..].iter().for_each(|row| sink.row(row).unwrap());
        assert_eq!(fs::read(&path).unwrap(), whole, "a resumed log equals an uninterrupted one");
    }

    #[test]
    fn what_can_be_read_of_a_damaged_log_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("progress.csv");
        for (text, kept, word) in [
            ("time/total_timesteps,a\n1,2\njunk\n3,4\n", vec![1, 3], "line 3: steps"),
            ("time/total_timesteps,a\n1,x\n2,5\n", vec![2], "line 2: a value"),
            ("\n\n", vec![], "the first column"),
            ("", vec![], "the first column"),
        ] {
            fs::write(&path, text).unwrap();
            let (_, warning) = CsvSink::resume(&path, STEP_COLUMNS[0], Some(9)).unwrap();
            let warning = warning.unwrap();
            assert!(warning.contains(word) && warning.contains("csv.damaged"), "{warning}");
            let steps: Vec<_> = read(&path).unwrap().1.into_iter().map(|row| row.step).collect();
            assert_eq!(steps, kept, "{text:?}");
            assert_eq!(fs::read_to_string(folder.path().join("progress.csv.damaged")).unwrap(), text);
        }
        fs::write(&path, [0xff, 0xfe, b'\n']).unwrap();
        assert!(CsvSink::resume(&path, STEP_COLUMNS[0], Some(9)).unwrap().1.is_some());
        fs::remove_file(&path).unwrap();
        let (_, warning) = CsvSink::resume(&path, STEP_COLUMNS[0], Some(9)).unwrap();
        assert!(warning.unwrap().contains("is gone"));
    }

    #[test]
    fn a_line_that_was_cut_off_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("progress.csv");
        fs::write(&path, "time/total_timesteps,a\n1,2\n2,").unwrap();
        assert_eq!(read(&path).unwrap().1, [row(1, &[("a", 2.0)])]);
    }
}
