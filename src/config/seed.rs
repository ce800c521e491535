//! Seeds in configuration files. TOML's whole numbers end at 2^63 - 1; a larger seed is a string of digits.
//!
//! Use as `#[serde(with = "seed")]` on a `u64` field.

use pavlov_common::tables::parse_whole;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrDigits {
    Number(u64),
    Digits(String),
}

pub(super) fn serialize<S: Serializer>(seed: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    match i64::try_from(*seed) {
        Ok(seed) => serializer.serialize_i64(seed),
        Err(_) => serializer.serialize_str(&seed.to_string()),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    match NumberOrDigits::deserialize(deserializer) {
        Ok(NumberOrDigits::Number(seed)) => Ok(seed),
        Ok(NumberOrDigits::Digits(digits)) => parse_whole(&digits).map_err(D::Error::custom),
        Err(_) => Err(D::Error::custom(format!("expected a whole number from 0 to {}", u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
    struct Settings {
        #[serde(with = "super")]
        seed: u64,
    }

    #[test]
    fn every_seed_is_written_and_read_back() {
        for seed in [0, 7, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX] {
            let text = toml::to_string(&Settings { seed }).unwrap();
            assert_eq!(toml::from_str::<Settings>(&text).unwrap(), Settings { seed }, "{text}");
        }
        assert_eq!(toml::from_str::<Settings>("seed = '1e6'").unwrap().seed, 1_000_000);
        for wrong in ["-1", "1.5", "'x'", "'18446744073709551616'", "[1]"] {
            assert!(toml::from_str::<Settings>(&format!("seed = {wrong}")).is_err(), "{wrong}");
        }
    }
}
