//! `cifar10` and `cifar100`: the binary versions of the CIFAR data sets (Krizhevsky 2009).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::ByteImages;
use super::files::{name_of, read_file};
use crate::{DataError, DatasetOptions, DatasetSpec};

/// The shape of a picture, stored in this order, and its bytes.
const SHAPE: [usize; 3] = [3, 32, 32];
const PIXELS: usize = 3 * 32 * 32;

/// The classes of CIFAR-10, for folders without `batches.meta.txt`.
const NAMES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

pub(super) fn specs() -> [DatasetSpec; 2] {
    let ten = "CIFAR-10, binary version: a folder with data_batch_1.bin to data_batch_5.bin, and \
               test_batch.bin if any";
    let hundred = "CIFAR-100, binary version: a folder with train.bin, and test.bin if any (option: labels = \
                   \"fine\" or \"coarse\")";
    [
        DatasetSpec::new("cifar10", |options| Ok(Arc::new(open_10(options)?))).summary(ten).needs_path(),
        DatasetSpec::new("cifar100", |options| Ok(Arc::new(open_100(options)?)))
            .summary(hundred)
            .needs_path(),
    ]
}

/// The settings of CIFAR-10: none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cifar10Config {}

/// The settings of CIFAR-100.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Cifar100Config {
    /// The label to learn.
    labels: Labels,
}

/// The two labels of a picture of CIFAR-100.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Labels {
    /// One of 100 classes.
    #[default]
    Fine,
    /// One of 20 groups of classes.
    Coarse,
}

/// The records of a file: the bytes of labels before the pixels, the place of the label among them, and the
/// number of classes.
#[derive(Clone, Copy)]
struct Format {
    labels: usize,
    label: usize,
    classes: usize,
}

fn open_10(options: &DatasetOptions) -> Result<ByteImages, DataError> {
    let Cifar10Config {} = options.typed()?;
    let folder = folder(options.path()?, "cifar-10-batches-bin");
    let train: Vec<_> = (1..=5).map(|batch| folder.join(format!("data_batch_{batch}.bin"))).collect();
    let format = Format { labels: 1, label: 0, classes: 10 };
    let names = names(&folder.join("batches.meta.txt"), 10)?;
    let names = names.unwrap_or_else(|| NAMES.map(String::from).to_vec());
    open(&train, &folder.join("test_batch.bin"), format, names)
}

fn open_100(options: &DatasetOptions) -> Result<ByteImages, DataError> {
    let Cifar100Config { labels } = options.typed()?;
    let folder = folder(options.path()?, "cifar-100-binary");
    let (file, label, classes) = match labels {
        Labels::Fine => ("fine_label_names.txt", 1, 100),
        Labels::Coarse => ("coarse_label_names.txt", 0, 20),
    };
    let names = names(&folder.join(file), classes)?;
    let names = names.unwrap_or_else(|| (0..classes).map(|class| class.to_string()).collect());
    open(&[folder.join("train.bin")], &folder.join("test.bin"), Format { labels: 2, label, classes }, names)
}

/// The folder itself, or the one of the archive in it.
fn folder(path: &Path, unpacked: &str) -> PathBuf {
    let inner = path.join(unpacked);
    if inner.is_dir() { inner } else { path.to_path_buf() }
}

/// The names in a file, one a line; none without the file.
fn names(path: &Path, classes: usize) -> Result<Option<Vec<String>>, DataError> {
    if !path.exists() {
        return Ok(None);
    }
    let bytes = read_file(path)?;
    let text = String::from_utf8_lossy(&bytes);
    let names: Vec<_> =
        text.lines().map(str::trim).filter(|name| !name.is_empty()).map(String::from).collect();
    if names.len() == classes {
        return Ok(Some(names));
    }
    let message =
        format!("there are {} names of classes, one a line, where there should be {classes}", names.len());
    Err(DataError::format(path, message))
}

fn open(train: &[PathBuf], test: &Path, format: Format, names: Vec<String>) -> Result<ByteImages, DataError> {
    if let Some(missing) = train.iter().find(|path| !path.exists()) {
        let folder = missing.parent().unwrap_or(missing);
        let message = format!("`{}` is missing; the binary version of the data set has it", name_of(missing));
        return Err(DataError::format(folder, message));
    }
    let (mut pixels, mut classes) = (Vec::new(), Vec::new());
    for path in train {
        parse(path, &read_file(path)?, format, &mut pixels, &mut classes)?;
    }
    let count = classes.len();
    let has_test = test.exists();
    if has_test {
        parse(test, &read_file(test)?, format, &mut pixels, &mut classes)?;
    }
    let images = ByteImages::new(SHAPE, pixels, classes, names)?;
    Ok(if has_test { images.with_test_begin(count) } else { images })
}

