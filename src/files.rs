//! Files of results, which appear whole or not at all, and names that are free.

use std::path::Path;

use anyhow::{Context, Result};
use pavlov_nn::weights::write_atomically;

/// Writes the file; what stood there before stays where that fails.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn write_whole(path: &Path, contents: impl AsRef<[u8]>) -> Result<()> {
    write_atomically(path, |beside| std::fs::write(beside, contents))
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// The first of the names `stem`, `stem-2`, `stem-3` and so on that nothing in the folder has.
pub(crate) fn free_name(folder: &Path, stem: &str) -> String {
    let mut name = stem.to_string();
    let mut number = 2;
    while folder.join(&name).exists() {
        name = format!("{stem}-{number}");
        number += 1;
    }
    name
}
