//! Runs that go on: for longer, on another device, with other settings, from a start without a checkpoint, with
//! a world that exists once, after an evaluation that was broken off.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use pavlov::agents::{ActMode, RandomPolicy};
use pavlov::envs::render::Picture;
use pavlov::envs::wrappers::WrapperConfig;
use pavlov::envs::{
    Action, End, Env, EnvError, EnvFactory, EnvOptions, EnvSpec, EnvState, ObsMut, Space, Step,
};
use pavlov::play::{MOST_STEPS, play};
use pavlov::run::{Progress, Quiet, Status, StopReason};
use pavlov::training::{EvaluationOptions, evaluate};
use pavlov::{Outcome, Registries, RunConfig, RunFolder, Session, Training};

use crate::command::Workplace;
use crate::reproducible::{log, tensors};
use crate::settings::resolved;

fn config_of(place: &Workplace) -> String {
    fs::read_to_string(place.path("run/config.toml")).expect("a configuration")
}

#[test]
fn a_finished_run_goes_on_for_longer_as_if_it_had_been_longer_at_once() {
    let place = Workplace::new();
    // Without schedules, which run over the whole length, and without candidates for the best weights, of which the
    // shorter run has one more: that of its end.
    let plain = ["epsilon_end=0.2", "epsilon_start=0.2", "learning_rate=1e-3", "evaluation.final_episodes=0"];
    let plain = plain.map(|set| ["--set", set]).concat();
    assert!(place.train_small("whole", &plain).success);
    assert!(place.train_small("run", &[&plain[..], &["--set", "env_steps=1500"]].concat()).success);
    for steps in ["1500", "1000"] {
        let before = tensors(&place.path("run"));
        let said = place.pavlov(&["resume", "run", "--steps", steps]);
        let words = if steps == "1500" { "done after 1500" } else { "has done 1500 env steps already" };
        assert!(said.err.contains(words) && said.success == (steps == "1500"), "{}", said.err);
        assert!(tensors(&place.path("run")) == before && config_of(&place).contains("env_steps = 1500\n"));
    }
    let said = place.pavlov(&["resume", "run", "--steps", "3e3"]);
    assert!(said.success, "{}", said.err);
    for words in ["env_steps 1500 -> 3000", "they stand at 50.0 % of 3000 env steps", "done after 3000"] {
        assert!(said.err.contains(words), "{words}: {}", said.err);
    }
    assert!(config_of(&place).contains("env_steps = 3000\n"), "later resumes know of it");
    assert!(tensors(&place.path("run")) == tensors(&place.path("whole")));

    let rows: String = (0..100).map(|row| format!("{row},{}\n", 2 * row)).collect();
    fs::write(place.path("a.csv"), format!("x,y\n{rows}")).expect("a table");
    let fit =
        ["fit", "regression", "csv", "--data", "a.csv", "--set", "data.options.target=y", "--run-dir", "fit"];
    assert!(place.pavlov(&[&fit[..], &["--epochs", "2"]].concat()).success);
    let said = place.pavlov(&["resume", "fit", "--epochs", "4"]);
    assert!(said.success && said.err.contains("epochs 2 -> 4"), "{}", said.err);
    for (run, flag) in [("fit", "--steps"), ("run", "--epochs"), ("run", "--updates")] {
        let said = place.pavlov(&["resume", run, flag, "9000"]);
        assert!(!said.success && said.err.contains(&format!("{flag}: {run} is the")), "{}", said.err);
    }
}

