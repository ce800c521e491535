//! Lets the program and the tests find libtorch, and CUDA in it, with no environment variable.

fn main() {
    pavlov_build::link_libtorch();
}
