//! The data set `text`: a text cut into windows, of which the next token is to be learned.

use std::path::Path;
use std::sync::Arc;

use pavlov_common::derive_seed;
use pavlov_common::tables::typed;
use serde::{Deserialize, Serialize};
use toml::Table;

use super::reading::{has_ending, list_folder, read_text};
use super::{TokenKind, UNKNOWN, Vocabulary, check_length, generated_text, vocabulary_bound};
use crate::{DataError, Dataset, Input, SampleMut, Target};

/// The share of the windows, at the end of the text, that are for testing: one of so many.
const TEST_PART: usize = 10;

/// The number of neighbouring windows that a split keeps together, for texts that are long enough.
const BLOCK: usize = 50;

/// The most characters that a generated text can have.
const MAX_CHARACTERS: usize = 1 << 27;

/// The options of the data set `text`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TextOptions {
    /// What a token is.
    pub tokens: TokenKind,
    /// The number of tokens that a model reads of one sample.
    pub length: usize,
    /// The most tokens of a vocabulary of words, `<unk>` among them; 10,000 if it is not given. Characters
    /// all have a token.
    pub vocabulary: Option<usize>,
    /// The least number of characters of the generated text; 400,000 if it is not given. Without a path only.
    pub characters: Option<usize>,
    /// The seed of the generated text; 0 if it is not given. Without a path only.
    pub seed: Option<u64>,
}

impl Default for TextOptions {
    fn default() -> Self {
        Self { tokens: TokenKind::Characters, length: 64, vocabulary: None, characters: None, seed: None }
    }
}

/// A text, as windows of tokens that follow each other; the target is the next token ([`Target::Next`]).
///
/// Sample `i` is the `length + 1` tokens from token `i * length` on. The last tenth of the windows is set
/// apart for testing. Blocks of up to 50 neighbouring windows have the same identity, so that a split never
/// puts windows for validation between windows for training.
#[derive(Debug)]
pub struct TextDataset {
    input: Input,
    tokens: Vec<u32>,
    length: usize,
    windows: usize,
    block: usize,
    content: u64,
    vocabulary: Vocabulary,
}

impl TextDataset {
    /// The data set of a UTF-8 text file, of the `.txt` files of a folder in the order of their names, or
    /// without a path of a generated text ([`generated_text`]).
    ///
    /// # Errors
    /// [`DataError`] if an option is unknown or makes no sense, a file cannot be read or is not UTF-8, a
    /// folder has no `.txt` file, or the text is shorter than one sample.
    pub fn open(path: Option<&Path>, options: &Table) -> Result<Arc<dyn Dataset>, DataError> {
        let options: TextOptions =
            typed(options.clone()).map_err(|wrong| DataError::Config(format!("text: {wrong}")))?;
        Ok(Arc::new(Self::new(path, &options)?))
    }

    /// [`TextDataset::open`] with options that have been read.
    ///
    /// # Errors
    /// As [`TextDataset::open`].
    pub fn new(path: Option<&Path>, options: &TextOptions) -> Result<Self, DataError> {
        if let Some(path) = path {
            if options.characters.is_some() || options.seed.is_some() {
                return Err(DataError::Config(
                    "`characters` and `seed` are for the generated text, and have no effect with a path"
                        .to_owned(),
                ));
            }
            return Self::of_text(&texts_at(path)?, options).map_err(|error| match error {
                DataError::Data(message) => DataError::format(path, message),
                other => other,
            });
        }
        let characters = options.characters.unwrap_or(400_000);
        if characters > MAX_CHARACTERS {
            return Err(DataError::Config(format!(
                "`characters` is {characters}, and can be at most {MAX_CHARACTERS}"
            )));
        }
        Self::of_text(&generated_text(options.seed.unwrap_or(0), characters), options)
    }

    /// The data set of a text in memory. `characters` and `seed` of the options have no effect.
    ///
    /// # Errors
    /// [`DataError::Config`] if an option makes no sense, [`DataError::Data`] if the text is shorter than one
    /// sample.
    pub fn of_text(text: &str, options: &TextOptions) -> Result<Self, DataError> {
        check_length(options.length)?;
        let bound = vocabulary_bound(options.tokens, options.vocabulary)?;
        let length = options.length;
        let count = options.tokens.pieces(text).count();
        let windows = count.saturating_sub(1) / length;
        if windows == 0 {
            return Err(DataError::Data(format!(
                "the text has {count} tokens, and one sample needs {}: give more text or a smaller `length`",
                length + 1
            )));
        }
        let trained = (windows - windows / TEST_PART) * length;
        let vocabulary = match options.tokens {
            // Characters come from the whole text: one that only the end has would otherwise have no token at
            // all, and the list tells a model no more than the script that the text is written in.
            TokenKind::Characters => Vocabulary::characters(text, &[]),
            // The most frequent words come from the part for training: a model is tested on words that it
            // could not know, as it is used.
            TokenKind::Words => {
                let pieces = TokenKind::Words.pieces(text).take(trained);
                Vocabulary::words(pieces, &[UNKNOWN], bound)
            }
        };
        let tokens = vocabulary.places_of(text)?;
        Ok(Self {
            input: Input::Tokens { length, vocabulary: vocabulary.tokens().to_vec() },
            tokens,
            length,
            windows,
            // A short text has smaller blocks: of a hundred of them a split can still take a tenth.
            block: (windows / 100).clamp(1, BLOCK),
            content: derive_seed(0, text, 0),
            vocabulary,
        })
    }

    /// The tokens' texts, to encode and decode with.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }
}