#[test]
fn edits_of_the_settings_are_told() {
    let place = Workplace::new();
    assert!(place.train_small("run", &["--set", "env_steps=1100"]).success);
    let edited = config_of(&place)
        .replace("\nenv_steps = 1100", "\nenv_steps = 2000")
        .replace("discount = 0.99", "discount = 0.9")
        .replace("keep_last = 2", "keep_last = 3");
    fs::write(place.path("run/config.toml"), &edited).expect("an edit");
    let said = place.pavlov(&["resume", "run", "--set", "batch_size=32"]);
    for words in [
        "from here on: batch_size 64 -> 32, discount 0.99 -> 0.9",
        "without effect",
        "checkpoint.keep_last 2 -> 3",
    ] {
        assert!(said.success && said.err.contains(words), "{words}: {}", said.err);
    }
    let said = place.pavlov(&["resume", "run"]);
    assert!(said.success && !said.err.contains("->"), "they are told once: {}", said.err);
    // Settings that the checkpoint does not fit are named as the cause, and nothing is changed.
    let before = (config_of(&place), tensors(&place.path("run")));
    for (set, words) in
        [("net.hidden_sizes=[8]", "net.hidden_sizes [16, 16] -> [8]"), ("num_envs=3", "num_envs 1 -> 3")]
    {
        let said = place.pavlov(&["resume", "run", "--steps", "4000", "--set", set]);
        assert!(
            !said.success && said.err.contains(words) && said.err.contains("put them back"),
            "{}",
            said.err
        );
        assert!((config_of(&place), tensors(&place.path("run"))) == before);
    }
    // The log is no checkpoint.
    fs::remove_file(place.path("run/progress.csv")).expect("a log");
    fs::create_dir(place.path("run/progress.csv")).expect("a folder");
    let said = place.pavlov(&["resume", "run", "--steps", "4000"]);
    assert!(
        !said.success && said.err.contains("progress.csv") && !said.err.contains("--checkpoint"),
        "{}",
        said.err
    );
}

#[test]
fn a_run_of_another_machine_opens_on_the_device_that_is_asked_for() {
    let place = Workplace::new();
    assert!(place.train_small("run", &["--set", "env_steps=500"]).success);
    assert!(config_of(&place).contains("device = \"auto\"\n"), "auto stays auto");
    if pavlov::nn::device::parse("cuda").is_ok() {
        return;
    }
    fs::write(
        place.path("run/config.toml"),
        config_of(&place).replace("device = \"auto\"", "device = \"cuda:0\""),
    )
    .expect("an edit");
    let commands: [&[&str]; 3] = [
        &["eval", "run", "--episodes", "2"],
        &["play", "run", "--gif", "a.gif", "--max-frames", "2"],
        &["resume", "run", "--steps", "600"],
    ];
    for command in commands {
        let said = place.pavlov(command);
        assert!(!said.success && said.err.contains("--device cpu"), "{command:?}: {}", said.err);
        let said = place.pavlov(&[command, &["--device", "cpu"]].concat());
        assert!(said.success, "{command:?}: {}", said.err);
    }
    assert!(
        config_of(&place).contains("device = \"cuda:0\"\n"),
        "a flag of one resume is no setting of the run"
    );
    let said = place.pavlov(&["play", "CartPole-v1", "--device", "cpu"]);
    assert!(!said.success && said.err.contains("--device"), "{}", said.err);
}

#[test]
fn seeds_have_the_range_of_their_generator() {
    let place = Workplace::new();
    let seed = u64::MAX.to_string();
    for (run, how) in [("flag", ["--seed", &seed]), ("set", ["--set", &format!("seed={seed}")])] {
        let said = place.train_small(run, &[&["--set", "env_steps=400"], &how[..]].concat());
        assert!(said.success, "{}", said.err);
    }
    assert!(tensors(&place.path("flag")) == tensors(&place.path("set")));
    let said = place.pavlov(&["resume", "flag", "--steps", "500"]);
    assert!(said.success && !said.err.contains("seed"), "{}", said.err);
    assert!(place.pavlov(&["eval", "flag", "--seed", &seed, "--episodes", "2e0"]).success);
}

#[test]
fn a_start_that_came_to_no_checkpoint_is_begun_again() {
    let place = Workplace::new();
    assert!(place.train_small("whole", &[]).success);
    let checkpoint = ["--set", "checkpoint.every_env_steps=0"];
    assert!(place.train_small("run", &checkpoint).success);
    // As a process leaves it that dies after its first evaluation and before its first checkpoint.
    fs::remove_dir_all(place.path("run/checkpoints")).expect("checkpoints");
    let said = place.pavlov(&["resume", "run"]);
    assert!(said.success, "{}", said.err);
    for words in ["begins again from its start", "set aside into run/set-aside-start", "done after 3000"] {
        assert!(said.err.contains(words), "{words}: {}", said.err);
    }
    assert_eq!(log(&place.path("run")), log(&place.path("whole")));
    assert!(tensors(&place.path("run")) == tensors(&place.path("whole")));
    let aside = place.path("run/set-aside-start");
    assert!(aside.join("progress.csv").exists() && aside.join("best/weights.safetensors").exists());
    let names = fs::read_dir(&aside).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    assert!(
        names.into_iter().all(|name| !name.to_string_lossy().contains("tfevents")),
        "one run in TensorBoard"
    );
}

