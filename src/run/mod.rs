//! A run of any kind: its folder with configuration, log, checkpoints and best weights; the session that
//! drives its [`Job`]; the progress that users see.

mod callback;
mod candidates;
mod checkpoint;
mod clock;
mod compute;
mod edits;
mod job;
mod log;
mod notes;
mod outcome;
pub(crate) mod pretrained;
mod progress;
mod row_part;
mod session;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Error, Result, bail};
use pavlov_agents::AgentError;
use pavlov_common::files::{check_own_folder, open_plain};
use pavlov_envs::EnvError;
use pavlov_nn::StateDict;
use pavlov_nn::weights::{write_atomically, write_sealed};

pub use callback::{Callback, CallbackRegistry, LogRow, RunView};
pub use candidates::Choice;
pub use checkpoint::{Checkpoint, Checkpoints};
pub(crate) use clock::Ended;
pub use clock::Moment;
pub use compute::Compute;
pub use job::{Advance, BrokenOff, Description, Evaluated, FinalComparison, Job, Origin, Plan, Unit, Values};
pub use log::Log;
pub(crate) use notes::{differences, leaves};
pub use outcome::{Outcome, StopReason};
pub(crate) use progress::shown;
pub use progress::{Json, Part, Progress, Quiet, Status, Terminal};
pub(crate) use row_part::GROUP_IDLE_SHARE;
pub use row_part::RowPart;
pub use session::{Session, UnusableCheckpoint};

use crate::config::{AnyConfig, ConfigError, Registries, RunConfig};
use crate::files::{for_shell, free_name};
use crate::record::EVENTS;

/// The folder for runs, unless the user gives another.
pub const RUNS: &str = "runs";
const CONFIG: &str = "config.toml";
const BEST: &str = "best";
const LOG: &str = "progress.csv";
/// The counters of a run in a checkpoint.
const SESSION: &str = "session";

/// The configuration of a run, as its folder needs it.
pub trait Settings: serde::Serialize {
    /// The run's kind and names.
    fn origin(&self) -> Origin;
    /// The run's seed.
    fn seed(&self) -> u64;
    /// The configuration as TOML, every key written out.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for a number that TOML cannot hold.
    fn to_toml(&self) -> Result<String, ConfigError> {
        toml::to_string(self).map_err(|error| ConfigError::Value(error.to_string()))
    }
}

