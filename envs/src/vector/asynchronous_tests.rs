//! The course of each environment does not depend on the order in which they arrive.

use std::time::Duration;

use proptest::prelude::*;

use super::walk::Walk;
use super::{AsyncVectorEnv, Autoreset, StepBatch, SyncVectorEnv, VectorEnv, VectorOptions};
use crate::{ActionBatch, End, Env, EnvError};

/// One row of a step: the observation, the final observation if the episode ended, reward, end, and true for
/// a reset.
type Row = (Vec<f32>, Option<Vec<f32>>, f64, End, bool);

fn row_of(out: &StepBatch, row: usize) -> Row {
    let last = out.ends[row].is_over().then(|| out.final_observations.row(row).floats.to_vec());
    (out.observations.row(row).floats.to_vec(), last, out.rewards[row], out.ends[row], out.resets[row])
}

/// Environment `number` is slower than those before it, or faster.
fn make(longest: u32, slowness: i32) -> impl Fn(usize) -> Result<Box<dyn Env>, EnvError> {
    move |number| {
        let delay = u64::try_from(i32::try_from(number).unwrap_or(0) * slowness + 60).unwrap_or(0);
        Ok(Box::new(Walk::new(longest).slow(Duration::from_micros(delay))))
    }
}

/// The course of each environment when all make their steps together.
fn together(options: &VectorOptions, plan: &[Vec<i64>], longest: u32, seed: u64) -> Vec<Vec<Row>> {
    let mut env = SyncVectorEnv::with_autoreset(plan.len(), options.autoreset, make(longest, 0)).unwrap();
    let mut out = StepBatch::new(env.observation_space(), plan.len());
    env.reset(Some(seed), &mut out.observations).unwrap();
    let mut lives = vec![Vec::new(); plan.len()];
    for index in 0..plan[0].len() {
        let actions = plan.iter().map(|row| row[index]).collect();
        env.step(&ActionBatch::Discrete(actions), &mut out).unwrap();
        lives.iter_mut().enumerate().for_each(|(row, life)| life.push(row_of(&out, row)));
    }
    lives
}

/// The same when each makes its next step as soon as it has arrived.
fn apart(
    envs: &mut AsyncVectorEnv,
    at_least: usize,
    plan: &[Vec<i64>],
    seed: u64,
) -> Result<Vec<Vec<Row>>, EnvError> {
    let mut out = StepBatch::new(envs.observation_space(), plan.len());
    let mut lives: Vec<Vec<Row>> = vec![Vec::new(); plan.len()];
    envs.reset(Some(seed))?;
    while envs.under_way() > 0 {
        let ready = envs.recv(at_least.min(envs.under_way()), &mut out)?.to_vec();
        assert!(ready.len() >= at_least.min(ready.len() + envs.under_way()));
        ready.iter().for_each(|&id| lives[id].push(row_of(&out, id)));
        // The first row of a life is its reset.
        let next = |id: &usize| plan[*id].get(lives[*id].len() - 1).copied();
        let (ids, actions): (Vec<_>, Vec<_>) = ready.iter().filter_map(|id| Some((*id, next(id)?))).unzip();
        envs.send(&ids, &ActionBatch::Discrete(actions))?;
    }
    for life in &mut lives {
        let (_, last, reward, end, reset) = life.remove(0);
        assert_eq!((last, reward, end, reset), (None, 0.0, End::No, true));
    }
    Ok(lives)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn each_environment_takes_the_same_course_as_in_step_with_the_others(
        plan in (1_usize..7, 1_usize..25).prop_flat_map(|(envs, steps)| {
            proptest::collection::vec(proptest::collection::vec(0_i64..3, steps), envs)
        }),
        threads in 1_usize..4,
        at_least in 1_usize..7,
        slowness in -10..30,
        next_step: bool,
        seed: u64,
        longest in 1_u32..9,
    ) {
        let autoreset = if next_step { Autoreset::NextStep } else { Autoreset::SameStep };
        let options = VectorOptions::new(plan.len()).threads(threads).autoreset(autoreset);
        let mut envs = AsyncVectorEnv::new(&options, make(longest, slowness)).unwrap();
        let expected = together(&options, &plan, longest, seed);
        prop_assert_eq!(apart(&mut envs, at_least, &plan, seed), Ok(expected));
    }
}

