//! `csv`: a table in a text file, a sample a row.

mod columns;
mod config;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use csv::{Position, Reader, ReaderBuilder, StringRecord, Trim};
use pavlov_common::did_you_mean;

use super::files::read_file;
use crate::{DataError, Dataset, DatasetSpec, Input, SampleMut, Target, content_hash};
use columns::Survey;
use config::{CsvConfig, Kind, TextColumns};

pub(super) fn spec() -> DatasetSpec {
    let summary = "a table in a CSV file, a sample a row (options: target, kind = \"auto\", \"class\", \
                   \"number\" or \"none\", text = \"error\" or \"one_hot\", ignore, delimiter, header, \
                   image, scale)";
    DatasetSpec::new("csv", |options| {
        let config: CsvConfig = options.typed()?;
        let path = options.path()?;
        Ok(Arc::new(Csv::parse(path, &read_file(path)?, &config)?))
    })
    .summary(summary)
    .needs_path()
}

/// The most columns of a file and of the input made of it, and the most numbers of a table.
const MOST_COLUMNS: usize = 100_000;
const MOST_NUMBERS: usize = 1 << 32;

/// A table in memory.
#[derive(Debug)]
struct Csv {
    input: Input,
    target: Target,
    /// The inputs, row after row.
    numbers: Vec<f32>,
    classes: Vec<usize>,
    /// The targets that are numbers, row after row.
    targets: Vec<f32>,
    identities: Vec<u64>,
}

/// The columns of a file, by their roles.
struct Roles {
    names: Vec<String>,
    inputs: Vec<usize>,
    targets: Vec<usize>,
}

impl Csv {
    fn parse(path: &Path, bytes: &[u8], config: &CsvConfig) -> Result<Self, DataError> {
        config.check()?;
        let roles = Roles::new(path, names_of(path, &mut reader(bytes, config), config)?, config)?;
        let mut surveys: Vec<_> = roles.keep_values(config).into_iter().map(Survey::new).collect();
        let mut count = 0usize;
        rows(path, bytes, config, |line, record| {
            count += 1;
            for (survey, (cell, name)) in surveys.iter_mut().zip(record.iter().zip(&roles.names)) {
                survey.add(cell, line).map_err(|message| cell_error(path, line, name, &message))?;
            }
            Ok(())
        })?;
        if count == 0 {
            return Err(DataError::format(path, "there is no row of data"));
        }
        surveys.iter_mut().for_each(Survey::finish);
        if let (Kind::Auto, [column]) = (config.kind, roles.targets.as_slice())
            && let Some((text, line)) = surveys[*column].slip()
        {
            let message = format!(
                "`{text}` is no number, and nearly all others of the column are: correct it, or say what the column has, \
                 `kind = \"class\"`"
            );
            return Err(cell_error(path, *line, &roles.names[*column], &message));
        }
        let kind = config.kind.decided(&roles.targets, &surveys);
        let target = target_of(path, &roles, kind, &surveys)?;
        let mut width = 0usize;
        for &column in &roles.inputs {
            width += roles.width(path, column, &surveys[column], config)?;
        }
        let fits = width <= MOST_COLUMNS && width.checked_mul(count).is_some_and(|size| size <= MOST_NUMBERS);
        if width == 0 || !fits {
            let message = format!(
                "the table makes {width} numbers for each of {count} rows: it has to be from 1 to \
                 {MOST_COLUMNS}, and {MOST_NUMBERS} in all"
            );
            return Err(DataError::format(path, message));
        }
        let input = input_of(&roles, &surveys, config, width)?;
        let mut table = Self {
            input,
            target,
            numbers: Vec::with_capacity(width * count),
            classes: Vec::new(),
            targets: Vec::new(),
            identities: Vec::with_capacity(count),
        };
        table.fill(path, bytes, config, &roles, &surveys)?;
        Ok(table)
    }

