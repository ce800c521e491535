//! TD3 updates its policy and its targets when it should, and knows actions as its policy does.

use pavlov_envs::{ActionBatch, BoxSpace, Dtype, End, ObsBatch, Space, StepBatch};
use pavlov_nn::StateDict;
use tch::Device;

use super::Td3Config;
use crate::agent::{Agent, AgentConfig, AgentContext};
use crate::core::{AgentError, Experience};
use crate::networks::{NetConfig, NetworkRegistry};
use crate::off_policy::NoiseConfig;

fn config() -> Td3Config {
    Td3Config {
        batch_size: 4,
        replay_capacity: 64,
        warmup_env_steps: 4,
        target_update_tau: 1.0,
        policy_every_updates: 3,
        exploration: NoiseConfig::OrnsteinUhlenbeck { deviation: 0.3, theta: 0.15, dt: 1.0 },
        net: NetConfig { hidden_sizes: vec![8], ..NetConfig::relu(8) },
        ..Td3Config::default()
    }
}

fn context(num_envs: usize) -> AgentContext {
    AgentContext {
        observation_space: Space::unbounded(&[2]),
        action_space: Space::Box(BoxSpace::new(vec![0.0, -10.0], vec![4.0, 10.0], &[2], Dtype::F32).unwrap()),
        num_envs,
        total_env_steps: 1000,
        seed: 1,
        device: Device::Cpu,
        networks: NetworkRegistry::new(),
        group: pavlov_group::Group::alone(),
    }
}

/// Plays steps whose rewards are all `reward`; gives the agent, and the actions of all steps.
fn play(
    config: &Td3Config,
    num_envs: usize,
    steps: usize,
    reward: f64,
) -> Result<(Box<dyn Agent>, Vec<f32>), AgentError> {
    let context = context(num_envs);
    let mut agent = config.build(&context)?;
    let mut observations = ObsBatch::new(&context.observation_space, num_envs);
    let mut step = StepBatch::new(&context.observation_space, num_envs);
    let mut actions = ActionBatch::new(&context.action_space, num_envs)?;
    let mut all = Vec::new();
    step.rewards.fill(reward);
    step.ends.fill(End::No);
    for time in 0..steps {
        observations.floats_mut().fill((time as f32).sin());
        agent.act(&observations, &mut actions)?;
        agent.observe(Experience { observations: &observations, actions: &actions, step: &step })?;
        agent.learn()?;
        let ActionBatch::Box { points, .. } = &actions else { panic!("{actions:?}") };
        all.extend_from_slice(points);
    }
    Ok((agent, all))
}

fn part(state: &StateDict<'_>, place: &[&str]) -> Vec<f32> {
    place.iter().fold(state.view(), |view, part| view.part(part)).vec("policy.0.weight").unwrap()
}

#[test]
fn the_policy_and_the_targets_move_with_every_third_update() {
    let mut last = None;
    for steps in 4..12 {
        let (agent, _) = play(&config(), 1, steps, 1.0).unwrap();
        let updates = agent.updates();
        assert_eq!(updates, steps as u64 - 3);
        let state = agent.state().unwrap();
        let policy = part(&state, &["learner", "policy", "parameters"]);
        // A step of 1 makes the target the policy itself, as long as both have moved together.
        assert_eq!(policy, part(&state, &["learner", "target"]));
        let critic = state.view().part("learner").part("critics");
        let present: Vec<f32> = critic.part("parameters").vec("q0.0.weight").unwrap();
        let target: Vec<f32> = critic.part("target").vec("q0.0.weight").unwrap();
        assert_eq!(present == target, updates.is_multiple_of(3), "{updates} updates");
        if let Some(last) = last.replace(policy.clone()) {
            assert_eq!(policy == last, !updates.is_multiple_of(3), "{updates} updates");
        }
    }
}

#[test]
fn the_world_gets_its_own_units_and_the_replay_the_policys() {
    let (agent, actions) = play(&config(), 2, 20, 1.0).unwrap();
    assert!(actions.chunks(2).all(|point| (0.0..=4.0).contains(&point[0]) && point[1].abs() <= 10.0));
    assert!(actions.chunks(2).any(|point| point[1].abs() > 1.0));
    let state = agent.state().unwrap();
    let stored: Vec<f32> = state.view().part("replay").vec("points").unwrap();
    for (world, unit) in actions.iter().zip(&stored).step_by(2) {
        assert!((world - (2.0 + 2.0 * unit)).abs() < 1e-5, "{world} {unit}");
    }
}

#[test]
fn lasting_noise_is_saved() {
    let (agent, _) = play(&config(), 2, 20, 1.0).unwrap();
    let state = agent.state().unwrap();
    let lasting: Vec<f32> = state.view().part("explorer").vec("lasting").unwrap();
    assert!(lasting.len() == 4 && lasting.iter().all(|number| *number != 0.0), "{lasting:?}");
}

#[test]
fn a_reward_that_is_no_number_stops_the_training() {
    let outcome = play(&config(), 1, 6, f64::NAN).map(drop);
    assert!(matches!(outcome, Err(AgentError::Diverged(_))), "{outcome:?}");
}

#[test]
fn nonsense_is_refused_by_name() {
    for (config, name) in [
        (Td3Config { critics: 0, ..config() }, "critics"),
        (Td3Config { policy_every_updates: 0, ..config() }, "policy_every_updates"),
        (Td3Config { target_update_tau: 1.5, ..config() }, "target_update_tau"),
        (Td3Config { target_noise: -0.1, ..config() }, "target_noise"),
        (Td3Config { batch_size: 65, ..config() }, "replay_capacity"),
        (
            Td3Config { exploration: NoiseConfig::Normal { deviation: f64::NAN }, ..config() },
            "exploration.deviation",
        ),
    ] {
        let message = config.validate().unwrap_err().to_string();
        assert!(message.contains(name), "{message}");
    }
    let discrete = AgentContext { action_space: Space::Discrete(3), ..context(1) };
    let message = config().build(&discrete).map(drop).unwrap_err().to_string();
    assert!(message.contains("td3 needs continuous actions"), "{message}");
}
