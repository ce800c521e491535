//! Exported policies: every agent and network, in PyTorch where there is one. Set `PAVLOV_TORCH_PYTHON` to a Python
//! with torch, safetensors and numpy (else `python3` is tried); without one the exports alone are tested, and the
//! test says so.

use std::path::{Path, PathBuf};
use std::process::Command;

use pavlov::common::SeededRng;
use pavlov::envs::{ACTION_MASK, Action, BoxSpace, Dtype, End, Env, EnvError, EnvSpec, ObsMut, Space, Step};
use pavlov::nn::weights;
use pavlov::rand::RngExt;
use pavlov::run::Quiet;
use pavlov::training::export;
use pavlov::{Registries, RunFolder, Session, Training};

use crate::command::Workplace;
use crate::settings::resolved;

/// A world whose observation has an entry of every kind, with actions of one kind.
struct Mixed {
    observations: Space,
    actions: Space,
    rng: SeededRng,
    steps: u32,
}

impl Mixed {
    fn new(actions: Space, masked: usize) -> Result<Self, EnvError> {
        let picture = |low: f32, high: f32, shape: &[usize], dtype| {
            let count = shape.iter().product();
            BoxSpace::new(vec![low; count], vec![high; count], shape, dtype).map(Space::Box)
        };
        let mut entries = vec![
            ("choice".to_string(), Space::Discrete(3)),
            ("camera".to_string(), picture(0.0, 255.0, &[12, 12, 3], Dtype::U8)?),
            ("numbers".to_string(), picture(-1.0, 1.0, &[2], Dtype::F32)?),
            ("map".to_string(), picture(0.0, 8.0, &[1, 10, 10], Dtype::F32)?),
        ];
        if masked > 0 {
            entries.push((ACTION_MASK.to_string(), Space::MultiBinary(masked)));
        }
        Ok(Self { observations: Space::Dict(entries), actions, rng: SeededRng::seeded(0), steps: 0 })
    }

    fn show(&mut self, observation: ObsMut<'_>) {
        let rng = &mut self.rng;
        observation.floats[0] = rng.random_range(0..3) as f32;
        observation.floats[1..3].fill_with(|| rng.random_range(-1.0..1.0));
        observation.floats[3..103].fill_with(|| rng.random_range(0.0..8.0));
        let mask = &mut observation.floats[103..];
        mask.fill_with(|| f32::from(rng.random::<f32>() < 0.5));
        if !mask.is_empty() {
            // Each of the choices has one that makes sense.
            (mask[0], mask[3]) = (1.0, 1.0);
        }
        observation.bytes.fill_with(|| rng.random());
    }
}

impl Env for Mixed {
    fn observation_space(&self) -> &Space {
        &self.observations
    }

    fn action_space(&self) -> &Space {
        &self.actions
    }

    fn reset(&mut self, seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        if let Some(seed) = seed {
            self.rng = SeededRng::seeded(seed);
        }
        self.steps = 0;
        self.show(observation);
        Ok(())
    }

    fn step(&mut self, _: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        self.steps += 1;
        self.show(observation);
        Ok(Step::new(self.rng.random(), End::terminated_if(self.steps == 7)))
    }
}

fn registries() -> Registries {
    let mut registries = Registries::bundled();
    for (id, actions, masked) in [
        ("Discrete-v0", Space::Discrete(4), 4),
        ("Several-v0", Space::MultiDiscrete(vec![3, 2]), 5),
        ("Bits-v0", Space::MultiBinary(3), 0),
    ] {
        let spec =
            EnvSpec::new(id, move |_| Ok(Box::new(Mixed::new(actions.clone(), masked)?) as Box<dyn Env>));
        registries.envs.register(spec).expect("a new id");
    }
    registries
}

