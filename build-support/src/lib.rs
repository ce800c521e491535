//! The common part of build scripts: finds libtorch, sets the path under which binaries look for it, and
//! keeps CUDA linked.
//!
//! A package whose binaries, tests, examples or benches end up on libtorch, in this workspace or in a project
//! that depends on Pavlov, has this as its `build.rs`:
//!
//! ```no_run
//! pavlov_build::link_libtorch();
//! ```
//!
//! cargo hands a linker argument to the package whose build script printed it and to no other, so each such
//! package needs its own. Without it a binary starts only with `LD_LIBRARY_PATH` set, and a binary built
//! against a CUDA libtorch sees no GPU: nothing in it names a symbol of `libtorch_cuda.so`, so the linker
//! leaves that library out.

mod locate;

pub use locate::{Libtorch, LocateError};

use std::env;

/// Finds libtorch and prints what cargo needs to link this package's binaries, tests, examples and benches
/// with it.
///
/// Where libtorch is missing, the build ends here with a message that says what to do.
pub fn link_libtorch() -> Libtorch {
    for name in ["LIBTORCH", "LIBTORCH_LIB", "LIBTORCH_INCLUDE", "LIBTORCH_BYPASS_VERSION_CHECK"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    match Libtorch::locate(|name| env::var_os(name)) {
        Ok(libtorch) => {
            for path in libtorch.watched() {
                println!("cargo::rerun-if-changed={}", path.display());
            }
            let target_os = env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
            for argument in libtorch.link_arguments(&target_os) {
                println!("cargo::rustc-link-arg={argument}");
            }
            libtorch
        }
        Err(error) => {
            println!("cargo::error={error}");
            std::process::exit(1);
        }
    }
}
