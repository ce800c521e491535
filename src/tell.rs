//! Lines for people, on the standard error.

use std::fmt::Display;
use std::io::{self, Write};

/// Writes a line. A reader that has gone (`2>&1 | head`) misses it, and the work goes on: `eprintln!` would panic.
pub(crate) fn tell(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}
