//! Every agent learns the probe environments, whose right values are known, in seconds.

use pavlov::agents::{ActMode, Policy};
use pavlov::common::SeededRng;
use pavlov::envs::{ActionBatch, EnvFactory, ObsBatch};
use pavlov::nn::{StateDict, StateView};
use pavlov::run::Quiet;
use pavlov::training::{EvaluationOptions, evaluate};
use pavlov::{Overrides, Registries, RunConfig, RunFolder, Session, Training};

/// Settings under which a tiny world is learned in two thousand env steps.
const SETS: &[&str] = &[
    "env_steps=2000",
    "learning_rate=3e-3",
    "discount=0.9",
    "warmup_env_steps=50",
    "train_every_env_steps=1",
    "target_update_every_env_steps=20",
    "epsilon_decay_fraction=0.5",
    "net.hidden_sizes=[16]",
    "evaluation.every_env_steps=0",
    "checkpoint.every_env_steps=0",
    "num_envs=2",
];

pub struct Trained {
    folder: tempfile::TempDir,
    registries: Registries,
    config: RunConfig,
}

fn train(environment: &str, more: &[&str]) -> Trained {
    train_agent("dqn", environment, &[SETS, more].concat())
}

/// Trains an agent with these settings.
pub fn train_agent(agent: &str, environment: &str, sets: &[&str]) -> Trained {
    train_with(Registries::bundled(), agent, environment, sets)
}

/// The same with what these registries know.
pub fn train_with(registries: Registries, agent: &str, environment: &str, sets: &[&str]) -> Trained {
    let sets = sets.iter().map(ToString::to_string).collect();
    let config =
        RunConfig::resolve(&registries, agent, environment, &Overrides { file: None, sets }).expect("valid");
    let folder = tempfile::tempdir().expect("a folder");
    let run = RunFolder::create(Some(&folder.path().join("run")), &config).expect("a run");
    let mut session = Session::start(Training::new(config.clone(), &registries).expect("a training"), run)
        .expect("a session");
    session.run(&false.into(), &mut Quiet).expect("a training");
    Trained { folder, registries, config }
}

impl Trained {
    /// The last checkpoint.
    pub fn state(&self) -> StateDict<'static> {
        let run = RunFolder::open(&self.folder.path().join("run")).expect("the run");
        run.checkpoints().list().expect("a list").pop().expect("a checkpoint").read().expect("whole")
    }

    fn policy(&self) -> Box<dyn Policy> {
        let mut agent = Training::agent(&self.config, &self.registries).expect("an agent");
        agent.load_state(&self.state().view().part("agent")).expect("its own state");
        agent.policy().expect("a policy")
    }

    /// The mean return of 50 greedy episodes.
    pub fn score(&self) -> f64 {
        let factory = EnvFactory::by_id(&self.registries.envs, &self.config.environment).expect("registered");
        let options = EvaluationOptions { episodes: 50, seed: 1, ..EvaluationOptions::default() };
        evaluate(self.policy().as_mut(), &factory, &options).expect("played").mean()
    }

    /// The action values of one-number observations, from the weights in the checkpoint.
    fn values(&self, observations: &[f32]) -> Vec<Vec<f32>> {
        self.outputs(&["agent", "learner", "online", "parameters"], "", observations)
    }

    /// The outputs of the network `prefix`, of the weights at `place` in the checkpoint, for each of these
    /// inputs in turn.
    pub fn outputs(&self, place: &[&str], prefix: &str, inputs: &[f32]) -> Vec<Vec<f32>> {
        let state = self.state();
        let weights = place.iter().fold(state.view(), |view, part| view.part(part));
        forward(&weights, prefix, inputs)
    }
}

/// The network by hand: inputs -> 16 relu -> outputs.
pub fn forward(weights: &StateView<'_>, prefix: &str, inputs: &[f32]) -> Vec<Vec<f32>> {
    let load = |name: &str| weights.vec::<f32>(&format!("{prefix}{name}")).expect("a parameter");
    let (w0, b0, w2, b2) = (load("0.weight"), load("0.bias"), load("2.weight"), load("2.bias"));
    let width = w0.len() / b0.len();
    let dot = |weights: &[f32], x: &[f32]| weights.iter().zip(x).map(|(w, x)| w * x).sum::<f32>();
    let layer = |w: &[f32], b: &[f32], x: &[f32]| -> Vec<f32> {
        w.chunks_exact(x.len()).zip(b).map(|(w, b)| dot(w, x) + b).collect()
    };
    let output = |x: &[f32]| {
        let hidden: Vec<f32> = layer(&w0, &b0, x).into_iter().map(|z| z.max(0.0)).collect();
        layer(&w2, &b2, &hidden)
    };
    inputs.chunks_exact(width).map(output).collect()
}

pub fn close(values: &[f32], expected: f32) {
    assert!(
        values.iter().all(|value| (value - expected).abs() < 0.1 * expected.abs().max(1.0)),
        "{values:?} {expected}"
    );
}

#[test]
fn one_state_has_value_one() {
    close(&train("Probe/Constant-v0", &[]).values(&[0.0])[0], 1.0);
}

#[test]
fn the_value_is_the_observation() {
    let values = train("Probe/Observation-v0", &[]).values(&[-1.0, 1.0]);
    close(&values[0], -1.0);
    close(&values[1], 1.0);
}

#[test]
fn a_late_reward_is_discounted() {
    let replays: [&[&str]; 3] =
        [&[], &["replay.n_steps=3"], &["replay.n_steps=2", "replay.priority_exponent=0.6", "actors.count=2"]];
    for more in replays {
        let values = train("Probe/Delay-v0", more).values(&[0.0, 1.0, 2.0]);
        for (steps, values) in values.iter().enumerate() {
            close(values, 0.9f32.powi(2 - steps as i32));
        }
    }
}

#[test]
fn truncation_is_not_termination() {
    // Reward 1 without end, truncated after 10 steps: 1 / (1 - 0.9), not the mean 6.5 of ten steps that
    // terminate.
    for double in ["double=false", "double=true", "replay.n_steps=4"] {
        let values =
            train("Probe/TimeLimit-v0", &[double, "env_steps=6000", "learning_rate=1e-2"]).values(&[0.0]);
        close(&values[0], 10.0);
    }
}

#[test]
fn the_policy_takes_the_better_action() {
    for environment in ["Probe/Action-v0", "Probe/Match-v0"] {
        assert_eq!(train(environment, &[]).score(), 1.0, "{environment}");
    }
}

#[test]
fn exploring_is_random_and_exploiting_is_not() {
    let trained = train("Probe/Action-v0", &["epsilon_end=1.0"]);
    let mut policy = trained.policy();
    let space = trained.registries.envs.make("Probe/Action-v0").expect("registered");
    let observations = ObsBatch::new(space.observation_space(), 200);
    let mut actions = ActionBatch::new(space.action_space(), 200).expect("discrete");
    let mut chosen = |mode| {
        policy.act(&observations, mode, &mut SeededRng::seeded(3), &mut actions).expect("actions");
        let ActionBatch::Discrete(choices) = &actions else { panic!("discrete") };
        choices.iter().sum::<i64>()
    };
    assert_eq!(chosen(ActMode::Exploit), 200);
    assert!((60..140).contains(&chosen(ActMode::Explore)));
}
