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
    /// From `start` to `end` by the same factor over equal shares of the curve.
    Exponential {
        /// The value at the start, above 0.
        start: f64,
        /// The value at the end, above 0.
        end: f64,
        /// The share of training over which the value rises from 0.
        #[serde(default)]
        warmup_fraction: f64,
    },
    /// One cycle (Smith and Topin 2018): half a cosine from `max / start_divisor` up to `max` over the first
    /// `rise_fraction` of the curve, then half a cosine down to `max / start_divisor / end_divisor`. PyTorch's
    /// `OneCycleLR` with its defaults; momentum stays as it is.
    OneCycle {
        /// The largest value.
        max: f64,
        /// The share of the curve over which the value rises.
        #[serde(default = "rise_fraction")]
        rise_fraction: f64,
        /// The largest value over the one at the start.
        #[serde(default = "start_divisor")]
        start_divisor: f64,
        /// The value at the start over the one at the end.
        #[serde(default = "end_divisor")]
        end_divisor: f64,
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

const RISE_FRACTION: f64 = 0.3;
const START_DIVISOR: f64 = 25.0;
const END_DIVISOR: f64 = 1e4;

fn rise_fraction() -> f64 {
    RISE_FRACTION
}

fn start_divisor() -> f64 {
    START_DIVISOR
}

fn end_divisor() -> f64 {
    END_DIVISOR
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

    /// A curve from `start` to `end` that is a straight line over the logarithm of the value.
    pub const fn exponential(start: f64, end: f64) -> Self {
        Self::Exponential { start, end, warmup_fraction: 0.0 }
    }

    /// One cycle up to `max` and down again, with PyTorch's defaults.
    pub const fn one_cycle(max: f64) -> Self {
        Self::OneCycle {
            max,
            rise_fraction: RISE_FRACTION,
            start_divisor: START_DIVISOR,
            end_divisor: END_DIVISOR,
            warmup_fraction: 0.0,
        }
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
            | Self::Exponential { warmup_fraction, .. }
            | Self::OneCycle { warmup_fraction, .. }
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
            Self::Cosine { start, end, .. } => half_cosine(start, end, share),
            Self::Exponential { start, end, .. } => start * (end / start).powf(share),
            Self::OneCycle { max, rise_fraction, start_divisor, end_divisor, .. } => {
                let start = max / start_divisor;
                match share < rise_fraction {
                    true => half_cosine(start, max, share / rise_fraction),
                    // A curve that is all rise ends at its top.
                    false if rise_fraction == 1.0 => max,
                    false => {
                        half_cosine(max, start / end_divisor, (share - rise_fraction) / (1.0 - rise_fraction))
                    }
                }
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
            | Self::Exponential { warmup_fraction, .. }
            | Self::OneCycle { warmup_fraction, .. }
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
            Self::Exponential { start, end, .. } => {
                for (field, value) in [("start", start), ("end", end)] {
                    let sense = value.is_finite() && value > 0.0;
                    check(sense, field, value, "a number above 0, which a factor can go on from")?;
                }
            }
            Self::OneCycle { max, rise_fraction, start_divisor, end_divisor, .. } => {
                check(max.is_finite() && max > 0.0, "max", max, "a number above 0")?;
                let sense = (0.0..=1.0).contains(&rise_fraction);
                check(sense, "rise_fraction", rise_fraction, "a share from 0 to 1")?;
                for (field, value) in [("start_divisor", start_divisor), ("end_divisor", end_divisor)] {
                    let sense = value.is_finite() && value >= 1.0;
                    check(sense, field, value, "a number of at least 1")?;
                }
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

/// The value after this share of half a cosine from `start` to `end`, flat at both.
fn half_cosine(start: f64, end: f64, share: f64) -> f64 {
    let weight = (1.0 + (PI * share).cos()) / 2.0;
    start * weight + end * (1.0 - weight)
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
