//! Agents that learn from a replay with a policy and critics, on worlds whose right values are known.

use crate::probes::{Trained, close, train_agent};

/// Settings under which a tiny world is learned in a second.
const SETS: &[&str] = &[
    "env_steps=3000",
    "learning_rate=3e-3",
    "discount=0.9",
    "batch_size=64",
    "warmup_env_steps=200",
    "target_update_tau=0.05",
    "net.hidden_sizes=[16]",
    "evaluation.every_env_steps=0",
    "checkpoint.every_env_steps=0",
    "num_envs=2",
];
const CONTINUOUS: &[&str] = &["ddpg", "td3", "sac"];

/// Soft actor-critic that gives no weight to entropy, so that its values are those of the rewards.
fn train_sac(environment: &str, more: &[&str]) -> Trained {
    train_agent("sac", environment, &[SETS, &["temperature=0.0"], more].concat())
}

/// The outputs of the first critic for these inputs.
fn values(trained: &Trained, inputs: &[f32]) -> Vec<Vec<f32>> {
    trained.outputs(&["agent", "learner", "critics", "parameters"], "q0.", inputs)
}

#[test]
fn one_state_has_value_one() {
    close(&values(&train_sac("Probe/Constant-v0", &[]), &[0.0])[0], 1.0);
}

#[test]
fn the_value_is_the_observation() {
    let values = values(&train_sac("Probe/Observation-v0", &[]), &[-1.0, 1.0]);
    close(&values[0], -1.0);
    close(&values[1], 1.0);
}

#[test]
fn a_late_reward_is_discounted() {
    let values = values(&train_sac("Probe/Delay-v0", &[]), &[0.0, 1.0, 2.0]);
    for (steps, values) in values.iter().enumerate() {
        close(values, 0.9f32.powi(2 - steps as i32));
    }
}

#[test]
fn truncation_is_not_termination() {
    // Reward 1 without end, truncated after 10 steps: 1 / (1 - 0.9), not the mean 6.5 of ten steps that
    // terminate.
    close(&values(&train_sac("Probe/TimeLimit-v0", &["env_steps=6000"]), &[0.0])[0], 10.0);
    for agent in CONTINUOUS {
        let more: &[&str] = match *agent {
            "sac" => &["env_steps=6000", "temperature=0.0"],
            _ => &["env_steps=6000"],
        };
        let trained = train_agent(agent, "Probe/TimeLimitContinuous-v0", &[SETS, more].concat());
        for values in values(&trained, &[0.0, -1.0, 0.0, 1.0]) {
            assert!((values[0] - 10.0).abs() < 1.0, "{agent}: {values:?}");
        }
    }
}

#[test]
fn the_policy_takes_the_better_action() {
    for environment in ["Probe/ActionContinuous-v0", "Probe/MatchContinuous-v0"] {
        for agent in CONTINUOUS {
            assert_eq!(train_agent(agent, environment, SETS).score(), 1.0, "{agent} on {environment}");
        }
    }
    for environment in ["Probe/Action-v0", "Probe/Match-v0"] {
        assert_eq!(train_sac(environment, &[]).score(), 1.0, "sac on {environment}");
    }
}

#[test]
fn the_temperature_falls_once_the_policy_is_random_enough() {
    let trained = train_agent("sac", "Probe/MatchContinuous-v0", SETS);
    let state = trained.state();
    let temperature: f64 =
        state.view().part("agent").part("learner").part("temperature").value("present").expect("a number");
    assert!(temperature < 0.5, "{temperature}");
}
