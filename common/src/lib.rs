//! General helpers for all crates: environments, networks, agents and the application.
//!
//! * [`SeededRng`]: the generator of all random numbers; [`derive_seed`] makes independent streams from one
//!   seed.
//! * [`did_you_mean`]: the nearest right name, for the end of an error message.
//! * [`tables`]: tables of settings, merged and read with the path of a wrong key.
//! * [`files`]: files of others, opened where they are plain ones alone.
//! * [`optional`]: settings that are a number or the word "off".

pub mod files;
pub mod optional;
mod rng;
mod suggest;
pub mod tables;

pub use rng::{SeededRng, derive_seed};
pub use suggest::{did_you_mean, nearest};
