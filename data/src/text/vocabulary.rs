//! Texts to tokens and back.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::DataError;

/// The text of the token that stands for words that are not in the vocabulary.
pub const UNKNOWN: &str = "<unk>";

/// The text of the token that fills a sample up to its length.
pub const PADDING: &str = "<pad>";

/// What a token is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// A character (a Unicode scalar value).
    #[default]
    Characters,
    /// A word, a single punctuation mark or a line break. A word is a run of letters and digits, with
    /// apostrophes and hyphens inside; upper and lower case differ; spaces are no tokens.
    Words,
}

impl TokenKind {
    /// The texts of the tokens of a text, in order.
    pub fn pieces(self, text: &str) -> impl Iterator<Item = &str> {
        let mut rest = text;
        std::iter::from_fn(move || {
            if self == Self::Words {
                rest = rest.trim_start_matches(|c: char| c.is_whitespace() && c != '\n');
            }
            let first = rest.chars().next()?;
            let length = match self {
                Self::Words if first.is_alphanumeric() => word_length(rest),
                _ => first.len_utf8(),
            };
            let (piece, after) = rest.split_at(length);
            rest = after;
            Some(piece)
        })
    }
}

/// The number of bytes of the word that the text begins with.
fn word_length(text: &str) -> usize {
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let joins = matches!(c, '\'' | '’' | '-') && chars.peek().is_some_and(|(_, c)| c.is_alphanumeric());
        if !c.is_alphanumeric() && !joins {
            return at;
        }
    }
    text.len()
}

/// The tokens of a language: their texts, and how a text is cut into them. A token is a place in the list.
///
/// ```
/// use pavlov_data::{TokenKind, Vocabulary};
///
/// let vocabulary = Vocabulary::characters("hello there", &[]);
/// let tokens = vocabulary.encode("three")?;
/// assert_eq!(vocabulary.decode(&tokens), "three");
/// # Ok::<(), pavlov_data::DataError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Listed", into = "Listed")]
pub struct Vocabulary {
    kind: TokenKind,
    tokens: Vec<String>,
    places: HashMap<String, u32>,
}

/// A [`Vocabulary`] as it is saved.
#[derive(Serialize, Deserialize)]
struct Listed {
    kind: TokenKind,
    tokens: Vec<String>,
}

impl TryFrom<Listed> for Vocabulary {
    type Error = DataError;

    fn try_from(listed: Listed) -> Result<Self, DataError> {
        Self::new(listed.kind, listed.tokens)
    }
}

impl From<Vocabulary> for Listed {
    fn from(vocabulary: Vocabulary) -> Self {
        Self { kind: vocabulary.kind, tokens: vocabulary.tokens }
    }
}

impl Vocabulary {
    /// The vocabulary with these tokens. Texts may contain others if [`UNKNOWN`] is one of them.
    ///
    /// # Errors
    /// [`DataError::Data`] if there are no tokens, more than 2³² of them, or one twice.
    pub fn new(kind: TokenKind, tokens: Vec<String>) -> Result<Self, DataError> {
        if tokens.is_empty() {
            return Err(DataError::Data("a vocabulary has no tokens".to_owned()));
        }
        let mut places = HashMap::with_capacity(tokens.len());
        for (place, token) in tokens.iter().enumerate() {
            let place = u32::try_from(place)
                .map_err(|_| DataError::Data("a vocabulary has more than 4294967296 tokens".to_owned()))?;
            if let Some(first) = places.insert(token.clone(), place) {
                return Err(DataError::Data(format!(
                    "the tokens {first} and {place} of a vocabulary are both {token:?}"
                )));
            }
        }
        Ok(Self { kind, tokens, places })
    }

    /// The vocabulary of the token texts that [`crate::Input::Tokens`] lists. Its kind is recognised: a list
    /// whose tokens all have one character is of characters.
    ///
    /// # Errors
    /// As [`Vocabulary::new`].
    pub fn of_list(tokens: &[String]) -> Result<Self, DataError> {
        let one = |token: &String| token == UNKNOWN || token == PADDING || token.chars().nth(1).is_none();
        let kind = if tokens.iter().all(one) { TokenKind::Characters } else { TokenKind::Words };
        Self::new(kind, tokens.to_vec())
    }

    /// The special tokens, then all characters of the text by their code points.
    pub fn characters(text: &str, special: &[&str]) -> Self {
        let characters: std::collections::BTreeSet<char> = text.chars().collect();
        Self::trusted(TokenKind::Characters, special, characters.into_iter().map(String::from))
    }

