//! Compiles the C++ shim against the same libtorch that torch-sys links.

use std::env;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH_INCLUDE");
    let lib = PathBuf::from(env::var_os("DEP_TCH_LIBTORCH_LIB").expect("torch-sys tells where libtorch is"));
    let root = env::var_os("LIBTORCH_INCLUDE").map(PathBuf::from).unwrap_or_else(|| lib.join(".."));
    let shim = Path::new("src/shim");
    let mut build = cc::Build::new();
    build
        .cpp(true)
        .std("c++17")
        .opt_level(3)
        .warnings(false)
        .flag("-fno-math-errno")
        .flag("-fno-trapping-math")
        // A product and a sum rounded as one where the processor can do it would give each machine numbers of its own.
        .flag("-ffp-contract=off")
        .include(root.join("include"))
        .include(root.join("include/torch/csrc/api/include"));
    println!("cargo:rerun-if-changed=src/shim");
    let mut sources: Vec<_> = std::fs::read_dir(shim)
        .expect("the shim's sources")
        .map(|entry| entry.expect("a readable directory").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "cpp"))
        .collect();
    sources.sort();
    build.files(sources).compile("pavlov_shim");
    // The crate's own unit tests find libtorch without an environment variable.
    let lib = lib.canonicalize().unwrap_or(lib);
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
}
