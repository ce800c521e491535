//! Files read whole, and folders listed.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::DataError;

/// The bytes of a file. Not more is allocated than the file is long.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, DataError> {
    let failed = |error| DataError::io(path, error);
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(DataError::format(path, "this is no file"));
    }
    let mut bytes = Vec::new();
    let too_large = || DataError::format(path, "the file is too large for the memory");
    let length = usize::try_from(metadata.len()).map_err(|_| too_large())?;
    bytes.try_reserve_exact(length).map_err(|_| too_large())?;
    file.take(metadata.len()).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// The entries of a folder, sorted by name, without hidden ones (a name that begins with a dot).
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let failed = |error| DataError::io(folder, error);
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            entries.push(entry.path());
        }
    }
    entries.sort();
    Ok(entries)
}

/// The name of a file or folder, for messages and for the names of classes.
pub(crate) fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}
