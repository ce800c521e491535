//! Weights in safetensors files, which PyTorch reads and writes as well.
//!
//! The names are those of the `state_dict` of the same `nn.Sequential`, so in Python
//! `net.load_state_dict(safetensors.torch.load_file("weights.safetensors"))` takes what [`write()`] wrote,
//! and [`read`] takes what `safetensors.torch.save_file(net.state_dict(), "weights.safetensors")` wrote.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;

use half::{bf16, f16};
use pavlov_common::files::open_plain;
use pavlov_common::hexadecimal;
use safetensors::tensor::{Dtype, Metadata, SafeTensorError, TensorInfo, View};
use sha2::{Digest, Sha256};

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
    write_with(path, state, HashMap::new())
}

/// The entry of a file's metadata that has the sum of its arrays.
const SUM: &str = "sha256";

/// The same with a checksum of all arrays in the file's metadata, against which [`read`] checks them.
///
/// # Errors
/// As [`write()`].
pub fn write_sealed(path: &Path, state: &StateDict<'_>) -> Result<(), NnError> {
    write_with(path, state, HashMap::from([(SUM.to_string(), sum(state))]))
}

fn write_with(
    path: &Path,
    state: &StateDict<'_>,
    mut metadata: HashMap<String, String>,
) -> Result<(), NnError> {
    metadata.insert("format".into(), "pt".into());
    let whole = |source| NnError::Io { path: path.display().to_string(), source };
    write_atomically(path, |beside| {
        // The library makes a file that nobody else may read; ours are as the user's mask has it.
        let permissions = File::create(beside)?.metadata()?.permissions();
        let arrays = state.arrays.iter().map(|(name, array)| (name.as_str(), array));
        safetensors::serialize_to_file(arrays, Some(metadata), beside).map_err(|error| match error {
            SafeTensorError::IoError(error) => error,
            other => io::Error::other(other),
        })?;
        fs::set_permissions(beside, permissions)
    })
    .map_err(whole)
}

/// The SHA-256 sum of all arrays with their names, types and shapes, in hexadecimal digits.
fn sum(state: &StateDict<'_>) -> String {
    let mut hasher = Sha256::new();
    for (name, array) in &state.arrays {
        // A text that no other names and shapes give.
        hasher.update(format!("{name:?} {:?} {:?} {}\n", array.kind, array.shape, array.data.len()));
        hasher.update(&array.data);
    }
    hexadecimal(&hasher.finalize())
}

/// The largest header that is read, in bytes, as in the safetensors library.
const MAX_HEADER_LEN: u64 = 100_000_000;

/// Reads every array of the file; numbers of 16 bits (f16, bf16) become f32. Memory holds the arrays and no
/// second copy of the file.
///
/// # Errors
/// [`NnError::Io`] when the file cannot be read, [`NnError::State`] when it is no whole safetensors file or
/// holds a type of number that the network core does not use, or its checksum, if it has one, is another.
pub fn read(path: &Path) -> Result<StateDict<'static>, NnError> {
    let unreadable = |source| NnError::Io { path: path.display().to_string(), source };
    let damaged = |what: String| NnError::State(format!("{}: {what}", path.display()));
    let file = open_plain(path).map_err(unreadable)?;
    let file_len = file.metadata().map_err(unreadable)?.len();
    let mut file = BufReader::new(file);
    let header = read_header(&mut file, file_len).map_err(|error| match error {
        SafeTensorError::IoError(error) if error.kind() != io::ErrorKind::UnexpectedEof => unreadable(error),
        other => damaged(format!("not a whole safetensors file ({other}): restore it from a copy")),
    })?;
    let mut state = StateDict::new();
    // In the order of the file, which has no gaps: checked with the header.
    for name in header.offset_keys() {
        let Some(info) = header.info(&name) else { continue };
        let Some(kind) = kind_in_memory(info.dtype) else {
            let advice = "save it as float32, float16, bfloat16, float64, int64 or uint8";
            return Err(damaged(format!("`{name}` holds numbers of type {:?}: {advice}", info.dtype)));
        };
        let data = read_array(&mut file, info).map_err(unreadable)?;
        state.arrays.insert(name, Array { kind, shape: info.shape.clone(), data: data.into() });
    }
    let sealed = header.metadata().as_ref().and_then(|metadata| metadata.get(SUM));
    if sealed.is_some_and(|sealed| *sealed != sum(&state)) {
        return Err(damaged(
            "its numbers are damaged (their checksum is another): restore it from a copy".into(),
        ));
    }
    Ok(state)
}

/// The names, types, shapes and places of the arrays, checked against each other and against the file's
/// length before any memory is taken for what they claim.
fn read_header(file: &mut impl Read, file_len: u64) -> Result<Metadata, SafeTensorError> {
    let mut len = [0; 8];
    file.read_exact(&mut len)?;
    let len = u64::from_le_bytes(len);
    if len > MAX_HEADER_LEN {
        return Err(SafeTensorError::HeaderTooLarge);
    }
    let data_start = len + 8;
    if data_start > file_len {
        return Err(SafeTensorError::InvalidHeaderLength);
    }
    let header: Metadata = serde_json::from_slice(&read_bytes(file, len as usize)?)
        .map_err(SafeTensorError::InvalidHeaderDeserialization)?;
    match header.data_len() as u64 == file_len - data_start {
        true => Ok(header),
        false => Err(SafeTensorError::MetadataIncompleteBuffer),
    }
}

