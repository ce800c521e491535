//! General helpers for all crates: environments, networks, agents and the application.
//!
//! * [`SeededRng`]: the generator of all random numbers; [`derive_seed`] makes independent streams from one
//!   seed.
//! * [`did_you_mean`]: the nearest right name, for the end of an error message.
//! * [`tables`]: tables of settings, merged and read with the path of a wrong key.
//! * [`bounds`]: the most of a setting that makes sense, and the memory that it asks for.
//! * [`hexadecimal`]: bytes as the digits of a checksum.
//! * [`files`]: files of others, opened where they are plain ones alone.
//! * [`optional`]: settings that are a number or the word "off".

pub mod bounds;
pub mod files;
pub mod optional;
mod rng;
mod suggest;
pub mod tables;

pub use rng::{SeededRng, derive_seed};
pub use suggest::{did_you_mean, nearest};

/// The bytes in hexadecimal digits, two each: a checksum as `sha256sum` writes it.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