/// The deeds of all copies of a world together.
#[derive(Default)]
struct World {
    /// Copies that are open.
    open: AtomicU64,
    /// The most that may be.
    most: u64,
    /// Steps over all copies.
    steps: AtomicU64,
    /// The step at which `stop` is set.
    stop_at: AtomicU64,
    stop: Arc<AtomicBool>,
    saves: bool,
    is_endless: bool,
}

struct Twin {
    world: Arc<World>,
    observations: Space,
    actions: Space,
    step: u64,
}

impl Drop for Twin {
    fn drop(&mut self) {
        self.world.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Env for Twin {
    fn observation_space(&self) -> &Space {
        &self.observations
    }

    fn action_space(&self) -> &Space {
        &self.actions
    }

    fn reset(&mut self, _seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        self.step = 0;
        observation.floats.fill(0.0);
        Ok(())
    }

    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        self.step += 1;
        if self.world.steps.fetch_add(1, Ordering::SeqCst) + 1 == self.world.stop_at.load(Ordering::SeqCst) {
            self.world.stop.store(true, Ordering::SeqCst);
        }
        observation.floats.fill((self.step % 16) as f32);
        let reward = f64::from(matches!(action, Action::Discrete(1)));
        let over = !self.world.is_endless && self.step.is_multiple_of(16);
        Ok(Step::new(reward, End::terminated_if(over)))
    }

    fn render(&self) -> Option<Picture> {
        Some(Picture::Text(String::new()))
    }

    fn save_state(&self) -> Option<EnvState> {
        self.world.saves.then(|| EnvState::pack(&self.step)).flatten()
    }

    fn load_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.step = state.unpack()?;
        Ok(())
    }
}

fn registries(world: &Arc<World>) -> Registries {
    let mut registries = Registries::bundled();
    let world = world.clone();
    let spec = EnvSpec::new("Once-v0", move |_| {
        if world.open.fetch_add(1, Ordering::SeqCst) >= world.most {
            world.open.fetch_sub(1, Ordering::SeqCst);
            return Err(EnvError::World("port 4711 is in use".into()));
        }
        let (observations, actions) = (Space::unbounded(&[2]), Space::Discrete(2));
        Ok(Box::new(Twin { world: world.clone(), observations, actions, step: 0 }))
    });
    registries.envs.register(spec).expect("a free id");
    registries
}

const SETS: [&str; 8] = [
    "env_steps=1200",
    "net.hidden_sizes=[8]",
    "warmup_env_steps=50",
    "evaluation.every_env_steps=500",
    "evaluation.episodes=4",
    "log.every_env_steps=100",
    "checkpoint.every_env_steps=400",
    "wrappers=[{ kind = \"normalize_observation\" }]",
];

fn config(registries: &Registries, sets: &[&str]) -> RunConfig {
    resolved(registries, "dqn", "Once-v0", &[&SETS, sets].concat())
}

/// Trains a new run, or goes on with one from its last checkpoint.
fn train(registries: &Registries, world: &World, run: &Path, sets: &[&str]) -> anyhow::Result<Outcome> {
    train_with(registries, world, run, sets, &mut Quiet)
}

fn train_with(
    registries: &Registries,
    world: &World,
    run: &Path,
    sets: &[&str],
    progress: &mut dyn Progress,
) -> anyhow::Result<Outcome> {
    world.stop.store(false, Ordering::SeqCst);
    let config = config(registries, sets);
    let mut session = match RunFolder::open(run) {
        Ok(folder) => {
            let last = folder.checkpoints().list()?.pop().expect("a checkpoint");
            Session::resume(Training::new(config, registries)?, folder, &last)?
        }
        Err(_) => {
            let folder = RunFolder::create(Some(run), &config)?;
            Session::start(Training::new(config, registries)?, folder)?
        }
    };
    session.run(&world.stop, progress)
}

