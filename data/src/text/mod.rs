//! Texts as sequences of tokens: [`TextDataset`] to learn the next token from, [`SentenceDataset`] to
//! classify.
//!
//! A [`Vocabulary`] turns texts into tokens and back. It is small and serialises, so that it can be kept
//! beside a trained language model.

mod grammar;
mod messages;
mod next;
pub(crate) mod reading;
mod sentences;
mod vocabulary;
mod words;

pub use grammar::generated_text;
pub use next::{TextDataset, TextOptions};
pub use sentences::{SentenceDataset, SentenceOptions};
pub use vocabulary::{PADDING, TokenKind, UNKNOWN, Vocabulary};

use crate::{DataError, DatasetSpec};

/// The data sets of this module.
pub(crate) fn specs() -> Vec<DatasetSpec> {
    vec![
        DatasetSpec::new("text", |given| TextDataset::open(given.path.as_deref(), &given.options)).summary(
            "a text file, a folder of them, or a generated text, to learn the next token from (options: tokens = \
             characters | words, length = 64, vocabulary, characters, seed)",
        ),
        DatasetSpec::new("sentences", |given| SentenceDataset::open(given.path.as_deref(), &given.options))
            .summary(
                "sentences of several classes, from your files or generated (options: tokens = words | characters, \
                 length = 32, vocabulary, count, seed)",
            ),
    ]
}

/// The bound on the vocabulary of words where the options give none.
const DEFAULT_WORDS: usize = 10_000;

/// The largest number of tokens that a sample may have.
const MAX_LENGTH: usize = 1 << 20;

/// The bound on the vocabulary that the options of a data set ask for.
fn vocabulary_bound(kind: TokenKind, asked: Option<usize>) -> Result<usize, DataError> {
    match (kind, asked) {
        (TokenKind::Characters, Some(_)) => Err(DataError::Config(
            "`vocabulary` has no effect on characters, which all have a token: leave it out, or set \
             `tokens = \"words\"`"
                .to_owned(),
        )),
        (_, Some(bound)) if bound < 3 => Err(DataError::Config(format!(
            "`vocabulary` is {bound}, and has to be at least 3: <pad> or <unk>, and words"
        ))),
        (_, bound) => Ok(bound.unwrap_or(DEFAULT_WORDS)),
    }
}

/// Checks the number of tokens of a sample.
fn check_length(length: usize) -> Result<(), DataError> {
    if (1..=MAX_LENGTH).contains(&length) {
        return Ok(());
    }
    Err(DataError::Config(format!("`length` is {length}, and has to be from 1 to {MAX_LENGTH} tokens")))
}