/// A Python in which PyTorch is, if there is one.
fn torch() -> Option<String> {
    let named = std::env::var("PAVLOV_TORCH_PYTHON").ok();
    let python = named.clone().unwrap_or_else(|| "python3".into());
    let can = Command::new(&python).args(["-c", "import torch, safetensors, numpy"]).output();
    let has = can.is_ok_and(|output| output.status.success());
    assert!(has || named.is_none(), "PAVLOV_TORCH_PYTHON={python}: PyTorch cannot be imported there");
    has.then_some(python)
}

/// Trains a little, exports, and has PyTorch compare.
fn served(
    registries: &Registries,
    agent: &str,
    environment: &str,
    sets: &[&str],
) -> (PathBuf, tempfile::TempDir) {
    let place = tempfile::tempdir().expect("a folder");
    let common =
        ["env_steps=96", "evaluation.every_env_steps=0", "num_envs=2", "seed=4", "log.every_env_steps=96"];
    let own: &[&str] = match agent {
        "ppo" => &["rollout_steps=16", "minibatch_size=32", "epochs=2"],
        "a2c" | "impala" => &["rollout_steps=16"],
        "reinforce" => &[],
        _ => &["warmup_env_steps=32", "batch_size=8", "replay_capacity=64", "train_every_env_steps=8"],
    };
    let config = resolved(registries, agent, environment, &[&common, own, sets].concat());
    let folder = RunFolder::create(Some(&place.path().join("run")), &config).expect("a folder");
    let session = Session::start(Training::new(config, registries).expect("a training"), folder.clone());
    session.expect("a start").run(&false.into(), &mut Quiet).expect("an end");
    let out = place.path().join("export");
    let exported = export(&folder, registries, (true, None), &out, 24).expect("an export");
    assert!(exported.arrays >= 2 && exported.steps == 24);
    let check = weights::read(&out.join("check.safetensors")).expect("what to compare with");
    assert_eq!(check.arrays["actions"].shape[0], 24);
    (out, place)
}

fn convert(python: &str, out: &Path, more: &[&str]) -> Result<String, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/to-pytorch.py");
    let output = Command::new(python).arg(script).arg(out).args(more).output().expect("Python starts");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(said) } else { Err(said) }
}

#[test]
fn the_command_exports_the_best_weights() {
    let place = Workplace::new();
    assert!(place.train_small("run", &[]).success);
    let said = place.pavlov(&["export", "run", "--steps", "10"]);
    assert!(said.success && said.out.contains("best/weights.safetensors"), "{}{}", said.out, said.err);
    let text = std::fs::read_to_string(place.path("run/export/policy.json")).expect("a description");
    let description: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(description["action"]["discrete"], 2);
    assert_eq!(description["observation"]["codes"][0]["floats"], 4);
    let read = |name: &str| weights::read(&place.path(name)).expect("weights");
    let (best, exported) = (read("run/best/weights.safetensors"), read("run/export/weights.safetensors"));
    assert_eq!(best.arrays, exported.arrays);
    place.refuses(&[
        (&["export", "nowhere"], &["holds no run"]),
        (&["export", "run", "--steps", "0"], &["--steps"]),
    ]);
}

