//! A file that only grows, by whole records.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

/// Appends whole records. A record that cannot be written completely (a full disk) is taken back, so that the
/// file can always be read.
#[derive(Debug)]
pub(super) struct AppendFile {
    file: File,
    len: u64,
}

impl AppendFile {
    /// Opens the file, made if it is not there, and cuts it to `len` bytes.
    pub(super) fn open(path: &Path, len: u64) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        if file.metadata()?.len() < len {
            let message = format!("{} is shorter than its checkpoint says: {len} bytes", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        file.set_len(len)?;
        file.seek(SeekFrom::Start(len))?;
        Ok(Self { file, len })
    }

    /// Appends the record, or leaves the file as it was.
    pub(super) fn append(&mut self, record: &[u8]) -> io::Result<()> {
        match self.file.write_all(record) {
            Ok(()) => {
                self.len += record.len() as u64;
                Ok(())
            }
            Err(error) => {
                // If this fails too, the next append starts from the same place again.
                let _ = self.file.set_len(self.len);
                let _ = self.file.seek(SeekFrom::Start(self.len));
                Err(error)
            }
        }
    }

    /// Syncs the records to the disk.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// The length in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_file_continues_from_its_position() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let mut file = AppendFile::open(&path, 0).unwrap();
        file.append(b"kept").unwrap();
        file.append(b"cut").unwrap();
        let mut file = AppendFile::open(&path, 4).unwrap();
        file.append(b"!").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"kept!");
        assert!(AppendFile::open(&path, 6).is_err());
    }
}
