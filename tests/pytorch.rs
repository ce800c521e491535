//! Weights go both ways between PyTorch and the agents and give the same actions.
//! `scripts/record-policies.py` has recorded them.

use std::collections::BTreeSet;
use std::path::Path;

use pavlov::agents::ActMode;
use pavlov::common::SeededRng;
use pavlov::envs::{ActionBatch, ObsBatch};
use pavlov::nn::weights;
use pavlov::{Overrides, Registries, RunConfig, Training};

/// Compares the action for each observation, by the weights of PyTorch, with `at_once` observations in a
/// batch.
fn check(case: &str, agent: &str, environment: &str, sets: &[&str], at_once: usize) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/policies.safetensors");
    let whole = weights::read(&path).expect("the fixture");
    let fixture = whole.view().part(case);
    let registries = Registries::bundled();
    let mut sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
    sets.extend(["wrappers=[]".into(), "net.hidden_sizes=[16]".into(), format!("num_envs={at_once}")]);
    let overrides = Overrides { file: None, sets };
    let config = RunConfig::resolve(&registries, agent, environment, &overrides).expect("a configuration");
    let mut agent = Training::agent(&config, &registries).expect("an agent");

    agent.load_weights(&fixture.part("weights")).expect("PyTorch's weights fit");
    let ours = agent.weights().expect("weights");
    let prefix = format!("{case}.weights.");
    let theirs: BTreeSet<_> = whole.arrays.keys().filter_map(|name| name.strip_prefix(&prefix)).collect();
    let ours: BTreeSet<_> = ours.arrays.keys().map(String::as_str).collect();
    assert_eq!(ours, theirs, "{case}: a strict load in PyTorch needs the same names");

    let env = registries.envs.make(environment).expect("an environment");
    let observations: Vec<f32> = fixture.vec("observations").expect("observations");
    let expected: Vec<f32> = fixture.vec("actions").expect("actions");
    let mut policy = agent.policy().expect("a policy");
    let mut batch = ObsBatch::new(env.observation_space(), at_once);
    let mut actions = ActionBatch::new(env.action_space(), at_once).expect("actions");
    let width = observations.len() / expected.len();
    let steps = observations.chunks_exact(width * at_once).zip(expected.chunks_exact(at_once));
    for (observations, expected) in steps {
        for (row, numbers) in observations.chunks_exact(width).enumerate() {
            let row = batch.row_mut(row);
            match row.bytes.len() {
                0 => row.floats.copy_from_slice(numbers),
                _ => row.bytes.iter_mut().zip(numbers).for_each(|(byte, number)| *byte = *number as u8),
            }
        }
        policy.act(&batch, ActMode::Exploit, &mut SeededRng::seeded(1), &mut actions).expect("actions");
        for (row, expected) in expected.iter().enumerate() {
            let action = match &actions {
                ActionBatch::Discrete(choices) => choices[row] as f32,
                ActionBatch::Box { points, .. } => points[row],
                other => panic!("{other:?}"),
            };
            assert!((action - expected).abs() < 1e-5, "{case}: {action} here, {expected} in PyTorch");
        }
    }
}

#[test]
fn policies_of_pytorch_act_the_same_here() {
    check("dqn", "dqn", "CartPole-v1", &[], 40);
    check("td3", "td3", "Pendulum-v1", &[], 8);
    check("sac", "sac", "Pendulum-v1", &[], 8);
    let plain = ["exploration.state_dependent=false", "net.value_hidden_sizes=[16]"];
    check("ppo_gaussian", "ppo", "Pendulum-v1", &plain, 8);
    let shared = ["net.shared=true", "net.activation=tanh", "net.value_hidden_sizes=[16]"];
    check("ppo_images", "ppo", "MinAtar/Breakout-v1", &shared, 8);
    let recurrent =
        ["net.recurrent=lstm", "net.recurrent_size=8", "net.activation=tanh", "net.value_hidden_sizes=[16]"];
    check("ppo_recurrent", "ppo", "CartPoleNoVel-v1", &recurrent, 1);
}
