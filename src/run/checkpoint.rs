//! Checkpoints: the state from which a run continues bit for bit.
//!
//! A checkpoint is a folder with three files: `tensors.safetensors` (weights, moments, replay, environments),
//! `state.json` (counters, generators) and `SHA256SUMS` over both, which `sha256sum -c` understands. It is
//! written beside its place and renamed when it is complete and on the disk, so that only complete
//! checkpoints can be seen, even after a crash or with the disk full.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use pavlov_common::files::{check_own_folder, open_plain, read_text};
use pavlov_common::hexadecimal;
use pavlov_nn::{StateDict, weights};
use sha2::{Digest, Sha256};

use crate::files::free_name;

const TENSORS: &str = "tensors.safetensors";
const VALUES: &str = "state.json";
const SUMS: &str = "SHA256SUMS";
const PART: &str = ".part-";
/// The most bytes of `state.json`: far above what any run writes.
const MOST_VALUES: u64 = 256 << 20;

/// The checkpoints of a run.
#[derive(Debug)]
pub struct Checkpoints {
    folder: PathBuf,
    /// True for a checkpoint that is whole, by its path, as far as this process has written or read it.
    whole: HashMap<PathBuf, bool>,
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
        Self { folder, whole: HashMap::new() }
    }

    /// The checkpoint in this folder, which must be one of the run's own: another run's log and best weights
    /// are not those that it goes on from.
    ///
    /// # Errors
    /// When it is no checkpoint of the run; the message names those that are.
    pub fn named(&self, path: &Path) -> Result<Checkpoint> {
        let all = self.list()?;
        let same = |other: &Path| fs::canonicalize(other).ok() == fs::canonicalize(path).ok();
        if path.exists()
            && let Some(own) = all.iter().find(|own| same(&own.path))
        {
            return Ok(own.clone());
        }
        let own: Vec<_> = all.iter().map(|own| own.path.display().to_string()).collect();
        let there =
            if own.is_empty() { "it has none".into() } else { format!("they are {}", own.join(", ")) };
        bail!("{} is no checkpoint of the run: {there}", path.display())
    }

    /// Reads a checkpoint after checking that it is complete, and remembers that it is.
    ///
    /// # Errors
    /// As [`Checkpoint::read`].
    pub(super) fn read(&mut self, checkpoint: &Checkpoint) -> Result<StateDict<'static>> {
        let state = checkpoint.read()?;
        self.whole.insert(checkpoint.path.clone(), true);
        Ok(state)
    }

    /// Takes the checkpoints after this one, which a run that goes on from it will not lead to, out of the way.
    /// Gives the new names.
    ///
    /// # Errors
    /// When one cannot be renamed.
    pub(super) fn set_aside_after(&self, checkpoint: &Checkpoint) -> io::Result<Vec<PathBuf>> {
        let later = self.list()?.into_iter().filter(|other| other.step > checkpoint.step);
        let aside = |later: Checkpoint| {
            let name = free_name(&self.folder, &format!("set-aside-step-{:012}", later.step));
            let place = self.folder.join(name);
            fs::rename(&later.path, &place).map(|()| place)
        };
        later.map(aside).collect()
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
    pub fn write(&mut self, step: u64, state: &StateDict<'_>, keep_last: usize) -> Result<PathBuf> {
        let place = self.place(step);
        let part = self.folder.join(format!("{PART}{}", std::process::id()));
        let old = self.folder.join(format!("{PART}old-{}", std::process::id()));
        let written = check_own_folder(&self.folder).map_err(anyhow::Error::from).and_then(|()| {
            write_part(&part, state)?;
            // A run that was resumed may write the same checkpoint again. The one before is out of the way for
            // as long as a rename takes, and a leftover is whole.
            let before = place.exists().then(|| fs::rename(&place, &old)).transpose()?;
            if let Err(error) = fs::rename(&part, &place) {
                before.map(|()| fs::rename(&old, &place)).transpose()?;
                return Err(error.into());
            }
            File::open(&self.folder)?.sync_all()?;
            before.map(|()| fs::remove_dir_all(&old)).transpose()?;
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
        self.whole.insert(place.clone(), true);
        self.prune(keep_last)?;
        Ok(place)
    }

    /// Removes all whole checkpoints but the latest ones. Damaged ones stay, and do not count: a whole one is
    /// never given up for them.
    fn prune(&mut self, keep_last: usize) -> Result<()> {
        let mut all = self.list()?;
        all.retain(|each| self.is_whole(each));
        for old in &all[..all.len().saturating_sub(keep_last.max(1))] {
            // It is renamed first, so that a crash during the removal leaves no half checkpoint under its
            // name.
            let doomed = self.folder.join(format!("{PART}gone-{}", old.step));
            fs::rename(&old.path, &doomed).and_then(|()| fs::remove_dir_all(&doomed))?;
        }
        Ok(())
    }

    fn is_whole(&mut self, checkpoint: &Checkpoint) -> bool {
        *self.whole.entry(checkpoint.path.clone()).or_insert_with(|| checkpoint.check().is_ok())
    }

    /// Puts back the checkpoint that a killed process had taken out of the way for one that it did not bring
    /// to its place, and removes the other leftovers. Only who has locked the run may do that.
    ///
    /// # Errors
    /// When a leftover cannot be moved or removed.
    pub(super) fn clean(&self) -> io::Result<()> {
        check_own_folder(&self.folder)?;
        let Ok(entries) = fs::read_dir(&self.folder) else { return Ok(()) };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(rest) = name.strip_prefix(PART) else { continue };
            let path = entry.path();
            let step =
                rest.starts_with("old-").then(|| Checkpoint { path: path.clone(), step: 0 }.done()).flatten();
            match step.map(|step| self.place(step)) {
                Some(place) if !place.exists() => fs::rename(&path, place)?,
                _ if entry.file_type()?.is_dir() => fs::remove_dir_all(&path)?,
                _ => fs::remove_file(&path)?,
            }
        }
        Ok(())
    }

    fn place(&self, step: u64) -> PathBuf {
        self.folder.join(format!("step-{step:012}"))
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
        self.check()?;
        let mut state = weights::read(&self.path.join(TENSORS))?;
        state.values = self.values()?;
        Ok(state)
    }

    /// Its named values, without a look at the checksums.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(super) fn values(&self) -> Result<BTreeMap<String, serde_json::Value>> {
        serde_json::from_str(&read_text(&self.path.join(VALUES), MOST_VALUES)?)
            .with_context(|| format!("{}: {VALUES} was not written by Pavlov", self.path.display()))
    }

    /// The units that its own counters say; `None` where it is not whole.
    fn done(&self) -> Option<u64> {
        self.check().ok()?;
        self.values().ok()?.get("session")?.get("done")?.as_u64()
    }

    /// Refuses a checkpoint with a file that is missing, cut off or changed.
    fn check(&self) -> Result<()> {
        let shown = self.path.display();
        let sums = read_text(&self.path.join(SUMS), 4096)
            .with_context(|| format!("{shown}: {SUMS} cannot be read"))?;
        for name in [TENSORS, VALUES] {
            let expected = sums.lines().find_map(|line| line.strip_suffix(name)).map(str::trim);
            let found =
                sha256(&self.path.join(name)).with_context(|| format!("{shown}: {name} cannot be read"))?;
            if expected != Some(found.as_str()) {
                bail!("{shown}: {name} is damaged (its checksum differs from the one in {SUMS})");
            }
        }
        Ok(())
    }
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut file = open_plain(path)?;
    let mut hasher = Sha256::new();
    let mut block = vec![0; 1 << 20];
    loop {
        match file.read(&mut block)? {
            0 => break,
            count => hasher.update(&block[..count]),
        }
    }
    Ok(hexadecimal(&hasher.finalize()))
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
        let mut checkpoints = Checkpoints::new(folder.path().join("checkpoints"));
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
        let mut checkpoints = Checkpoints::new(folder.path().join("checkpoints"));
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

    /// A state that says so many units.
    fn done(step: u64) -> StateDict<'static> {
        let mut state = state();
        state.put_value("session", &serde_json::json!({ "done": step })).unwrap();
        state
    }

    #[test]
    fn a_damaged_checkpoint_is_never_kept_in_place_of_a_whole_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut checkpoints = Checkpoints::new(folder.path().join("checkpoints"));
        for step in [1, 2] {
            checkpoints.write(step, &state(), 2).unwrap();
        }
        fs::write(checkpoints.place(2).join(VALUES), "{}").unwrap();
        // Another process finds it damaged.
        let mut checkpoints = Checkpoints::new(folder.path().join("checkpoints"));
        checkpoints.write(3, &state(), 2).unwrap();
        let steps = |checkpoints: &Checkpoints| -> Vec<_> {
            checkpoints.list().unwrap().into_iter().map(|each| each.step).collect()
        };
        assert_eq!(steps(&checkpoints), [1, 2, 3]);
        checkpoints.write(4, &state(), 2).unwrap();
        assert_eq!(steps(&checkpoints), [2, 3, 4], "the whole ones are the last two");
    }

    #[test]
    fn a_run_that_goes_on_from_an_older_checkpoint_keeps_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let mut checkpoints = Checkpoints::new(folder.path().join("checkpoints"));
        for step in [10, 20, 30] {
            checkpoints.write(step, &state(), 3).unwrap();
        }
        let older = checkpoints.named(&checkpoints.place(10)).unwrap();
        for _ in 0..2 {
            let aside = checkpoints.set_aside_after(&older).unwrap();
            assert_eq!(aside.len(), 2);
            checkpoints.write(20, &state(), 3).unwrap();
            checkpoints.write(30, &state(), 3).unwrap();
        }
        assert_eq!(checkpoints.list().unwrap().len(), 3);
        assert_eq!(fs::read_dir(folder.path().join("checkpoints")).unwrap().count(), 3 + 4);
        let error = checkpoints.named(folder.path()).unwrap_err().to_string();
        assert!(error.contains("no checkpoint of the run: they are"), "{error}");
    }

    #[test]
    fn what_was_out_of_the_way_when_the_process_died_is_put_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut checkpoints = Checkpoints::new(folder.path().to_path_buf());
        checkpoints.write(7, &done(7), 1).unwrap();
        fs::rename(checkpoints.place(7), folder.path().join(".part-old-99")).unwrap();
        fs::create_dir(folder.path().join(".part-99")).unwrap();
        assert!(checkpoints.list().unwrap().is_empty());
        checkpoints.clean().unwrap();
        assert_eq!(checkpoints.list().unwrap()[0].read().unwrap(), done(7));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn nothing_is_written_through_a_link_and_nothing_waits_for_a_pipe() {
        let folder = tempfile::tempdir().unwrap();
        let (outside, link) = (folder.path().join("outside"), folder.path().join("checkpoints"));
        fs::create_dir(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, &link).unwrap();
        let error = Checkpoints::new(link).write(1, &state(), 1).unwrap_err();
        assert!(format!("{error:#}").contains("a symbolic link"), "{error:#}");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);

        let mut checkpoints = Checkpoints::new(folder.path().join("own"));
        checkpoints.write(1, &state(), 1).unwrap();
        let checkpoint = checkpoints.list().unwrap().remove(0);
        for name in [SUMS, VALUES, TENSORS] {
            let path = checkpoint.path.join(name);
            fs::remove_file(&path).unwrap();
            std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
            assert!(format!("{:#}", checkpoint.read().unwrap_err()).contains("a device"), "{name}");
        }
    }

    #[test]
    fn leftovers_of_a_killed_process_are_no_checkpoints() {
        let folder = tempfile::tempdir().unwrap();
        let mut checkpoints = Checkpoints::new(folder.path().to_path_buf());
        checkpoints.write(1, &state(), 1).unwrap();
        fs::create_dir(folder.path().join(".part-1")).unwrap();
        fs::write(folder.path().join(".part-1").join(TENSORS), "half").unwrap();
        assert_eq!(checkpoints.list().unwrap().len(), 1);
        checkpoints.clean().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
