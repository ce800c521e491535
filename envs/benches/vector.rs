//! Measures the cost of a step of vector environments, for each environment in them:
//! `cargo bench -p pavlov-envs --bench vector`.

#![allow(missing_docs, reason = "criterion's macros make public items")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pavlov_envs::{
    ActionBatch, EnvError, EnvOptions, EnvSpec, Registry, SeededRng, StepBatch, VectorEnv, VectorOptions,
};

const NUM_ENVS: usize = 1024;
/// Batches of random actions, drawn beforehand and used in turn.
const BATCHES: usize = 64;

/// Random play with actions that were drawn beforehand.
struct Play {
    envs: Box<dyn VectorEnv>,
    actions: Vec<ActionBatch>,
    out: StepBatch,
    turn: usize,
}

impl Play {
    fn new(mut envs: Box<dyn VectorEnv>) -> Result<Self, EnvError> {
        let (space, count) = (envs.action_space().clone(), envs.num_envs());
        let mut rng = SeededRng::seeded(1);
        let mut batch = || {
            let mut actions = ActionBatch::new(&space, count)?;
            (0..count).for_each(|row| actions.sample_row(row, &space, &mut rng));
            Ok(actions)
        };
        let actions = (0..BATCHES).map(|_| batch()).collect::<Result<_, EnvError>>()?;
        let mut out = StepBatch::new(envs.observation_space(), count);
        envs.reset(Some(1), &mut out.observations)?;
        Ok(Self { envs, actions, out, turn: 0 })
    }

    fn step(&mut self) -> Result<(), EnvError> {
        self.turn = (self.turn + 1) % BATCHES;
        self.envs.step(&self.actions[self.turn], &mut self.out)
    }
}

type Make = fn(&EnvSpec) -> Result<Box<dyn VectorEnv>, EnvError>;

fn of_single(spec: &EnvSpec, threads: usize) -> Result<Box<dyn VectorEnv>, EnvError> {
    VectorOptions::new(NUM_ENVS).threads(threads).of_single(|_| spec.make(&EnvOptions::default()))
}

const FORMS: [(&str, Make); 3] = [
    ("one thread", |spec| of_single(spec, 1)),
    ("two threads", |spec| of_single(spec, 2)),
    ("own vector form", |spec| spec.make_vector(&EnvOptions::default(), &VectorOptions::new(NUM_ENVS))),
];

const WORLDS: [(&str, usize); 7] = [
    // The world's id, and the number of the forms that it has.
    ("CartPole-v1", 3),
    ("MountainCar-v0", 3),
    ("MountainCarContinuous-v0", 3),
    ("Pendulum-v1", 3),
    ("Acrobot-v1", 3),
    ("MinAtar/Breakout-v1", 2),
    ("LunarLander-v3", 2),
];

fn vectors(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("{NUM_ENVS} copies"));
    group.throughput(Throughput::Elements(NUM_ENVS as u64));
    for (id, forms) in WORLDS {
        let spec = Registry::bundled().spec(id).expect("a specification");
        for (form, make) in &FORMS[..forms] {
            let mut play = make(&spec).and_then(Play::new).expect("environments");
            group.bench_function(BenchmarkId::new(id, form), |bencher| {
                bencher.iter(|| play.step().expect("a step"));
            });
        }
    }
}

criterion_group!(benches, vectors);
criterion_main!(benches);
