//! `images`: a folder with a folder of pictures for each class.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::imageops::FilterType;
use image::{DynamicImage, ImageFormat, ImageReader};
use serde::Deserialize;

use super::files::{entries, name_of};
use crate::{DataError, Dataset, DatasetOptions, DatasetSpec, Input, SampleMut, Target, content_hash};

/// The data set's settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FolderConfig {
    /// The height and width that every picture is brought to; without it all have to be of one size.
    size: Option<Side>,
    /// 1 for grey, 3 for red, green and blue.
    channels: usize,
}

impl Default for FolderConfig {
    fn default() -> Self {
        Self { size: None, channels: 3 }
    }
}

/// A size as it is written: one number for a square, or height and width.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
enum Side {
    Square(usize),
    Rectangle([usize; 2]),
}

pub(super) fn spec() -> DatasetSpec {
    let summary = "PNG, JPEG and GIF files in a folder for each class, or in such folders `train` and `test` \
                   (options: size = 64 or [height, width], channels = 3 or 1)";
    DatasetSpec::new("images", |options| Ok(Arc::new(FolderImages::open(options)?)))
        .summary(summary)
        .needs_path()
}

/// The longest side that pictures are brought to, and the most pixels of a file.
const LONGEST: usize = 4096;
const MOST_PIXELS: u64 = 1 << 26;

/// The endings of files that are pictures.
const ENDINGS: [&str; 4] = ["png", "jpg", "jpeg", "gif"];

/// Pictures in files, decoded when they are read.
#[derive(Debug)]
struct FolderImages {
    input: Input,
    target: Target,
    grey: bool,
    height: u32,
    width: u32,
    /// True if pictures are brought to the size.
    resize: bool,
    files: Vec<File>,
    test_begin: Option<usize>,
}

#[derive(Debug)]
struct File {
    path: PathBuf,
    class: usize,
    identity: u64,
}

impl FolderImages {
    /// Lists the files and reads their headers.
    fn open(options: &DatasetOptions) -> Result<Self, DataError> {
        let config: FolderConfig = options.typed()?;
        let root = options.path()?;
        let grey = match config.channels {
            1 => true,
            3 => false,
            other => {
                let message = format!("`channels` is {other}: give 1 for grey or 3 for colours");
                return Err(DataError::Config(message));
            }
        };
        let size = config.size.map(|size| match size {
            Side::Square(side) => [side; 2],
            Side::Rectangle(size) => size,
        });
        if let Some(size) = size.filter(|size| size.iter().any(|side| !(1..=LONGEST).contains(side))) {
            let message = format!("`size` is {size:?}: give from 1 to {LONGEST} pixels");
            return Err(DataError::Config(message));
        }
        let (names, files, test_begin) = list(root)?;
        let mut first: Option<(&Path, (u32, u32))> = None;
        for File { path, .. } in &files {
            let found = size_of(path)?;
            let (first, wanted) = *first.get_or_insert((path, found));
            if size.is_none() && found != wanted {
                let message = format!(
                    "the picture is {} x {} pixels (width x height), but {} is {} x {}: give the option \
                     `size` to bring all to one size",
                    found.0,
                    found.1,
                    first.display(),
                    wanted.0,
                    wanted.1
                );
                return Err(DataError::format(path, message));
            }
        }
        let (width, height) = match (size, first) {
            (Some([height, width]), _) => (width as u32, height as u32),
            (None, Some((_, size))) => size,
            (None, None) => return Err(DataError::format(root, "there is no picture")),
        };
        let input =
            Input::Image { channels: config.channels, height: height as usize, width: width as usize };
        let target = Target::Class { names };
        Ok(Self { input, target, grey, height, width, resize: size.is_some(), files, test_begin })
    }

    fn decode(&self, path: &Path) -> Result<DynamicImage, DataError> {
        let picture = reader(path)?.decode().map_err(|error| wrong(path, &error))?;
        let picture: DynamicImage =
            if self.grey { picture.into_luma8().into() } else { picture.into_rgb8().into() };
        if (picture.width(), picture.height()) == (self.width, self.height) {
            return Ok(picture);
        }
        if self.resize {
            return Ok(picture.resize_exact(self.width, self.height, FilterType::Triangle));
        }
        Err(DataError::format(path, "the picture has another size than when the data set was opened"))
    }
}

/// The classes' names, the files, and the first of those to test with.
type Listing = (Vec<String>, Vec<File>, Option<usize>);

