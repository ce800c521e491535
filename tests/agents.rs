//! The laws that every registered agent keeps.

use pavlov::agents::{ActMode, Agent, Experience};
use pavlov::envs::{ActionBatch, EnvRng, ObsBatch, StepBatch, SyncVectorEnv, VectorEnv};
use pavlov::nn::StateDict;
use pavlov::{Overrides, Registries, RunConfig, Session};

const NUM_ENVS: usize = 2;

/// An environment that the agent can play, and settings under which it updates often.
fn small(agent: &str) -> (&'static str, &'static [&'static str]) {
    match agent {
        "dqn" => (
            "CartPole-v1",
            &[
                "net.hidden_sizes=[16]",
                "warmup_env_steps=100",
                "train_every_env_steps=8",
                "updates_per_training=3",
            ],
        ),
        "reinforce" => ("CartPole-v1", &["net.hidden_sizes=[16]", "episodes_per_update=1"]),
        "a2c" => ("CartPole-v1", &["net.hidden_sizes=[16]"]),
        "ddpg" | "td3" | "sac" => (
            "Pendulum-v1",
            &[
                "net.hidden_sizes=[16]",
                "critic_net.hidden_sizes=[16]",
                "batch_size=32",
                "warmup_env_steps=100",
                "train_every_env_steps=8",
                "updates_per_training=3",
            ],
        ),
        "ppo" => (
            "CartPole-v1",
            &["net.hidden_sizes=[16]", "rollout_steps=16", "minibatch_size=10", "epochs=2", "target_kl=1.0"],
        ),
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
    fn new(registries: &Registries, agent: &str) -> Self {
        let (id, sets) = small(agent);
        let mut sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
        sets.push(format!("num_envs={NUM_ENVS}"));
        let config =
            RunConfig::resolve(registries, agent, id, &Overrides { file: None, sets }).expect("valid");
        let mut envs = SyncVectorEnv::new(NUM_ENVS, |_| registries.envs.make(id)).expect("environments");
        let mut observations = ObsBatch::new(envs.observation_space(), NUM_ENVS);
        envs.reset(Some(1), &mut observations).expect("a reset");
        Self {
            agent: Session::agent(&config, registries).expect("an agent"),
            actions: ActionBatch::new(envs.action_space(), NUM_ENVS).expect("actions"),
            step: StepBatch::new(envs.observation_space(), NUM_ENVS),
            observations,
            envs,
        }
    }

    /// Acts, observes and learns; gives all actions.
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

    /// What the policy does in the present observations.
    fn greedy(&self) -> ActionBatch {
        let mut actions = self.actions.clone();
        let mut policy = self.agent.policy().expect("a policy");
        policy
            .act(&self.observations, ActMode::Exploit, &mut EnvRng::seeded(1), &mut actions)
            .expect("an action");
        actions
    }
}

fn over_every_agent(law: impl Fn(&Registries, &str)) {
    let registries = Registries::bundled();
    for spec in registries.agents.specs() {
        law(&registries, spec.name);
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
        policy.act(&observations, ActMode::Exploit, &mut EnvRng::seeded(1), &mut actions).expect("an action");
        assert_eq!(actions, before, "{name}: a policy does not change with its agent");
    });
}