/// A run's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes the folder for a new run: `path`, or `runs/<environment>/<agent>-<seed>-<time>` (of a fit
    /// `runs/<data>/<task>-<seed>-<time>`) where none is given. Writes the configuration into it.
    ///
    /// # Errors
    /// When the folder holds something already or cannot be written.
    pub fn create(path: Option<&Path>, config: &impl Settings) -> Result<Self> {
        let path = match path {
            Some(path) => path.to_path_buf(),
            None => free_place(&config.origin(), config.seed()),
        };
        let shown = path.display();
        if path.join(CONFIG).exists() {
            bail!(
                "{shown} holds a run already: continue it with `pavlov resume {}`, or choose another --run-dir",
                for_shell(&path)
            );
        }
        if fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_some()) {
            bail!("{shown} is not empty: choose another --run-dir");
        }
        fs::create_dir_all(&path).with_context(|| cannot_write(&path))?;
        let folder = Self { path };
        folder.write_config(config).with_context(|| cannot_write(&folder.path))?;
        Ok(folder)
    }

    /// Writes the configuration, in place of the one before.
    ///
    /// # Errors
    /// When it cannot be written; the one before is whole then.
    pub(crate) fn write_config(&self, config: &impl Settings) -> Result<()> {
        let (path, text) = (self.path.join(CONFIG), config.to_toml()?);
        write_atomically(&path, |beside| fs::write(beside, &text))
            .with_context(|| format!("{} cannot be written", path.display()))
    }

    /// The folder of an existing run.
    ///
    /// # Errors
    /// When there is no run in it.
    pub fn open(path: &Path) -> Result<Self> {
        if !path.join(CONFIG).is_file() {
            bail!(
                "{} holds no run (there is no {CONFIG} in it): `pavlov runs` lists the runs",
                path.display()
            );
        }
        Ok(Self { path: path.to_path_buf() })
    }

    /// The folder's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The configuration of an agent's run.
    ///
    /// # Errors
    /// When the file is missing or has become invalid, or the run is of another kind.
    pub fn config(&self, registries: &Registries) -> Result<RunConfig> {
        match self.any_config(registries)? {
            AnyConfig::Agent(config) => Ok(*config),
            AnyConfig::Fit(_) => bail!("{} is the fit of a model, not an agent's run", self.path.display()),
        }
    }

    /// The configuration of a run of any kind.
    ///
    /// # Errors
    /// When the file is missing or has become invalid.
    pub fn any_config(&self, registries: &Registries) -> Result<AnyConfig> {
        AnyConfig::read(registries, &self.path.join(CONFIG)).map_err(|error| {
            let is_unknown = matches!(
                error,
                ConfigError::Env(EnvError::UnknownId { .. })
                    | ConfigError::Agent(AgentError::UnknownAgent { .. })
            );
            match is_unknown {
                true => Error::from(error).context(format!(
                    "this program does not know all that the run {} is of: open it with the program that trained it",
                    self.path.display()
                )),
                false => error.into(),
            }
        })
    }

    /// The run's checkpoints.
    pub fn checkpoints(&self) -> Checkpoints {
        Checkpoints::new(self.path.join("checkpoints"))
    }

    /// Writes the best weights, in place of those before, with a checksum.
    ///
    /// # Errors
    /// When they cannot be written; those before are whole then.
    pub(crate) fn write_best_weights(&self, weights: &StateDict<'_>) -> Result<()> {
        let path = self.best_weights();
        let folder = path.parent().unwrap_or(&path);
        let written = check_own_folder(folder).and_then(|()| fs::create_dir_all(folder));
        written.with_context(|| format!("{} cannot be written", path.display()))?;
        write_sealed(&path, weights).context("the best weights so far could not be written")
    }

    /// The weights with the best evaluation so far.
    pub fn best_weights(&self) -> PathBuf {
        self.path.join(BEST).join("weights.safetensors")
    }

    /// The log as CSV.
    pub fn log(&self) -> PathBuf {
        self.path.join(LOG)
    }

    /// Keeps other processes from working on the run for as long as the file lives. A process that dies lets
    /// go of it. Where the file system has no locks, nothing is kept.
    ///
    /// # Errors
    /// When another process works on the run.
    pub(crate) fn lock(&self) -> Result<File> {
        let config = self.path.join(CONFIG);
        let file = open_plain(&config).with_context(|| format!("{} is missing", config.display()))?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            bail!("the run in {} is in progress: wait for it, or stop it first", self.path.display());
        }
        Ok(file)
    }

    /// True if another process works on the run now.
    pub(crate) fn is_in_progress(&self) -> bool {
        let config = open_plain(&self.path.join(CONFIG));
        config.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// The end of the run as the latest checkpoint has it, as far as that can be read.
    pub(crate) fn ended(&self) -> Option<Ended> {
        let latest = self.checkpoints().list().ok()?.pop()?;
        serde_json::from_value(latest.values().ok()?.remove(SESSION)?).ok()
    }

    /// Takes the log and the best weights of a start that has come to no checkpoint out of the way, into a
    /// folder of their own. Gives that, if there was something. Only who has locked the run may do that.
    ///
    /// # Errors
    /// When something cannot be moved.
    pub(crate) fn set_aside_start(&self) -> io::Result<Option<PathBuf>> {
        let names = fs::read_dir(&self.path)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<Vec<_>>>()?;
        let is_of_start = |name: &&String| *name == LOG || *name == BEST || name.starts_with(EVENTS);
        let found: Vec<_> = names.iter().filter(is_of_start).collect();
        if found.is_empty() {
            return Ok(None);
        }
        let place = self.path.join(free_name(&self.path, "set-aside-start"));
        fs::create_dir(&place)?;
        for name in found {
            // TensorBoard, which looks into all folders, knows event files by their names.
            let plain = name.replace(EVENTS, "events.");
            fs::rename(self.path.join(name), place.join(plain))?;
        }
        Ok(Some(place))
    }

    /// Removes the files that a killed process left half-written under temporary names, and puts a checkpoint
    /// back that it had taken out of the way. Whole files have been renamed. Only who has locked the run may do
    /// that.
    ///
    /// # Errors
    /// When a folder cannot be read or a leftover cannot be removed.
    pub fn sweep(&self) -> io::Result<()> {
        self.checkpoints().clean()?;
        let best = self.path.join(BEST);
        check_own_folder(&best)?;
        for folder in [self.path.clone(), best].into_iter().filter(|folder| folder.is_dir()) {
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                let name = entry.file_name();
                let name = name.to_string_lossy();
                // The weights' library begins a file with `.tmp`.
                let whole =
                    !name.ends_with(".part") && !name.starts_with(".part-") && !name.starts_with(".tmp");
                match (whole, entry.file_type()?.is_dir()) {
                    (true, _) => {}
                    (false, true) => fs::remove_dir_all(entry.path())?,
                    (false, false) => fs::remove_file(entry.path())?,
                }
            }
        }
        Ok(())
    }

    /// Every run below `root`, in the order of their paths. Folders below it that cannot be read are passed over.
    ///
    /// # Errors
    /// When `root` cannot be read.
    pub fn find(root: &Path) -> io::Result<Vec<Self>> {
        let mut found = Vec::new();
        let mut open = vec![root.to_path_buf()];
        while let Some(path) = open.pop() {
            if path.join(CONFIG).is_file() {
                found.push(Self { path });
                continue;
            }
            let entries = match fs::read_dir(&path) {
                Err(error) if path == root => return Err(error),
                Err(_) => continue,
                Ok(entries) => entries,
            };
            let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
            open.extend(entries.flatten().filter(is_folder).map(|entry| entry.path()));
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }
}

