use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::TransformConfig;
use crate::fixtures::Toy;

const AUGMENT: [TransformConfig; 3] = [
    TransformConfig::Shift { pixels: 1 },
    TransformConfig::Rotate { degrees: 20.0 },
    TransformConfig::Noise { deviation: 0.1 },
];

fn loader_of(toy: Toy, rows: Vec<usize>, config: LoaderConfig, seed: u64) -> Result<Loader, DataError> {
    let pipeline = Pipeline::new(toy.input(), &AUGMENT)?;
    Loader::new(Arc::new(toy), rows, pipeline, config, seed)
}

fn loader(count: usize, config: LoaderConfig, seed: u64) -> Loader {
    loader_of(Toy::new(count, 3, 1), (0..count).collect(), config, seed).unwrap()
}

fn settings() -> impl Strategy<Value = LoaderConfig> {
    (1..9usize, any::<bool>(), any::<bool>(), any::<bool>(), 0..6usize, 1..4usize).prop_map(
        |(batch_size, shuffle, balanced, drop_last, prefetch, threads)| LoaderConfig {
            batch_size,
            shuffle,
            balanced,
            drop_last,
            prefetch,
            threads,
            augment: true,
        },
    )
}

/// The next batches, their memory given back and so used again.
fn batches(loader: &mut Loader, count: u64) -> Vec<Batch> {
    let next = |_| {
        let batch = loader.next_batch().unwrap();
        loader.give_back(batch.clone());
        batch
    };
    (0..count).map(next).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn each_epoch_has_each_sample_once(count in 9..40usize, config in settings(), seed: u64) {
        let config = LoaderConfig { balanced: false, drop_last: false, ..config };
        let mut loader = loader(count, config.clone(), seed);
        prop_assert_eq!(loader.batches_per_epoch(), count.div_ceil(config.batch_size) as u64);
        for epoch in 0..3 {
            prop_assert_eq!(loader.position(), Position { epoch, batch: 0 });
            let epoch = batches(&mut loader, count.div_ceil(config.batch_size) as u64);
            let mut seen: Vec<_> = epoch.iter().flat_map(|batch| batch.indices.clone()).collect();
            if config.shuffle {
                seen.sort_unstable();
            }
            prop_assert_eq!(seen, (0..count).collect::<Vec<_>>());
            for batch in epoch {
                prop_assert_eq!(batch.numbers.len(), batch.rows * 50);
                let classes: Vec<_> = batch.indices.iter().map(|index| (index % 3) as i64).collect();
                prop_assert_eq!(batch.classes, classes);
            }
        }
    }

    #[test]
    fn the_parts_of_a_batch_are_the_batch(count in 9..40usize, config in settings(), seed: u64, of in 1..4usize) {
        let of = of.min(config.batch_size);
        let part = |share| loader(count, config.clone(), seed).with_share(share, of).unwrap();
        let mut parts: Vec<_> = (0..of).map(part).collect();
        let wanted = parts[0].batches_per_epoch() + 1;
        let parts: Vec<_> = parts.iter_mut().map(|part| batches(part, wanted)).collect();
        let mut whole = loader(count, config.clone(), seed);
        let left_out = whole.batches_per_epoch() + 1 - parts[0].len() as u64;
        prop_assert!(left_out == 0 || count % config.batch_size < of);
        for (number, batch) in batches(&mut whole, wanted - 1).into_iter().enumerate() {
            let indices = parts.iter().flat_map(|part| part[number].indices.clone()).collect::<Vec<_>>();
            prop_assert_eq!(indices, batch.indices);
            let numbers = parts.iter().flat_map(|part| part[number].numbers.clone()).collect::<Vec<_>>();
            prop_assert_eq!(numbers, batch.numbers);
            prop_assert!(parts.iter().all(|part| part[number].rows > 0));
        }
    }

    #[test]
    fn the_number_of_threads_changes_no_bit(count in 9..40usize, config in settings(), seed: u64) {
        let mut one = loader(count, LoaderConfig { threads: 1, ..config.clone() }, seed);
        let mut four = loader(count, LoaderConfig { threads: 4, prefetch: 7, ..config }, seed);
        let wanted = one.batches_per_epoch() * 2 + 1;
        prop_assert_eq!(batches(&mut one, wanted), batches(&mut four, wanted));
    }

    /// A loader that seeks continues as the one that went all the way, whether it is new or in the midst.
    #[test]
    fn seek_continues_exactly(
        count in 9..30usize, config in settings(), seed: u64, stop in 0..20u64, astray in 0..9u64,
    ) {
        let mut whole = loader(count, config.clone(), seed);
        batches(&mut whole, stop);
        let position = whole.position();
        let mut other = loader(count, config, seed);
        batches(&mut other, astray);
        let text = toml::to_string(&position).unwrap();
        other.seek(toml::from_str(&text).unwrap()).unwrap();
        prop_assert_eq!(other.position(), position);
        prop_assert_eq!(batches(&mut whole, 7), batches(&mut other, 7));
        prop_assert_eq!(whole.position(), other.position());
        other.seek(Position::default()).unwrap();
        other.seek(position).unwrap();
        whole.seek(position).unwrap();
        prop_assert_eq!(batches(&mut whole, 3), batches(&mut other, 3));
    }

    /// Over epochs, classes come equally often to within one sample, and so do the samples of each class.
    #[test]
    fn balanced_classes_are_equal(
        sizes in prop::collection::vec(1..12usize, 1..4), epochs in 1..4u64, seed: u64,
    ) {
        let count = sizes.iter().sum();
        let mut toy = Toy::new(count, sizes.len(), 1);
        toy.classes = sizes.iter().enumerate().flat_map(|(class, size)| vec![class; *size]).collect();
        let classes = toy.classes.clone();
        let config = LoaderConfig { balanced: true, batch_size: 5, ..LoaderConfig::default() };
        let mut loader = loader_of(toy, (0..count).collect(), config, seed).unwrap();
        let wanted = loader.batches_per_epoch() * epochs;
        let mut seen: BTreeMap<usize, usize> = (0..count).map(|index| (index, 0)).collect();
        for index in batches(&mut loader, wanted).into_iter().flat_map(|batch| batch.indices) {
            *seen.get_mut(&index).unwrap() += 1;
        }
        prop_assert_eq!(seen.values().sum::<usize>(), count * epochs as usize);
        let spread = |counts: Vec<usize>| counts.iter().max().unwrap() - counts.iter().min().unwrap();
        let of = |class| -> Vec<usize> {
            (0..count).filter(|index| classes[*index] == class).map(|index| seen[&index]).collect()
        };
        prop_assert!(spread((0..sizes.len()).map(|class| of(class).iter().sum()).collect()) <= 1);
        for class in 0..sizes.len() {
            prop_assert!(spread(of(class)) <= 1);
        }
    }
}