    /// Reads the rows once more, now that the columns are known.
    fn fill(
        &mut self,
        path: &Path,
        bytes: &[u8],
        config: &CsvConfig,
        roles: &Roles,
        surveys: &[Survey],
    ) -> Result<(), DataError> {
        rows(path, bytes, config, |line, record| {
            let wrong = |column: usize, message: &str| cell_error(path, line, &roles.names[column], message);
            let cells = |column: usize| record.get(column).unwrap_or_default();
            for &column in &roles.inputs {
                let (cell, survey) = (cells(column), &surveys[column]);
                if survey.is_text() {
                    let place = survey.place(cell);
                    let width = survey.values().map_or(0, <[String]>::len);
                    self.numbers.extend((0..width).map(|at| if Some(at) == place { 1.0 } else { 0.0 }));
                } else {
                    let number = columns::number(cell).map_err(|message| wrong(column, &message))?;
                    self.numbers.push(number / config.scale);
                }
            }
            for &column in &roles.targets {
                if let Target::Class { .. } = self.target {
                    let class = surveys[column].place(cells(column));
                    self.classes.push(class.ok_or_else(|| wrong(column, "the class is not known"))?);
                } else {
                    let number = columns::number(cells(column));
                    self.targets.push(number.map_err(|message| wrong(column, &message))?);
                }
            }
            let joined = record.iter().collect::<Vec<_>>().join("\u{1f}");
            self.identities.push(content_hash(joined.as_bytes()));
            Ok(())
        })
    }

    fn width(&self) -> usize {
        self.input.numbers()
    }
}

fn reader<'a>(bytes: &'a [u8], config: &CsvConfig) -> Reader<&'a [u8]> {
    let mut builder = ReaderBuilder::new();
    builder.has_headers(config.header).delimiter(config.delimiter as u8).trim(Trim::All).from_reader(bytes)
}

fn damaged(path: &Path, error: &csv::Error) -> DataError {
    DataError::format(path, format!("the table is damaged: {error}"))
}

/// The columns' names.
fn names_of(path: &Path, reader: &mut Reader<&[u8]>, config: &CsvConfig) -> Result<Vec<String>, DataError> {
    let first = reader.headers().map_err(|error| damaged(path, &error))?;
    let others = [(";", ";"), ("\t", "\\t"), ("|", "|")];
    let is_alone = first.len() == 1;
    let name = first.get(0).unwrap_or_default();
    if let Some((_, shown)) = others.iter().find(|(other, _)| is_alone && name.contains(other)) {
        let message = format!(
            "the table has one column, `{name}`: if its cells are separated by `{shown}`, give --set \
             'data.options.delimiter=\"{shown}\"'"
        );
        return Err(DataError::format(path, message));
    }
    if first.len() > MOST_COLUMNS {
        let message = format!("the file has {} columns, more than {MOST_COLUMNS}", first.len());
        return Err(DataError::format(path, message));
    }
    let named = |(place, name): (usize, &str)| match name {
        name if config.header && !name.is_empty() => name.to_string(),
        _ => format!("column {}", place + 1),
    };
    Ok(first.iter().enumerate().map(named).collect())
}

/// Gives each row of the file with its line to `take`.
fn rows(
    path: &Path,
    bytes: &[u8],
    config: &CsvConfig,
    mut take: impl FnMut(u64, &StringRecord) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let mut reader = reader(bytes, config);
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(|error| damaged(path, &error))? {
        take(record.position().map_or(0, Position::line), &record)?;
    }
    Ok(())
}

fn cell_error(path: &Path, line: u64, name: &str, message: &str) -> DataError {
    DataError::format(path, format!("line {line}, column `{name}`: {message}"))
}

