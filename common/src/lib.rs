//! Helpers that belong to no crate alone: environments, networks, agents and the application use them alike.
//!
//! * [`SeededRng`]: the generator of random numbers that everything draws from; [`derive_seed`] gives each user a
//!   stream of its own.
//! * [`did_you_mean`]: the nearest right name, for the end of an error message.
//! * [`tables`]: tables of settings, merged and read with the path of a wrong key.
//! * [`optional`]: settings that are a number or the word "off".

pub mod optional;
mod rng;
mod suggest;
pub mod tables;

pub use rng::{SeededRng, derive_seed};
pub use suggest::{did_you_mean, nearest};
