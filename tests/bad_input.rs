//! Mistakes give messages that help, and files on the disk survive.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use pavlov::envs::{Action, End, Env, EnvError, EnvSpec, ObsMut, Space, Step};
use pavlov::run::Quiet;
use pavlov::{Registries, RunFolder, Session, Training};

use crate::command::{SMALL, Workplace, files};
use crate::settings::resolved;

/// Arguments, and words that the message must contain.
const TABLE: &[(&[&str], &[&str])] = &[
    (&["train", "dqm", "CartPole-v1"], &["unknown agent `dqm`", "did you mean `dqn`?"]),
    (&["train", "dqn", "CartPol-v1"], &["unknown environment `CartPol-v1`", "did you mean `CartPole-v1`?"]),
    (&["train", "CartPole-v1", "dqn"], &["`dqn` is an agent", "the agent comes first"]),
    (
        &["train", "dqn", "CartPole-v1", "--set", "discont=0.9"],
        &["unknown key `discont`", "did you mean `discount`?"],
    ),
    (
        &["train", "dqn", "CartPole-v1", "--set", "net.hiden_sizes=[1]"],
        &["hiden_sizes", "did you mean `hidden_sizes`?"],
    ),
    (&["train", "dqn", "CartPole-v1", "--set", "evaluation.episode=1"], &["did you mean `episodes`?"]),
    (&["train", "dqn", "CartPole-v1", "--set", "net.activation=relo"], &["relo", "did you mean `relu`?"]),
    (&["train", "dqn", "CartPole-v1", "--set", "optimizer.kind=adamm"], &["adamm", "adam"]),
    (&["train", "dqn", "CartPole-v1", "--set", "discount=high"], &["discount", "high"]),
    (&["train", "dqn", "CartPole-v1", "--set", "batch_size=many"], &["batch_size", "many"]),
    (&["train", "dqn", "CartPole-v1", "--set", "batch_size"], &["key=value"]),
    (&["train", "dqn", "CartPole-v1", "--set", "discount=nan"], &["discount is NaN", "from 0 to 1"]),
    (&["train", "dqn", "CartPole-v1", "--set", "discount=1.5"], &["discount is 1.5"]),
    (&["train", "dqn", "CartPole-v1", "--set", "learning_rate=-1.0"], &["-1"]),
    (&["train", "dqn", "CartPole-v1", "--set", "learning_rate=nan"], &["NaN"]),
    (&["train", "dqn", "CartPole-v1", "--set", "batch_size=0"], &["batch_size is 0"]),
    (&["train", "dqn", "CartPole-v1", "--set", "batch_size=-5"], &["batch_size"]),
    (&["train", "dqn", "CartPole-v1", "--set", "gradient_clip_norm=0"], &["gradient_clip_norm", "off"]),
    (
        &["train", "dqn", "CartPole-v1", "--set", "epsilon_end=0.5", "--set", "epsilon_start=0.1"],
        &["epsilon_end", "epsilon_start"],
    ),
    (&["train", "dqn", "CartPole-v1", "--set", "replay_capacity=8"], &["batch_size", "replay_capacity"]),
    (&["train", "dqn", "CartPole-v1", "--steps", "0"], &["env_steps is 0"]),
    (&["train", "dqn", "CartPole-v1", "--envs", "0"], &["num_envs is 0"]),
    (
        &["train", "dqn", "CartPole-v1", "--until-return", "400", "--set", "evaluation.every_env_steps=0"],
        &["until_return"],
    ),
    (&["train", "dqn", "CartPole-v1", "--set", "environment_options.gravity=1"], &["no option `gravity`"]),
    (
        &["train", "dqn", "CartPole-v1", "--set", "environment_options.max_episode_steps=0"],
        &["max_episode_steps"],
    ),
    (
        &["train", "dqn", "CartPole-v1", "--set", "wrappers=[{ kind = \"frame_stak\", frames = 4 }]"],
        &["wrappers", "unknown word `frame_stak`", "did you mean `frame_stack`?"],
    ),
    (
        &["train", "dqn", "CartPole-v1", "--set", "wrappers=[{ kind = \"frame_stack\" }]"],
        &["wrappers", "frames"],
    ),
    (
        &["train", "dqn", "CartPole-v1", "--set", "wrappers=[{ kind = \"frame_stack\", frames = 0 }]"],
        &["0 frames: give at least 1"],
    ),
    (
        &["train", "dqn", "CartPole-v1", "--set", "wrappers=[{ kind = \"sign_reward\", sign = 1 }]"],
        &["wrappers", "sign"],
    ),
    (
        &[
            "train",
            "dqn",
            "CartPole-v1",
            "--set",
            "wrappers=[{ kind = \"normalize_reward\" }, { kind = \"sign_reward\" }]",
        ],
        &["put them last"],
    ),
    (
        &["train", "dqn", "CartPole-v1", "--set", "wrappers=[{ kind = \"grayscale\" }]"],
        &["picture of bytes from 0 to 255"],
    ),
    (
        &["train", "dqn", "Probe/Action-v0", "--set", "evaluation.film_every_evaluations=1"],
        &["film_every_evaluations", "does not render"],
    ),
    (&["train", "dqn", "FrozenLake-v1", "--set", "environment_options.desc=[\"SF\", \"G\"]"], &["desc"]),
    (&["play", "CartPole-v2"], &["unknown environment `CartPole-v2`", "did you mean `CartPole-v"]),
    (&["play", "Probe/Action-v0"], &["does not render"]),
    (&["play", "CartPole-v1", "--episodes", "0"], &["--episodes 0", "above 0"]),
    (&["play", "CartPole-v1", "--gif", "nowhere/x.gif"], &["nowhere/x.gif", "cannot be written"]),
    (&["play", "CartPole-v1", "--gif", "x.mp4"], &["--gif x.mp4", "ends in .gif"]),
    (&["envs", "--pictures", "x.jpg"], &["--pictures x.jpg", "ends in .png"]),
    (&["plot", "run", "--csv", "x.txt"], &["--csv x.txt", "ends in .csv"]),
    (&["envs", "--pictures", "nowhere/sheet.png"], &["nowhere/sheet.png", "cannot be written"]),
    (&["train", "dqn", "CartPole-v1", "--device", "gpu"], &["unknown device `gpu`", "auto, cpu, cuda"]),
    (&["train", "dqn", "Probe/ActionContinuous-v0"], &["discrete actions"]),
    (&["train", "ppo", "CartPole-v1", "--set", "gae_lambda=1.5"], &["gae_lambda is 1.5", "from 0 to 1"]),
    (&["train", "ppo", "CartPole-v1", "--set", "clip_range=\"lin_x\""], &["lin_x"]),
    (&["train", "ppo", "CartPole-v1", "--set", "minibatch_size=0"], &["minibatch_size is 0"]),
    (&["train", "ppo", "CartPole-v1", "--set", "net.recurrent=lsmt"], &["lsmt", "did you mean `lstm`?"]),
    (
        &["train", "ppo", "CartPoleNoVel-v1", "--set", "net.sequence_length=5"],
        &["rollout_steps is 32", "net.sequence_length, 5"],
    ),
    (&["train", "ppo", "CartPole-v1", "--set", "net.recurrent_size=0"], &["recurrent_size", "at least 1"]),
    (&["train", "ppo", "MinAtar/Breakout-v1", "--set", "net.cnn=natur"], &["natur", "nature"]),
    (&["train", "ppo", "MinAtar/Breakout-v1", "--set", "net.cnn=nature"], &["too small", "minatar"]),
    (
        &["train", "dqn", "MinAtar/Breakout-v1", "--set", "net.cnn=[{ filters = 0, kernel = 3 }]"],
        &["layer 0", "filters is 0"],
    ),
    (&["train", "ppo", "CartPole-v1", "--set", "net.trunk_sizes=[0]"], &["a size of 0"]),
    (&["train", "ppo", "CartPole-v1", "--set", "net.precision=f16"], &["f16", "bf16"]),
    (&["train", "reinforce", "CartPole-v1", "--set", "net.recurrent=gru"], &["net.recurrent", "a2c and ppo"]),
    (&["train", "impala", "CartPole-v1", "--set", "trace_clip=0"], &["trace_clip is 0"]),
    (&["train", "apex", "CartPole-v1", "--set", "batch_sise=8"], &["batch_size"]),
    (&["train", "a2c", "CartPole-v1", "--set", "rollout_steps=0"], &["rollout_steps is 0"]),
    (&["train", "td3", "CartPole-v1"], &["continuous actions", "Discrete(2)"]),
    (&["train", "ddpg", "CartPole-v1"], &["continuous actions"]),
    (&["train", "td3", "Pendulum-v1", "--set", "exploration.kind=brown"], &["brown", "normal"]),
    (&["train", "sac", "Pendulum-v1", "--set", "temperature=warm"], &["warm", "auto"]),
    (&["train", "sac", "Pendulum-v1", "--set", "critics=0"], &["critics is 0"]),
    (&["train", "sac", "Pendulum-v1", "--set", "target_update_tau=2"], &["target_update_tau is 2"]),
    (&["train", "dqn", "CartPole-v1", "--config", "nowhere.toml"], &["nowhere.toml", "cannot be read"]),
    (&["train", "dqn", "CartPole-v1", "--config", "broken.toml"], &["broken.toml", "TOML"]),
    (&["train", "dqn", "CartPole-v1", "--config", "other.toml"], &["other.toml", "`CartPole-v0`"]),
    (&["train", "dqn", "CartPole-v1", "--run-dir", "full"], &["full", "not empty"]),
    (&["train", "dqn", "CartPole-v1", "--run-dir", "broken.toml/run"], &["broken.toml/run", "--run-dir"]),
    (&["eval", "nowhere"], &["nowhere", "pavlov runs"]),
    (&["resume", "nowhere"], &["nowhere", "pavlov runs"]),
    (&["runs", "nowhere"], &["nowhere"]),
];

