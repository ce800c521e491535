//! Networks of a user's own, in code and as a list with a batch norm, on worlds whose right values are known.

use pavlov::nn::StateView;

use crate::networks::registries;
use crate::probes::{Trained, close, forward, train_with};

/// Settings under which a tiny world is learned in a second.
const SETS: &[&str] = &[
    "discount=0.9",
    "net.hidden_sizes=[16]",
    "net.activation=relu",
    "evaluation.every_env_steps=0",
    "checkpoint.every_env_steps=0",
    "num_envs=2",
];
const REPLAY: &[&str] = &["env_steps=4000", "learning_rate=3e-3", "warmup_env_steps=200", "batch_size=64"];
const PPO: &[&str] = &[
    "env_steps=24000",
    "learning_rate=3e-3",
    "rollout_steps=64",
    "minibatch_size=32",
    "epochs=8",
    "net.value_hidden_sizes=[16]",
];

/// An agent, its settings, and where the network that values states stands in its checkpoint.
struct Case {
    agent: &'static str,
    sets: Vec<&'static str>,
    place: &'static [&'static str],
    backbone: &'static str,
    head: &'static str,
}

fn cases() -> [Case; 3] {
    let dqn = ["train_every_env_steps=1", "target_update_every_env_steps=20", "epsilon_decay_fraction=0.5"];
    // No weight on the entropy, so that the values are those of the rewards.
    let sac = ["target_update_tau=0.05", "temperature=0.0"];
    [
        Case {
            agent: "dqn",
            sets: [REPLAY, &dqn].concat(),
            place: &["agent", "learner", "online", "parameters"],
            backbone: "backbone.",
            head: "",
        },
        Case {
            agent: "ppo",
            sets: PPO.to_vec(),
            place: &["agent", "trained", "parameters"],
            backbone: "value_backbone.",
            head: "value.",
        },
        Case {
            agent: "sac",
            sets: [REPLAY, &sac].concat(),
            place: &["agent", "learner", "critics", "parameters"],
            backbone: "backbone.",
            head: "q0.",
        },
    ]
}

/// A network: its setting, and its features for a number by hand.
struct Network {
    setting: &'static str,
    features: Features,
}

/// Gives the numbers of a parameter or buffer.
type Load<'a> = &'a dyn Fn(&str) -> Vec<f32>;
/// Features for one number.
type Features = fn(Load<'_>, f32) -> Vec<f32>;

const NETWORKS: [Network; 2] = [
    Network { setting: "net.backbone=own", features: own },
    Network { setting: "net.backbone=[{ linear = 16 }, \"batch_norm\", \"relu\"]", features: batch_norm },
];

/// `W x + b` for rows as long as `x`.
fn linear(weights: &[f32], biases: &[f32], x: &[f32]) -> Vec<f32> {
    let dot = |row: &[f32]| row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>();
    weights.chunks_exact(x.len()).zip(biases).map(|(row, bias)| dot(row) + bias).collect()
}

/// A linear layer with a residual of its own, as the test of networks registers it.
fn own(load: Load<'_>, x: f32) -> Vec<f32> {
    let hidden = linear(&load("inner.weight"), &load("inner.bias"), &[x]);
    let hidden: Vec<f32> = hidden.into_iter().map(f32::tanh).collect();
    let outer = linear(&load("outer.weight"), &load("outer.bias"), &hidden);
    outer.iter().zip(&hidden).map(|(outer, hidden)| outer + hidden).collect()
}

/// Linear, batch norm by its running statistics, ReLU.
fn batch_norm(load: Load<'_>, x: f32) -> Vec<f32> {
    let z = linear(&load("0.weight"), &load("0.bias"), &[x]);
    let (mean, variance) = (load("1.running_mean"), load("1.running_var"));
    let (scale, shift) = (load("1.weight"), load("1.bias"));
    let normal = |i: usize| (z[i] - mean[i]) / (variance[i] + 1e-5).sqrt() * scale[i] + shift[i];
    (0..z.len()).map(|i| normal(i).max(0.0)).collect()
}

fn train(case: &Case, network: &Network, environment: &str, more: &[&str]) -> Trained {
    let sets = [SETS, &case.sets, &[network.setting], more].concat();
    train_with(registries(), case.agent, environment, &sets)
}

/// The outputs of the trained network for each of these observations.
fn values(trained: &Trained, case: &Case, network: &Network, observations: &[f32]) -> Vec<Vec<f32>> {
    let state = trained.state();
    let weights: StateView<'_> = case.place.iter().fold(state.view(), |view, part| view.part(part));
    let load =
        |name: &str| weights.vec::<f32>(&format!("{}{name}", case.backbone)).expect("a parameter or buffer");
    let features: Vec<f32> = observations.iter().flat_map(|&x| (network.features)(&load, x)).collect();
    forward(&weights, case.head, &features)
}

fn each(law: impl Fn(&Case, &Network)) {
    for case in cases() {
        for network in &NETWORKS {
            law(&case, network);
        }
    }
}

#[test]
fn a_late_reward_is_discounted() {
    each(|case, network| {
        let trained = train(case, network, "Probe/Delay-v0", &[]);
        let values = values(&trained, case, network, &[0.0, 1.0, 2.0]);
        for (steps, values) in values.iter().enumerate() {
            println!("{} with {} after {steps} steps", case.agent, network.setting);
            close(values, 0.9f32.powi(2 - steps as i32));
        }
    });
}

#[test]
fn the_policy_takes_the_better_action() {
    each(|case, network| {
        for environment in ["Probe/Action-v0", "Probe/Match-v0"] {
            let score = train(case, network, environment, &[]).score();
            assert_eq!(score, 1.0, "{} with {} on {environment}", case.agent, network.setting);
        }
    });
}

#[test]
fn continuous_actions_fit_too() {
    let sac = &cases()[2];
    for network in &NETWORKS {
        let trained = train(sac, network, "Probe/MatchContinuous-v0", &["temperature=auto"]);
        assert_eq!(trained.score(), 1.0, "sac with {}", network.setting);
    }
}

#[test]
fn a_memory_behind_them_keeps_an_observation_of_three_steps_ago() {
    let ppo = &cases()[1];
    for network in &NETWORKS {
        let memory =
            ["net.recurrent=lstm", "net.recurrent_size=16", "net.orthogonal_init=false", "env_steps=40000"];
        let trained = train(ppo, network, "Probe/Memory-v0", &memory);
        assert_eq!(trained.score(), 1.0, "recurrent ppo with {}", network.setting);
    }
}

#[test]
fn a_backbone_that_remembers_by_itself_keeps_it_as_well() {
    let ppo = &cases()[1];
    let remembers = Network { setting: "net.backbone=remembers", features: |_, _| Vec::new() };
    let trained = train(ppo, &remembers, "Probe/Memory-v0", &["env_steps=40000"]);
    assert_eq!(trained.score(), 1.0);
}
