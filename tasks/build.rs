//! Lets this crate's tests find libtorch, and CUDA in it, with no environment variable.

fn main() {
    pavlov_build::link_libtorch();
}
