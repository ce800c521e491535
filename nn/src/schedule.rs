//! Quantities that change over training: learning rates, clip ranges, exploration.

use std::f64::consts::PI;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::NnError;

/// A quantity as a function of progress, the share of training that is done: 0 at its first env step, 1 at
/// its last.
///
/// Progress is counted in env steps, so the number of environments and of updates does not change the curve.
/// Every curve may begin with a warm-up: over the first `warmup_fraction` of training the value rises
/// linearly from 0 to where the curve starts, and the curve then runs over the rest.
///
/// In a file a schedule is a number, the word `lin_` with a number (falls linearly to 0), or a table:
///
/// ```
/// # use pavlov_nn::Schedule;
/// # #[derive(serde::Deserialize)]
/// # struct File { a: Schedule, b: Schedule, c: Schedule }
/// let file: File = toml::from_str(
///     r#"
///     a = 3e-4
///     b = "lin_0.001"
///     c = { kind = "cosine", start = 1e-3, end = 1e-5, warmup_fraction = 0.05 }
///     "#,
/// )?;
/// assert_eq!(file.a, Schedule::constant(3e-4));
/// assert_eq!(file.b, Schedule::linear(1e-3, 0.0));
/// assert_eq!(file.c, Schedule::cosine(1e-3, 1e-5).with_warmup(0.05));
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// The same value throughout.
    Constant {
        /// The value.
        value: f64,
        /// The share of training over which the value rises from 0.
        #[serde(default)]
        warmup_fraction: f64,
    },
    /// A straight line from `start` to `end`.
    Linear {
        /// The value at the start.
        start: f64,
        /// The value at the end.
        #[serde(default)]
        end: f64,
        /// The share of training over which the value rises from 0.
        #[serde(default)]
        warmup_fraction: f64,
    },
    /// Half a cosine from `start` to `end`, flat at both (Loshchilov and Hutter 2017, without restarts).
    Cosine {
        /// The value at the start.
        start: f64,
        /// The value at the end.
        #[serde(default)]
        end: f64,
        /// The share of training over which the value rises from 0.
        #[serde(default)]
        warmup_fraction: f64,
    },
    /// A staircase: the value is multiplied by `factor` after every `every_fraction` of the curve.
    Step {
        /// The value at the start.
        start: f64,
        /// The factor of each stair.
        factor: f64,
        /// The length of a stair, as a share of the curve.
        every_fraction: f64,
        /// The share of training over which the value rises from 0.
        #[serde(default)]
        warmup_fraction: f64,
    },
}

impl Schedule {
    /// The same value throughout.
    pub const fn constant(value: f64) -> Self {
        Self::Constant { value, warmup_fraction: 0.0 }
    }

    /// A straight line from `start` to `end`.
    pub const fn linear(start: f64, end: f64) -> Self {
        Self::Linear { start, end, warmup_fraction: 0.0 }
    }

    /// Half a cosine from `start` to `end`.
    pub const fn cosine(start: f64, end: f64) -> Self {
        Self::Cosine { start, end, warmup_fraction: 0.0 }
    }

    /// A staircase that starts at `start` and multiplies by `factor` after every `every_fraction` of
    /// training.
    pub const fn step(start: f64, factor: f64, every_fraction: f64) -> Self {
        Self::Step { start, factor, every_fraction, warmup_fraction: 0.0 }
    }

    /// The same curve after a warm-up over this share of training.
    pub const fn with_warmup(mut self, fraction: f64) -> Self {
        match &mut self {
            Self::Constant { warmup_fraction, .. }
            | Self::Linear { warmup_fraction, .. }
            | Self::Cosine { warmup_fraction, .. }
            | Self::Step { warmup_fraction, .. } => *warmup_fraction = fraction,
        }
        self
    }

