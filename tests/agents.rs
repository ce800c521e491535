//! The laws that every registered agent keeps.

use std::fmt;

use pavlov::agents::{ActMode, Agent, Experience};
use pavlov::common::SeededRng;
use pavlov::envs::{ActionBatch, ObsBatch, StepBatch, SyncVectorEnv, VectorEnv};
use pavlov::nn::StateDict;
use pavlov::{Overrides, Registries, RunConfig, Training, presets};

const NUM_ENVS: usize = 2;

/// An agent, an environment that it can play, and settings under which it updates often.
struct Case {
    agent: &'static str,
    environment: &'static str,
    sets: Vec<&'static str>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {} with {:?}", self.agent, self.environment, self.sets)
    }
}

/// The cases on which every agent is tested, in each of its forms.
fn cases(agent: &'static str) -> Vec<Case> {
    const PPO: [&str; 5] =
        ["net.hidden_sizes=[16]", "rollout_steps=16", "minibatch_size=10", "epochs=2", "target_kl=1.0"];
    const LSTM: [&str; 3] = ["net.recurrent=lstm", "net.recurrent_size=8", "net.sequence_length=8"];
    const DQN: [&str; 4] =
        ["net.hidden_sizes=[16]", "warmup_env_steps=100", "train_every_env_steps=8", "updates_per_phase=3"];
    const OFF_POLICY: [&str; 5] = [
        "net.hidden_sizes=[16]",
        "batch_size=32",
        "warmup_env_steps=100",
        "train_every_env_steps=8",
        "updates_per_phase=3",
    ];
    let case = |environment, sets: &[&[&'static str]]| Case { agent, environment, sets: sets.concat() };
    match agent {
        "dqn" => vec![
            case("CartPole-v1", &[&DQN]),
            case("MinAtar/Breakout-v1", &[&DQN, &["net.cnn=[{ filters = 2, kernel = 3 }]"]]),
            case("CartPole-v1", &[&DQN, &["replay.n_steps=3", "replay.priority_exponent=0.6"]]),
        ],
        "reinforce" => {
            vec![case(
                "CartPole-v1",
                &[&["net.hidden_sizes=[16]", "episodes_per_update=1", "baseline=false"]],
            )]
        }
        "a2c" => vec![
            case("CartPole-v1", &[&["net.hidden_sizes=[16]"]]),
            case(
                "TMaze-v0",
                &[&[
                    "net.hidden_sizes=[]",
                    "net.recurrent=gru",
                    "net.recurrent_size=8",
                    "net.trunk_sizes=[8]",
                    "net.shared=true",
                ]],
            ),
        ],
        "apex" => vec![case("CartPole-v1", &[&DQN])],
        "impala" => vec![
            case("CartPole-v1", &[&["net.hidden_sizes=[16]", "epochs=2"]]),
            case("CartPoleNoVel-v1", &[&["net.hidden_sizes=[16]", "rollout_steps=16", "epochs=2"], &LSTM]),
        ],
        "ddpg" | "td3" => vec![case("Pendulum-v1", &[&OFF_POLICY])],
        "sac" => vec![
            case("Pendulum-v1", &[&OFF_POLICY, &["replay.priority_exponent=0.5"]]),
            case("MinAtar/Asterix-v1", &[&OFF_POLICY, &["net.cnn=[{ filters = 2, kernel = 3 }]"]]),
        ],
        "ppo" => vec![
            case("CartPole-v1", &[&PPO]),
            case("CartPoleNoVel-v1", &[&PPO, &LSTM]),
            case("MinAtar/Breakout-v1", &[&PPO, &["net.shared=true"]]),
            case("Pendulum-v1", &[&PPO, &["exploration.state_dependent=true"]]),
        ],
        other => panic!("{other} is registered and has no settings here: add them"),
    }
}

/// An agent with the environments that it acts in.
struct Player {
    agent: Box<dyn Agent>,
    envs: SyncVectorEnv,
    observations: ObsBatch,
    actions: ActionBatch,
    step: StepBatch,
}

impl Player {
    fn new(registries: &Registries, case: &Case) -> Self {
        let id = case.environment;
        let mut sets: Vec<String> = case.sets.iter().map(ToString::to_string).collect();
        sets.extend([format!("num_envs={NUM_ENVS}"), "wrappers=[]".into()]);
        let config =
            RunConfig::resolve(registries, case.agent, id, &Overrides { file: None, sets }).expect("valid");
        let mut envs = SyncVectorEnv::new(NUM_ENVS, |_| registries.envs.make(id)).expect("environments");
        let mut observations = ObsBatch::new(envs.observation_space(), NUM_ENVS);
        envs.reset(Some(1), &mut observations).expect("a reset");
        Self {
            agent: Training::agent(&config, registries).expect("an agent"),
            actions: ActionBatch::new(envs.action_space(), NUM_ENVS).expect("actions"),
            step: StepBatch::new(envs.observation_space(), NUM_ENVS),
            observations,
            envs,
        }
    }

    /// Acts, observes and learns; returns all actions.
    fn play(&mut self, steps: usize) -> Vec<ActionBatch> {
        let mut all = Vec::new();
        for _ in 0..steps {
            self.agent.act(&self.observations, &mut self.actions).expect("an action");
            self.envs.step(&self.actions, &mut self.step).expect("a step");
            let experience =
                Experience { observations: &self.observations, actions: &self.actions, step: &self.step };
            self.agent.observe(experience).expect("an observation");
            self.agent.learn().expect("an update");
            std::mem::swap(&mut self.observations, &mut self.step.observations);
            all.push(self.actions.clone());
        }
        all
    }

    /// The policy's actions for the present observations.
    fn greedy(&self) -> ActionBatch {
        let mut actions = self.actions.clone();
        let mut policy = self.agent.policy().expect("a policy");
        policy
            .act(&self.observations, ActMode::Exploit, &mut SeededRng::seeded(1), &mut actions)
            .expect("an action");
        actions
    }
}

fn over_every_agent(law: impl Fn(&Registries, &Case)) {
    let registries = Registries::bundled();
    for spec in registries.agents.specs() {
        cases(spec.name).iter().for_each(|case| law(&registries, case));
    }
}

#[test]
fn one_seed_gives_one_agent() {
    over_every_agent(|registries, name| {
        let mut players = [0, 1].map(|_| Player::new(registries, name));
        let [first, second] = players.each_mut().map(|player| player.play(400));
        assert_eq!(first, second, "{name}");
        let [first, second] = players.each_mut().map(|player| player.agent.take_metrics().expect("metrics"));
        assert_eq!(first, second, "{name}");
        assert!(players[0].agent.updates() > 0, "{name} has updated");
    });
}

#[test]
fn a_saved_agent_goes_on_exactly() {
    over_every_agent(|registries, name| {
        let mut first = Player::new(registries, name);
        first.play(301);
        let mut second = Player::new(registries, name);
        second.agent.load_state(&first.agent.state().expect("a state").view()).expect("its own state");
        second.envs.load_state(&first.envs.save_state().expect("states")).expect("their own states");
        second.observations = first.observations.clone();
        assert_eq!(first.play(300), second.play(300), "{name}");
        assert_eq!(
            first.agent.weights().expect("weights"),
            second.agent.weights().expect("weights"),
            "{name}"
        );
        assert!(
            second.agent.load_state(&StateDict::new().view()).is_err(),
            "{name} takes nothing for a state"
        );
    });
}

#[test]
fn a_policy_is_a_copy_and_weights_are_all_that_it_needs() {
    over_every_agent(|registries, name| {
        let mut trained = Player::new(registries, name);
        trained.play(300);
        let before = trained.greedy();
        let mut other = Player::new(registries, name);
        other.agent.load_weights(&trained.agent.weights().expect("weights").view()).expect("its own weights");
        other.observations = trained.observations.clone();
        assert_eq!(other.greedy(), before, "{name}");

        let mut policy = trained.agent.policy().expect("a policy");
        let observations = trained.observations.clone();
        trained.play(200);
        let mut actions = before.clone();
        policy
            .act(&observations, ActMode::Exploit, &mut SeededRng::seeded(1), &mut actions)
            .expect("an action");
        assert_eq!(actions, before, "{name}: a policy does not change with its agent");
    });
}

/// Every environment that an agent can play has a preset, and every preset can be played.
#[test]
fn every_world_that_an_agent_can_play_has_a_preset() {
    let registries = Registries::bundled();
    let pairs: Vec<_> = presets().collect();
    for env in registries.envs.specs().filter(|env| !env.id.starts_with("Probe/")) {
        for agent in registries.agents.specs() {
            let overrides = Overrides { file: None, sets: vec!["num_envs=1".into()] };
            let config = RunConfig::resolve(&registries, agent.name, &env.id, &overrides)
                .unwrap_or_else(|error| panic!("{} on {}: {error}", agent.name, env.id));
            let built = Training::agent(&config, &registries);
            let has_preset = pairs.contains(&(agent.name, env.id.to_string()));
            match built {
                Ok(_) => assert!(has_preset, "{} can play {}, and has no preset", agent.name, env.id),
                Err(error) => assert!(!has_preset, "{} has a preset for {}: {error}", agent.name, env.id),
            }
        }
    }
}
