//! The data set `sentences`: texts to be told apart.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use pavlov_common::derive_seed;
use pavlov_common::tables::typed;
use serde::{Deserialize, Serialize};
use toml::Table;

use super::messages::{CLASSES, generated_messages};
use super::reading::{decode_text, has_ending, list_folder, read_text};
use super::{PADDING, TokenKind, UNKNOWN, Vocabulary, check_length, vocabulary_bound};
use crate::{DataError, Dataset, Input, SampleMut, Target};

/// The most messages that can be generated: there are not many more that differ.
const MAX_COUNT: usize = 100_000;

/// The options of the data set `sentences`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SentenceOptions {
    /// What a token is.
    pub tokens: TokenKind,
    /// The number of tokens of a sample: longer texts are cut at their end, shorter ones filled with token 0.
    pub length: usize,
    /// The most tokens of a vocabulary of words, `<pad>` and `<unk>` among them; 10,000 if it is not given.
    pub vocabulary: Option<usize>,
    /// The number of generated sentences; 6,000 if it is not given. Without a path only.
    pub count: Option<usize>,
    /// The seed of the generated sentences; 0 if it is not given. Without a path only.
    pub seed: Option<u64>,
}

impl Default for SentenceOptions {
    fn default() -> Self {
        Self { tokens: TokenKind::Words, length: 32, vocabulary: None, count: None, seed: None }
    }
}

/// Texts with classes ([`Target::Class`]). Token 0 is [`PADDING`], token 1 [`UNKNOWN`].
///
/// The vocabulary comes from all texts, as the splits are not known here. The identity of a sample is made
/// from its text, so that texts that repeat are in one split only.
#[derive(Debug)]
pub struct SentenceDataset {
    input: Input,
    target: Target,
    /// The tokens of all samples, one after the other, without padding.
    tokens: Vec<u32>,
    /// Where each sample ends in `tokens`.
    ends: Vec<usize>,
    classes: Vec<u32>,
    identities: Vec<u64>,
    vocabulary: Vocabulary,
}

/// Texts with the names of their classes.
type Labelled = Vec<(String, String)>;

impl SentenceDataset {
    /// The data set of labelled texts:
    ///
    /// * a folder with a folder for each class, in which every `.txt` file is a sample;
    /// * a folder with a `.txt` file for each class, in which every line is a sample;
    /// * a `.csv` file with the columns label and text, or a file of any other name with a label, a tab and a
    ///   text in each line; none has a line of headings;
    /// * without a path, generated messages to a shop: complaints, orders, praise and questions.
    ///
    /// # Errors
    /// [`DataError`] if an option is unknown or makes no sense, a file cannot be read, is not UTF-8 or has a
    /// line without two columns, or if there are not at least two classes.
    pub fn open(path: Option<&Path>, options: &Table) -> Result<Arc<dyn Dataset>, DataError> {
        let options: SentenceOptions =
            typed(options.clone()).map_err(|wrong| DataError::Config(format!("sentences: {wrong}")))?;
        Ok(Arc::new(Self::new(path, &options)?))
    }

    /// [`SentenceDataset::open`] with options that have been read.
    ///
    /// # Errors
    /// As [`SentenceDataset::open`].
    pub fn new(path: Option<&Path>, options: &SentenceOptions) -> Result<Self, DataError> {
        let Some(path) = path else {
            let count = options.count.unwrap_or(6_000);
            if !(CLASSES.len()..=MAX_COUNT).contains(&count) {
                return Err(DataError::Config(format!(
                    "`count` is {count}, and has to be from {} to {MAX_COUNT}",
                    CLASSES.len()
                )));
            }
            let messages = generated_messages(options.seed.unwrap_or(0), count);
            let labelled = messages.into_iter().map(|(text, class)| (CLASSES[class].to_owned(), text));
            return Self::of_texts(&labelled.collect::<Vec<_>>(), options);
        };
        if options.count.is_some() || options.seed.is_some() {
            return Err(DataError::Config(
                "`count` and `seed` are for the generated sentences, and have no effect with a path"
                    .to_owned(),
            ));
        }
        let labelled = if path.is_dir() { folder(path)? } else { table(path)? };
        Self::of_texts(&labelled, options).map_err(|error| match error {
            DataError::Data(message) => DataError::format(path, message),
            other => other,
        })
    }