#[test]
fn augmentation_differs_from_epoch_to_epoch_and_can_be_left_out() {
    let config = LoaderConfig { batch_size: 9, shuffle: false, ..LoaderConfig::default() };
    let mut augmented = loader(9, config.clone(), 0);
    let both = batches(&mut augmented, 2);
    assert_eq!(both[0].indices, both[1].indices);
    assert_ne!(both[0].numbers, both[1].numbers);
    let mut plain = loader(9, LoaderConfig { augment: false, ..config }, 0);
    assert_eq!(plain.next_batch().unwrap().numbers, Toy::new(9, 3, 1).numbers);
}

#[test]
fn an_error_and_a_panic_name_the_sample_and_the_batch_is_tried_again() {
    for (fails, panics, message) in
        [(Some(13), None, "the disk is gone"), (None, Some(13), "a slip of the user")]
    {
        for threads in [1, 3] {
            let toy = Toy { fails, panics, ..Toy::new(30, 3, 1) };
            let config = LoaderConfig { batch_size: 6, shuffle: false, threads, ..LoaderConfig::default() };
            let mut loader = loader_of(toy, (0..30).collect(), config, 0).unwrap();
            batches(&mut loader, 2);
            for _ in 0..3 {
                let error = loader.next_batch().unwrap_err().to_string();
                assert!(error.contains("sample 13") && error.contains(message), "{error}");
                assert_eq!(loader.position(), Position { epoch: 0, batch: 2 });
            }
            loader.seek(Position { epoch: 0, batch: 3 }).unwrap();
            assert_eq!(loader.next_batch().unwrap().indices, (18..24).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_dropped_loader_ends_its_threads_at_once() {
    let toy = Toy { pause: Duration::from_millis(20), ..Toy::new(400, 3, 1) };
    let toy = Arc::new(toy);
    let pipeline = Pipeline::new(toy.input(), &[]).unwrap();
    let config = LoaderConfig { batch_size: 100, threads: 3, ..LoaderConfig::default() };
    let dataset: Arc<dyn Dataset> = toy.clone();
    let mut loader = Loader::new(dataset, (0..400).collect(), pipeline, config, 0).unwrap();
    loader.plan();
    std::thread::sleep(Duration::from_millis(30));
    let begin = Instant::now();
    drop(loader);
    assert!(begin.elapsed() < Duration::from_secs(1), "no batch of two seconds is finished first");
    assert_eq!(Arc::strong_count(&toy), 1, "no thread is left that holds the data set");
}

#[test]
fn batches_ahead_are_bounded() {
    let toy = Arc::new(Toy::new(1000, 3, 1));
    let pipeline = Pipeline::new(toy.input(), &[]).unwrap();
    let config = LoaderConfig { batch_size: 10, threads: 2, prefetch: 3, ..LoaderConfig::default() };
    let dataset: Arc<dyn Dataset> = toy.clone();
    let mut loader = Loader::new(dataset, (0..1000).collect(), pipeline, config, 0).unwrap();
    loader.next_batch().unwrap();
    std::thread::sleep(Duration::from_millis(50));
    assert!(toy.reads.load(Ordering::Relaxed) <= 40);
}

#[test]
fn a_pass_has_each_row_once_in_order_and_starts_again() {
    let toy = Toy::new(30, 3, 1);
    let pipeline = Pipeline::new(toy.input(), &AUGMENT).unwrap();
    let rows = vec![4, 20, 7, 8, 29];
    let mut pass = Pass::new(Arc::new(toy), rows.clone(), pipeline, 2, 2).unwrap();
    assert_eq!(pass.batches(), 3);
    let mut last = Vec::new();
    for round in 0..3 {
        let (mut seen, mut numbers) = (Vec::new(), Vec::new());
        while let Some(batch) = pass.next_batch().unwrap() {
            seen.extend_from_slice(&batch.indices);
            numbers.extend_from_slice(&batch.numbers);
            pass.give_back(batch);
        }
        assert_eq!(seen, rows);
        assert!(round == 0 || numbers == last, "nothing is augmented");
        last = numbers;
        assert!(pass.next_batch().unwrap().is_none());
        pass.restart();
        // Once more from the middle.
        pass.next_batch().unwrap();
        pass.restart();
    }
}

#[test]
fn settings_that_make_no_sense_are_errors() {
    let with = |toy: Toy, rows: Vec<usize>, config| loader_of(toy, rows, config, 0);
    let toy = || Toy::new(10, 2, 0);
    let rows = || (0..10).collect::<Vec<_>>();
    let config = LoaderConfig::default;
    for wrong in [
        LoaderConfig { batch_size: 0, ..config() },
        LoaderConfig { threads: 0, ..config() },
        LoaderConfig { threads: 1_000_000, ..config() },
        LoaderConfig { prefetch: 1_000_000, ..config() },
        LoaderConfig { batch_size: 11, drop_last: true, ..config() },
    ] {
        assert!(matches!(with(toy(), rows(), wrong.clone()), Err(DataError::Config(_))), "{wrong:?}");
    }
    assert!(matches!(with(toy(), vec![], config()), Err(DataError::Data(_))));
    assert!(matches!(with(toy(), vec![10], config()), Err(DataError::Config(_))));
    let balanced = LoaderConfig { balanced: true, ..config() };
    let numbers = Toy { target: Target::None, ..toy() };
    assert!(matches!(with(numbers, rows(), balanced), Err(DataError::Config(_))));
    let other = Pipeline::new(&Input::Sound { samples: 50, rate: 1 }, &[]).unwrap();
    assert!(Loader::new(Arc::new(toy()), rows(), other, config(), 0).is_err());
    let mut loader = with(toy(), rows(), config()).unwrap();
    assert!(matches!(loader.seek(Position { epoch: 0, batch: 1 }), Err(DataError::Config(_))));
    let unnamed = Toy { classes: vec![5; 10], ..toy() };
    let error = with(unnamed, rows(), config()).unwrap().next_batch().unwrap_err().to_string();
    assert!(error.contains("class 5"), "{error}");
}
