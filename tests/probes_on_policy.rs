//! Agents that learn from rollouts, on worlds whose right values are known.

use crate::probes::{Trained, close, train_agent};

/// Settings under which a tiny world is learned in a second.
const SETS: &[&str] = &[
    "discount=0.9",
    "net.hidden_sizes=[16]",
    "net.value_hidden_sizes=[16]",
    "net.activation=relu",
    "evaluation.every_env_steps=0",
    "checkpoint.every_env_steps=0",
    "num_envs=2",
];
const AGENTS: &[(&str, &[&str])] = &[
    ("ppo", &["env_steps=24000", "learning_rate=3e-3", "rollout_steps=64", "minibatch_size=32", "epochs=8"]),
    ("a2c", &["env_steps=24000", "learning_rate=5e-3"]),
    ("impala", &["env_steps=24000", "learning_rate=5e-3"]),
    (
        "impala",
        &[
            "env_steps=24000",
            "learning_rate=5e-3",
            "actors.count=2",
            "actors.max_policy_lag=2",
            "log.every_env_steps=100",
        ],
    ),
    (
        "reinforce",
        &["env_steps=24000", "learning_rate=lin_3e-2", "episodes_per_update=2", "gradient_clip_norm=off"],
    ),
];

fn each(environment: &str, law: impl Fn(&str, Trained)) {
    each_with(&[], environment, law);
}

fn each_with(more: &[&str], environment: &str, law: impl Fn(&str, Trained)) {
    for (agent, sets) in AGENTS {
        law(agent, train_agent(agent, environment, &[SETS, sets, more].concat()));
    }
}

/// The values of one-number observations.
fn values(trained: &Trained, observations: &[f32]) -> Vec<f32> {
    trained.outputs(&["agent", "trained", "parameters"], "value.", observations).concat()
}

#[test]
fn one_state_has_value_one() {
    each("Probe/Constant-v0", |_, trained| close(&values(&trained, &[0.0]), 1.0));
}

#[test]
fn the_value_is_the_observation() {
    each("Probe/Observation-v0", |_, trained| {
        close(&values(&trained, &[-1.0]), -1.0);
        close(&values(&trained, &[1.0]), 1.0);
    });
}

#[test]
fn a_late_reward_is_discounted() {
    each("Probe/Delay-v0", |_, trained| {
        for (steps, value) in values(&trained, &[0.0, 1.0, 2.0]).into_iter().enumerate() {
            close(&[value], 0.9f32.powi(2 - steps as i32));
        }
    });
}

#[test]
fn truncation_is_not_termination() {
    // Reward 1 without end, truncated after 10 steps: 1 / (1 - 0.9), not the mean over ten steps that
    // terminate.
    each_with(&["env_steps=80000"], "Probe/TimeLimit-v0", |agent, trained| {
        let value = values(&trained, &[0.0])[0];
        assert!((value - 10.0).abs() < 1.0, "{agent}: {value}");
    });
}

#[test]
fn a_memory_keeps_an_observation_of_three_steps_ago() {
    let small = ["net.recurrent_size=16", "net.orthogonal_init=false", "env_steps=40000"];
    for (agent, sets) in AGENTS.iter().filter(|(agent, _)| *agent != "reinforce") {
        let score = |more: &[&str]| {
            train_agent(agent, "Probe/Memory-v0", &[SETS, sets, &small, more].concat()).score()
        };
        assert_eq!(score(&["net.recurrent=lstm"]), 1.0, "{agent} with an LSTM");
        assert_eq!(score(&["net.recurrent=gru", "net.shared=true"]), 1.0, "{agent} with a GRU");
        // Without a memory the agent can only guess.
        assert!(score(&["env_steps=2000"]) < 0.8, "{agent} without memory");
    }
}

#[test]
fn the_policy_takes_the_better_action() {
    for environment in
        ["Probe/Action-v0", "Probe/Match-v0", "Probe/ActionContinuous-v0", "Probe/MatchContinuous-v0"]
    {
        each(environment, |agent, trained| assert_eq!(trained.score(), 1.0, "{agent} on {environment}"));
    }
}