/// Lists the pictures of a folder of classes, or of two such folders `train` and `test`.
fn list(root: &Path) -> Result<Listing, DataError> {
    let folders = class_folders(root)?;
    let names: Vec<_> = folders.iter().map(|folder| name_of(folder)).collect();
    if names != ["test", "train"] {
        let files = files_of(root, &folders, &names)?;
        return Ok((names, files, None));
    }
    let [test, train] = [root.join("test"), root.join("train")];
    let folders = class_folders(&train)?;
    let names: Vec<_> = folders.iter().map(|folder| name_of(folder)).collect();
    let mut files = files_of(&train, &folders, &names)?;
    let begin = files.len();
    files.extend(files_of(&test, &class_folders(&test)?, &names)?);
    Ok((names, files, Some(begin)))
}

/// The folders in a folder. A picture beside them belongs to no class.
fn class_folders(root: &Path) -> Result<Vec<PathBuf>, DataError> {
    let (folders, others): (Vec<_>, Vec<_>) = entries(root)?.into_iter().partition(|path| path.is_dir());
    if let Some(picture) = others.iter().find(|path| is_picture(path)) {
        let message = "the picture belongs to no class: put it into a folder with the class's name";
        return Err(DataError::format(picture, message));
    }
    if folders.is_empty() {
        let message = "there is no folder in it: put the pictures of each class into a folder with its name";
        return Err(DataError::format(root, message));
    }
    Ok(folders)
}

fn is_picture(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

/// The files in the folders of classes.
fn files_of(root: &Path, folders: &[PathBuf], names: &[String]) -> Result<Vec<File>, DataError> {
    let mut files = Vec::new();
    for folder in folders {
        let name = name_of(folder);
        let class = names.iter().position(|class| *class == name).ok_or_else(|| {
            DataError::format(folder, format!("the class `{name}` is not among those to train on"))
        })?;
        let before = files.len();
        for path in entries(folder)? {
            if path.is_dir() {
                return Err(DataError::format(path, "there is a folder within the folder of a class"));
            }
            if !is_picture(&path) {
                let message =
                    "the file is no PNG, JPEG or GIF picture by its name: take it out of the folder";
                return Err(DataError::format(path, message));
            }
            let relative = path.strip_prefix(root).unwrap_or(&path);
            let identity = content_hash(relative.to_string_lossy().replace('\\', "/").as_bytes());
            files.push(File { path, class, identity });
        }
        if files.len() == before {
            return Err(DataError::format(folder, "the class has no picture"));
        }
    }
    Ok(files)
}

fn reader(path: &Path) -> Result<ImageReader<std::io::BufReader<std::fs::File>>, DataError> {
    let failed = |error| DataError::io(path, error);
    // The format by the first bytes: a name may be wrong.
    let reader = ImageReader::open(path).map_err(failed)?.with_guessed_format().map_err(failed)?;
    match reader.format() {
        Some(ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::Gif) => Ok(reader),
        _ => Err(DataError::format(path, "the file is no PNG, JPEG or GIF picture by its contents")),
    }
}

/// The width and height in a file's header.
fn size_of(path: &Path) -> Result<(u32, u32), DataError> {
    let (width, height) = reader(path)?.into_dimensions().map_err(|error| wrong(path, &error))?;
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || pixels > MOST_PIXELS {
        let message =
            format!("a picture of {width} x {height} pixels cannot be used: at most {MOST_PIXELS} pixels");
        return Err(DataError::format(path, message));
    }
    Ok((width, height))
}

fn wrong(path: &Path, error: &image::ImageError) -> DataError {
    DataError::format(path, format!("the picture cannot be decoded: {error}"))
}

impl Dataset for FolderImages {
    fn input(&self) -> &Input {
        &self.input
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn len(&self) -> usize {
        self.files.len()
    }

    fn class(&self, index: usize) -> Option<usize> {
        self.files.get(index).map(|file| file.class)
    }

    fn identity(&self, index: usize) -> u64 {
        self.files.get(index).map_or(0, |file| file.identity)
    }

    fn test_begin(&self) -> Option<usize> {
        self.test_begin
    }

    fn read(&self, index: usize, sample: SampleMut<'_>) -> Result<(), DataError> {
        let missing = || DataError::Data(format!("there is no picture {index} among {}", self.len()));
        let picture = self.decode(&self.files.get(index).ok_or_else(missing)?.path)?;
        // A picture has its channels side by side, the input one channel after the other.
        let plane = (self.height * self.width) as usize;
        let channels = if self.grey { 1 } else { 3 };
        let bytes = picture.as_bytes();
        for (channel, numbers) in sample.numbers.chunks_exact_mut(plane).enumerate() {
            for (number, pixel) in numbers.iter_mut().zip(bytes.chunks_exact(channels)) {
                *number = f32::from(pixel[channel]) / 255.0;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
