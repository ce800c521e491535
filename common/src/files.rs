//! Files that somebody else may have made: opened where they are plain ones alone.
//!
//! A FIFO in place of a file blocks whoever opens it, a device may never end, and a file may be far larger than
//! what it should hold.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::Path;

/// Opens a plain file, behind symbolic links too.
///
/// # Errors
/// When it is a folder, a FIFO, a device or a socket, or cannot be opened.
pub fn open_plain(path: &Path) -> io::Result<File> {
    check_plain(path, &fs::metadata(path)?)?;
    File::open(path)
}

/// Reads a plain text file of at most so many bytes.
///
/// # Errors
/// As [`open_plain`], and when the file is longer or not UTF-8.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    let file = open_plain(path)?;
    let mut text = String::new();
    // One byte more shows that it is longer, whatever its length was said to be.
    if file.take(most.saturating_add(1)).read_to_string(&mut text)? as u64 > most {
        return Err(wrong(format!("{} is longer than {most} bytes", path.display())));
    }
    Ok(text)
}

/// Refuses what is no plain file itself, a symbolic link too; what is not there is fine.
///
/// # Errors
/// When it is anything else, or cannot be looked at.
pub fn check_own_file(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => check_plain(path, &metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Refuses what is no folder itself, a symbolic link to one too; what is not there is fine.
///
/// # Errors
/// When it is anything else, or cannot be looked at.
pub fn check_own_folder(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(metadata) => Err(wrong(format!("{} is {}, not a folder", path.display(), kind(&metadata)))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn check_plain(path: &Path, metadata: &Metadata) -> io::Result<()> {
    match metadata.is_file() {
        true => Ok(()),
        false => Err(wrong(format!("{} is {}, not a plain file", path.display(), kind(metadata)))),
    }
}

fn kind(metadata: &Metadata) -> &'static str {
    match metadata.file_type() {
        kind if kind.is_dir() => "a folder",
        kind if kind.is_symlink() => "a symbolic link",
        kind if kind.is_file() => "a plain file",
        _ => "a FIFO, a socket or a device",
    }
}

fn wrong(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_files_alone_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "four").unwrap();
        assert_eq!(read_text(&file, 4).unwrap(), "four");
        assert!(read_text(&file, 3).unwrap_err().to_string().contains("longer than 3 bytes"));
        assert!(open_plain(folder.path()).unwrap_err().to_string().contains("a folder"));
        assert_eq!(open_plain(&folder.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        check_own_file(&folder.path().join("none")).unwrap();
        check_own_folder(folder.path()).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_device_does_not_hold_its_reader_and_a_link_is_no_file_of_ones_own() {
        let folder = tempfile::tempdir().unwrap();
        let device = Path::new("/dev/zero");
        assert!(read_text(device, 9).unwrap_err().to_string().contains("a device"));
        let (link, there) = (folder.path().join("link"), folder.path().join("there"));
        fs::write(&there, "x").unwrap();
        std::os::unix::fs::symlink(&there, &link).unwrap();
        assert_eq!(read_text(&link, 9).unwrap(), "x");
        assert!(check_own_file(&link).unwrap_err().to_string().contains("a symbolic link"));
        assert!(check_own_folder(&link).unwrap_err().to_string().contains("a symbolic link"));
    }
}