/// Settings that ask for more than a machine has.
const TOO_MUCH: &[(&[&str], &[&str])] = &[
    (
        &["train", "dqn", "CartPole-v1", "--set", "replay_capacity=1e15"],
        &["replay_capacity is 1000000000000000: give at most"],
    ),
    (
        &["train", "dqn", "CartPole-v1", "--steps", "4e9", "--set", "replay_capacity=4e9"],
        &["replay_capacity = 4000000000 would need", "GB of memory, and this machine has", "give less"],
    ),
    (
        &["train", "apex", "CartPole-v1", "--set", "replay_capacity=4e9"],
        &["replay_capacity = 4000000000 would need"],
    ),
    (&["train", "dqn", "CartPole-v1", "--envs", "1e9"], &["num_envs is 1000000000: give at most"]),
    (&["train", "dqn", "CartPole-v1", "--actors", "1e6"], &["actors.count is 1000000: give at most"]),
    (&["train", "dqn", "CartPole-v1", "--actors", "9e15"], &["actors.count is"]),
    (&["train", "dqn", "CartPole-v1", "--set", "threads=1e9"], &["threads is 1000000000: give at most"]),
    (&["train", "dqn", "CartPole-v1", "--set", "env_threads=1e9"], &["env_threads is"]),
    (&["train", "dqn", "CartPole-v1", "--set", "actors.queue_segments=1e12"], &["actors.queue_segments is"]),
    (
        &["train", "dqn", "CartPole-v1", "--set", "actors.stop_timeout_seconds=1e300"],
        &["actors.stop_timeout_seconds is", "at most 86400"],
    ),
    (&["train", "dqn", "CartPole-v1", "--set", "updates_per_phase=1e12"], &["updates_per_phase is"]),
    (
        &["train", "dqn", "CartPole-v1", "--set", "net.hidden_sizes=[1000000, 1000000]"],
        &["net.hidden_sizes = [1000000, 1000000] would need 16 TB"],
    ),
    (
        &["train", "dqn", "CartPole-v1", "--set", "net.hidden_sizes=[1e12]"],
        &["net.hidden_sizes has a size of 1000000000000", "at most"],
    ),
    (
        &[
            "train",
            "ppo",
            "CartPole-v1",
            "--set",
            concat!(
                "net.hidden_sizes=[",
                "8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, ",
                "8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, ",
                "8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8]"
            ),
        ],
        &["net.hidden_sizes has 70 layers: give at most 64"],
    ),
    (
        &["train", "ppo", "CartPole-v1", "--set", "net.recurrent=lstm", "--set", "net.recurrent_size=1e9"],
        &["net.recurrent_size"],
    ),
    (
        &["train", "ppo", "CartPole-v1", "--envs", "60000", "--set", "rollout_steps=1e7"],
        &["rollout_steps = 10000000 would need"],
    ),
    (&["train", "sac", "Pendulum-v1", "--set", "critics=1e9"], &["critics is 1000000000: give at most"]),
    (
        &["train", "dqn", "MinAtar/Breakout-v1", "--set", "net.cnn=[{ filters = 1000000000, kernel = 3 }]"],
        &["filters is"],
    ),
    (
        &[
            "train",
            "dqn",
            "CartPole-v1",
            "--set",
            "wrappers=[{ kind = \"frame_stack\", frames = 1000000000 }]",
        ],
        &["frame_stack: a stack of 1000000000 frames"],
    ),
    (
        &[
            "train",
            "ppo",
            "CartPole-v1",
            "--set",
            "wrappers=[{ kind = \"render_pixels\", width = 1000000, height = 1000000 }]",
        ],
        &["render_pixels: a picture of 1000000 x 1000000 pixels"],
    ),
    (&["fit", "classifier", "digits", "--set", "data.accumulate=1e12"], &["data.accumulate is"]),
    (&["fit", "classifier", "digits", "--set", "data.loader_threads=1e6"], &["data.loader_threads is"]),
    (
        &["fit", "autoencoder", "digits", "--set", "hidden_sizes=[1000000000]"],
        &["hidden_sizes has a size of"],
    ),
    (&["fit", "gan", "digits", "--set", "noise=1e12"], &["noise is 1000000000000"]),
];

