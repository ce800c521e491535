//! `idx`: pictures in the format of MNIST, Fashion-MNIST, KMNIST and EMNIST.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::ByteImages;
use super::files::read_file;
use crate::{DataError, DatasetOptions, DatasetSpec};

/// The data set's settings.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct IdxConfig {
    /// The classes' names, in the order of the labels 0, 1, ...; without them the labels themselves.
    names: Vec<String>,
}

pub(super) fn spec() -> DatasetSpec {
    let summary = "MNIST, Fashion-MNIST and others in IDX files: a folder with train-images-idx3-ubyte, \
                   train-labels-idx1-ubyte and the same of t10k, if any (option: names = [\"..\"])";
    DatasetSpec::new("idx", |options| Ok(Arc::new(open(options)?))).summary(summary).needs_path()
}

/// The magic numbers of files of unsigned bytes with one and with three dimensions.
const LABELS: u32 = 0x0801;
const IMAGES: u32 = 0x0803;

fn open(options: &DatasetOptions) -> Result<ByteImages, DataError> {
    let config: IdxConfig = options.typed()?;
    let folder = options.path()?;
    let missing = |what: &str| {
        let message = format!("`train-{what}` is missing, or with a dot as in `train-{}`", with_dot(what));
        DataError::format(folder, message)
    };
    let images = find(folder, "train", "images-idx3-ubyte")?.ok_or_else(|| missing("images-idx3-ubyte"))?;
    let labels = find(folder, "train", "labels-idx1-ubyte")?.ok_or_else(|| missing("labels-idx1-ubyte"))?;
    let mut pictures = read_pair(&images, &labels)?;
    let train = pictures.labels.len();
    let test = (find(folder, "t10k", "images-idx3-ubyte")?, find(folder, "t10k", "labels-idx1-ubyte")?);
    let has_test = match test {
        (Some(images), Some(labels)) => {
            let test = read_pair(&images, &labels)?;
            if test.size != pictures.size {
                let ([height, width], [wanted_height, wanted_width]) = (test.size, pictures.size);
                let message = format!(
                    "the pictures are {height} x {width}, those to train on {wanted_height} x {wanted_width}"
                );
                return Err(DataError::format(images, message));
            }
            pictures.pixels.extend_from_slice(&test.pixels);
            pictures.labels.extend_from_slice(&test.labels);
            true
        }
        (None, None) => false,
        (Some(there), None) | (None, Some(there)) => {
            let message = "the other file of the pair, images or labels, is missing beside it";
            return Err(DataError::format(there, message));
        }
    };
    let classes = pictures.labels.iter().max().map_or(0, |most| usize::from(*most) + 1);
    let names = match config.names.len() {
        0 => (0..classes).map(|class| class.to_string()).collect(),
        given if given < classes => {
            let message = format!("`names` has {given} names, but there are labels up to {}", classes - 1);
            return Err(DataError::Config(message));
        }
        _ => config.names,
    };
    let [height, width] = pictures.size;
    let labels = pictures.labels.iter().map(|label| u16::from(*label)).collect();
    let images = ByteImages::new([1, height, width], pictures.pixels, labels, names)?;
    Ok(if has_test { images.with_test_begin(train) } else { images })
}

/// The name with a dot in place of the first hyphen behind `images` or `labels`.
fn with_dot(what: &str) -> String {
    what.replacen('-', ".", 1)
}

/// The file of a part; an archive in its place is an error.
fn find(folder: &Path, part: &str, what: &str) -> Result<Option<PathBuf>, DataError> {
    let names = [format!("{part}-{what}"), format!("{part}-{}", with_dot(what))];
    let paths = names.iter().map(|name| folder.join(name));
    if let Some(path) = paths.clone().find(|path| path.exists()) {
        return Ok(Some(path));
    }
    let archives = names.iter().map(|name| folder.join(format!("{name}.gz")));
    match archives.clone().find(|path| path.exists()) {
        Some(archive) => {
            let message =
                format!("the file is compressed: unpack it first with `gunzip {}`", archive.display());
            Err(DataError::format(archive, message))
        }
        None => Ok(None),
    }
}

