//! Compiles the C++ shim against the same libtorch that torch-sys links.

use std::path::{Path, PathBuf};

/// The sources that see no header of libtorch.
const LOOPS: &[&str] = &[
    "blas",
    "cells",
    "convolution",
    "dense",
    "gather",
    "memory",
    "norm",
    "optim_kernels",
    "product",
    "product_avx2",
    "product_avx512",
    "product_bf16",
    "team",
];
/// The number of files that the others are compiled as.
const UNITS: usize = 2;

fn main() {
    // Also lets the crate's own unit tests find libtorch without an environment variable.
    let libtorch = pavlov_build::link_libtorch();
    let shim = Path::new("shim");
    let mut build = cc::Build::new();
    build
        .cpp(true)
        .std("c++17")
        .opt_level(3)
        .warnings(false)
        // Lines alone: all that a debugger can know of libtorch's headers doubles the time.
        .debug(false)
        .flag("-g1")
        // As libtorch was compiled: without it, objects of some classes (RecordFunction) are larger than its own.
        .define("NDEBUG", None)
        .flag("-fno-math-errno")
        .flag("-fno-trapping-math")
        // A product and a sum rounded as one where the processor can do it would give each machine numbers of
        // its own.
        .flag("-ffp-contract=off")
        .includes(libtorch.include_dirs());
    // For measuring, on a processor with AVX-512, what one without reaches.
    println!("cargo:rerun-if-env-changed=PAVLOV_NO_AVX512");
    if std::env::var_os("PAVLOV_NO_AVX512").is_some() {
        build.define("PAVLOV_NO_AVX512", None);
    }
    // cargo looks at every file in the folder, headers and new ones included.
    println!("cargo:rerun-if-changed=shim");
    let sources = Sources::read(shim);
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo gives OUT_DIR"));
    build.include(shim).files(sources.loops).files(write_units(&sources.on_libtorch, &out));
    build.compile("pavlov_shim");
}

/// The C++ of the shim.
struct Sources {
    /// Loops over plain memory, which see no header of libtorch.
    loops: Vec<PathBuf>,
    /// Files that work on tensors.
    on_libtorch: Vec<PathBuf>,
}

impl Sources {
    fn read(folder: &Path) -> Self {
        let entries = std::fs::read_dir(folder).expect("the shim's sources");
        let mut all: Vec<PathBuf> =
            entries.map(|entry| entry.expect("a readable directory").path()).collect();
        all.retain(|path| path.extension().is_some_and(|extension| extension == "cpp"));
        all.sort();
        let (loops, on_libtorch) = all.into_iter().partition(|path| {
            let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a name");
            LOOPS.contains(&stem)
        });
        Self { loops, on_libtorch }
    }
}

/// Writes files that include the sources, [`UNITS`] of them: reading libtorch's headers takes several times as
/// long as compiling a source, so that one reading serves many.
fn write_units(sources: &[PathBuf], out: &Path) -> Vec<PathBuf> {
    let share = sources.len().div_ceil(UNITS);
    let write = |(number, sources): (usize, &[PathBuf])| {
        let path = out.join(format!("unit_{number}.cpp"));
        let names = sources.iter().map(|path| path.file_name().expect("a name").to_string_lossy());
        let text: String = names.map(|name| format!("#include \"{name}\"\n")).collect();
        std::fs::write(&path, text).expect("OUT_DIR can be written");
        path
    };
    sources.chunks(share).enumerate().map(write).collect()
}
