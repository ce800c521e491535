//! Output to the standard output that never panics.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::process::exit;

use pavlov_envs::EnvFactory;

use crate::tell::tell;
use crate::training::cut_off;

/// Prints a line on the standard output, as `println!` does, but never panics.
macro_rules! say {
    ($($words:tt)*) => {
        $crate::cli::say::line(format_args!($($words)*))
    };
}
pub(super) use say;

/// Writes a line. If the reader has closed the pipe (`pavlov envs | head`), the program ends without a
/// message.
pub(super) fn line(words: Arguments<'_>) {
    match writeln!(io::stdout(), "{words}") {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => exit(0),
        Err(error) => {
            tell(format_args!("error: the standard output cannot be written: {error}"));
            exit(1);
        }
    }
}

/// Warns of episodes without an end, if there were any.
pub(super) fn warn_of_cut_off(count: usize, of: usize) {
    if count > 0 {
        tell(format_args!("warning: {}", cut_off(count, of)));
    }
}

/// Writes the factory's new warnings to the standard error.
pub(super) fn warn_of(factory: &EnvFactory) {
    for warning in factory.take_warnings() {
        tell(format_args!("warning: {warning}"));
    }
}
