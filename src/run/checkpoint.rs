//! Checkpoints: the state from which a run continues bit for bit.
//!
//! A checkpoint is a folder with three files: `tensors.safetensors` (weights, moments, replay, environments),
//! `state.json` (counters, generators) and `SHA256SUMS` over both, which `sha256sum -c` understands. It is
//! written beside its place and renamed when it is complete and on the disk, so that only complete
//! checkpoints can be seen, even after a crash or with the disk full.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use pavlov_nn::{StateDict, weights};
use sha2::{Digest, Sha256};

const TENSORS: &str = "tensors.safetensors";
const VALUES: &str = "state.json";
const SUMS: &str = "SHA256SUMS";
const PART: &str = ".part-";

/// The checkpoints of a run.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    folder: PathBuf,
}

/// One complete checkpoint on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Its folder.
    pub path: PathBuf,
    /// The env steps or updates after which it was written.
    pub step: u64,
}

impl Checkpoints {
    /// The checkpoints in `folder`, which need not exist yet.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The checkpoints, oldest first.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(&self) -> io::Result<Vec<Checkpoint>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if let Some(step) = name.strip_prefix("step-").and_then(|digits| digits.parse().ok()) {
                found.push(Checkpoint { step, path });
            }
        }
        found.sort_by_key(|checkpoint| checkpoint.step);
        Ok(found)
    }

    /// Writes a checkpoint, then removes all but the `keep_last` latest.
    ///
    /// # Errors
    /// When it cannot be written completely; the ones before it are then untouched, and nothing is left of
    /// it.
    pub fn write(&self, step: u64, state: &StateDict<'_>, keep_last: usize) -> Result<PathBuf> {
        let place = self.folder.join(format!("step-{step:012}"));
        let part = self.folder.join(format!("{PART}{}", std::process::id()));
        let written = write_part(&part, state).and_then(|()| {
            // A run that was resumed may write the same checkpoint again.
            if place.exists() {
                fs::remove_dir_all(&place)?;
            }
            fs::rename(&part, &place)?;
            File::open(&self.folder)?.sync_all()?;
            Ok(())
        });
        if let Err(error) = written {
            // The first error is the one to report; a leftover is removed by the next resume.
            let _ = fs::remove_dir_all(&part);
            let shown = self.folder.display();
            return Err(error.context(format!(
                "the checkpoint could not be written into {shown}; the ones before it are untouched: \
                 make room, then `pavlov resume` the run"
            )));
        }
        self.prune(keep_last)?;
        Ok(place)
    }

    fn prune(&self, keep_last: usize) -> Result<()> {
        let all = self.list()?;
        for old in &all[..all.len().saturating_sub(keep_last)] {
            // It is renamed first, so that a crash during the removal leaves no half checkpoint under its
            // name.
            let doomed = self.folder.join(format!("{PART}old-{}", old.step));
            fs::rename(&old.path, &doomed).and_then(|()| fs::remove_dir_all(&doomed))?;
        }
        Ok(())
    }

    /// Removes the leftovers of a killed process.
    ///
    /// # Errors
    /// When a leftover cannot be removed.
    pub fn clean(&self) -> io::Result<()> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Ok(()) };
        for entry in entries {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(PART) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }
}

fn write_part(part: &Path, state: &StateDict<'_>) -> Result<()> {
    if part.exists() {
        fs::remove_dir_all(part)?;
    }
    fs::create_dir_all(part)?;
    weights::write(&part.join(TENSORS), state)?;
    let values = serde_json::to_string_pretty(&state.values)?;
    weights::write_atomically(&part.join(VALUES), |beside| fs::write(beside, values + "\n"))?;
    let mut sums = String::new();
    for name in [TENSORS, VALUES] {
        sums.push_str(&format!("{}  {name}\n", sha256(&part.join(name))?));
    }
    weights::write_atomically(&part.join(SUMS), |beside| fs::write(beside, sums))?;
    File::open(part)?.sync_all()?;
    Ok(())
}

impl Checkpoint {
    /// Reads the checkpoint after checking that it is complete.
    ///
    /// # Errors
    /// When a file is missing, cut off or changed; the message names it.
    pub fn read(&self) -> Result<StateDict<'static>> {
        let shown = self.path.display();
        let sums = fs::read_to_string(self.path.join(SUMS))
            .with_context(|| format!("{shown}: {SUMS} is missing"))?;
        for name in [TENSORS, VALUES] {
            let expected = sums.lines().find_map(|line| line.strip_suffix(name)).map(str::trim);
            let found =
                sha256(&self.path.join(name)).with_context(|| format!("{shown}: {name} is missing"))?;
            if expected != Some(found.as_str()) {
                bail!("{shown}: {name} is damaged (its checksum differs from the one in {SUMS})");
            }
        }
        let mut state = weights::read(&self.path.join(TENSORS))?;
        let values: BTreeMap<_, _> = serde_json::from_str(&fs::read_to_string(self.path.join(VALUES))?)
            .with_context(|| format!("{shown}: {VALUES} was not written by Pavlov"))?;
        state.values = values;
        Ok(state)
    }
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut block = vec![0; 1 << 20];
    loop {
        match file.read(&mut block)? {
            0 => break,
            count => hasher.update(&block[..count]),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> StateDict<'static> {
        let mut state = StateDict::new();
        state.put_slice("w", &[64], &[0.5f32; 64]);
        state.put_value("step", &7u64).unwrap();
        state
    }

    #[test]
    fn the_last_ones_are_kept_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path().join("checkpoints"));
        assert!(checkpoints.list().unwrap().is_empty());
        for step in [10, 20, 20, 30] {
            checkpoints.write(step, &state(), 2).unwrap();
        }
        let list = checkpoints.list().unwrap();
        assert_eq!(list.iter().map(|c| c.step).collect::<Vec<_>>(), [20, 30]);
        assert_eq!(list[1].read().unwrap(), state());
    }

    #[test]
    fn every_flipped_or_missing_byte_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path().join("checkpoints"));
        checkpoints.write(1, &state(), 1).unwrap();
        let checkpoint = checkpoints.list().unwrap().remove(0);
        for name in [TENSORS, VALUES, SUMS] {
            let path = checkpoint.path.join(name);
            let whole = fs::read(&path).unwrap();
            for position in (0..whole.len()).step_by(13) {
                let mut damaged = whole.clone();
                damaged[position] ^= 4;
                fs::write(&path, &damaged).unwrap();
                let message = checkpoint.read().unwrap_err().to_string();
                assert!(message.contains("step-000000000001"), "{name} {position}: {message}");
            }
            fs::write(&path, &whole[..whole.len() / 2]).unwrap();
            assert!(checkpoint.read().is_err());
            fs::write(&path, &whole).unwrap();
        }
        assert!(checkpoint.read().is_ok());
    }

    #[test]
    fn leftovers_of_a_killed_process_are_no_checkpoints() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path().to_path_buf());
        checkpoints.write(1, &state(), 1).unwrap();
        fs::create_dir(folder.path().join(".part-1")).unwrap();
        fs::write(folder.path().join(".part-1").join(TENSORS), "half").unwrap();
        assert_eq!(checkpoints.list().unwrap().len(), 1);
        checkpoints.clean().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
