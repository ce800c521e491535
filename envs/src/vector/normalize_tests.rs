use super::normalize::{NormalizeObservation, NormalizeReward, ObservationNormalizer};
use super::{Autoreset, SeenStatistics, StepBatch, SyncVectorEnv, VectorEnv, VectorOptions};
use crate::wrappers::WrapperConfig;
use crate::{ActionBatch, EnvFactory, EnvOptions, ObsBatch, Registry};

const ENVS: usize = 3;
const STEPS: usize = 120;

fn plain(autoreset: Autoreset) -> Box<dyn VectorEnv> {
    let make = |_| Registry::bundled().make("CartPole-v1");
    Box::new(SyncVectorEnv::with_autoreset(ENVS, autoreset, make).unwrap())
}

/// Steps of random play; the first has no actions before it.
fn play(env: &mut dyn VectorEnv, steps: usize) -> Vec<StepBatch> {
    let mut out = StepBatch::new(env.observation_space(), ENVS);
    env.reset(Some(6), &mut out.observations).unwrap();
    let mut trace = vec![out.clone()];
    trace.extend(go_on(env, &mut out, 0, steps));
    trace
}

fn go_on(env: &mut dyn VectorEnv, out: &mut StepBatch, from: usize, steps: usize) -> Vec<StepBatch> {
    let choices = |time: usize| (0..ENVS).map(|row| ((time * time + row) / 3 % 2) as i64).collect();
    (from..from + steps)
        .map(|time| {
            env.step(&ActionBatch::Discrete(choices(time)), out).unwrap();
            out.clone()
        })
        .collect()
}

/// Mean and variance of all numbers, with the start of mean 0 and variance 1 that counts for a
/// ten-thousandth.
fn moments(numbers: &[f64]) -> (f64, f64) {
    let count = numbers.len() as f64 + 1e-4;
    let mean = numbers.iter().sum::<f64>() / count;
    let squares = numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() + 1e-4 * (1.0 + mean * mean);
    (mean, squares / count)
}

#[test]
fn observations_are_normalised_by_all_that_was_seen_final_ones_included() {
    for autoreset in [Autoreset::SameStep, Autoreset::NextStep] {
        let raw = play(plain(autoreset).as_mut(), STEPS);
        let mut env = NormalizeObservation::new(plain(autoreset), 5.0, 1e-8).unwrap();
        let seen = play(&mut env, STEPS);
        let mut numbers: Vec<f64> = Vec::new();
        let mut ended = 0;
        for (time, (raw, seen)) in raw.iter().zip(&seen).enumerate() {
            let tilt = |batch: &ObsBatch, row: usize| f64::from(batch.row(row).floats[2]);
            numbers.extend((0..ENVS).map(|row| tilt(&raw.observations, row)));
            let over = |row: &usize| time > 0 && raw.ends[*row].is_over();
            numbers.extend((0..ENVS).filter(over).map(|row| tilt(&raw.final_observations, row)));
            let (mean, variance) = moments(&numbers);
            let expected = |x: f64| ((x - mean) / (variance + 1e-8).sqrt()).clamp(-5.0, 5.0);
            for row in 0..ENVS {
                let (x, normal) = (tilt(&raw.observations, row), tilt(&seen.observations, row));
                assert!((expected(x) - normal).abs() < 1e-5, "{autoreset:?} {time} {row}: {normal}");
                if over(&row) {
                    ended += 1;
                    let (x, normal) =
                        (tilt(&raw.final_observations, row), tilt(&seen.final_observations, row));
                    assert!((expected(x) - normal).abs() < 1e-5, "{autoreset:?} {time} {row}: {normal}");
                }
            }
            assert_eq!((&raw.rewards, &raw.ends), (&seen.rewards, &seen.ends));
        }
        assert!(ended > 3);
    }
}

#[test]
fn rewards_are_divided_by_the_deviation_of_sums_that_start_anew_with_each_episode() {
    for autoreset in [Autoreset::SameStep, Autoreset::NextStep] {
        let raw = play(plain(autoreset).as_mut(), STEPS);
        let mut env = NormalizeReward::new(plain(autoreset), 0.9, 10.0, 1e-8).unwrap();
        let seen = play(&mut env, STEPS);
        let (mut sums, mut all) = ([0.0; ENVS], Vec::new());
        for (time, (raw, seen)) in raw.iter().zip(&seen).enumerate().skip(1) {
            for (row, sum) in sums.iter_mut().enumerate().filter(|(row, _)| !raw.resets[*row]) {
                *sum = *sum * 0.9 + raw.rewards[row];
                all.push(*sum);
            }
            let (_, variance) = moments(&all);
            for (row, sum) in sums.iter_mut().enumerate() {
                let expected = (raw.rewards[row] / (variance + 1e-8).sqrt()).clamp(-10.0, 10.0);
                assert!((expected - seen.rewards[row]).abs() < 1e-6, "{autoreset:?} {time} {row}");
                assert_eq!(seen.raw_rewards[row], raw.rewards[row]);
                if raw.ends[row].is_over() {
                    *sum = 0.0;
                }
            }
        }
        let episodes = raw.iter().skip(1).flat_map(|step| &step.ends).filter(|end| end.is_over()).count();
        assert!(episodes > 3 && (env.statistics().count() - all.len() as f64).abs() < 0.01);
    }
}

