//! The data set `sounds`: recordings in a folder for each class, as Speech Commands has them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use pavlov_common::tables::typed;
use pavlov_common::{derive_seed, did_you_mean};
use serde::{Deserialize, Serialize};
use toml::Table;

use super::wav::{RATES, read_wav, wav_header};
use super::{from_bits, resample, to_bits};
use crate::text::reading::{has_ending, list_folder, read_text};
use crate::{DataError, Dataset, Input, SampleMut, Target};

/// The folder of Speech Commands that holds no words.
const BACKGROUND: &str = "_background_noise_";

/// What follows the speaker in the names of Speech Commands' files.
const SPEAKER_END: &str = "_nohash_";

/// How deep folders may lie in the folder of a class. It ends links that lead in circles.
const DEPTH: usize = 8;

/// The options of the data set `sounds`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SoundOptions {
    /// Numbers per second; files of other rates are resampled.
    pub rate: u32,
    /// The length of a sample in seconds: longer sounds are cut at their end, shorter ones filled with zeros.
    pub seconds: f64,
    /// The folders that are classes; all of them if the list is empty.
    pub classes: Vec<String>,
    /// Keeps every sound in memory (16 bits a number) once it has been read.
    pub cache: bool,
}

impl Default for SoundOptions {
    fn default() -> Self {
        Self { rate: 16_000, seconds: 1.0, classes: Vec::new(), cache: true }
    }
}

/// A file, before it is a sample.
struct Found {
    path: PathBuf,
    /// Its place below the data set's folder, with `/` between the names.
    name: String,
    class: u32,
}

/// A sample.
#[derive(Debug)]
struct Entry {
    path: PathBuf,
    class: u32,
    identity: u64,
}

/// Recordings with classes ([`Target::Class`]), one channel, numbers from -1 to 1 with 16 bits of precision.
///
/// The samples of `validation_list.txt` follow the others, those of `testing_list.txt` come last and are the
/// test samples. The identity of a sample is its speaker's, where the file is named as in Speech Commands
/// (`SPEAKER_nohash_0.wav`), so that a speaker is in one split only; else it is made from its path.
#[derive(Debug)]
pub struct SoundDataset {
    input: Input,
    target: Target,
    entries: Vec<Entry>,
    rate: u32,
    seconds: f64,
    test_begin: Option<usize>,
    validation_begin: usize,
    /// One for each sample, or none.
    cache: Vec<OnceLock<Box<[i16]>>>,
}

impl SoundDataset {
    /// The data set of a folder with a folder of WAV files for each class; the files may lie in folders
    /// below. The headers of all files are read.
    ///
    /// # Errors
    /// [`DataError`] if there is no path, an option is unknown or makes no sense, a class has no WAV file,
    /// there are not at least two classes, or a file is no WAV file, truncated or empty; the message names
    /// it.
    pub fn open(path: Option<&Path>, options: &Table) -> Result<Arc<dyn Dataset>, DataError> {
        let options: SoundOptions =
            typed(options.clone()).map_err(|wrong| DataError::Config(format!("sounds: {wrong}")))?;
        let path = path.ok_or_else(|| {
            DataError::Config(
                "sounds: give a `path`: a folder with a folder of WAV files for each class".to_owned(),
            )
        })?;
        Ok(Arc::new(Self::new(path, &options)?))
    }

    /// [`SoundDataset::open`] with options that have been read.
    ///
    /// # Errors
    /// As [`SoundDataset::open`].
    pub fn new(path: &Path, options: &SoundOptions) -> Result<Self, DataError> {
        let samples = check(options)?;
        let (names, files) = find(path, &options.classes)?;
        let mut broken = files.iter().filter_map(|file| wav_header(&file.path).err());
        if let Some(first) = broken.next() {
            return Err(match (first, broken.count()) {
                (DataError::Format { path, message }, others) if others > 0 => {
                    DataError::format(path, format!("{message} (and {others} more files cannot be read)"))
                }
                (first, _) => first,
            });
        }
        let validation = list(path, "validation_list.txt")?;
        let testing = list(path, "testing_list.txt")?;
        let (mut parts, mut listed) = ([Vec::new(), Vec::new(), Vec::new()], [false; 3]);
        for file in files {
            let part =
                if testing.contains(&file.name) { 2 } else { usize::from(validation.contains(&file.name)) };
            listed[part] = true;
            let identity = identity(&file.name);
            parts[part].push(Entry { path: file.path, class: file.class, identity });
        }
        for (place, list, name) in
            [(1, &validation, "validation_list.txt"), (2, &testing, "testing_list.txt")]
        {
            if !list.is_empty() && !listed[place] {
                let message =
                    "none of its lines is a file of the data set: they have to look like CLASS/FILE.wav";
                return Err(DataError::format(path.join(name), message));
            }
        }
        let validation_begin = parts[0].len();
        let test_begin = validation_begin + parts[1].len();
        let entries: Vec<Entry> = parts.into_iter().flatten().collect();
        let cached = if options.cache { entries.len() } else { 0 };
        Ok(Self {
            input: Input::Sound { samples, rate: options.rate },
            target: Target::Class { names },
            rate: options.rate,
            seconds: options.seconds,
            test_begin: (test_begin < entries.len()).then_some(test_begin),
            validation_begin,
            cache: std::iter::repeat_with(OnceLock::new).take(cached).collect(),
            entries,
        })
    }

