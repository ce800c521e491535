//! The check of everything that a world gives: spaces, observations, masks and rewards, and its panics.
//!
//! [`Checker`] holds the rules; vector environments and [`Checked`] apply them, so that training, evaluation
//! and play have the same ones. Numbers that break them are errors. Numbers beyond the bounds of a box of
//! `f32`, and rewards that are very large, are [`Warnings`], since published worlds give both.

mod checked;
mod checker;
mod mask;
#[cfg(test)]
mod tests;
mod warnings;

pub use checked::panic_message;
pub(crate) use checked::{Checked, guarded, in_step};
pub(crate) use checker::Checker;
pub(crate) use warnings::Subject;
pub use warnings::Warnings;