    /// The value when this share of training is done. What lies outside of 0 to 1 counts as the nearer end.
    pub fn value(&self, progress: f64) -> f64 {
        let progress = progress.clamp(0.0, 1.0);
        let warmup = self.warmup_fraction();
        if progress < warmup {
            return self.curve(0.0) * (progress / warmup);
        }
        // Training that is all warm-up ends where the curve starts.
        let rest = 1.0 - warmup;
        self.curve(if rest > 0.0 { (progress - warmup) / rest } else { 0.0 })
    }

    /// The value at this share of the curve, past the warm-up.
    fn curve(&self, share: f64) -> f64 {
        match *self {
            Self::Constant { value, .. } => value,
            Self::Linear { start, end, .. } => start * (1.0 - share) + end * share,
            Self::Cosine { start, end, .. } => {
                let weight = (1.0 + (PI * share).cos()) / 2.0;
                start * weight + end * (1.0 - weight)
            }
            Self::Step { start, factor, every_fraction, .. } => {
                // 0.3 / 0.1 is a little less than 3: a stair must not begin late because of it.
                let stairs = (share / every_fraction * (1.0 + 4.0 * f64::EPSILON)).floor();
                start * factor.powf(stairs)
            }
        }
    }

    fn warmup_fraction(&self) -> f64 {
        match *self {
            Self::Constant { warmup_fraction, .. }
            | Self::Linear { warmup_fraction, .. }
            | Self::Cosine { warmup_fraction, .. }
            | Self::Step { warmup_fraction, .. } => warmup_fraction,
        }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`NnError::Config`] naming the field that makes no sense.
    pub fn validate(&self) -> Result<(), NnError> {
        let not_negative = |field, value: f64| {
            let sense = value.is_finite() && value >= 0.0;
            check(sense, field, value, "a number that is not negative")
        };
        match *self {
            Self::Constant { value, .. } => not_negative("value", value)?,
            Self::Linear { start, end, .. } | Self::Cosine { start, end, .. } => {
                not_negative("start", start)?;
                not_negative("end", end)?;
            }
            Self::Step { start, factor, every_fraction, .. } => {
                not_negative("start", start)?;
                not_negative("factor", factor)?;
                let sense = every_fraction > 0.0 && every_fraction <= 1.0;
                check(sense, "every_fraction", every_fraction, "a share above 0 and at most 1")?;
            }
        }
        let warmup = self.warmup_fraction();
        check((0.0..=1.0).contains(&warmup), "warmup_fraction", warmup, "a share from 0 to 1")
    }
}

fn check(makes_sense: bool, field: &str, value: f64, wanted: &str) -> Result<(), NnError> {
    match makes_sense {
        true => Ok(()),
        false => Err(NnError::Config(format!("the schedule's {field} is {value}: give {wanted}"))),
    }
}

impl From<f64> for Schedule {
    fn from(value: f64) -> Self {
        Self::constant(value)
    }
}

impl Serialize for Schedule {
    /// A constant without warm-up is written as its number, everything else as its table.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Constant { value, warmup_fraction: 0.0 } => serializer.serialize_f64(value),
            _ => Schedule::serialize(self, serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScheduleVisitor)
    }
}

struct ScheduleVisitor;

impl<'de> Visitor<'de> for ScheduleVisitor {
    type Value = Schedule;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(
            "a schedule: a number, \"lin_0.001\" (falls linearly to 0), or a table such as \
             { kind = \"linear\", start = 0.001, end = 0.0 }",
        )
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Schedule, E> {
        Ok(Schedule::constant(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Schedule, E> {
        Ok(Schedule::constant(value as f64))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Schedule, E> {
        Ok(Schedule::constant(value as f64))
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Schedule, E> {
        let start = word.strip_prefix("lin_").and_then(|number| number.parse().ok());
        let start = start.ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(word), &self))?;
        Ok(Schedule::linear(start, 0.0))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Schedule, A::Error> {
        Schedule::deserialize(MapAccessDeserializer::new(map))
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
