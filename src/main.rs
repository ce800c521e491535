//! The `pavlov` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    pavlov::cli::main(&pavlov::Registries::bundled())
}
