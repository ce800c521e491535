//! Compiles the C++ shim against the same libtorch that torch-sys links.

use std::path::Path;

fn main() {
    // Also lets the crate's own unit tests find libtorch without an environment variable.
    let libtorch = pavlov_build::link_libtorch();
    let shim = Path::new("src/shim");
    let mut build = cc::Build::new();
    build
        .cpp(true)
        .std("c++17")
        .opt_level(3)
        .warnings(false)
        .flag("-fno-math-errno")
        .flag("-fno-trapping-math")
        // A product and a sum rounded as one where the processor can do it would give each machine numbers of
        // its own.
        .flag("-ffp-contract=off")
        .includes(libtorch.include_dirs());
    println!("cargo:rerun-if-changed=src/shim");
    // For measuring, on a processor with AVX-512, what one without reaches.
    println!("cargo:rerun-if-env-changed=PAVLOV_NO_AVX512");
    if std::env::var_os("PAVLOV_NO_AVX512").is_some() {
        build.define("PAVLOV_NO_AVX512", None);
    }
    let mut sources: Vec<_> = std::fs::read_dir(shim)
        .expect("the shim's sources")
        .map(|entry| entry.expect("a readable directory").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "cpp"))
        .collect();
    sources.sort();
    build.files(sources).compile("pavlov_shim");
}
