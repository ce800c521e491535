//! Text files, with errors that name the byte.

use std::path::{Path, PathBuf};

use crate::DataError;
use crate::sets::files::entries;

/// The text of a file: UTF-8, without its byte order mark, every line ended by `\n` alone.
pub(crate) fn read_text(path: &Path) -> Result<String, DataError> {
    let bytes = std::fs::read(path).map_err(|source| DataError::io(path, source))?;
    decode_text(bytes).map_err(|message| DataError::format(path, message))
}

/// The bytes as a text, or what is wrong with them.
pub(crate) fn decode_text(bytes: Vec<u8>) -> Result<String, String> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let byte = error.as_bytes().get(at).copied().unwrap_or_default();
        format!("not UTF-8: byte {at} is 0x{byte:02x}; convert the file, for instance with iconv")
    })?;
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    Ok(if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text })
}

/// The files and the folders of a folder, by name. Names that begin with a dot are left out.
pub(crate) fn list_folder(path: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), DataError> {
    let (folders, files) = entries(path)?.into_iter().partition(|entry| entry.is_dir());
    Ok((files, folders))
}

/// True if the file's name ends so, in upper or lower case.
pub(crate) fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_alike_and_the_mark_goes() {
        assert_eq!(decode_text("\u{feff}a\r\nb\rc\n".into()).unwrap(), "a\nb\nc\n");
        assert_eq!(decode_text(Vec::new()).unwrap(), "");
    }

    #[test]
    fn the_byte_that_is_not_utf8_is_named() {
        let message = decode_text(vec![b'a', b'b', 0xe9, b'c']).unwrap_err();
        assert!(message.starts_with("not UTF-8: byte 2 is 0xe9"), "{message}");
    }
}