#[test]
fn a_world_that_exists_once_can_be_trained_on_and_evaluated() {
    let place = tempfile::tempdir().expect("a folder");
    let world = |saves, most| Arc::new(World { most, saves, ..World::default() });
    // By default, an evaluation opens many copies at once; the error names the way out.
    for most in [1, 2] {
        let once = world(true, most);
        let error =
            train(&registries(&once), &once, &place.path().join(most.to_string()), &[]).expect_err("many");
        let text = format!("{error:#}");
        for words in
            ["port 4711 is in use", "evaluation.num_envs=1", "evaluation.share_world=true", "--envs 1"]
        {
            assert!(text.contains(words), "{text}");
        }
    }
    let mut ends = Vec::new();
    for (name, saves, most, sets) in [
        ("free", true, 99, &[][..]),
        ("one", true, 1, &["evaluation.num_envs=1", "evaluation.share_world=true"]),
        ("two", true, 2, &["evaluation.num_envs=1"]),
        ("new episodes", false, 1, &["evaluation.num_envs=1", "evaluation.share_world=true"]),
    ] {
        let once = world(saves, most);
        let run = place.path().join(name);
        let outcome = train(&registries(&once), &once, &run, sets).expect("trained");
        assert_eq!((outcome.reason, outcome.env_steps), (StopReason::Completed, 1200), "{name}");
        assert_eq!(once.open.load(Ordering::SeqCst), 0, "{name}: all are closed");
        ends.push((tensors(&run), log(&run)));
    }
    let [free, one, two, _] = &ends[..] else { panic!("four runs") };
    assert!(one == free && two == free, "a world that can be saved goes on exactly");
    // The statistics of wrappers survive a resume of those that cannot.
    let once = world(false, 1);
    let sets = ["evaluation.num_envs=1", "evaluation.share_world=true", "env_steps=1600"];
    train(&registries(&once), &once, &place.path().join("new episodes"), &sets).expect("trained");
    let state = |name: &str| {
        let folder = RunFolder::open(&place.path().join(name)).expect("a run");
        let last = folder.checkpoints().list().expect("a list").pop().expect("a checkpoint");
        last.read().expect("whole")
    };
    let seen = state("new episodes").view().vec::<f64>("observation_normalizer.count").expect("a count");
    assert!(seen[0] >= 1600.0, "{seen:?}");
}

#[test]
fn an_evaluation_is_broken_off_at_once_and_made_up_for() {
    let place = tempfile::tempdir().expect("a folder");
    let world = Arc::new(World { most: 99, saves: true, ..World::default() });
    let registries = registries(&world);
    train(&registries, &world, &place.path().join("whole"), &[]).expect("trained");
    // In the first evaluation, in the last one, and between the two.
    let mut expected: Vec<(u64, &str, &[&str])> =
        [510, 900, 1200 + 2 * 64 + 10].map(|stop_at| (stop_at, "whole", &[][..])).into();
    // And in the comparison of the candidates, for which there are enough evaluations here.
    let often = ["evaluation.every_env_steps=200"];
    let outcome = train(&registries, &world, &place.path().join("often"), &often).expect("trained");
    let choice = outcome.choice.expect("a choice");
    assert_eq!((choice.at, choice.candidates, choice.episodes), (1200, 3, 4));
    expected.extend([1200 + 6 * 64 + 10, 1200 + 6 * 64 + 140].map(|stop_at| (stop_at, "often", &often[..])));
    for (stop_at, whole, sets) in expected {
        let run = place.path().join(stop_at.to_string());
        world.steps.store(0, Ordering::SeqCst);
        world.stop_at.store(stop_at, Ordering::SeqCst);
        let outcome = train(&registries, &world, &run, sets).expect("stopped");
        assert_eq!((outcome.reason, outcome.choice), (StopReason::Interrupted, None), "{stop_at}");
        let made = world.steps.load(Ordering::SeqCst);
        assert!(made <= stop_at + 4, "{made} steps, to be stopped at {stop_at}");
        let outcome = train(&registries, &world, &run, sets).expect("trained");
        assert_eq!(outcome.reason, StopReason::Completed);
        assert_eq!(outcome.choice.as_ref(), (whole == "often").then_some(&choice), "{stop_at}");
        let whole = place.path().join(whole);
        assert_eq!(log(&run), log(&whole), "{stop_at}");
        assert!(tensors(&run) == tensors(&whole), "{stop_at}");
    }
}

