//! Pavlov's command line with the shop in it.

use std::error::Error;
use std::process::ExitCode;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    Ok(pavlov::cli::main(&my_world::registries()?))
}