    /// The samples that `validation_list.txt` names. They stand right before the test samples.
    pub fn validation(&self) -> std::ops::Range<usize> {
        self.validation_begin..self.test_begin.unwrap_or(self.entries.len())
    }

    /// The numbers of a file at the data set's rate, at most as many as a sample has.
    fn load(&self, entry: &Entry) -> Result<Box<[i16]>, DataError> {
        let (sound, rate) = read_wav(&entry.path, Some(self.seconds))?;
        let mut sound: Vec<i16> = resample(&sound, rate, self.rate)?.into_iter().map(to_bits).collect();
        sound.truncate(self.input.numbers());
        Ok(sound.into_boxed_slice())
    }
}

/// Checks the options; gives the number of numbers of a sample.
fn check(options: &SoundOptions) -> Result<usize, DataError> {
    if !RATES.contains(&options.rate) {
        return Err(DataError::Config(format!(
            "`rate` is {}, and has to be from {} to {} numbers per second",
            options.rate,
            RATES.start(),
            RATES.end()
        )));
    }
    if !(0.01..=600.0).contains(&options.seconds) {
        return Err(DataError::Config(format!(
            "`seconds` is {}, and has to be from 0.01 to 600",
            options.seconds
        )));
    }
    Ok((options.seconds * f64::from(options.rate)).round() as usize)
}

/// The classes, and their files in the order of their names.
fn find(path: &Path, wanted: &[String]) -> Result<(Vec<String>, Vec<Found>), DataError> {
    let (_, folders) = list_folder(path)?;
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut classes: Vec<(String, PathBuf)> = folders.into_iter().map(|path| (name(&path), path)).collect();
    classes.retain(|(class, _)| class != BACKGROUND);
    if let Some(missing) = wanted.iter().find(|wanted| !classes.iter().any(|(class, _)| class == *wanted)) {
        let near = did_you_mean(missing, classes.iter().map(|(class, _)| class.as_str()));
        return Err(DataError::format(path, format!("there is no folder for the class {missing:?}{near}")));
    }
    classes.retain(|(class, _)| wanted.is_empty() || wanted.contains(class));
    if classes.len() < 2 {
        let message = format!("{} folders for classes are here, and at least two are needed", classes.len());
        return Err(DataError::format(path, message));
    }
    let mut files = Vec::new();
    for (number, (class, folder)) in (0..).zip(&classes) {
        let before = files.len();
        collect(folder, class, number, DEPTH, &mut files)?;
        if files.len() == before {
            return Err(DataError::format(folder, "the folder has no .wav file"));
        }
    }
    Ok((classes.into_iter().map(|(class, _)| class).collect(), files))
}

/// Adds the WAV files of a folder and of the folders below.
fn collect(
    folder: &Path,
    name: &str,
    class: u32,
    depth: usize,
    found: &mut Vec<Found>,
) -> Result<(), DataError> {
    let (files, folders) = list_folder(folder)?;
    let below = |path: &Path| format!("{name}/{}", path.file_name().unwrap_or_default().to_string_lossy());
    let sounds = files.into_iter().filter(|file| has_ending(file, "wav"));
    found.extend(sounds.map(|path| Found { name: below(&path), path, class }));
    for folder in folders.iter().take(if depth > 0 { usize::MAX } else { 0 }) {
        collect(folder, &below(folder), class, depth - 1, found)?;
    }
    Ok(())
}

/// The lines of a list of files; none if there is no such list. Files that are no longer there may be listed.
fn list(folder: &Path, name: &str) -> Result<HashSet<String>, DataError> {
    let path = folder.join(name);
    if !path.exists() {
        return Ok(HashSet::new());
    }
    let lines = read_text(&path)?;
    Ok(lines.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// The identity of the speaker, or of the file.
fn identity(name: &str) -> u64 {
    let file = name.rsplit('/').next().unwrap_or(name);
    match file.split_once(SPEAKER_END) {
        Some((speaker, _)) => derive_seed(0, speaker, 1),
        None => derive_seed(0, name, 0),
    }
}

impl Dataset for SoundDataset {
    fn input(&self) -> &Input {
        &self.input
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn len(&self) -> usize {
        self.entries.len()
    }

    fn class(&self, index: usize) -> Option<usize> {
        self.entries.get(index).map(|entry| entry.class as usize)
    }

    fn identity(&self, index: usize) -> u64 {
        self.entries.get(index).map_or(0, |entry| entry.identity)
    }

    fn test_begin(&self) -> Option<usize> {
        self.test_begin
    }

    fn read(&self, index: usize, sample: SampleMut<'_>) -> Result<(), DataError> {
        let entry = self.entries.get(index).ok_or_else(|| {
            DataError::Data(format!("there is no sample {index}: there are {}", self.entries.len()))
        })?;
        let read;
        let sound: &[i16] = match self.cache.get(index).map(|kept| (kept, kept.get())) {
            Some((_, Some(sound))) => sound,
            // Two threads may read the same file at the same time; one of the equal results is kept.
            Some((kept, None)) => kept.get_or_init({
                let sound = self.load(entry)?;
                move || sound
            }),
            None => {
                read = self.load(entry)?;
                &read
            }
        };
        let (filled, rest) = sample.numbers.split_at_mut(sound.len().min(sample.numbers.len()));
        filled.iter_mut().zip(sound).for_each(|(number, &bits)| *number = from_bits(bits));
        rest.fill(0.0);
        Ok(())
    }
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
