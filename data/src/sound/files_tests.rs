use std::fs;

use hound::{SampleFormat, WavSpec, WavWriter};

use super::*;

fn write(path: &Path, rate: u32, numbers: &[f32]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let spec =
        WavSpec { channels: 1, sample_rate: rate, bits_per_sample: 16, sample_format: SampleFormat::Int };
    let mut writer = WavWriter::create(path, spec).unwrap();
    numbers.iter().for_each(|&number| writer.write_sample(to_bits(number)).unwrap());
    writer.finalize().unwrap();
}

fn sound(data: &SoundDataset, index: usize) -> Vec<f32> {
    let mut numbers = vec![9.0; data.input().numbers()];
    data.read(index, SampleMut { numbers: &mut numbers, tokens: &mut [], targets: &mut [] }).unwrap();
    numbers
}

fn small() -> SoundOptions {
    SoundOptions { rate: 8_000, seconds: 0.01, ..SoundOptions::default() }
}

/// Two words of three speakers, with lists and noise.
fn commands() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (word, level) in [("yes", 0.5), ("no", 0.25)] {
        for speaker in ["aa", "bb", "cc"] {
            let name = format!("{word}/{speaker}_nohash_0.wav");
            write(&folder.path().join(name), 8_000, &[level; 50]);
        }
    }
    write(&folder.path().join("_background_noise_/rain.wav"), 8_000, &[0.1; 50]);
    fs::write(
        folder.path().join("testing_list.txt"),
        "no/aa_nohash_0.wav\nyes/aa_nohash_0.wav\nyes/gone.wav\n",
    )
    .unwrap();
    fs::write(folder.path().join("validation_list.txt"), "yes/cc_nohash_0.wav\r\n").unwrap();
    folder
}

#[test]
fn lists_order_the_samples_and_speakers_are_identities() {
    let folder = commands();
    let data = SoundDataset::new(folder.path(), &small()).unwrap();
    let Target::Class { names } = data.target() else { panic!("no classes") };
    assert_eq!(names, &["no", "yes"]);
    let classes: Vec<_> = (0..data.len()).map(|index| data.class(index).unwrap()).collect();
    assert_eq!(classes, [0, 0, 1, 1, 0, 1]);
    assert_eq!((data.validation(), data.test_begin()), (3..4, Some(4)));
    assert_eq!(data.identity(4), data.identity(5), "speaker aa");
    assert_ne!(data.identity(0), data.identity(1));
    let numbers = sound(&data, 2);
    assert_eq!(numbers.len(), 80);
    assert!(numbers[..50].iter().all(|&n| n == 0.5) && numbers[50..].iter().all(|&n| n == 0.0));
}

#[test]
fn the_cache_changes_nothing_and_reads_once() {
    let folder = commands();
    let cached = SoundDataset::new(folder.path(), &small()).unwrap();
    let fresh = SoundDataset::new(folder.path(), &SoundOptions { cache: false, ..small() }).unwrap();
    let before: Vec<_> = (0..6).map(|index| sound(&cached, index)).collect();
    assert_eq!(before, (0..6).map(|index| sound(&fresh, index)).collect::<Vec<_>>());
    fs::remove_dir_all(folder.path()).unwrap();
    assert_eq!(before, (0..6).map(|index| sound(&cached, index)).collect::<Vec<_>>());
    let sample = SampleMut { numbers: &mut [0.0; 80], tokens: &mut [], targets: &mut [] };
    assert!(matches!(fresh.read(0, sample), Err(DataError::Io { .. })));
}

#[test]
fn other_rates_are_resampled_and_long_sounds_cut() {
    let folder = tempfile::tempdir().unwrap();
    let tone = |rate: u32| -> Vec<f32> {
        (0..rate).map(|at| 0.5 * (at as f32 * 2_000.0 / rate as f32).sin()).collect()
    };
    write(&folder.path().join("a/deep/x.wav"), 8_000, &tone(8_000));
    write(&folder.path().join("b/x.wav"), 44_100, &tone(44_100));
    let data = SoundDataset::new(folder.path(), &SoundOptions { seconds: 0.5, ..small() }).unwrap();
    let (a, b) = (sound(&data, 0), sound(&data, 1));
    assert_eq!((a.len(), b.len(), data.test_begin()), (4_000, 4_000, None));
    let worst = (500..3_500).map(|at| (a[at] - b[at]).abs()).fold(0.0, f32::max);
    assert!(worst < 2e-3, "{worst}");
}

#[test]
fn what_is_wrong_is_named() {
    let folder = commands();
    let open = |options: &str| SoundDataset::open(Some(folder.path()), &options.parse().unwrap()).map(|_| ());
    let wrong = |options: &str, parts: &[&str]| {
        let error = open(options).unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    };
    assert!(open("classes = [\"yes\", \"no\"]").is_ok());
    wrong("classes = [\"yess\", \"no\"]", &["\"yess\"", "yes"]);
    wrong("classes = [\"yes\"]", &["at least two"]);
    wrong("seconds = 0.0", &["`seconds` is 0"]);
    wrong("rate = 10", &["`rate` is 10"]);
    wrong("rates = 10", &["rates"]);
    assert!(SoundDataset::open(None, &Table::new()).unwrap_err().to_string().contains("give a `path`"));
    let list = folder.path().join("testing_list.txt");
    fs::write(&list, "aa_nohash_0.wav").unwrap();
    wrong("", &["testing_list.txt", "CLASS/FILE.wav"]);
    fs::remove_file(list).unwrap();
    let broken = folder.path().join("yes/bb_nohash_0.wav");
    let bytes = fs::read(&broken).unwrap();
    fs::write(&broken, &bytes[..100]).unwrap();
    wrong("", &["bb_nohash_0.wav", "truncated"]);
    fs::write(folder.path().join("yes/dd.wav"), "").unwrap();
    wrong("", &["bb_nohash_0.wav", "and 1 more files"]);
    fs::create_dir(folder.path().join("maybe")).unwrap();
    wrong("", &["maybe", "no .wav file"]);
}