fn cannot_write(path: &Path) -> String {
    format!("the run's folder {} cannot be written: choose another place with --run-dir", path.display())
}

fn free_place(origin: &Origin, seed: u64) -> PathBuf {
    // A colon, as in the ids of Gymnasium's environments, is not portable in a path; `..` would leave the runs.
    let plain = |part: &str| match part {
        "" | "." | ".." => "-".to_string(),
        part => part.replace([':', '\\'], "-"),
    };
    let world = origin.on.split('/').map(plain).collect::<Vec<_>>().join("/");
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    let stem = format!("{}-{seed}-{}", origin.name, calendar(seconds));
    let folder = Path::new(RUNS).join(world);
    folder.join(free_name(&folder, &stem))
}

/// Seconds since 1970 as `20260131T235959` (UTC), after Hinnant's civil-from-days.
fn calendar(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_is_right() {
        assert_eq!(calendar(0), "19700101T000000");
        assert_eq!(calendar(951_782_400), "20000229T000000");
        assert_eq!(calendar(1_767_225_599), "20251231T235959");
    }

    #[test]
    fn no_name_leads_out_of_the_folder_of_runs() {
        for (on, world) in [
            ("../x", "-/x"),
            ("/etc/x", "-/etc/x"),
            ("gym:../../x", "gym-../-/x"),
            ("MinAtar/Breakout-v1", "MinAtar/Breakout-v1"),
            ("a/./b", "a/-/b"),
        ] {
            let origin = Origin { kind: "agent".into(), name: "dqn".into(), on: on.into() };
            let path = free_place(&origin, 7);
            assert_eq!(path.parent().unwrap(), Path::new(RUNS).join(world), "{on}");
        }
    }

    #[test]
    fn a_sweep_takes_leftovers_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let run = RunFolder { path: place.path().to_path_buf() };
        run.sweep().unwrap();
        for folder in ["best", "checkpoints/.part-7", "checkpoints/step-1"] {
            fs::create_dir_all(place.path().join(folder)).unwrap();
        }
        let kept = ["best/weights.safetensors", "checkpoints/step-1/state.json", "config.toml"];
        let left =
            ["best/weights.safetensors.7.part", "checkpoints/.part-7/state.json", "progress.csv.7.part"];
        kept.iter().chain(&left).for_each(|name| fs::write(place.path().join(name), "x").unwrap());
        run.sweep().unwrap();
        assert!(kept.iter().all(|name| place.path().join(name).exists()));
        assert!(left.iter().all(|name| !place.path().join(name).exists()));
    }
}