#[test]
fn settings_that_ask_for_too_much_are_refused_before_memory_is_taken() {
    Workplace::new().refuses(TOO_MUCH);
}

#[test]
fn every_mistake_is_explained_and_leaves_nothing_behind() {
    let place = Workplace::new();
    fs::write(place.path("broken.toml"), "a = ").expect("a file");
    fs::write(place.path("other.toml"), "environment = \"CartPole-v0\"").expect("a file");
    fs::create_dir(place.path("full")).expect("a folder");
    fs::write(place.path("full/thesis.txt"), "my only copy").expect("a file");
    place.refuses(TABLE);
    assert_eq!(fs::read(place.path("full/thesis.txt")).expect("still there"), b"my only copy");
    assert!(!place.path("runs").exists(), "a refused training leaves no folder");
}

#[test]
fn cuda_that_is_not_there_is_an_error() {
    if tch::Cuda::is_available() {
        return;
    }
    let said = Workplace::new().pavlov(&["train", "dqn", "CartPole-v1", "--device", "cuda"]);
    assert!(!said.success && said.err.contains("--device cpu"), "{}", said.err);
}

#[test]
fn a_damaged_checkpoint_is_refused_and_the_one_before_it_works() {
    let place = Workplace::new();
    assert!(place.train_small("run", &[]).success);
    let before = files(&place.path("run"));
    let latest = place.path("run/checkpoints/step-000000003000/tensors.safetensors");
    let whole = fs::read(&latest).expect("tensors");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for damaged in [&flipped[..], &whole[..whole.len() / 2], &[]] {
        fs::write(&latest, damaged).expect("damage");
        let said = place.pavlov(&["resume", "run"]);
        assert!(
            !said.success && said.err.contains("damaged") && said.err.contains("step-000000002500"),
            "{}",
            said.err
        );
    }
    assert_eq!(files(&place.path("run")), before, "nothing is lost");
    let older = "run/checkpoints/step-000000002500";
    let said = place.pavlov(&["resume", "run", "--checkpoint", older]);
    assert!(said.success, "{}", said.err);
}

