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

use crate::DataError;

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