fn both() -> EnvFactory {
    let wrappers: Vec<WrapperConfig> =
        toml::from_str::<std::collections::BTreeMap<String, Vec<WrapperConfig>>>(
            "wrappers = [{ kind = \"frame_stack\", frames = 2 }, { kind = \"normalize_observation\" }, \
         { kind = \"normalize_reward\", discount = 0.9 }]",
        )
        .unwrap()
        .remove("wrappers")
        .unwrap();
    let spec = Registry::bundled().spec("CartPole-v1").unwrap();
    EnvFactory::new(spec, EnvOptions::default(), &wrappers).unwrap()
}

#[test]
fn saved_statistics_go_on_exactly() {
    let options = VectorOptions::new(ENVS);
    let mut first = both().make_vector(&options).unwrap();
    let mut out = play(first.as_mut(), 40).pop().unwrap();
    let mut second = both().make_vector(&options).unwrap();
    second.load_state(&first.save_state().unwrap()).unwrap();
    let mut again = out.clone();
    assert_eq!(go_on(first.as_mut(), &mut out, 40, 40), go_on(second.as_mut(), &mut again, 40, 40));
    assert_eq!(first.observation_normalizer(), second.observation_normalizer());
    assert!(plain(Autoreset::SameStep).load_state(&first.save_state().unwrap()).is_err());
}

#[test]
fn an_evaluation_applies_the_statistics_and_changes_nothing() {
    let mut env = both().make_vector(&VectorOptions::new(ENVS)).unwrap();
    play(env.as_mut(), 40);
    let normalizer = env.observation_normalizer().unwrap().clone();
    let mut saved = both().normalizer().unwrap().unwrap();
    saved.set_statistics(normalizer.statistics()).unwrap();
    assert_eq!(saved, normalizer);
    let single = both().make().unwrap();
    let mut observation = ObsBatch::new(single.observation_space(), 1);
    for _ in 0..2 {
        observation.floats_mut().fill(0.1);
        saved.apply(observation.row_mut(0));
        assert_eq!(saved, normalizer);
    }
    assert!(observation.floats().iter().any(|x| *x != 0.1));
}

#[test]
fn senseless_settings_are_refused() {
    let taxi = Registry::bundled().make("Taxi-v3").unwrap();
    let message = ObservationNormalizer::new(taxi.observation_space(), 10.0, 1e-8).unwrap_err().to_string();
    assert!(message.contains("no box of f32"), "{message}");
    assert!(NormalizeObservation::new(plain(Autoreset::SameStep), 0.0, 1e-8).is_err());
    assert!(NormalizeReward::new(plain(Autoreset::SameStep), 1.5, 10.0, 1e-8).is_err());
    let normalize = || WrapperConfig::NormalizeObservation { clip: 10.0, epsilon: 1e-8 };
    let spec = || Registry::bundled().spec("CartPole-v1").unwrap();
    for wrappers in [vec![normalize(), WrapperConfig::SignReward {}], vec![normalize(), normalize()]] {
        assert!(EnvFactory::new(spec(), EnvOptions::default(), &wrappers).is_err());
    }
}

#[test]
fn pooled_statistics_equal_those_of_one_environment() {
    let options = VectorOptions::new(ENVS);
    let mut alone = both().make_vector(&options).unwrap();
    play(alone.as_mut(), STEPS);
    play(alone.as_mut(), STEPS);
    let mut all = SeenStatistics::default();
    for _ in 0..2 {
        let mut env = both().make_vector(&options).unwrap();
        env.follow_seen(&all).unwrap();
        let before = env.observation_normalizer().unwrap().statistics().clone();
        play(env.as_mut(), STEPS);
        assert_ne!(*env.observation_normalizer().unwrap().statistics(), before);
        all.merge(&env.take_seen());
        all.merge(&env.take_seen());
    }
    let own = |env: &dyn VectorEnv| env.observation_normalizer().unwrap().statistics().clone();
    let (one, many) = (own(alone.as_ref()), all.observations.clone().unwrap());
    assert_eq!(one.count().round(), many.count().round());
    for (one, many) in one.variance().iter().zip(many.variance()) {
        assert!((one - many).abs() < 1e-9 * one.abs().max(1.0), "{one} {many}");
    }
    assert!(all.returns.as_ref().unwrap().count() > (2 * ENVS * STEPS) as f64 - 1.0);
    // The others go on from there, also after a save.
    alone.follow_seen(&all).unwrap();
    assert_eq!(own(alone.as_ref()), many);
    let mut again = both().make_vector(&options).unwrap();
    again.load_state(&alone.save_state().unwrap()).unwrap();
    assert_eq!(again.take_seen(), alone.take_seen());
    let narrow = SeenStatistics { observations: all.returns.clone(), returns: None };
    assert!(alone.follow_seen(&narrow).is_err());
}
