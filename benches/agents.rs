//! Steps of whole agents, environments and updates included: `cargo bench --bench agents`.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use pavlov::agents::{Agent, Experience};
use pavlov::envs::{ActionBatch, ObsBatch, StepBatch, SyncVectorEnv, VectorEnv};
use pavlov::nn::set_team_size;
use pavlov::{Overrides, Registries, RunConfig, Training};

/// An agent in its environments.
struct Player {
    agent: Box<dyn Agent>,
    envs: SyncVectorEnv,
    observations: ObsBatch,
    actions: ActionBatch,
    step: StepBatch,
}

impl Player {
    fn new(agent: &str, environment: &str, num_envs: usize, sets: &[&str]) -> Self {
        let registries = Registries::bundled();
        let mut sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
        sets.extend([format!("num_envs={num_envs}"), "wrappers=[]".into()]);
        let overrides = Overrides { file: None, sets };
        let config = RunConfig::resolve(&registries, agent, environment, &overrides).expect("valid settings");
        let mut envs =
            SyncVectorEnv::new(num_envs, |_| registries.envs.make(environment)).expect("environments");
        let mut observations = ObsBatch::new(envs.observation_space(), num_envs);
        envs.reset(Some(1), &mut observations).expect("a reset");
        Self {
            agent: Training::agent(&config, &registries).expect("an agent"),
            actions: ActionBatch::new(envs.action_space(), num_envs).expect("actions"),
            step: StepBatch::new(envs.observation_space(), num_envs),
            observations,
            envs,
        }
    }

    fn play(&mut self, steps: usize) {
        for _ in 0..steps {
            self.agent.act(&self.observations, &mut self.actions).expect("actions");
            self.envs.step(&self.actions, &mut self.step).expect("a step");
            let experience =
                Experience { observations: &self.observations, actions: &self.actions, step: &self.step };
            self.agent.observe(experience).expect("an observation");
            self.agent.learn().expect("an update");
            std::mem::swap(&mut self.observations, &mut self.step.observations);
        }
        black_box(self.agent.updates());
    }
}

const PPO: &[&str] = &["rollout_steps=128", "minibatch_size=256", "epochs=10", "learning_rate=3e-4"];
const RECURRENT: &[&str] = &[
    "rollout_steps=32",
    "minibatch_size=256",
    "epochs=20",
    "net.recurrent=lstm",
    "net.recurrent_size=64",
    "net.hidden_sizes=[64]",
    "net.value_hidden_sizes=[64]",
];
const OFF_POLICY: &[&str] = &["warmup_env_steps=256", "batch_size=256", "net.hidden_sizes=[256, 256]"];

fn agents(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("agents");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    let cases: [(&str, &str, usize, &[&str], usize); 6] = [
        ("ppo", "CartPole-v1", 8, PPO, 128),
        ("ppo", "CartPoleNoVel-v1", 8, RECURRENT, 32),
        ("ppo", "MinAtar/Breakout-v1", 64, &[], 128),
        ("a2c", "CartPole-v1", 8, &[], 100),
        ("sac", "Pendulum-v1", 1, OFF_POLICY, 20),
        ("td3", "Pendulum-v1", 1, OFF_POLICY, 20),
    ];
    for threads in [1, 2] {
        set_team_size(threads);
        for (agent, environment, num_envs, sets, steps) in &cases {
            let mut player = Player::new(agent, environment, *num_envs, sets);
            // Past a warm-up, and to where the first rollout has been learned from.
            player.play(300);
            let name = format!("{agent} on {environment}, {steps} x {num_envs} steps, {threads} threads");
            group.bench_function(name, |b| b.iter(|| player.play(*steps)));
        }
    }
}

criterion_group!(benches, agents);
criterion_main!(benches);
