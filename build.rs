//! Lets this package's binaries, tests, examples and benches find libtorch, and CUDA in it, with no
//! environment variable.

fn main() {
    pavlov_build::link_libtorch();
}