#[test]
fn every_agent_and_network_goes_to_pytorch() {
    let registries = registries();
    let python = torch();
    if python.is_none() {
        println!("PyTorch is not installed: exports are not compared with it (set PAVLOV_TORCH_PYTHON)");
    }
    let small = "net.hidden_sizes=[16]";
    let listed = "net.backbone=[{ linear = 16 }, \"batch_norm\", \"leaky_relu\", { residual = [{ linear = 16 }, \"silu\"] }, \
                  { concat = [[{ linear = 4 }], [\"layer_norm\"]] }, { dropout = 0.1 }]";
    let convolved = "net.backbone=[{ conv2d = { filters = 8, kernel = 3, padding = 1 } }, \"layer_norm\", \"elu\", \
                     { max_pool2d = 2 }, \"flatten\", { linear = 16 }, \"tanh\"]";
    let normalized =
        "wrappers=[{ kind = \"frame_stack\", frames = 2 }, { kind = \"normalize_observation\" }]";
    let cases: &[(&str, &str, &[&str])] = &[
        ("dqn", "CartPole-v1", &[small, "net.layer_norm=true", "net.activation=gelu", "net.dropout=0.1"]),
        ("dqn", "MinAtar/Breakout-v1", &[small, "dueling=true"]),
        ("dqn", "PixelPong-v0", &[small, "net.cnn=nature"]),
        ("dqn", "Discrete-v0", &[small, "net.cnn={ camera = \"impala\" }"]),
        ("apex", "CartPole-v1", &[small, "net.trunk_sizes=[8, 12]", "dueling=true"]),
        ("ppo", "CartPole-v1", &[small, normalized]),
        ("ppo", "Pendulum-v1", &[small, normalized, "exploration.state_dependent=true"]),
        (
            "ppo",
            "LunarLanderContinuous-v3",
            &[small, "exploration.state_dependent=false", "net.activation=sigmoid"],
        ),
        ("ppo", "CartPoleNoVel-v1", &[small, "net.recurrent=lstm", "net.recurrent_size=8", "wrappers=[]"]),
        ("ppo", "Several-v0", &[small, "net.shared=true", "net.discrete={ embedding = 3 }"]),
        ("ppo", "Bits-v0", &[small, "net.layer_norm=true"]),
        ("a2c", "CartPoleNoVel-v1", &[small, "net.recurrent=gru", "net.recurrent_size=8", "net.shared=true"]),
        ("a2c", "Taxi-v3", &[small, "net.discrete={ embedding = 5 }"]),
        ("impala", "MinAtar/Breakout-v1", &[small, convolved]),
        ("reinforce", "CartPole-v1", &[small, "episodes_per_update=2", "num_envs=1"]),
        ("sac", "Pendulum-v1", &[small, listed]),
        ("sac", "CartPole-v1", &[small]),
        ("td3", "Pendulum-v1", &[small, "net.trunk_sizes=[8]"]),
        ("ddpg", "MountainCarContinuous-v0", &[small, "net.activation=elu"]),
    ];
    for (agent, environment, sets) in cases {
        let (out, _place) = served(&registries, agent, environment, sets);
        let Some(python) = &python else { continue };
        let said = convert(python, &out, &[]).unwrap_or_else(|said| panic!("{agent} {environment}: {said}"));
        assert!(said.contains("24 actions compared"), "{agent} {environment}: {said}");
        if *environment == "CartPoleNoVel-v1" {
            for ending in ["pt", "pt2"] {
                let path = out.join(format!("policy.{ending}"));
                let said = convert(python, &out, &["--save", path.to_str().expect("a path")]);
                assert!(said.is_ok() && path.exists(), "{said:?}");
            }
        }
    }
}

#[test]
fn pytorch_notices_other_weights_and_names_what_it_cannot_build() {
    let registries = registries();
    let (out, _place) = served(&registries, "sac", "Pendulum-v1", &["net.hidden_sizes=[16]"]);
    let (other, _other) = served(&registries, "sac", "Pendulum-v1", &["net.hidden_sizes=[16]", "seed=9"]);
    let attention =
        "net.backbone=[{ reshape = [1, 3] }, { linear = 8 }, { attention = { heads = 2 } }, \"flatten\"]";
    let (unserved, _unserved) =
        served(&registries, "sac", "Pendulum-v1", &["net.hidden_sizes=[16]", attention]);
    let Some(python) = torch() else { return };
    let file = "weights.safetensors";
    std::fs::copy(other.join(file), out.join(file)).expect("other weights");
    let said = convert(&python, &out, &[]).expect_err("other weights");
    assert!(said.contains("above the tolerance"), "{said}");
    let said = convert(&python, &unserved, &[]).expect_err("attention");
    assert!(said.contains("layer 2, `attention`"), "{said}");
}