#[test]
fn a_checkpoint_of_another_environment_is_refused() {
    let place = Workplace::new();
    assert!(place.train_small("run", &[]).success);
    let other = [&["train", "dqn", "CartPole-v0", "--run-dir", "other"], SMALL].concat();
    assert!(place.pavlov(&other).success);
    let foreign = place.path("run/checkpoints/step-000000009000");
    fs::rename(place.path("other/checkpoints/step-000000003000"), &foreign).expect("a checkpoint");
    let said = place.pavlov(&["resume", "run"]);
    assert!(!said.success && said.err.contains("dqn on CartPole-v0"), "{}", said.err);
    fs::remove_dir_all(&foreign).expect("a checkpoint");
    let text = fs::read_to_string(place.path("run/config.toml")).expect("a configuration");
    fs::write(place.path("run/config.toml"), text.replace("16", "24")).expect("a change");
    let said = place.pavlov(&["resume", "run"]);
    assert!(!said.success && said.err.contains("shape"), "{}", said.err);
}

#[test]
fn a_full_disk_stops_the_run_and_leaves_the_checkpoints_whole() {
    let place = Workplace::new();
    assert!(place.train_small("run", &[]).success);
    // A limit on the size of files stands for a full disk: later checkpoints are larger and do not fit.
    let script = format!(
        "trap '' XFSZ; ulimit -f 60; exec {} train dqn CartPole-v1 --run-dir limited {}",
        env!("CARGO_BIN_EXE_pavlov"),
        SMALL.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ")
    );
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(place.path("."))
        .output()
        .expect("bash starts");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("could not be written"), "{text}");
    assert!(text.contains("pavlov resume"), "{text}");
    let left = files(&place.path("limited"));
    assert!(left.iter().all(|path| !path.to_string_lossy().contains(".part")), "{left:?}");
    // Without the limit, it goes on from the last complete checkpoint.
    let said = place.pavlov(&["resume", "limited"]);
    assert!(said.success, "{}", said.err);
    assert!(
        crate::reproducible::tensors(&place.path("limited"))
            == crate::reproducible::tensors(&place.path("run"))
    );
}

