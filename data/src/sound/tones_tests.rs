use super::*;

fn sound(data: &ToneDataset, index: usize) -> Vec<f32> {
    let mut numbers = vec![9.0; SAMPLES];
    data.read(index, SampleMut { numbers: &mut numbers, tokens: &mut [], targets: &mut [] }).unwrap();
    numbers
}

#[test]
fn a_sample_depends_on_the_seed_and_its_place_alone() {
    let data = ToneDataset::new(&ToneOptions { count: 60, seed: 3 }).unwrap();
    let more = ToneDataset::new(&ToneOptions { count: 97, seed: 3 }).unwrap();
    assert_eq!(data.sounds, more.sounds[..data.sounds.len()]);
    assert_ne!(data.sounds, ToneDataset::new(&ToneOptions { count: 60, seed: 4 }).unwrap().sounds);
    assert_ne!(sound(&data, 0), sound(&data, 10), "a speaker says a word twice, not alike");
}

#[test]
fn speakers_are_identities_and_the_last_are_for_testing() {
    let data = ToneDataset::new(&ToneOptions { count: 410, seed: 0 }).unwrap();
    assert_eq!((data.len(), data.test_begin()), (410, Some(19 * 20)));
    assert_eq!(data.identity(0), data.identity(19));
    assert_ne!(data.identity(19), data.identity(20));
    assert_eq!((data.class(409), data.class(410)), (Some(9), None));
    let few = ToneDataset::open(None, &"count = 20".parse().unwrap()).unwrap();
    assert_eq!(few.test_begin(), None);
    assert!(ToneDataset::open(None, &"count = 5".parse().unwrap()).is_err());
    assert!(ToneDataset::open(Some(Path::new("x")), &Table::new()).is_err());
}

#[test]
fn words_are_heard_and_hardly_ever_cut_off() {
    let data = ToneDataset::new(&ToneOptions { count: 400, seed: 1 }).unwrap();
    let mut clipped = 0;
    for index in 0..data.len() {
        let numbers = sound(&data, index);
        assert!(numbers.iter().all(|number| number.is_finite()));
        let loudest = numbers.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
        assert!(loudest > 0.03, "{index}: {loudest}");
        clipped += usize::from(loudest > 0.999);
    }
    assert!(clipped < 40, "{clipped}");
}