/// The text of a file, or of the files of a folder.
fn texts_at(path: &Path) -> Result<String, DataError> {
    if !path.is_dir() {
        return read_text(path);
    }
    let (files, _) = list_folder(path)?;
    let mut text = String::new();
    let mut found = false;
    for file in files.iter().filter(|file| has_ending(file, "txt")) {
        found = true;
        let part = read_text(file)?;
        text.push_str(&part);
        if !part.ends_with('\n') {
            text.push('\n');
        }
    }
    if found { Ok(text) } else { Err(DataError::format(path, "the folder has no .txt file")) }
}

impl Dataset for TextDataset {
    fn input(&self) -> &Input {
        &self.input
    }

    fn target(&self) -> &Target {
        &Target::Next
    }

    fn len(&self) -> usize {
        self.windows
    }

    fn class(&self, _index: usize) -> Option<usize> {
        None
    }

    fn identity(&self, index: usize) -> u64 {
        derive_seed(self.content, "block", (index / self.block) as u64)
    }

    fn test_begin(&self) -> Option<usize> {
        let tested = self.windows / TEST_PART;
        (tested > 0).then(|| self.windows - tested)
    }

    fn read(&self, index: usize, sample: SampleMut<'_>) -> Result<(), DataError> {
        let begin = index * self.length;
        let window = self.tokens.get(begin..=begin + self.length).filter(|_| index < self.windows);
        let window = window.ok_or_else(|| {
            DataError::Data(format!("there is no sample {index}: the text has {}", self.windows))
        })?;
        for (token, &place) in sample.tokens.iter_mut().zip(window) {
            *token = i64::from(place);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn tokens(data: &dyn Dataset, index: usize) -> Vec<i64> {
        let Input::Tokens { length, .. } = data.input() else { panic!("no tokens") };
        let mut tokens = vec![0; length + 1];
        data.read(index, SampleMut { numbers: &mut [], tokens: &mut tokens, targets: &mut [] }).unwrap();
        tokens
    }

    fn options(text: &str) -> Table {
        text.parse().unwrap()
    }

    #[test]
    fn windows_follow_each_other_and_share_one_token() {
        let settings = TextOptions { length: 4, ..TextOptions::default() };
        let data = TextDataset::of_text("abcdefghijkl", &settings).unwrap();
        assert_eq!(data.len(), 2);
        assert_eq!(data.vocabulary().decode(&tokens(&data, 0)), "abcde");
        assert_eq!(data.vocabulary().decode(&tokens(&data, 1)), "efghi");
        let sample = SampleMut { numbers: &mut [], tokens: &mut [0; 5], targets: &mut [] };
        assert!(data.read(2, sample).is_err());
    }

    #[test]
    fn the_generated_text_is_the_default_and_its_last_tenth_is_for_testing() {
        let data = TextDataset::open(None, &Table::new()).unwrap();
        assert!((6_000..7_000).contains(&data.len()), "{}", data.len());
        assert_eq!(data.test_begin(), Some(data.len() - data.len() / 10));
        assert_eq!(data.identity(0), data.identity(49));
        assert_ne!(data.identity(49), data.identity(50));
        let longer = TextDataset::open(None, &options("seed = 1")).unwrap();
        assert_ne!(data.identity(0), longer.identity(0));
    }

    #[test]
    fn words_of_the_test_part_alone_are_unknown() {
        let text = format!("{}zebra zebra zebra zebra", "one two three four ".repeat(40));
        let settings = TextOptions { tokens: TokenKind::Words, length: 4, ..TextOptions::default() };
        let data = TextDataset::of_text(&text, &settings).unwrap();
        assert_eq!(data.vocabulary().tokens(), [UNKNOWN, "four", "one", "three", "two"]);
        assert_eq!(tokens(&data, data.len() - 1).last(), Some(&0));
    }

    #[test]
    fn a_folder_is_read_in_the_order_of_names_and_errors_name_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let open = |text: &str| TextDataset::open(Some(folder.path()), &options(text)).map(|data| data.len());
        assert!(open("").unwrap_err().to_string().contains("no .txt file"));
        fs::write(at("b.txt"), "second").unwrap();
        fs::write(at("a.TXT"), "first").unwrap();
        fs::write(at("c.md"), "third").unwrap();
        let data = TextDataset::open(Some(folder.path()), &options("length = 12")).unwrap();
        let Input::Tokens { vocabulary, .. } = data.input() else { panic!("no tokens") };
        let vocabulary = Vocabulary::of_list(vocabulary).unwrap();
        assert_eq!(vocabulary.decode(&tokens(&*data, 0)), "first\nsecond\n");
        let short = open("").unwrap_err().to_string();
        assert!(short.contains("13 tokens, and one sample needs 65"), "{short}");
        fs::write(at("a.TXT"), b"caf\xe9").unwrap();
        let wrong = open("").unwrap_err().to_string();
        assert!(wrong.contains("a.TXT: not UTF-8: byte 3"), "{wrong}");
        assert!(TextDataset::open(Some(&at("missing")), &Table::new()).is_err());
    }

    #[test]
    fn options_that_make_no_sense_are_refused() {
        for (text, part) in [
            ("length = 0", "`length` is 0"),
            ("vocabulary = 50", "no effect on characters"),
            ("tokens = \"words\"\nvocabulary = 1", "at least 3"),
            ("tokens = \"letters\"", "letters"),
            ("lenght = 3", "lenght"),
            ("characters = 99999999999", "at most"),
        ] {
            let error = TextDataset::open(None, &options(text)).map(|_| ()).unwrap_err();
            assert!(matches!(error, DataError::Config(_)), "{error}");
            assert!(error.to_string().contains(part), "{error}");
        }
        let path = Path::new("x.txt");
        let error = TextDataset::open(Some(path), &options("seed = 3")).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("no effect with a path"), "{error}");
    }
}
