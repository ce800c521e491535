//! PPO's updates are counted, annealed and stopped as they should be.

use pavlov_envs::{ActionBatch, End, ObsBatch, Space, StepBatch};
use pavlov_nn::Schedule;
use tch::Device;

use super::PpoConfig;
use crate::agent::{Agent, AgentConfig, AgentContext};
use crate::core::Experience;
use crate::networks::{NetConfig, NetworkRegistry};

const NUM_ENVS: usize = 2;

fn config() -> PpoConfig {
    PpoConfig {
        rollout_steps: 8,
        minibatch_size: 5,
        epochs: 3,
        learning_rate: Schedule::linear(1e-2, 0.0),
        net: NetConfig { hidden_sizes: vec![8], ..NetConfig::default() },
        ..PpoConfig::default()
    }
}

/// Trains for some rollouts on a world in which action 1 is the better one.
fn train(config: &PpoConfig, num_envs: usize, rollouts: usize) -> (Box<dyn Agent>, Vec<u64>) {
    let space = Space::unbounded(&[2]);
    let total_env_steps = (rollouts * config.rollout_steps * num_envs) as u64;
    let context = AgentContext {
        observation_space: space.clone(),
        action_space: Space::Discrete(2),
        num_envs,
        total_env_steps,
        seed: 1,
        device: Device::Cpu,
        networks: NetworkRegistry::new(),
        group: pavlov_group::Group::alone(),
    };
    let mut agent = config.build(&context).unwrap();
    let observations = ObsBatch::new(&space, num_envs);
    let (mut actions, mut step) =
        (ActionBatch::Discrete(vec![0; num_envs]), StepBatch::new(&space, num_envs));
    step.ends.fill(End::Terminated);
    let mut updates = Vec::new();
    for time in 1..=rollouts * config.rollout_steps {
        agent.act(&observations, &mut actions).unwrap();
        let ActionBatch::Discrete(choices) = &actions else { panic!() };
        step.rewards.iter_mut().zip(choices).for_each(|(reward, choice)| *reward = *choice as f64);
        agent.observe(Experience { observations: &observations, actions: &actions, step: &step }).unwrap();
        let made = agent.learn().unwrap();
        match time % config.rollout_steps {
            0 => updates.push(made),
            _ => assert_eq!(made, 0),
        }
    }
    (agent, updates)
}

#[test]
fn every_minibatch_of_every_epoch_is_an_update() {
    let (agent, updates) = train(&config(), NUM_ENVS, 4);
    // 16 rows in minibatches of 5: three whole ones and one of a single row, three times over.
    assert_eq!(updates, [12; 4]);
    assert_eq!(agent.updates(), 48);
}

#[test]
fn the_first_minibatch_stands_still_and_a_target_of_zero_stops_at_the_second() {
    let (mut agent, updates) = train(&PpoConfig { target_kl: Some(0.0), ..config() }, NUM_ENVS, 1);
    assert_eq!((updates, agent.updates()), (vec![1], 1));
    let metrics = agent.take_metrics().unwrap();
    assert_eq!(metrics["train/n_updates"], 1.0);
    let whole = PpoConfig { minibatch_size: 64, epochs: 1, ..config() };
    let metrics = train(&whole, NUM_ENVS, 1).0.take_metrics().unwrap();
    assert!(metrics["train/approx_kl"].abs() < 1e-6);
    assert_eq!(metrics["train/clip_fraction"], 0.0);
}

#[test]
fn schedules_run_over_env_steps_whatever_the_number_of_environments() {
    for num_envs in [1, 4] {
        let rates = |rollouts: usize| {
            let (mut agent, _) = train(&config(), num_envs, rollouts);
            // After the last rollout the next one would begin at the end of training.
            agent.take_metrics().unwrap()["train/learning_rate"]
        };
        assert_eq!(rates(1), 0.0);
        assert_eq!(rates(10), 0.0);
    }
    let (mut agent, _) = train(&PpoConfig { learning_rate: Schedule::linear(1.0, 0.5), ..config() }, 1, 2);
    assert_eq!(agent.take_metrics().unwrap()["train/learning_rate"], 0.5);
}

#[test]
fn it_learns_which_action_is_better() {
    let (mut agent, _) = train(&config(), 4, 40);
    let metrics = agent.take_metrics().unwrap();
    assert!(metrics["train/entropy_loss"] > -0.3, "{metrics:?}");
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    let refused = |config: PpoConfig, field: &str| {
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
    };
    refused(PpoConfig { epochs: 0, ..config() }, "epochs");
    refused(PpoConfig { minibatch_size: 0, ..config() }, "minibatch_size");
    refused(PpoConfig { gae_lambda: 1.5, ..config() }, "gae_lambda");
    refused(PpoConfig { target_kl: Some(-1.0), ..config() }, "target_kl");
    refused(PpoConfig { value_clip_range: Some(f64::NAN), ..config() }, "value_clip_range");
}

#[test]
fn adam_has_the_eps_of_the_papers_code() {
    let table = toml::Table::try_from(PpoConfig::default()).unwrap();
    assert_eq!(table["optimizer"]["eps"].as_float(), Some(1e-5));
    assert_eq!(table["value_clip_range"].as_str(), Some("off"));
}
