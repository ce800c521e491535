//! Weights in safetensors files, which PyTorch reads and writes as well.
//!
//! The names are those of the `state_dict` of the same `nn.Sequential`, so in Python
//! `net.load_state_dict(safetensors.torch.load_file("weights.safetensors"))` takes what [`write()`] wrote, and
//! [`read`] takes what `safetensors.torch.save_file(net.state_dict(), "weights.safetensors")` wrote.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, View};

use crate::{Array, ArrayKind, NnError, StateDict};

impl View for &Array<'_> {
    fn dtype(&self) -> Dtype {
        match self.kind {
            ArrayKind::F32 => Dtype::F32,
            ArrayKind::F64 => Dtype::F64,
            ArrayKind::I64 => Dtype::I64,
            ArrayKind::U32 => Dtype::U32,
            ArrayKind::U8 => Dtype::U8,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.data)
    }

    fn data_len(&self) -> usize {
        self.data.len()
    }
}

/// Writes the arrays of `state` to `path`; values are not written. The file appears whole or not at all.
///
/// # Errors
/// [`NnError::Io`] when the file cannot be written; what stood there before is then untouched.
pub fn write(path: &Path, state: &StateDict<'_>) -> Result<(), NnError> {
    let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
    let whole = |source| NnError::Io { path: path.display().to_string(), source };
    write_atomically(path, |beside| {
        let arrays = state.arrays.iter().map(|(name, array)| (name.as_str(), array));
        safetensors::serialize_to_file(arrays, Some(metadata), beside).map_err(|error| match error {
            SafeTensorError::IoError(error) => error,
            other => io::Error::other(other),
        })
    })
    .map_err(whole)
}

/// Reads every array of the file.
///
/// # Errors
/// [`NnError::Io`] when the file cannot be read, [`NnError::State`] when it is no whole safetensors file or holds a
/// type of number that the network core does not use.
pub fn read(path: &Path) -> Result<StateDict<'static>, NnError> {
    let bytes = fs::read(path).map_err(|source| NnError::Io { path: path.display().to_string(), source })?;
    let damaged = |what: String| NnError::State(format!("{}: {what}", path.display()));
    let file = SafeTensors::deserialize(&bytes).map_err(|error| {
        damaged(format!("not a whole safetensors file ({error}): restore it from a copy"))
    })?;
    let mut state = StateDict::new();
    for (name, view) in file.iter() {
        let kind = match view.dtype() {
            Dtype::F32 => ArrayKind::F32,
            Dtype::F64 => ArrayKind::F64,
            Dtype::I64 => ArrayKind::I64,
            Dtype::U32 => ArrayKind::U32,
            Dtype::U8 => ArrayKind::U8,
            other => {
                let advice = "save it as float32, float64, int64 or uint8";
                return Err(damaged(format!("`{name}` holds numbers of type {other:?}: {advice}")));
            }
        };
        let array = Array { kind, shape: view.shape().to_vec(), data: Cow::Owned(view.data().to_vec()) };
        state.arrays.insert(name.to_string(), array);
    }
    Ok(state)
}

/// Has `write` make a file beside its place, brings it to the disk and renames it: whoever looks sees the old file or
/// the new one, whole, even after a crash or with the disk full.
///
/// # Errors
/// Those of the operating system and of `write`; the old file is then untouched and nothing is left beside it.
pub fn write_atomically(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let mut name = path.file_name().ok_or_else(|| io::Error::other("a file needs a name"))?.to_os_string();
    name.push(format!(".{}.part", std::process::id()));
    let beside = path.with_file_name(name);
    let written = write(&beside)
        .and_then(|()| File::open(&beside)?.sync_all())
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // The error that matters is the first one; a leftover that cannot be removed changes nothing.
        let _ = fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        let mut state = StateDict::new();
        state.put_slice("a.weight", &[2, 3], &[1.0f32, 2.0, 3.0, 4.0, 5.0, -0.0]);
        state.put_slice("b", &[1], &[i64::MIN]);
        state.put_slice("c", &[0], &[0u8; 0]);
        write(&path, &state).unwrap();
        assert_eq!(read(&path).unwrap(), state);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_truncated_file_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        let mut state = StateDict::new();
        state.put_slice("a", &[100], &[1.0f32; 100]);
        write(&path, &state).unwrap();
        let bytes = fs::read(&path).unwrap();
        for length in [0, 7, 20, bytes.len() - 1] {
            fs::write(&path, &bytes[..length]).unwrap();
            assert!(read(&path).unwrap_err().to_string().contains("w.safetensors"));
        }
    }

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, "old").unwrap();
        let failed = write_atomically(&path, |beside| {
            fs::write(beside, "half")?;
            Err(io::Error::other("the disk is full"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