fn three() -> (AsyncVectorEnv, StepBatch) {
    let options = VectorOptions::new(3).threads(2);
    let envs = AsyncVectorEnv::new(&options, make(5, 0)).unwrap();
    let out = StepBatch::new(envs.observation_space(), 3);
    (envs, out)
}

#[test]
fn a_panic_is_named_and_a_reset_goes_on() {
    let walk = |number| Walk::new(50).stumbling(if number == 1 { 3 } else { u32::MAX });
    let options = VectorOptions::new(3).threads(2);
    let mut envs =
        AsyncVectorEnv::new(&options, |number| Ok(Box::new(walk(number)) as Box<dyn Env>)).unwrap();
    let mut out = StepBatch::new(envs.observation_space(), 3);
    let actions = ActionBatch::Discrete(vec![0; 3]);
    for _ in 0..3 {
        // Seed 0 gives the second environment an episode that is long enough.
        envs.reset(Some(0)).unwrap();
        let error = loop {
            match envs.recv(3, &mut out) {
                Ok(ready) => assert_eq!(ready.len(), 3),
                Err(error) => break error.to_string(),
            }
            envs.send(&[2, 1, 0], &actions).unwrap();
        };
        assert!(error.contains("environment 1") && error.contains("it stumbled"), "{error}");
        assert_eq!(envs.send(&[0], &ActionBatch::Discrete(vec![0])), Err(EnvError::NeedsReset));
    }
}

#[test]
fn impossible_calls_are_errors_and_never_wait_without_end() {
    let (mut envs, mut out) = three();
    let send = |envs: &mut AsyncVectorEnv, ids: &[usize], count: usize| {
        envs.send(ids, &ActionBatch::Discrete(vec![0; count])).map_err(|error| error.to_string())
    };
    assert_eq!(envs.send(&[0], &ActionBatch::Discrete(vec![0])), Err(EnvError::NeedsReset));
    assert!(envs.recv(1, &mut out).is_err());
    envs.reset(Some(1)).unwrap();
    assert!(send(&mut envs, &[0], 1).unwrap_err().contains("environment 0 is under way"));
    assert!(envs.recv(4, &mut out).unwrap_err().to_string().contains("3 are under way"));
    assert!(envs.recv(3, &mut StepBatch::new(&envs.observation_space().clone(), 2)).is_err());
    envs.recv(3, &mut out).unwrap();
    assert!(send(&mut envs, &[0, 3], 2).unwrap_err().contains("environment 3 does not exist"));
    assert!(send(&mut envs, &[0, 0], 2).unwrap_err().contains("environment 0 is sent twice"));
    assert!(send(&mut envs, &[0, 1], 1).unwrap_err().contains("1 actions"));
    assert_eq!(envs.under_way(), 0, "nothing of this was sent");
    assert_eq!(envs.recv(0, &mut out), Ok(&[][..]));
    send(&mut envs, &[2, 0], 2).unwrap();
    assert_eq!(envs.recv(2, &mut out).map(<[usize]>::len), Ok(2));
    envs.send(&[1], &ActionBatch::Discrete(vec![7])).unwrap();
    assert!(matches!(envs.recv(1, &mut out), Err(EnvError::Action { .. })));
}

#[test]
fn it_can_be_dropped_with_environments_under_way() {
    for sent in 0..3 {
        let make = |_| Ok(Box::new(Walk::new(9).slow(Duration::from_millis(3))) as Box<dyn Env>);
        let mut envs = AsyncVectorEnv::new(&VectorOptions::new(4), make).unwrap();
        let mut out = StepBatch::new(envs.observation_space(), 4);
        envs.reset(None).unwrap();
        envs.recv(4, &mut out).unwrap();
        let ids: Vec<_> = (0..sent).collect();
        envs.send(&ids, &ActionBatch::Discrete(vec![0; sent])).unwrap();
    }
}
