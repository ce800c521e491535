//! Files of results, which appear whole or not at all.

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