    /// The data set of texts in memory, each with the name of its class before it. `count` and `seed` of the
    /// options have no effect.
    ///
    /// # Errors
    /// [`DataError::Config`] if an option makes no sense, [`DataError::Data`] if there are not at least two
    /// classes.
    pub fn of_texts(labelled: &[(String, String)], options: &SentenceOptions) -> Result<Self, DataError> {
        check_length(options.length)?;
        let bound = vocabulary_bound(options.tokens, options.vocabulary)?;
        let names: BTreeSet<&str> = labelled.iter().map(|(label, _)| label.as_str()).collect();
        if names.len() < 2 {
            let found = names.first().map_or("none".to_owned(), |name| format!("{name:?} alone"));
            return Err(DataError::Data(format!(
                "at least two classes are needed to be told apart; found: {found}"
            )));
        }
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let special = [PADDING, UNKNOWN];
        let texts = || labelled.iter().map(|(_, text)| text.as_str());
        let vocabulary = match options.tokens {
            TokenKind::Characters => {
                let all: BTreeSet<char> = texts().flat_map(str::chars).collect();
                Vocabulary::characters(&String::from_iter(all), &special)
            }
            TokenKind::Words => Vocabulary::words(texts(), &special, bound),
        };
        let mut data = Self {
            input: Input::Tokens { length: options.length, vocabulary: vocabulary.tokens().to_vec() },
            target: Target::Class { names: names.clone() },
            tokens: Vec::new(),
            ends: Vec::with_capacity(labelled.len()),
            classes: Vec::with_capacity(labelled.len()),
            identities: Vec::with_capacity(labelled.len()),
            vocabulary,
        };
        for (label, text) in labelled {
            let places = data.vocabulary.places_of(text)?;
            data.tokens.extend(places.iter().take(options.length));
            data.ends.push(data.tokens.len());
            // Every label is among the names, which are sorted.
            data.classes.push(names.binary_search(label).unwrap_or_default() as u32);
            data.identities.push(derive_seed(0, text, 0));
        }
        Ok(data)
    }

    /// The tokens' texts, to encode and decode with.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }
}

/// The texts of a folder with a folder or a file for each class.
fn folder(path: &Path) -> Result<Labelled, DataError> {
    let (mut files, folders) = list_folder(path)?;
    files.retain(|file| has_ending(file, "txt"));
    let name = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut labelled = Vec::new();
    match (files.is_empty(), folders.is_empty()) {
        (true, true) => {
            let message = "the folder has neither a folder nor a .txt file for each class";
            return Err(DataError::format(path, message));
        }
        (false, false) => {
            let message =
                "the folder has folders and .txt files, either of which can be the classes: remove one kind";
            return Err(DataError::format(path, message));
        }
        (false, true) => {
            for file in &files {
                let text = read_text(file)?;
                let lines = text.lines().filter(|line| !line.trim().is_empty());
                labelled.extend(lines.map(|line| (name(file), line.to_owned())));
            }
        }
        (true, false) => {
            for class in &folders {
                let (files, _) = list_folder(class)?;
                let label = class.file_name().unwrap_or_default().to_string_lossy().into_owned();
                for file in files.iter().filter(|file| has_ending(file, "txt")) {
                    labelled.push((label.clone(), read_text(file)?));
                }
            }
        }
    }
    Ok(labelled)
}

/// The texts of a table with the columns label and text.
fn table(path: &Path) -> Result<Labelled, DataError> {
    let bytes = std::fs::read(path).map_err(|source| DataError::io(path, source))?;
    let comma = has_ending(path, "csv");
    parse_table(bytes, comma).map_err(|message| DataError::format(path, message))
}

/// The rows of a table: with commas and quotation marks, or with tabs.
fn parse_table(bytes: Vec<u8>, comma: bool) -> Result<Labelled, String> {
    let text = decode_text(bytes)?;
    let mut labelled = Vec::new();
    let mut add = |line: u64, label: &str, text: &str| {
        if label.trim().is_empty() {
            return Err(format!("line {line} has no label"));
        }
        labelled.push((label.trim().to_owned(), text.to_owned()));
        Ok(())
    };
    if comma {
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
        for record in reader.records() {
            let record = record.map_err(|error| error.to_string())?;
            let line = record.position().map_or(0, csv::Position::line);
            match (record.len(), record.get(0), record.get(1)) {
                (2, Some(label), Some(text)) => add(line, label, text)?,
                (columns, ..) => {
                    return Err(format!(
                        "line {line} has {columns} columns, not label and text: a text with commas stands in \
                         quotation marks"
                    ));
                }
            }
        }
    } else {
        for (line, row) in (1..).zip(text.lines()).filter(|(_, row)| !row.trim().is_empty()) {
            let (label, text) = row
                .split_once('\t')
                .ok_or_else(|| format!("line {line} has no tab between label and text"))?;
            add(line, label, text)?;
        }
    }
    Ok(labelled)
}

impl Dataset for SentenceDataset {
    fn input(&self) -> &Input {
        &self.input
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn class(&self, index: usize) -> Option<usize> {
        self.classes.get(index).map(|&class| class as usize)
    }

    fn identity(&self, index: usize) -> u64 {
        self.identities.get(index).copied().unwrap_or_default()
    }

    fn read(&self, index: usize, sample: SampleMut<'_>) -> Result<(), DataError> {
        let Some(&end) = self.ends.get(index) else {
            return Err(DataError::Data(format!("there is no sample {index}: there are {}", self.len())));
        };
        let begin = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        sample.tokens.fill(0);
        for (token, &place) in sample.tokens.iter_mut().zip(&self.tokens[begin..end]) {
            *token = i64::from(place);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "sentences_tests.rs"]
mod tests;
