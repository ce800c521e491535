use std::fs;

use image::{Rgb, RgbImage};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::{SplitConfig, Splits};

/// A folder with pictures of one colour, by their relative paths, widths and heights.
fn folder(pictures: &[(&str, u32, u32)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (path, width, height) in pictures {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::from_pixel(*width, *height, Rgb([255, 51, 0])).save(path).unwrap();
    }
    folder
}

fn open(folder: &TempDir, options: &str) -> Result<FolderImages, DataError> {
    let options = DatasetOptions { options: options.parse().unwrap(), ..DatasetOptions::at(folder.path()) };
    FolderImages::open(&options)
}

fn read(set: &FolderImages, index: usize) -> Result<Vec<f32>, DataError> {
    let mut numbers = vec![f32::NAN; set.input().numbers()];
    set.read(index, SampleMut { numbers: &mut numbers, tokens: &mut [], targets: &mut [] })?;
    Ok(numbers)
}

#[test]
fn pictures_are_read_in_colours_in_grey_and_at_another_size() {
    let folder = folder(&[("cat/b.png", 3, 2), ("cat/a.gif", 3, 2), ("dog/c.jpg", 3, 2)]);
    fs::write(folder.path().join("cat/.hidden"), "").unwrap();
    fs::write(folder.path().join("README"), "").unwrap();
    let set = open(&folder, "").unwrap();
    assert_eq!(set.target(), &Target::Class { names: vec!["cat".into(), "dog".into()] });
    assert_eq!(set.input().shape(), [3, 2, 3]);
    assert_eq!((set.len(), set.class(1), set.class(2)), (3, Some(0), Some(1)));
    let wanted = [[1.0; 6], [0.2; 6], [0.0; 6]].concat();
    assert_eq!(read(&set, 1).unwrap(), wanted);
    for (number, wanted) in read(&set, 2).unwrap().iter().zip(&wanted) {
        assert!((number - wanted).abs() < 0.03, "JPEG loses little");
    }
    let set = open(&folder, "channels = 1\nsize = [5, 4]").unwrap();
    assert_eq!(set.input().shape(), [1, 5, 4]);
    assert!(read(&set, 1).unwrap().iter().all(|grey| (0.3..0.5).contains(grey)));
}

#[test]
fn train_and_test_folders_are_kept_apart() {
    let folder = folder(&[
        ("train/a/1.png", 2, 2),
        ("train/b/1.png", 2, 2),
        ("test/b/1.png", 2, 2),
        ("train/a/2.png", 2, 2),
    ]);
    let set = open(&folder, "").unwrap();
    assert_eq!((set.len(), set.test_begin(), set.class(3)), (4, Some(3), Some(1)));
    fs::create_dir(folder.path().join("test/c")).unwrap();
    assert!(open(&folder, "").unwrap_err().to_string().contains("not among those to train on"));
}

#[test]
fn what_is_wrong_is_named() {
    let error = |folder: &TempDir, options| open(folder, options).unwrap_err().to_string();
    let sizes = folder(&[("a/1.png", 2, 2), ("b/2.png", 2, 3)]);
    let message = error(&sizes, "");
    assert!(
        message.contains("1.png") && message.contains("2.png") && message.contains("`size`"),
        "{message}"
    );
    assert!(open(&sizes, "size = 2").is_ok());
    assert!(error(&sizes, "size = 0").contains("size"));
    assert!(error(&sizes, "channels = 2").contains("channels"));
    fs::create_dir(sizes.path().join("c")).unwrap();
    assert!(error(&sizes, "size = 2").contains("no picture"));
    fs::write(sizes.path().join("c/text.png"), "no picture").unwrap();
    assert!(error(&sizes, "size = 2").contains("text.png"));
    fs::rename(sizes.path().join("c/text.png"), sizes.path().join("c/text.txt")).unwrap();
    assert!(error(&sizes, "size = 2").contains("text.txt"));
    assert!(error(&folder(&[]), "").contains("no folder"));
    assert!(error(&folder(&[("1.png", 2, 2)]), "").contains("1.png"));
    let nowhere = DatasetOptions::at(sizes.path().join("nowhere"));
    assert!(matches!(FolderImages::open(&nowhere), Err(DataError::Io { .. })));
}

#[test]
fn a_class_with_one_picture_cannot_be_split() {
    let set =
        folder(&[("many/1.png", 2, 2), ("many/2.png", 2, 2), ("many/3.png", 2, 2), ("one/1.png", 2, 2)]);
    let set = open(&set, "").unwrap();
    let error = Splits::of(&set, &SplitConfig::default(), 0).unwrap_err().to_string();
    assert!(error.contains("class `one`"), "{error}");
    let all = SplitConfig { validation: 0.0, test: 0.0 };
    assert_eq!(Splits::of(&set, &all, 0).unwrap().train.len(), 4);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// A picture cut short or with another byte is read or refused, at opening or at reading.
    #[test]
    fn damaged_pictures_are_errors_and_no_panics(
        name in prop::sample::select(vec!["a/1.png", "a/1.jpg", "a/1.gif"]),
        place: usize, byte: u8, cut: bool,
    ) {
        let folder = folder(&[(name, 9, 7)]);
        let path = folder.path().join(name);
        let mut bytes = fs::read(&path).unwrap();
        let place = place % bytes.len();
        if cut {
            bytes.truncate(place);
        } else {
            bytes[place] = byte;
        }
        fs::write(&path, bytes).unwrap();
        if let Ok(set) = open(&folder, "") {
            let _ = read(&set, 0);
        }
        if let Ok(set) = open(&folder, "size = 5") {
            let _ = read(&set, 0);
        }
    }
}