impl Roles {
    fn new(path: &Path, names: Vec<String>, config: &CsvConfig) -> Result<Self, DataError> {
        let mut sorted: Vec<_> = names.iter().collect();
        sorted.sort();
        if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(DataError::format(path, format!("two columns have the name `{}`", twice[0])));
        }
        let find = |setting: &str, name: &String| {
            names.iter().position(|column| column == name).ok_or_else(|| {
                let hint = did_you_mean(name, names.iter().map(String::as_str));
                DataError::Config(format!("`{setting}` names a column `{name}` that the table has not{hint}"))
            })
        };
        let ignored = config.ignore.iter().map(|name| find("ignore", name)).collect::<Result<Vec<_>, _>>()?;
        let targets = match (&config.target, config.kind) {
            (_, Kind::None) => Vec::new(),
            (Some(target), _) => {
                target.names().iter().map(|name| find("target", name)).collect::<Result<Vec<_>, _>>()?
            }
            (None, _) => {
                (0..names.len()).rev().find(|column| !ignored.contains(column)).into_iter().collect()
            }
        };
        if let Some(both) = targets.iter().find(|column| ignored.contains(column)) {
            let message = format!("the column `{}` is a target and in `ignore`", names[*both]);
            return Err(DataError::Config(message));
        }
        let is_input = |column: &usize| !targets.contains(column) && !ignored.contains(column);
        let inputs = (0..names.len()).filter(is_input).collect();
        Ok(Self { names, inputs, targets })
    }

    /// For each column, true if its different values are to be known.
    fn keep_values(&self, config: &CsvConfig) -> Vec<bool> {
        let classes = matches!(config.kind, Kind::Auto | Kind::Class);
        let keep = |column| match self.targets.contains(&column) {
            true => classes,
            false => config.text == TextColumns::OneHot && self.inputs.contains(&column),
        };
        (0..self.names.len()).map(keep).collect()
    }

    /// The number of numbers that a column of the input becomes.
    fn width(
        &self,
        path: &Path,
        column: usize,
        survey: &Survey,
        config: &CsvConfig,
    ) -> Result<usize, DataError> {
        let Some((text, line)) = survey.text() else { return Ok(1) };
        let name = &self.names[column];
        match (config.text, survey.values()) {
            (TextColumns::OneHot, Some(values)) => Ok(values.len()),
            (TextColumns::OneHot, None) => {
                let most = columns::MOST_VALUES;
                let message =
                    format!("the column `{name}` has more than {most} different texts: name it in `ignore`");
                Err(DataError::format(path, message))
            }
            (TextColumns::Error, _) => {
                let message = format!(
                    "the column `{name}` has text (`{text}` in line {line}): set `text = \"one_hot\"` to \
                     make a number of each of its values, or name the column in `ignore`"
                );
                Err(DataError::format(path, message))
            }
        }
    }
}

fn target_of(path: &Path, roles: &Roles, kind: Kind, surveys: &[Survey]) -> Result<Target, DataError> {
    let names = || roles.targets.iter().map(|column| roles.names[*column].clone()).collect::<Vec<_>>();
    match (kind, &*roles.targets) {
        (Kind::Class, [column]) => match surveys[*column].values() {
            Some(values) => Ok(Target::Class { names: values.to_vec() }),
            None => {
                let message = format!(
                    "the target `{}` has more than {} different values: set `kind = \"number\"`, or choose \
                     another target",
                    roles.names[*column],
                    columns::MOST_VALUES
                );
                Err(DataError::format(path, message))
            }
        },
        (Kind::Class, columns) => {
            let message = format!("there are {} targets, but a class needs one", columns.len());
            Err(DataError::Config(message))
        }
        (Kind::None, _) => Ok(Target::None),
        _ => Ok(Target::Numbers { names: names() }),
    }
}

fn input_of(roles: &Roles, surveys: &[Survey], config: &CsvConfig, width: usize) -> Result<Input, DataError> {
    if let Some([channels, height, width_of_image]) = config.image {
        let size = channels.checked_mul(height).and_then(|size| size.checked_mul(width_of_image));
        if size != Some(width) {
            let message =
                format!("`image` is {:?}, but there are {width} numbers", [channels, height, width_of_image]);
            return Err(DataError::Config(message));
        }
        return Ok(Input::Image { channels, height, width: width_of_image });
    }
    let mut names = Vec::with_capacity(width);
    for &column in &roles.inputs {
        let name = &roles.names[column];
        match surveys[column].values().filter(|_| surveys[column].is_text()) {
            Some(values) => names.extend(values.iter().map(|value| format!("{name}={value}"))),
            None => names.push(name.clone()),
        }
    }
    Ok(Input::Numbers { names })
}

impl Dataset for Csv {
    fn input(&self) -> &Input {
        &self.input
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn len(&self) -> usize {
        self.identities.len()
    }

    fn class(&self, index: usize) -> Option<usize> {
        self.classes.get(index).copied()
    }

    fn identity(&self, index: usize) -> u64 {
        self.identities.get(index).copied().unwrap_or(0)
    }

    fn read(&self, index: usize, sample: SampleMut<'_>) -> Result<(), DataError> {
        let row = |all: &'_ [f32], width: usize, room: &mut [f32]| {
            let row = all.get(index * width..(index + 1) * width).filter(|row| row.len() == room.len());
            row.map(|row| room.copy_from_slice(row))
        };
        let read = row(&self.numbers, self.width(), sample.numbers)
            .and_then(|()| row(&self.targets, self.target.numbers(), sample.targets));
        read.ok_or_else(|| DataError::Data(format!("there is no row {index} among {}", self.len())))
    }
}