#[test]
fn a_log_that_does_not_fit_is_a_warning_and_training_goes_on() {
    let place = Workplace::new();
    // The log outgrows the limit, the small checkpoints do not.
    let more = ["log.every_env_steps=1", "replay_capacity=64", "net.hidden_sizes=[4]"];
    let words = SMALL.iter().copied().chain(more.iter().flat_map(|set| ["--set", set]));
    let script = format!(
        "trap '' XFSZ; ulimit -f 100; exec {} train dqn CartPole-v1 --run-dir run {}",
        env!("CARGO_BIN_EXE_pavlov"),
        words.map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ")
    );
    let output = Command::new("bash").args(["-c", &script]).current_dir(place.path(".")).output();
    let output = output.expect("bash starts");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("could not be written") && text.contains("Training goes on"), "{text}");
    // The log can be read, and the run is complete.
    let (_, rows) = pavlov::record::read_csv(&place.path("run/progress.csv")).expect("whole rows");
    assert!(rows.len() > 100 && rows.len() < 3000, "{} rows", rows.len());
    assert!(place.pavlov(&["resume", "run"]).success);
}

/// A world that fails in its 700th step.
struct Faulty {
    fault: &'static str,
    steps: u32,
    observations: Space,
    actions: Space,
}

impl Env for Faulty {
    fn observation_space(&self) -> &Space {
        &self.observations
    }

    fn action_space(&self) -> &Space {
        &self.actions
    }

    fn reset(&mut self, _seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        observation.floats.fill(0.0);
        Ok(())
    }

    fn step(&mut self, _action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        self.steps += 1;
        if self.steps == 700 {
            match self.fault {
                "nan" => observation.floats[1] = f32::NAN,
                "infinity" => observation.floats[1] = f32::INFINITY,
                "shape" => observation.floats.copy_from_slice(&[0.0; 3]),
                "panic" => panic!("the simulator crashed"),
                "reward" => return Ok(Step::new(f64::NAN, End::No)),
                _ => return Err(EnvError::World("the connection was lost".into())),
            }
        }
        Ok(Step::new(1.0, End::terminated_if(self.steps.is_multiple_of(20))))
    }
}

#[test]
fn a_faulty_environment_stops_the_run_with_its_cause() {
    let faults = [
        ("nan", "number 1 of the observation is NaN"),
        ("infinity", "number 1 of the observation is inf"),
        ("shape", "panicked"),
        ("panic", "the simulator crashed"),
        ("reward", "the reward is NaN"),
        ("error", "the connection was lost"),
    ];
    // In training, in its 700th step; in the evaluation after 1000 env steps, whose environments live longer.
    let places = [(0, 699, "environment 0, step 20 of the episode"), (100, 100, "the evaluation failed")];
    for ((fault, words), (evaluate_every, saved, place_words)) in
        faults.into_iter().flat_map(|fault| places.map(|place| (fault, place)))
    {
        let mut registries = Registries::bundled();
        // Evaluations make their environments later than the training, which gets a sound one.
        let made = AtomicU32::new(0);
        let spec = EnvSpec::new("Faulty-v0", move |_| {
            let (observations, actions) = (Space::unbounded(&[2]), Space::Discrete(2));
            let number = made.fetch_add(1, Ordering::Relaxed);
            let steps = if evaluate_every > 0 && number > 0 { 699 } else { 0 };
            Ok(Box::new(Faulty { fault, steps, observations, actions }))
        });
        registries.envs.register(spec).expect("a free id");
        let evaluations = format!("evaluation.every_env_steps={evaluate_every}");
        let sets = ["env_steps=2000", "checkpoint.every_env_steps=500", &evaluations];
        let config = resolved(&registries, "dqn", "Faulty-v0", &sets);
        let place = tempfile::tempdir().expect("a folder");
        let folder = RunFolder::create(Some(&place.path().join("run")), &config).expect("a run");
        let mut session =
            Session::start(Training::new(config, &registries).expect("a training"), folder.clone())
                .expect("a session");
        let error = session.run(&false.into(), &mut Quiet).expect_err("the fault");
        let text = format!("{error:#}");
        assert!(text.contains(place_words) && text.contains(words), "{fault}: {text}");
        assert!(text.contains("A checkpoint was written; mend the environment"), "{fault}: {text}");
        assert!(!folder.best_weights().exists(), "{fault}: the failed evaluation is no best one");
        let checkpoints = folder.checkpoints().list().expect("a list");
        assert_eq!(checkpoints.last().map(|checkpoint| checkpoint.step), Some(saved), "{fault}");
        checkpoints.iter().for_each(|checkpoint| drop(checkpoint.read().expect("a whole checkpoint")));
    }
}