/// Adds the pictures of a file: labels and pixels, one after the other.
fn parse(
    path: &Path,
    bytes: &[u8],
    format: Format,
    pixels: &mut Vec<u8>,
    classes: &mut Vec<u16>,
) -> Result<(), DataError> {
    let size = format.labels + PIXELS;
    if bytes.is_empty() || !bytes.len().is_multiple_of(size) {
        let (length, whole) = (bytes.len(), bytes.len() / size);
        let message = format!(
            "the file has {length} bytes: {whole} pictures of {size} bytes and a part of another, or nothing"
        );
        return Err(DataError::format(path, message));
    }
    pixels.reserve_exact(bytes.len() / size * PIXELS);
    for (number, record) in bytes.chunks_exact(size).enumerate() {
        let label = u16::from(record[format.label]);
        if usize::from(label) >= format.classes {
            let (place, most) = (number * size + format.label, format.classes - 1);
            let message = format!(
                "picture {number} has the label {label} at byte {place}, where labels are from 0 to {most}"
            );
            return Err(DataError::format(path, message));
        }
        classes.push(label);
        pixels.extend_from_slice(&record[format.labels..]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;
    use crate::Dataset;

    fn records(labels: &[&[u8]]) -> Vec<u8> {
        labels
            .iter()
            .enumerate()
            .flat_map(|(n, labels)| [labels.to_vec(), vec![n as u8; PIXELS]].concat())
            .collect()
    }

    #[test]
    fn the_ten_classes_are_read_from_the_folder_or_its_parent() {
        let parent = TempDir::new().unwrap();
        let folder = parent.path().join("cifar-10-batches-bin");
        fs::create_dir(&folder).unwrap();
        for batch in 1..=5 {
            fs::write(folder.join(format!("data_batch_{batch}.bin")), records(&[&[3], &[9]])).unwrap();
        }
        for path in [parent.path(), &folder] {
            let set = open_10(&DatasetOptions::at(path)).unwrap();
            assert_eq!((set.len(), set.test_begin(), set.class(1)), (10, None, Some(9)));
            assert_eq!(set.pixels(3), [1; PIXELS]);
        }
        fs::write(folder.join("test_batch.bin"), records(&[&[0]])).unwrap();
        assert_eq!(open_10(&DatasetOptions::at(&folder)).unwrap().test_begin(), Some(10));
        fs::remove_file(folder.join("data_batch_4.bin")).unwrap();
        let error = open_10(&DatasetOptions::at(&folder)).unwrap_err().to_string();
        assert!(error.contains("data_batch_4.bin"), "{error}");
    }

    #[test]
    fn the_hundred_classes_have_two_labels() {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("train.bin"), records(&[&[19, 99], &[1, 2]])).unwrap();
        let mut options = DatasetOptions::at(folder.path());
        assert_eq!(open_100(&options).unwrap().class(0), Some(99));
        options.options = "labels = \"coarse\"".parse().unwrap();
        assert_eq!(open_100(&options).unwrap().class(0), Some(19));
        fs::write(folder.path().join("coarse_label_names.txt"), "fish\n").unwrap();
        let error = open_100(&options).unwrap_err().to_string();
        assert!(error.contains("coarse_label_names.txt") && error.contains("20"), "{error}");
    }

    proptest! {
        #[test]
        fn damaged_files_are_errors_and_no_panics(
            label: u8, length in 0..2 * (PIXELS + 2), noise in prop::collection::vec(any::<u8>(), 0..4000),
        ) {
            let format = Format { labels: 1, label: 0, classes: 10 };
            let read = |bytes: &[u8]| {
                let (mut pixels, mut classes) = (Vec::new(), Vec::new());
                let read = parse(Path::new("file"), bytes, format, &mut pixels, &mut classes);
                read.map(|()| (pixels.len(), classes.len()))
            };
            let valid = records(&[&[label], &[1]]);
            prop_assert_eq!(read(&valid).is_ok(), label < 10);
            if let Ok((pixels, classes)) = read(&valid[..length.min(valid.len())]) {
                prop_assert_eq!(pixels, classes * PIXELS);
            }
            if let Ok((pixels, classes)) = read(&noise) {
                prop_assert_eq!(pixels, classes * PIXELS);
            }
        }
    }
}
