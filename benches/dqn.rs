//! The cost of one update of DQN, and of one step of an environment: `cargo bench`.

#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use pavlov::agents::dqn::{DqnConfig, DqnLearner, EpsilonGreedy, QNetwork};
use pavlov::agents::networks::NetworkContext;
use pavlov::agents::replay::{Batch, Replay, ReplayConfig};
use pavlov::agents::{Encoder, Experience, NetConfig, NetworkRegistry};
use pavlov::common::SeededRng;
use pavlov::envs::{ActionBatch, ObsBatch, Registry, StepBatch, SyncVectorEnv, VectorEnv};
use pavlov::nn::{Activation, Layout, Parameters, Pass, set_team_size};
use tch::Device;

const ID: &str = "CartPole-v1";

/// Random play.
struct Play {
    envs: SyncVectorEnv,
    observations: ObsBatch,
    actions: ActionBatch,
    step: StepBatch,
    rng: SeededRng,
}

impl Play {
    fn new(num_envs: usize) -> Self {
        let mut envs = SyncVectorEnv::new(num_envs, |_| Registry::bundled().make(ID)).expect("environments");
        let mut observations = ObsBatch::new(envs.observation_space(), num_envs);
        envs.reset(Some(1), &mut observations).expect("a reset");
        Self {
            actions: ActionBatch::new(envs.action_space(), num_envs).expect("actions"),
            step: StepBatch::new(envs.observation_space(), num_envs),
            rng: SeededRng::seeded(1),
            observations,
            envs,
        }
    }

    fn step(&mut self) {
        let space = self.envs.action_space().clone();
        (0..self.envs.num_envs()).for_each(|row| self.actions.sample_row(row, &space, &mut self.rng));
        self.envs.step(&self.actions, &mut self.step).expect("a step");
    }
}

fn replay(play: &mut Play) -> Replay {
    let (observations, actions) = (play.envs.observation_space().clone(), play.envs.action_space().clone());
    let mut replay =
        Replay::new((20_000, ReplayConfig::default()), 0.99, &observations, &actions).expect("a replay");
    for _ in 0..20_000 {
        play.step();
        replay.insert(Experience {
            observations: &play.observations,
            actions: &play.actions,
            step: &play.step,
        });
        std::mem::swap(&mut play.observations, &mut play.step.observations);
    }
    replay
}

fn updates(criterion: &mut Criterion) {
    tch::set_num_threads(1);
    let mut play = Play::new(1);
    let mut replay = replay(&mut play);
    let (observations, actions) = (play.envs.observation_space().clone(), play.envs.action_space().clone());
    let encoder = Encoder::new(&observations);
    let mut group = criterion.benchmark_group("dqn");
    for (width, activation) in [(64, Activation::Tanh), (256, Activation::Relu)] {
        let net = NetConfig { activation, ..NetConfig::relu(width) };
        for threads in [1, 2] {
            set_team_size(threads);
            let config = DqnConfig { net: net.clone(), batch_size: 64, ..Default::default() };
            let mut layout = Layout::new();
            let networks = NetworkRegistry::new();
            let mut context = NetworkContext { layout: &mut layout, encoder: &encoder, networks: &networks };
            let net = QNetwork::new(&mut context, 2, &config).expect("a network");
            let parameters =
                Parameters::new(&layout, &mut SeededRng::seeded(1), Device::Cpu).expect("parameters");
            let mut batch = Batch::new(16 * 64, &encoder, &actions).expect("a batch");
            let mut rng = SeededRng::seeded(2);
            group.bench_function(
                format!("forward {width}-{width}, one observation, {threads} threads"),
                |b| {
                    let _guard = tch::no_grad_guard();
                    let x = tch::Tensor::zeros([1, 4], tch::kind::FLOAT_CPU);
                    b.iter(|| black_box(net.forward(&mut Pass::eval(&parameters), &x).expect("an output")));
                },
            );
            let explorer = EpsilonGreedy::new(config.clone(), net, encoder.clone(), 1).expect("an explorer");
            let mut learner = DqnLearner::new(config, explorer, parameters, 0).expect("a learner");
            group.bench_function(format!("16 updates {width}-{width}, batch 64, {threads} threads"), |b| {
                b.iter(|| {
                    replay.sample(&mut rng, 0.0, 16 * 64, &mut batch).expect("a sample");
                    learner.descend(&batch, 1e-4).expect("updates");
                });
            });
        }
    }
}

fn environments(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("environment");
    for num_envs in [1, 64] {
        let mut play = Play::new(num_envs);
        group.bench_function(format!("{ID}, random actions, {num_envs} copies"), |b| b.iter(|| play.step()));
    }
}

criterion_group!(benches, updates, environments);
criterion_main!(benches);