#[test]
fn an_interrupted_run_in_lock_step_has_the_log_of_an_uninterrupted_one() {
    let place = tempfile::tempdir().expect("a folder");
    let world = Arc::new(World { most: 99, saves: true, ..World::default() });
    let registries = registries(&world);
    let sets = ["num_envs=2", "actors.count=2", "actors.mode=lockstep", "train_every_env_steps=8"];
    train(&registries, &world, &place.path().join("whole"), &sets).expect("trained");
    for stop_at in [130, 350, 777] {
        let run = place.path().join(stop_at.to_string());
        world.steps.store(0, Ordering::SeqCst);
        world.stop_at.store(stop_at, Ordering::SeqCst);
        let outcome = train(&registries, &world, &run, &sets).expect("stopped");
        assert_eq!(outcome.reason, StopReason::Interrupted, "{stop_at}");
        train(&registries, &world, &run, &sets).expect("trained");
        let [whole, run] = [place.path().join("whole"), run].map(|run| {
            let mut rows = log(&run);
            // These depend on time.
            let timed = |tag: &String| tag.contains("idle") || tag.contains("per_second");
            rows.iter_mut().for_each(|row| row.values.retain(|tag, _| !timed(tag)));
            rows
        });
        assert_eq!(run, whole, "{stop_at}");
    }
}

/// Keeps the warnings.
#[derive(Default)]
struct Warned(Vec<String>);

impl Progress for Warned {
    fn report(&mut self, _status: &dyn Status) {}

    fn warn(&mut self, message: &str) {
        self.0.push(message.into());
    }

    fn finish(&mut self, _status: &dyn Status) {}
}

#[test]
fn episodes_without_an_end_are_cut_off_everywhere_and_that_is_said() {
    let world = Arc::new(World { most: 99, is_endless: true, ..World::default() });
    let registries = registries(&world);
    let spec = registries.envs.spec("Once-v0").expect("registered");
    let endless = EnvFactory::new(spec.clone(), EnvOptions::default(), &[]).expect("a factory");
    let limit = [WrapperConfig::TimeLimit { max_episode_steps: 50 }];
    let limited = EnvFactory::new(spec, EnvOptions::default(), &limit).expect("a factory");
    let mut policy = RandomPolicy::new(&Space::unbounded(&[2]), &Space::Discrete(2));
    for (factory, length, cut_off) in [(&endless, MOST_STEPS, 2), (&limited, 50, 0)] {
        let options = EvaluationOptions { episodes: 2, ..EvaluationOptions::default() };
        let result = evaluate(&mut policy, factory, &options).expect("played");
        assert_eq!((result.lengths[0], result.cut_off), (length, cut_off));
        let mut moments = 0;
        let played = play(&mut policy, factory, 2, ActMode::Exploit, 0, &mut |_| {
            moments += 1;
            Ok(std::ops::ControlFlow::Continue(()))
        });
        let played = played.expect("played");
        assert_eq!(moments, 2 * (length + 1));
        assert_eq!(played.iter().filter(|each| each.is_cut_off).count(), cut_off);
    }
    let place = tempfile::tempdir().expect("a folder");
    let mut warned = Warned::default();
    let sets = ["env_steps=600", "evaluation.every_env_steps=300", "evaluation.episodes=1"];
    train_with(&registries, &world, &place.path().join("run"), &sets, &mut warned).expect("trained");
    let of_ends = warned.0.iter().filter(|text| text.contains("had no end and were cut off after 27000"));
    assert_eq!(of_ends.count(), 1, "once: {:?}", warned.0);
}
