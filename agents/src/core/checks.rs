//! Checks of single numbers that configurations share. Each names the field and says what to set it to.

use std::fmt::Display;

use pavlov_common::bounds;
use pavlov_nn::Schedule;

use crate::core::AgentError;

/// No bound: a count of env steps or updates between two events, which may lie beyond the run's end.
pub const ANY: u64 = u64::MAX;
/// The most critics of an ensemble.
pub const MOST_CRITICS: u64 = 64;
/// The most rows of a batch, steps of a rollout.
pub const MOST_ROWS: u64 = 1 << 24;
/// The most transitions: a replay numbers its slots in 32 bits.
pub const MOST_TRANSITIONS: u64 = u32::MAX as u64;
/// The most updates of one phase, between which nobody can stop a run.
pub const MOST_UPDATES: u64 = 100_000;
/// The most epochs over one rollout.
pub const MOST_EPOCHS: u64 = 1_000;
/// The most episodes of one update.
pub const MOST_EPISODES: u64 = 100_000;
/// The most steps over which rewards are added up.
pub const MOST_STEPS: u64 = 10_000;

fn refuse(field: &str, value: impl Display, wanted: &str) -> Result<(), AgentError> {
    Err(AgentError::Config(format!("{field} is {value}: give {wanted}")))
}

/// One of so many equal parts of a count.
///
/// # Errors
/// [`AgentError::Config`] naming the field and what to set it to.
pub fn part(field: &str, count: usize, shards: usize) -> Result<usize, AgentError> {
    if !count.is_multiple_of(shards) {
        refuse(field, count, &format!("a multiple of shards, {shards}, into which it is cut"))?;
    }
    Ok(count / shards)
}

/// A number from 0 to 1.
///
/// # Errors
/// [`AgentError::Config`] naming the field and what to set it to.
pub fn share(field: &str, value: f64) -> Result<(), AgentError> {
    match (0.0..=1.0).contains(&value) {
        true => Ok(()),
        false => refuse(field, value, "a number from 0 to 1"),
    }
}

/// A count from 1 to `most`.
///
/// # Errors
/// [`AgentError::Config`] naming the field and what to set it to.
pub fn count(field: &str, value: u64, most: u64) -> Result<(), AgentError> {
    match value {
        0 => refuse(field, value, "at least 1"),
        _ => bounds::at_most(field, value, most).map_err(AgentError::Config),
    }
}

/// A schedule whose numbers make sense.
///
/// # Errors
/// [`AgentError::Config`] naming the field and what to set it to.
pub fn schedule(field: &str, schedule: &Schedule) -> Result<(), AgentError> {
    schedule.validate().map_err(|error| AgentError::Config(format!("{field}: {error}")))
}

/// A setting for which so many bytes of memory are there.
///
/// # Errors
/// [`AgentError::Config`] naming the field and what to set it to.
pub fn fits(field: &str, value: impl Display, bytes: u128) -> Result<(), AgentError> {
    bounds::fits(field, value, bytes).map_err(AgentError::Config)
}

/// A number that is not negative.
///
/// # Errors
/// [`AgentError::Config`] naming the field and what to set it to.
pub fn not_negative(field: &str, value: f64) -> Result<(), AgentError> {
    match value.is_finite() && value >= 0.0 {
        true => Ok(()),
        false => refuse(field, value, "a number that is not negative"),
    }
}

/// A number above 0, or none.
///
/// # Errors
/// [`AgentError::Config`] naming the field and what to set it to.
pub fn positive_or_off(field: &str, value: Option<f64>) -> Result<(), AgentError> {
    match value {
        Some(value) if !(value.is_finite() && value > 0.0) => {
            refuse(field, value, "a number above 0, or \"off\"")
        }
        _ => Ok(()),
    }
}

/// A number above 0.
///
/// # Errors
/// [`AgentError::Config`] naming the field and what to set it to.
pub fn positive(field: &str, value: f64) -> Result<(), AgentError> {
    match value.is_finite() && value > 0.0 {
        true => Ok(()),
        false => refuse(field, value, "a number above 0"),
    }
}

/// A number that is no infinity and not NaN.
///
/// # Errors
/// [`AgentError::Config`] naming the field and what to set it to.
pub fn finite(field: &str, value: f64) -> Result<(), AgentError> {
    match value.is_finite() {
        true => Ok(()),
        false => refuse(field, value, "a number"),
    }
}
