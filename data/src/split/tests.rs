use proptest::prelude::*;

use super::*;
use crate::fixtures::Toy;

fn config() -> impl Strategy<Value = SplitConfig> {
    let part = prop_oneof![Just(0.0), 0.01..0.45];
    (part.clone(), part).prop_map(|(validation, test)| SplitConfig { validation, test })
}

fn identities(toy: &Toy, part: &[usize]) -> Vec<u64> {
    part.iter().map(|index| toy.identity(*index)).collect()
}

proptest! {
    #[test]
    fn parts_are_disjoint_and_cover_all(
        count in 20..200usize, classes in 1..6usize, config in config(), seed: u64,
    ) {
        let toy = Toy::new(count, classes, seed);
        let splits = Splits::of(&toy, &config, seed).unwrap();
        let mut all = [&*splits.train, &splits.validation, &splits.test].concat();
        all.sort_unstable();
        prop_assert_eq!(all, (0..count).collect::<Vec<_>>());
        // Each class gives its share to each part, to within one sample.
        for class in 0..classes {
            let in_class = |index: &&usize| toy.class(**index) == Some(class);
            let of = |part: &[usize]| part.iter().filter(in_class).count() as f64;
            let total = (0..count).filter(|index| index % classes == class).count() as f64;
            prop_assert!((of(&splits.validation) - total * config.validation).abs() <= 1.0);
            prop_assert!((of(&splits.test) - total * config.test).abs() <= 1.0);
        }
    }

    /// The same samples in another order: the same parts, in the same order.
    #[test]
    fn the_order_of_the_data_does_not_count(
        count in 12..120usize, classes in 1..4usize, config in config(), seed: u64,
    ) {
        let toy = Toy::new(count, classes, 3);
        let other = toy.permuted(seed);
        let (a, b) = (Splits::of(&toy, &config, seed).unwrap(), Splits::of(&other, &config, seed).unwrap());
        for (a, b) in [(&a.train, &b.train), (&a.validation, &b.validation), (&a.test, &b.test)] {
            prop_assert_eq!(identities(&toy, a), identities(&other, b));
        }
    }

    #[test]
    fn duplicates_stay_together(
        count in 60..120usize, copies in 2..5u64, classes in 1..4usize, seed: u64,
    ) {
        let mut toy = Toy::new(count, classes, seed);
        for (index, identity) in toy.identities.iter_mut().enumerate() {
            *identity = index as u64 / copies;
        }
        let splits = Splits::of(&toy, &SplitConfig { validation: 0.2, test: 0.2 }, seed).unwrap();
        let [train, validation, test] =
            [&splits.train, &splits.validation, &splits.test].map(|part| identities(&toy, part));
        prop_assert!(!train.iter().any(|identity| validation.contains(identity) || test.contains(identity)));
        prop_assert!(!validation.iter().any(|identity| test.contains(identity)));
    }
}

#[test]
fn another_seed_is_another_split() {
    let toy = Toy::new(200, 2, 0);
    let config = SplitConfig::default();
    assert_ne!(Splits::of(&toy, &config, 0).unwrap(), Splits::of(&toy, &config, 1).unwrap());
    assert_eq!(Splits::of(&toy, &config, 0).unwrap(), Splits::of(&toy, &config, 0).unwrap());
}

#[test]
fn the_test_samples_of_the_data_set_win() {
    let mut toy = Toy::new(100, 2, 0);
    toy.test_begin = Some(80);
    let splits = Splits::of(&toy, &SplitConfig { validation: 0.25, test: 0.9 }, 0).unwrap();
    assert_eq!(splits.test, (80..100).collect::<Vec<_>>());
    assert_eq!((splits.train.len(), splits.validation.len()), (60, 20));
}

#[test]
fn what_cannot_be_split_is_an_error() {
    let of = |toy: &Toy, validation, test| Splits::of(toy, &SplitConfig { validation, test }, 0);
    let mut toy = Toy::new(30, 3, 0);
    for (validation, test) in [(-0.1, 0.1), (0.1, 1.0), (f64::NAN, 0.1), (0.5, 0.5), (0.6, 0.7)] {
        assert!(matches!(of(&toy, validation, test), Err(DataError::Config(_))), "{validation} {test}");
    }
    toy.classes = (0..30).map(|index| usize::from(index == 4)).collect();
    for (validation, test, fits) in
        [(0.1, 0.1, false), (0.1, 0.0, false), (0.0, 0.1, false), (0.0, 0.0, true)]
    {
        let splits = of(&toy, validation, test);
        assert_eq!(splits.is_ok(), fits);
        assert!(
            splits.err().is_none_or(|error| error.to_string().contains("the class `class1` has 1 sample"))
        );
    }
    toy.classes.fill(0);
    toy.identities.fill(7);
    assert!(of(&toy, 0.1, 0.1).unwrap_err().to_string().contains("same identity"));
    assert!(matches!(of(&Toy::new(0, 1, 0), 0.1, 0.1), Err(DataError::Data(_))));
}