/// Pictures of one size and their labels.
struct Pictures {
    /// Height and width.
    size: [usize; 2],
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

fn read_pair(images: &Path, labels: &Path) -> Result<Pictures, DataError> {
    let [image_bytes, label_bytes] = [read_file(images)?, read_file(labels)?];
    let ([count, height, width], pixels) = parse::<3>(images, &image_bytes, IMAGES)?;
    let ([label_count], label_bytes) = parse::<1>(labels, &label_bytes, LABELS)?;
    if count != label_count {
        let message = format!("there are {label_count} labels, but {count} pictures in {}", images.display());
        return Err(DataError::format(labels, message));
    }
    if count == 0 || height == 0 || width == 0 {
        let message = format!("there is nothing in {count} pictures of {height} x {width} pixels");
        return Err(DataError::format(images, message));
    }
    Ok(Pictures { size: [height, width], pixels: pixels.to_vec(), labels: label_bytes.to_vec() })
}

/// The dimensions and the contents of a file: a magic number and as many dimensions, big-endian words, then
/// exactly as many bytes as they say.
fn parse<'a, const D: usize>(
    path: &Path,
    bytes: &'a [u8],
    magic: u32,
) -> Result<([usize; D], &'a [u8]), DataError> {
    let word = |place: usize| {
        let word = bytes.get(4 * place..4 * place + 4).and_then(|word| word.try_into().ok());
        let message = || format!("the file ends in its header: it has {} bytes", bytes.len());
        word.map(u32::from_be_bytes).ok_or_else(|| DataError::format(path, message()))
    };
    let found = word(0)?;
    if found != magic {
        let kind = if found >> 16 == 0x1f8b { ": it is compressed; unpack it with `gunzip`" } else { "" };
        let message = format!(
            "the file begins with the number {found:#010x}, where an IDX file of this kind has \
             {magic:#010x}{kind}"
        );
        return Err(DataError::format(path, message));
    }
    let mut dimensions = [0; D];
    for (place, dimension) in dimensions.iter_mut().enumerate() {
        *dimension = word(place + 1)? as usize;
    }
    let contents = bytes.get(4 * (D + 1)..).unwrap_or_default();
    let wanted = dimensions.iter().try_fold(1usize, |size, dimension| size.checked_mul(*dimension));
    if wanted != Some(contents.len()) {
        let message = format!(
            "the header promises {dimensions:?}, but {} bytes follow it from byte {} on",
            contents.len(),
            4 * (D + 1)
        );
        return Err(DataError::format(path, message));
    }
    Ok((dimensions, contents))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;
    use crate::{Dataset, SampleMut};

    fn images(count: u32, height: u32, width: u32) -> Vec<u8> {
        let mut bytes = [IMAGES, count, height, width].map(u32::to_be_bytes).concat();
        bytes.extend((0..count * height * width).map(|place| (place % 251) as u8));
        bytes
    }

    fn labels(count: u32) -> Vec<u8> {
        let mut bytes = [LABELS, count].map(u32::to_be_bytes).concat();
        bytes.extend((0..count).map(|place| (place % 3) as u8));
        bytes
    }

    fn folder(files: &[(&str, Vec<u8>)]) -> TempDir {
        let folder = TempDir::new().unwrap();
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        folder
    }

    fn open_at(folder: &TempDir) -> Result<ByteImages, DataError> {
        open(&DatasetOptions::at(folder.path()))
    }

    #[test]
    fn both_parts_are_read_with_hyphens_and_with_dots() {
        let folder = folder(&[
            ("train-images-idx3-ubyte", images(7, 2, 3)),
            ("train-labels.idx1-ubyte", labels(7)),
            ("t10k-images.idx3-ubyte", images(4, 2, 3)),
            ("t10k-labels-idx1-ubyte", labels(4)),
        ]);
        let set = open_at(&folder).unwrap();
        assert_eq!((set.len(), set.test_begin()), (11, Some(7)));
        assert_eq!(set.input().shape(), [1, 2, 3]);
        assert_eq!((set.class(5), set.class(9)), (Some(2), Some(2)));
        let mut numbers = [0.0; 6];
        let sample = SampleMut { numbers: &mut numbers, tokens: &mut [], targets: &mut [] };
        set.read(1, sample).unwrap();
        assert_eq!(numbers, [6.0, 7.0, 8.0, 9.0, 10.0, 11.0].map(|byte: f32| byte / 255.0));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |files: &[(&str, Vec<u8>)]| open_at(&folder(files)).unwrap_err().to_string();
        let message = error(&[]);
        assert!(message.contains("train-images-idx3-ubyte"), "{message}");
        let message = error(&[("train-images-idx3-ubyte.gz", vec![])]);
        assert!(message.contains("gunzip"), "{message}");
        let pair = |images, labels| {
            error(&[("train-images-idx3-ubyte", images), ("train-labels-idx1-ubyte", labels)])
        };
        assert!(pair(images(7, 2, 2), labels(6)).contains("6 labels, but 7 pictures"));
        assert!(pair(images(7, 2, 2), images(7, 2, 2)).contains("0x00000801"));
        assert!(pair(images(7, 2, 2)[..30].to_vec(), labels(7)).contains("14 bytes follow"));
        assert!(pair(images(7, 2, 2)[..9].to_vec(), labels(7)).contains("ends in its header"));
        assert!(pair(images(0, 2, 2), labels(0)).contains("nothing"));
        let compressed = vec![0x1f, 0x8b, 8, 0];
        assert!(pair(compressed, labels(7)).contains("gunzip"));
        let huge = [IMAGES, u32::MAX, u32::MAX, u32::MAX].map(u32::to_be_bytes).concat();
        assert!(pair(huge, labels(7)).contains("promises"));
    }

    proptest! {
        #[test]
        fn damaged_files_are_errors_and_no_panics(
            place in 0..60usize, byte: u8, length in 0..60usize,
            noise in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let path = Path::new("images");
            let mut damaged = images(5, 3, 2);
            if let Some(damaged) = damaged.get_mut(place) {
                *damaged = byte;
            }
            damaged.truncate(length);
            for bytes in [damaged, noise] {
                if let Ok((dimensions, pixels)) = parse::<3>(path, &bytes, IMAGES) {
                    prop_assert_eq!(dimensions.iter().product::<usize>(), pixels.len());
                }
                let _ = parse::<1>(path, &bytes, LABELS);
            }
        }
    }
}
