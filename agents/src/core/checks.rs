//! Checks of single numbers that configurations share. Each names the field and says what to set it to.

use crate::core::AgentError;

fn refuse(field: &str, value: impl std::fmt::Display, wanted: &str) -> Result<(), AgentError> {
    Err(AgentError::Config(format!("{field} is {value}: give {wanted}")))
}

pub(crate) fn share(field: &str, value: f64) -> Result<(), AgentError> {
    match (0.0..=1.0).contains(&value) {
        true => Ok(()),
        false => refuse(field, value, "a number from 0 to 1"),
    }
}

pub(crate) fn at_least_one(field: &str, value: u64) -> Result<(), AgentError> {
    match value {
        0 => refuse(field, value, "at least 1"),
        _ => Ok(()),
    }
}

pub(crate) fn not_negative(field: &str, value: f64) -> Result<(), AgentError> {
    match value.is_finite() && value >= 0.0 {
        true => Ok(()),
        false => refuse(field, value, "a number that is not negative"),
    }
}

pub(crate) fn positive_or_off(field: &str, value: Option<f64>) -> Result<(), AgentError> {
    match value {
        Some(value) if !(value.is_finite() && value > 0.0) => {
            refuse(field, value, "a number above 0, or \"off\"")
        }
        _ => Ok(()),
    }
}

pub(crate) fn positive(field: &str, value: f64) -> Result<(), AgentError> {
    match value.is_finite() && value > 0.0 {
        true => Ok(()),
        false => refuse(field, value, "a number above 0"),
    }
}

pub(crate) fn finite(field: &str, value: f64) -> Result<(), AgentError> {
    match value.is_finite() {
        true => Ok(()),
        false => refuse(field, value, "a number"),
    }
}
