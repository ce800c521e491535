//! No registered environment allocates in `step`: memory is allocated when it is made, and at most at a
//! reset.
//!
//! This is a binary of its own, because the counting allocator is that of the whole binary. It counts per
//! thread, so that the test harness does not disturb it.

use std::hint::black_box;

use allocation_counter::measure;
use pavlov_envs::{
    ActionBatch, AsyncVectorEnv, Env, EnvError, EnvOptions, ObsBatch, Registry, RunningInfos, SeededRng,
    StepBatch, VectorEnv, VectorOptions,
};

/// Steps for which each environment is observed.
const STEPS: usize = 2000;

/// Random play; returns the first step that allocates, if there is one, with the number of its allocations.
fn first_allocation(env: &mut dyn Env) -> Result<Option<(usize, u64)>, EnvError> {
    let actions = env.action_space().clone();
    let mut action = ActionBatch::new(&actions, 1)?;
    let mut observation = ObsBatch::new(env.observation_space(), 1);
    let mut rng = SeededRng::seeded(17);
    env.reset(Some(3), observation.row_mut(0))?;
    for index in 0..STEPS {
        action.sample_row(0, &actions, &mut rng);
        let mut outcome = Err(EnvError::NeedsReset);
        let count = measure(|| outcome = env.step(action.row(0), observation.row_mut(0))).count_total;
        if count > 0 {
            return Ok(Some((index, count)));
        }
        if outcome?.end.is_over() {
            env.reset(None, observation.row_mut(0))?;
        }
    }
    Ok(None)
}

#[test]
fn no_environment_allocates_in_a_step() -> Result<(), EnvError> {
    let registry = Registry::bundled();
    for spec in registry.specs() {
        let mut env = registry.make(&spec.id)?;
        if let Some((step, count)) = first_allocation(env.as_mut())? {
            panic!("{}: step {step} allocates {count} times: take the memory in `new` or `reset`", spec.id);
        }
    }
    Ok(())
}

/// Random play of eight copies.
fn assert_no_allocation(mut envs: Box<dyn VectorEnv>, form: &str) -> Result<(), EnvError> {
    let space = envs.action_space().clone();
    let mut actions = ActionBatch::new(&space, 8)?;
    let mut step = StepBatch::new(envs.observation_space(), 8);
    let mut rng = SeededRng::seeded(2);
    envs.reset(Some(1), &mut step.observations)?;
    for time in 0..STEPS {
        (0..8).for_each(|row| actions.sample_row(row, &space, &mut rng));
        let mut outcome = Ok(());
        let count = measure(|| outcome = envs.step(&actions, &mut step)).count_total;
        outcome?;
        assert_eq!(count, 0, "{form}: step {time}");
    }
    Ok(())
}

#[test]
fn infos_allocate_nothing_once_their_names_are_known() -> Result<(), EnvError> {
    let registry = Registry::bundled();
    let mut envs = VectorOptions::new(2).of_single(|_| registry.make("PixelPong-v0"))?;
    let (mut step, mut running) = (StepBatch::new(envs.observation_space(), 2), RunningInfos::default());
    let actions = ActionBatch::new(envs.action_space(), 2)?;
    envs.reset(Some(1), &mut step.observations)?;
    for time in 0..200 {
        let mut outcome = Ok(());
        let count = measure(|| {
            outcome = envs.step(&actions, &mut step);
            (0..2).for_each(|row| running.add(row, &step.infos));
        });
        outcome?;
        assert!(time == 0 || count.count_total == 0, "step {time}");
    }
    assert!(step.infos.names().iter().any(|name| name == "points_lost"));
    Ok(())
}

#[test]
fn a_vector_environment_allocates_neither_in_a_step_nor_in_a_reset() -> Result<(), EnvError> {
    let spec = Registry::bundled().spec("CartPole-v1")?;
    let (options, vector) = (EnvOptions::default(), VectorOptions::new(8));
    for threads in [1, 3] {
        let envs = vector.threads(threads).of_single(|_| spec.make(&options))?;
        assert_no_allocation(envs, &format!("{threads} threads"))?;
    }
    assert_no_allocation(spec.make_vector(&options, &vector)?, "its own vector form")
}

#[test]
fn an_asynchronous_environment_allocates_neither_to_send_nor_to_receive() -> Result<(), EnvError> {
    let registry = Registry::bundled();
    let mut envs = AsyncVectorEnv::new(&VectorOptions::new(8).threads(2), |_| registry.make("CartPole-v1"))?;
    let mut out = StepBatch::new(envs.observation_space(), 8);
    let batches: Vec<_> = (0..9).map(|count| ActionBatch::Discrete(vec![1; count])).collect();
    let mut ids = Vec::with_capacity(8);
    envs.reset(Some(1))?;
    let mut total = 0;
    for _ in 0..STEPS {
        let mut outcome = Ok(());
        let count = measure(|| {
            ids.clear();
            outcome = envs.recv(3, &mut out).map(|ready| ids.extend_from_slice(ready));
            outcome = outcome.clone().and_then(|()| envs.send(&ids, &batches[ids.len()]));
        });
        outcome?;
        total += count.count_total;
    }
    // A thread that waits on a channel for the first time allocates the memory for all its waits.
    assert!(total < 10, "{total} allocations");
    Ok(())
}

#[test]
fn an_allocation_is_counted() {
    assert_eq!(measure(|| drop(black_box(vec![1_u8]))).count_total, 1);
    assert_eq!(measure(|| _ = black_box(1_u8)).count_total, 0);
}
