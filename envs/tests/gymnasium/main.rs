//! Gymnasium's own environments and some faulty ones, through the bridge to a real Python.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are no tests to clippy")]

mod deaths;
mod rows;
mod simulators;
mod spaces;

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use pavlov_envs::{
    ActionBatch, Autoreset, CartPole, End, Env, EnvError, EnvOptions, ObsBatch, Registry, SeededRng, Step,
    StepBatch, VectorEnv, VectorOptions, laws,
};

/// A Python that has Gymnasium.
fn python() -> &'static str {
    static PYTHON: OnceLock<String> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/gymnasium-env.sh");
        let output = Command::new(script).output().expect("the script starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_string()
    })
}

/// These options, and the Python of the tests.
fn options(text: &str) -> EnvOptions {
    EnvOptions::new(format!("python = \"{}\"\n{text}", python()).parse().expect("options"))
}

fn make(id: &str, text: &str) -> Result<Box<dyn Env>, EnvError> {
    Registry::bundled().make_with(id, &options(text))
}

fn make_vector(id: &str, text: &str, vector: &VectorOptions) -> Result<Box<dyn VectorEnv>, EnvError> {
    Registry::bundled().spec(id)?.make_vector(&options(text), vector)
}

/// The error message for an environment that cannot be made.
fn refusal(id: &str, text: &str) -> String {
    make(id, text).err().expect("an error").to_string()
}

/// A world of `worlds.py`.
fn world(name: &str) -> String {
    format!("gym:tests.gymnasium.worlds:{name}-v0")
}

/// An environment with its buffers.
struct Single {
    env: Box<dyn Env>,
    observation: ObsBatch,
}

impl Single {
    fn new(env: Box<dyn Env>) -> Self {
        let observation = ObsBatch::new(env.observation_space(), 1);
        Self { env, observation }
    }

    fn reset(&mut self, seed: Option<u64>) -> Result<Vec<f32>, EnvError> {
        self.env.reset(seed, self.observation.row_mut(0))?;
        Ok(self.observation.floats().to_vec())
    }

    fn step(&mut self, action: i64) -> Result<(Step, Vec<f32>), EnvError> {
        let step = self.env.step(pavlov_envs::Action::Discrete(action), self.observation.row_mut(0))?;
        Ok((step, self.observation.floats().to_vec()))
    }

    fn info(&self, wanted: &str) -> Option<f64> {
        let mut found = None;
        self.env.visit_info(&mut |name, value| {
            if name == wanted {
                found = Some(value);
            }
        });
        found
    }
}

#[test]
fn cart_pole_goes_as_the_native_one() {
    let mut bridged = Single::new(make("gym:CartPole-v1", "").unwrap());
    let mut native = CartPole::new(false);
    assert_eq!(bridged.env.observation_space(), native.observation_space());
    assert_eq!(bridged.env.action_space(), native.action_space());
    let mut observation = ObsBatch::new(native.observation_space(), 1);
    let mut steps = 0;
    for seed in 0..20 {
        let start = bridged.reset(Some(seed)).unwrap();
        native.start_from(std::array::from_fn(|number| start[number].into()));
        loop {
            let action = i64::from(steps % 5 == 0 || steps % 3 == 1);
            let (step, seen) = bridged.step(action).unwrap();
            let expected =
                native.step(pavlov_envs::Action::Discrete(action), observation.row_mut(0)).unwrap();
            assert_eq!(step, expected);
            let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-6 * b.abs().max(1.0);
            assert!(seen.iter().zip(observation.floats()).all(near), "{seen:?} {:?}", observation.floats());
            steps += 1;
            if step.end.is_over() {
                break;
            }
        }
    }
    assert!(steps > 200, "{steps}");
}

#[test]
fn seeds_reach_the_environment() {
    let mut env = Single::new(make("gym:CartPole-v1", "").unwrap());
    // The numbers that Gymnasium 1.4 returns for `env.reset(seed=42)`.
    assert_eq!(env.reset(Some(42)).unwrap(), [0.027395604, -0.006112156, 0.035859793, 0.019736802]);
    let mut env = Single::new(make(&world("Mortal"), "").unwrap());
    env.reset(Some(42)).unwrap();
    assert_eq!(env.info("seed"), Some(42.0));
    env.reset(None).unwrap();
    assert_eq!(env.info("seed"), Some(-1.0));
}

#[test]
fn a_bridged_environment_keeps_every_law() {
    let breaches = laws::check(&|| make("gym:Blackjack-v1", ""));
    assert!(breaches.is_empty(), "{breaches:#?}");
}

/// Plays `steps` steps at random; returns their outcomes.
fn play(mut env: Box<dyn VectorEnv>, steps: usize) -> Vec<StepBatch> {
    let space = env.action_space().clone();
    let mut actions = ActionBatch::new(&space, env.num_envs()).unwrap();
    let mut out = StepBatch::new(env.observation_space(), env.num_envs());
    let mut rng = SeededRng::seeded(5);
    env.reset(Some(3), &mut out.observations).unwrap();
    let step = |_| {
        (0..env.num_envs()).for_each(|row| actions.sample_row(row, &space, &mut rng));
        env.step(&actions, &mut out).unwrap();
        out.clone()
    };
    (0..steps).map(step).collect()
}