fn kind_in_memory(dtype: Dtype) -> Option<ArrayKind> {
    match dtype {
        Dtype::F32 | Dtype::F16 | Dtype::BF16 => Some(ArrayKind::F32),
        Dtype::F64 => Some(ArrayKind::F64),
        Dtype::I64 => Some(ArrayKind::I64),
        Dtype::U32 => Some(ArrayKind::U32),
        Dtype::U8 => Some(ArrayKind::U8),
        _ => None,
    }
}

fn read_array(file: &mut impl Read, info: &TensorInfo) -> io::Result<Vec<u8>> {
    let (start, end) = info.data_offsets;
    let bytes = read_bytes(file, end - start)?;
    Ok(match info.dtype {
        Dtype::F16 => widened(&bytes, |half| f16::from_le_bytes(half).to_f32()),
        Dtype::BF16 => widened(&bytes, |half| bf16::from_le_bytes(half).to_f32()),
        _ => bytes,
    })
}

fn read_bytes(file: &mut impl Read, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(io::Error::other)?;
    match file.take(len as u64).read_to_end(&mut bytes)? == len {
        true => Ok(bytes),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Numbers of 16 bits as the bytes of f32 numbers.
fn widened(bytes: &[u8], to_f32: impl Fn([u8; 2]) -> f32) -> Vec<u8> {
    let mut wide = Vec::with_capacity(2 * bytes.len());
    for half in bytes.chunks_exact(2) {
        wide.extend_from_slice(&to_f32([half[0], half[1]]).to_le_bytes());
    }
    wide
}

/// Has `write` make a file beside its place, brings it to the disk and renames it: whoever looks sees the old
/// file or the new one, whole, even after a crash or with the disk full.
///
/// # Errors
/// Those of the operating system and of `write`; the old file is then untouched and nothing is left beside
/// it.
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
    fn every_flipped_bit_of_a_sealed_file_is_seen_or_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        let mut state = StateDict::new();
        state.put_slice("a.weight", &[2, 3], &[1.0f32, 2.0, 3.0, 4.0, 5.0, -0.0]);
        state.put_slice("b", &[4], &[7u8; 4]);
        write_sealed(&path, &state).unwrap();
        assert_eq!(read(&path).unwrap(), state);
        let whole = fs::read(&path).unwrap();
        let mut seen = 0;
        for bit in 0..8 * whole.len() {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &damaged).unwrap();
            match read(&path) {
                // In what the format says of itself, `pt`, say.
                Ok(read) => assert_eq!(read, state, "bit {bit}"),
                Err(_) => seen += 1,
            }
        }
        assert!(seen > 7 * whole.len(), "{seen} of {}", 8 * whole.len());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_has_the_mode_of_any_other() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("w.safetensors"), folder.path().join("other"));
        write(&path, &StateDict::new()).unwrap();
        fs::write(&other, "x").unwrap();
        let mode = |path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&path), mode(&other));
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

    /// A file of these bytes whose header is this text.
    fn file(header: &str, data: &[u8]) -> Result<StateDict<'static>, NnError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        let len = (header.len() as u64).to_le_bytes();
        fs::write(&path, [&len[..], header.as_bytes(), data].concat()).unwrap();
        read(&path)
    }

    #[test]
    fn numbers_of_16_bits_become_f32() {
        // 1, -2, the smallest denormal and infinity.
        let (f16, bf16) = ([0x3c00u16, 0xc000, 0x0001, 0x7c00], [0x3f80u16, 0xc000, 0x0001, 0x7f80]);
        let bytes: Vec<u8> = [bf16, f16].concat().into_iter().flat_map(u16::to_le_bytes).collect();
        let header = r#"{"b":{"dtype":"BF16","shape":[4],"data_offsets":[0,8]},
            "a":{"dtype":"F16","shape":[2,2],"data_offsets":[8,16]}}"#;
        let state = file(header, &bytes).unwrap();
        assert_eq!(state.arrays["a"].shape, [2, 2]);
        let numbers = |name| state.view().vec::<f32>(name).unwrap();
        assert_eq!(numbers("a"), [1.0, -2.0, 2f32.powi(-24), f32::INFINITY]);
        assert_eq!(numbers("b"), [1.0, -2.0, f32::from_bits(1 << 16), f32::INFINITY]);
    }

    #[test]
    fn a_header_that_lies_is_refused_before_memory_is_taken() {
        let array = |dtype: &str, shape: &str, offsets: &str| {
            format!(r#"{{"a":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#)
        };
        for (header, complaint) in [
            (array("F32", "[1000000000000]", "[0,4000000000000]"), "not a whole safetensors file"),
            (array("F32", "[4294967296,4294967296,4294967296]", "[0,4]"), "not a whole"),
            (array("F32", "[2]", "[0,4]"), "not a whole"),
            (array("F32", "[1]", "[4,0]"), "not a whole"),
            (array("F32", "[1]", "[0,4]") + " {", "not a whole"),
            ("[".repeat(100_000), "not a whole"),
            (String::new(), "not a whole"),
            (array("I32", "[1]", "[0,4]"), "`a` holds numbers of type I32: save it as float32"),
        ] {
            let error = file(&header, &[0; 4]).unwrap_err().to_string();
            assert!(error.contains(complaint), "{error}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        for claimed in [u64::MAX, u64::MAX - 7, MAX_HEADER_LEN, 13] {
            fs::write(&path, [&claimed.to_le_bytes()[..], b"{\"a\": 1}"].concat()).unwrap();
            assert!(matches!(read(&path), Err(NnError::State(_))), "a header of {claimed} bytes");
        }
        assert!(matches!(read(folder.path()), Err(NnError::Io { .. })), "a folder is no file");
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