    /// The special tokens, then the most frequent words of the texts, `bound` tokens at most. Words of the
    /// same frequency stand by their letters.
    pub fn words<'a>(texts: impl IntoIterator<Item = &'a str>, special: &[&str], bound: usize) -> Self {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for piece in texts.into_iter().flat_map(|text| TokenKind::Words.pieces(text)) {
            *counts.entry(piece).or_default() += 1;
        }
        let mut words: Vec<(&str, usize)> = counts.into_iter().collect();
        words.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        words.truncate(bound.saturating_sub(special.len()));
        Self::trusted(TokenKind::Words, special, words.into_iter().map(|(word, _)| word.to_owned()))
    }

    /// A vocabulary of tokens that differ: characters and words never look like the special tokens, whose
    /// brackets are tokens of their own.
    fn trusted(kind: TokenKind, special: &[&str], rest: impl Iterator<Item = String>) -> Self {
        let tokens: Vec<String> = special.iter().map(|&token| token.to_owned()).chain(rest).collect();
        let places = (0..).zip(&tokens).map(|(place, token)| (token.clone(), place)).collect();
        Self { kind, tokens, places }
    }

    /// What the tokens are.
    pub fn kind(&self) -> TokenKind {
        self.kind
    }

    /// The texts of the tokens; a token is a place in this list.
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// The number of tokens.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// True if there are no tokens. Only a vocabulary made from an empty text has none.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The token with this text, if there is one.
    pub fn token(&self, text: &str) -> Option<i64> {
        self.places.get(text).map(|&place| i64::from(place))
    }

    /// The tokens of a text. What has no token becomes [`UNKNOWN`] where the vocabulary has that.
    ///
    /// # Errors
    /// [`DataError::Data`] if something has no token and the vocabulary has no [`UNKNOWN`]; the message names
    /// it and its place.
    pub fn encode(&self, text: &str) -> Result<Vec<i64>, DataError> {
        Ok(self.places_of(text)?.into_iter().map(i64::from).collect())
    }

    /// [`Vocabulary::encode`] in half the memory.
    pub(super) fn places_of(&self, text: &str) -> Result<Vec<u32>, DataError> {
        let unknown = self.places.get(UNKNOWN);
        let place = |(at, piece): (usize, &str)| {
            self.places.get(piece).or(unknown).copied().ok_or_else(|| {
                DataError::Data(format!("token {at} of the text, {piece:?}, is not in the vocabulary"))
            })
        };
        self.kind.pieces(text).enumerate().map(place).collect()
    }

    /// The text of tokens. Words are joined by spaces, but for punctuation marks and line breaks. Padding is
    /// left out; a number that is no token becomes `U+FFFD`.
    pub fn decode(&self, tokens: &[i64]) -> String {
        let mut text = String::new();
        let mut quoted = false;
        let mut glued = true;
        for &token in tokens {
            let place = usize::try_from(token).ok();
            let piece = place.and_then(|place| self.tokens.get(place)).map_or("\u{fffd}", String::as_str);
            if piece == PADDING {
                continue;
            }
            if self.kind == TokenKind::Characters {
                text.push_str(piece);
                continue;
            }
            let closes = matches!(piece, "." | "," | ";" | ":" | "!" | "?" | ")" | "]" | "”" | "\n");
            if !(glued || closes || (piece == "\"" && quoted)) {
                text.push(' ');
            }
            text.push_str(piece);
            if piece == "\"" {
                quoted = !quoted;
            }
            glued = matches!(piece, "\n" | "(" | "[" | "“") || (piece == "\"" && quoted);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pieces(text: &str) -> Vec<&str> {
        TokenKind::Words.pieces(text).collect()
    }

    #[test]
    fn words_keep_inner_apostrophes_and_hyphens() {
        assert_eq!(
            pieces("Don't stop, well-known 'dogs' - 3.5\nNow."),
            ["Don't", "stop", ",", "well-known", "'", "dogs", "'", "-", "3", ".", "5", "\n", "Now", "."]
        );
    }

    #[test]
    fn words_are_joined_as_they_are_written() {
        let text = "She asked: \"Is it (really) late?\" Nobody knew.\nThey left, and it rained.";
        let vocabulary = Vocabulary::words([text], &[UNKNOWN], 1000);
        assert_eq!(vocabulary.decode(&vocabulary.encode(text).unwrap()), text);
    }

    #[test]
    fn the_rarest_words_are_unknown() {
        let vocabulary = Vocabulary::words(["a a a b b c"], &[UNKNOWN], 3);
        assert_eq!(vocabulary.tokens(), [UNKNOWN, "a", "b"]);
        assert_eq!(vocabulary.encode("a b c d").unwrap(), [1, 2, 0, 0]);
    }

    #[test]
    fn a_character_without_a_token_is_named() {
        let vocabulary = Vocabulary::characters("abc", &[]);
        assert_eq!(
            vocabulary.encode("abx").unwrap_err().to_string(),
            "token 2 of the text, \"x\", is not in the vocabulary"
        );
        assert_eq!(vocabulary.decode(&[0, -1, 99, 1]), "a\u{fffd}\u{fffd}b");
    }

    #[test]
    fn a_vocabulary_is_saved_as_its_list_and_checked_when_it_is_read() {
        let vocabulary = Vocabulary::words(["one two two"], &[UNKNOWN], 10);
        let saved = toml::to_string(&vocabulary).unwrap();
        assert_eq!(toml::from_str::<Vocabulary>(&saved).unwrap(), vocabulary);
        let wrong = toml::from_str::<Vocabulary>("kind = \"words\"\ntokens = [\"a\", \"a\"]").unwrap_err();
        assert!(wrong.to_string().contains("both \"a\""), "{wrong}");
        assert_eq!(Vocabulary::of_list(vocabulary.tokens()).unwrap(), vocabulary);
    }

    proptest! {
        #[test]
        fn characters_come_back_exactly(text in "\\PC{0,60}\n\\PC{0,60}") {
            let vocabulary = Vocabulary::characters(&text, &[]);
            prop_assert_eq!(vocabulary.decode(&vocabulary.encode(&text).unwrap()), text);
        }

        #[test]
        fn words_cover_all_but_spaces(text in ".{0,80}") {
            let kept: String = TokenKind::Words.pieces(&text).collect();
            let squeeze = |t: &str| t.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(squeeze(&kept), squeeze(&text));
            let vocabulary = Vocabulary::words([text.as_str()], &[UNKNOWN], 10_000);
            let tokens = vocabulary.encode(&text).unwrap();
            prop_assert_eq!(vocabulary.encode(&vocabulary.decode(&tokens)).unwrap().len(), tokens.len());
        }
    }
}