#[test]
fn results_do_not_depend_on_workers_or_on_the_kind_of_autoreset() {
    for autoreset in [Autoreset::SameStep, Autoreset::NextStep] {
        let vector = VectorOptions::new(5).autoreset(autoreset);
        let single = vector.of_single(|_| make("gym:FrozenLake-v1", "")).unwrap();
        let expected = play(single, 200);
        let ends = expected.iter().flat_map(|out| &out.ends).filter(|end| end.is_over()).count();
        assert!(ends > 50, "{ends}");
        assert_eq!(expected.iter().any(|out| out.resets.contains(&true)), autoreset == Autoreset::NextStep);
        for (threads, text) in [(1, ""), (2, ""), (1, "envs_per_worker = 2")] {
            let env = make_vector("gym:FrozenLake-v1", text, &vector.threads(threads)).unwrap();
            assert_eq!(play(env, 200), expected, "{threads} threads, {text}");
        }
    }
}

#[test]
fn options_reach_python() {
    let text = "kwargs = { is_slippery = false, map_name = \"8x8\" }";
    let mut env = Single::new(make("gym:FrozenLake-v1", text).unwrap());
    assert_eq!(env.env.observation_space().to_string(), "Discrete(64)");
    env.reset(Some(1)).unwrap();
    assert_eq!(env.step(2).unwrap().1, [1.0], "it never slips");

    let text = "wrappers = [\"FlattenObservation\", { name = \"gymnasium.wrappers.TimeLimit\", max_episode_steps = 2 }]";
    let mut env = Single::new(make("gym:FrozenLake-v1", text).unwrap());
    assert_eq!(env.env.observation_space().to_string(), "Box(0, 1, [16], f32)");
    env.reset(Some(1)).unwrap();
    assert_eq!(env.step(0).unwrap().0.end, End::No);
    assert_eq!(env.step(0).unwrap().0.end, End::Truncated);
}

#[test]
fn the_time_limit_is_the_worlds_own_or_the_one_that_is_asked_for() {
    for (text, limit) in [("", 200), ("max_episode_steps = 3", 3), ("max_episode_steps = 250", 250)] {
        let vector = make_vector("gym:MountainCar-v0", text, &VectorOptions::new(1)).unwrap();
        let single = VectorOptions::new(1).of_single(|_| make("gym:MountainCar-v0", text)).unwrap();
        for env in [vector, single] {
            let ends: Vec<_> = play(env, 251).iter().map(|out| out.ends[0]).collect();
            assert_eq!(ends.iter().position(|end| *end == End::Truncated), Some(limit - 1), "{text}");
        }
    }
}

#[test]
fn infos_lives_and_pictures_are_shown() {
    let mut env = Single::new(make(&world("Mortal"), "").unwrap());
    env.reset(None).unwrap();
    assert_eq!((env.info("steps"), env.env.lives()), (None, None));
    env.step(0).unwrap();
    let infos = ["steps", "half", "alive", "lives", "word"].map(|name| env.info(name));
    assert_eq!(infos, [Some(1.0), Some(0.5), Some(1.0), Some(3.0), None]);
    assert_eq!(env.env.lives(), Some(3));
    let Some(pavlov_envs::render::Picture::Frame(frame)) = env.env.render() else { panic!("no picture") };
    assert_eq!((frame.width, frame.height), (3, 2));
    assert_eq!(frame.pixels[15..], [1, 2, 3]);
    env.step(0).unwrap();
    assert_eq!(env.info("steps"), Some(2.0));
}

#[test]
fn an_environment_that_cannot_be_made_is_an_error_with_a_remedy() {
    let message = refusal("gym:CartPol-v1", "");
    assert_eq!(message, "unknown environment `gym:CartPol-v1` (did you mean `gym:CartPole-v1`?)");
    let message = refusal("gym:CartPole-v1", "wrappers = [\"FlattenObservatio\"]");
    assert!(
        message.contains("no wrapper `FlattenObservatio`") && message.contains("`FlattenObservation`?"),
        "{message}"
    );
    let message = refusal("gym:CartPole-v1", "kwargs = { colour = 1 }");
    assert!(message.contains("colour"), "{message}");
    let message = refusal("gym:no_such_module:World-v0", "");
    assert!(message.contains("-m pip install \"no_such_module\""), "{message}");
    let message = refusal("gym:CartPole-v1", "pythn = 1");
    assert!(message.contains("did you mean `python`?"), "{message}");
    let message = refusal("gym:ALE/Breakout-v5", "");
    assert!(message.contains("-m pip install \"gymnasium[atari]\""), "{message}");
}

#[test]
fn a_python_without_gymnasium_is_told_how_to_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let bare = folder.path().join("bare-python");
    // -S and -I leave out every package that is installed.
    std::fs::write(&bare, "#!/bin/sh\nexec python3 -I -S \"$@\"\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&bare, mode).unwrap();
    let bare = bare.to_str().unwrap();
    let with = |python: &str| {
        let options = EnvOptions::new(format!("python = \"{python}\"").parse().unwrap());
        Registry::bundled().make_with("gym:CartPole-v1", &options).err().unwrap().to_string()
    };
    let message = with(bare);
    let advice = format!("`{bare} -m pip install \"gymnasium\"`, which brings numpy as well");
    assert!(message.contains(&advice) && message.contains("'gymnasium'"), "{message}");
    assert!(!message.contains("'numpy'"), "what is missing first is told: {message}");
    let message = with("/nowhere/python");
    assert!(message.contains("there is no Python at `/nowhere/python`"), "{message}");
}

#[test]
fn nothing_of_python_is_touched_before_an_environment_is_made() {
    let spec = Registry::bundled().spec("gym:No/Such-v0").unwrap();
    assert_eq!(spec.id, "gym:No/Such-v0");
    assert!(Registry::bundled().spec("gym:").is_err());
}
