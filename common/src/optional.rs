//! Options in configuration files that are a number or the word "off".
//!
//! TOML has no null, and a key that is left out would not be visible in a resolved configuration. Use as
//! `#[serde(with = "pavlov_common::optional")]` on an `Option<f64>` field.

use serde::{Deserialize, Deserializer, Serializer, de::Error};

#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrWord {
    Number(f64),
    Word(String),
}

/// Writes the number, or "off".
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(number) => serializer.serialize_f64(*number),
        None => serializer.serialize_str("off"),
    }
}

/// Reads a number, or "off".
///
/// # Errors
/// For anything else.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    match NumberOrWord::deserialize(deserializer) {
        Ok(NumberOrWord::Number(number)) => Ok(Some(number)),
        Ok(NumberOrWord::Word(word)) if word == "off" => Ok(None),
        _ => Err(D::Error::custom("expected a number or \"off\"")),
    }
}
