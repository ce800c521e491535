//! Measures the cost of a step of single environments, through the trait:
//! `cargo bench -p pavlov-envs --bench single`.

#![allow(missing_docs, reason = "criterion's macros make public items")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pavlov_envs::{ActionBatch, Env, EnvError, ObsBatch, Registry, SeededRng};

const IDS: [&str; 7] = [
    "CartPole-v1",
    "MountainCar-v0",
    "MountainCarContinuous-v0",
    "Pendulum-v1",
    "Acrobot-v1",
    "MinAtar/Breakout-v1",
    "LunarLander-v3",
];
/// The number of steps that are timed together.
const STEPS: usize = 1000;

/// Steps the environment with each of the actions and resets it when an episode ends.
fn play(env: &mut dyn Env, actions: &ActionBatch, observation: &mut ObsBatch) -> Result<(), EnvError> {
    for row in 0..actions.rows() {
        if env.step(actions.row(row), observation.row_mut(0))?.end.is_over() {
            env.reset(None, observation.row_mut(0))?;
        }
    }
    Ok(())
}

fn singles(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("single");
    group.throughput(Throughput::Elements(STEPS as u64));
    for id in IDS {
        let mut env = Registry::bundled().make(id).expect("an environment");
        let space = env.action_space().clone();
        let mut actions = ActionBatch::new(&space, STEPS).expect("actions");
        let mut rng = SeededRng::seeded(1);
        (0..STEPS).for_each(|row| actions.sample_row(row, &space, &mut rng));
        let mut observation = ObsBatch::new(env.observation_space(), 1);
        env.reset(Some(1), observation.row_mut(0)).expect("a reset");
        group.bench_function(id, |bencher| {
            bencher.iter(|| play(env.as_mut(), &actions, &mut observation).expect("steps"));
        });
    }
}

criterion_group!(benches, singles);
criterion_main!(benches);
