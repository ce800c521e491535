//! Actors and a learner: the same bits for any number of actors, and nothing lost when something fails.

use std::collections::HashSet;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pavlov::envs::{Action, End, Env, EnvError, EnvRng, EnvSpec, ObsMut, Space, Step};
use pavlov::nn::StateDict;
use pavlov::training::{Progress, Report};
use pavlov::{Outcome, Overrides, Registries, RunConfig, RunFolder, Session};
use rand::RngExt;

use crate::command::Workplace;
use crate::reproducible::{log, tensors};

/// Small trainings of every agent that has halves.
fn small() -> Vec<(&'static str, &'static str, Vec<&'static str>)> {
    const OFF_POLICY: [&str; 4] =
        ["net.hidden_sizes=[16]", "batch_size=16", "warmup_env_steps=60", "updates_per_training=2"];
    let off_policy = |more: &[&'static str]| [&OFF_POLICY[..], more].concat();
    vec![
        ("dqn", "CartPole-v1", off_policy(&["train_every_env_steps=8", "epsilon_spread=3"])),
        (
            "dqn",
            "MinAtar/Breakout-v1",
            off_policy(&["train_every_env_steps=20", "replay.n_steps=3", "replay.priority_exponent=0.6"]),
        ),
        ("sac", "Pendulum-v1", off_policy(&["train_every_env_steps=4", "critic_net.hidden_sizes=[16]"])),
        (
            "ddpg",
            "Pendulum-v1",
            off_policy(&[
                "train_every_env_steps=4",
                "critic_net.hidden_sizes=[16]",
                "exploration={ kind = \"ornstein_uhlenbeck\", deviation = 0.2 }",
            ]),
        ),
        ("apex", "CartPole-v1", off_policy(&["train_every_env_steps=8"])),
        ("impala", "CartPole-v1", vec!["net.hidden_sizes=[16]", "rollout_steps=10", "epochs=2"]),
        (
            "ppo",
            "CartPole-v1",
            vec!["net.hidden_sizes=[16]", "rollout_steps=16", "epochs=2", "minibatch_size=16"],
        ),
        (
            "a2c",
            "Pendulum-v1",
            vec![
                "net.hidden_sizes=[16]",
                "net.state_dependent_exploration=true",
                "wrappers=[{ kind = \"normalize_observation\" }, { kind = \"normalize_reward\", discount = 0.9 }]",
            ],
        ),
        (
            "ppo",
            "TMaze-v0",
            vec![
                "net.hidden_sizes=[16]",
                "net.recurrent_size=8",
                "rollout_steps=16",
                "epochs=2",
                "minibatch_size=32",
            ],
        ),
    ]
}

const COMMON: [&str; 5] = [
    "env_steps=480",
    "log.every_env_steps=50",
    "evaluation.every_env_steps=200",
    "evaluation.episodes=1",
    "checkpoint.every_env_steps=100",
];

fn train(place: &Workplace, run: &str, (agent, environment): (&str, &str), sets: &[&str], more: &[&str]) {
    let mut arguments = vec!["train", agent, environment, "--run-dir", run, "--quiet", "--seed", "5"];
    sets.iter().chain(&COMMON).for_each(|set| arguments.extend(["--set", set]));
    arguments.extend(more);
    let said = place.pavlov(&arguments);
    assert!(said.success, "{agent} on {environment}: {}", said.err);
}

#[test]
fn in_rounds_any_number_of_actors_gives_the_same_bits() {
    for (agent, environment, sets) in small() {
        let place = Workplace::new();
        for actors in ["1", "2", "4"] {
            let rounds = ["--actors", actors, "--envs", "4", "--set", "actors.mode=lockstep"];
            train(&place, actors, (agent, environment), &sets, &rounds);
        }
        let (first, first_log) = (tensors(&place.path("1")), log(&place.path("1")));
        assert!(first_log.iter().any(|row| row.values.keys().any(|tag| tag.starts_with("train/"))));
        for actors in ["2", "4"] {
            assert!(tensors(&place.path(actors)) == first, "{agent} on {environment} with {actors} actors");
            assert_eq!(log(&place.path(actors)), first_log, "{agent} on {environment} with {actors} actors");
        }
    }
}

/// What a checkpoint holds of the agent's learning half.
fn learned(place: &Workplace, run: &str) -> StateDict<'static> {
    let run = RunFolder::open(&place.path(run)).expect("the run");
    let state = run.checkpoints().list().expect("a list").pop().expect("a checkpoint").read().expect("whole");
    let mut state = StateDict { arrays: state.arrays, values: state.values };
    let kept = |name: &String| {
        name.starts_with("agent.learner")
            || name.starts_with("agent.trained")
            || name.starts_with("agent.replay")
    };
    state.arrays.retain(|name, _| kept(name));
    state.values.retain(|name, _| kept(name));
    state
}

#[test]
fn in_rounds_one_environment_learns_as_in_turns() {
    for (agent, environment, sets) in small() {
        let place = Workplace::new();
        train(&place, "turns", (agent, environment), &sets, &["--envs", "1"]);
        let rounds = ["--actors", "1", "--envs", "1", "--set", "actors.mode=lockstep"];
        train(&place, "rounds", (agent, environment), &sets, &rounds);
        assert!(learned(&place, "turns") == learned(&place, "rounds"), "{agent} on {environment}");
    }
}

#[test]
fn rounds_go_on_exactly_after_a_resume() {
    for (agent, environment, sets) in small() {
        let place = Workplace::new();
        let rounds = ["--actors", "2", "--envs", "4", "--set", "actors.mode=lockstep"];
        train(&place, "whole", (agent, environment), &sets, &rounds);
        let checkpoints = place.path("whole/checkpoints");
        let mut steps: Vec<_> = std::fs::read_dir(checkpoints)
            .expect("checkpoints")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        steps.sort();
        let last = steps.pop().expect("the last checkpoint");
        let before = steps.pop().expect("one before it");
        let (whole, whole_log) = (tensors(&place.path("whole")), log(&place.path("whole")));
        std::fs::remove_dir_all(&last).expect("removed");
        let said =
            place.pavlov(&["resume", "whole", "--checkpoint", before.to_str().expect("a path"), "--quiet"]);
        assert!(said.success, "{agent} on {environment}: {}", said.err);
        assert!(tensors(&place.path("whole")) == whole, "{agent} on {environment}");
        assert_eq!(log(&place.path("whole")), whole_log, "{agent} on {environment}");
    }
}

#[test]
fn free_running_it_stops_when_asked_and_goes_on() {
    let who = ["actors.inference=own", "actors.inference=batched"];
    for ((agent, environment, mut sets), inference) in
        who.iter().flat_map(|who| small().into_iter().map(move |case| (case, *who)))
    {
        sets.push(inference);
        let place = Workplace::new();
        let mut arguments = vec!["train", agent, environment, "--run-dir", "run", "--quiet", "--actors", "2"];
        arguments.extend([
            "--envs",
            "4",
            "--set",
            "env_steps=2000000",
            "--set",
            "checkpoint.every_env_steps=0",
        ]);
        arguments.extend(["--set", "evaluation.every_env_steps=0", "--set", "log.every_env_steps=200"]);
        sets.iter().for_each(|set| arguments.extend(["--set", set]));
        let child = place.command(&arguments).stderr(Stdio::piped()).spawn().expect("the command starts");
        let started = Instant::now();
        let rows =
            || std::fs::read_to_string(place.path("run/progress.csv")).map_or(0, |text| text.lines().count());
        while rows() < 4 {
            assert!(started.elapsed() < Duration::from_secs(60), "{agent} on {environment} logs nothing");
            sleep(Duration::from_millis(10));
        }
        let asked = Instant::now();
        let id = child.id().to_string();
        assert!(std::process::Command::new("kill").args(["-INT", &id]).status().expect("kill").success());
        let output = child.wait_with_output().expect("an end");
        assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(asked.elapsed() < Duration::from_secs(10), "{agent} on {environment}: {:?}", asked.elapsed());

        let said_rows =
            log(&place.path("run")).iter().any(|row| row.values.contains_key("inference/batch_rows"));
        assert_eq!(said_rows, inference.ends_with("batched"), "{agent} on {environment}");
        for tag in ["actors/idle_share", "learner/idle_share", "actors/policy_lag_mean", "train/n_updates"] {
            let told = log(&place.path("run")).iter().any(|row| row.values.contains_key(tag));
            assert!(told, "{agent} on {environment} does not log {tag}");
        }
        let run = RunFolder::open(&place.path("run")).expect("the run");
        let done = run.checkpoints().list().expect("a list").pop().expect("a checkpoint").env_steps;
        let config = place.path("run/config.toml");
        let text = std::fs::read_to_string(&config).expect("the configuration");
        let more = format!("env_steps = {}", done + 1_000);
        std::fs::write(&config, text.replace("env_steps = 2000000", &more)).expect("written");
        let said = place.pavlov(&["resume", "run"]);
        assert!(said.success && said.err.contains("done after"), "{agent} on {environment}: {}", said.err);
    }
}

/// What a fragile world has seen and done, over all its copies.
#[derive(Default)]
struct History {
    /// Rewards are numbered: each step that was made has its own.
    made: AtomicU64,
    failed: AtomicU64,
    /// Whether to fail at all.
    calm: AtomicBool,
}

/// A world that fails, panics and stalls at random.
struct Fragile {
    history: Arc<History>,
    observations: Space,
    actions: Space,
    rng: EnvRng,
    steps: u64,
    stall: Duration,
    /// One in so many steps goes wrong.
    odds: u32,
}

impl Fragile {
    fn spec(id: &'static str, history: Arc<History>, stall: Duration, odds: u32) -> EnvSpec {
        EnvSpec::new(id, move |_| {
            Ok(Box::new(Self {
                history: history.clone(),
                observations: Space::unbounded(&[2]),
                actions: Space::Discrete(2),
                rng: EnvRng::seeded(0),
                steps: 0,
                stall,
                odds,
            }))
        })
    }
}

impl Env for Fragile {
    fn observation_space(&self) -> &Space {
        &self.observations
    }

    fn action_space(&self) -> &Space {
        &self.actions
    }

    fn reset(&mut self, seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        if let Some(seed) = seed {
            self.rng = EnvRng::seeded(seed);
        }
        self.steps = 0;
        observation.floats.fill_with(|| self.rng.random());
        Ok(())
    }

    fn step(&mut self, _action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        if !self.history.calm.load(Ordering::Relaxed) && self.rng.random_range(0..self.odds) == 0 {
            let fate = self.rng.random_range(0..3);
            if fate == 2 {
                sleep(self.stall);
            } else {
                self.history.failed.fetch_add(1, Ordering::Relaxed);
            }
            match fate {
                0 => return Err(EnvError::World("the world broke".into())),
                1 => panic!("the world fell apart"),
                _ => {}
            }
        }
        self.steps += 1;
        observation.floats.fill_with(|| self.rng.random());
        let number = self.history.made.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Step::new(number as f64, if self.steps.is_multiple_of(50) { End::Terminated } else { End::No }))
    }
}

/// Remembers what it is warned of.
#[derive(Default)]
struct Warnings(Vec<String>);

impl Progress for Warnings {
    fn report(&mut self, _report: &Report) {}

    fn warn(&mut self, message: &str) {
        self.0.push(message.into());
    }

    fn finish(&mut self) {}
}

/// Trains on a fragile world; gives the outcome, the warnings and the last checkpoint.
fn train_fragile(
    (agent, spec): (&str, EnvSpec),
    sets: &[&str],
    stop_after: Option<Duration>,
) -> (anyhow::Result<Outcome>, Vec<String>, Option<StateDict<'static>>) {
    let id = spec.id.clone();
    let mut registries = Registries::bundled();
    registries.envs.register(spec).expect("registered");
    let sets = sets.iter().map(ToString::to_string).collect();
    let config = RunConfig::resolve(&registries, agent, &id, &Overrides { file: None, sets }).expect("valid");
    let folder = tempfile::tempdir().expect("a folder");
    let run = RunFolder::create(Some(&folder.path().join("run")), &config).expect("a run");
    let mut session = Session::start(config, run.clone(), &registries).expect("a session");
    let (stop, mut warnings) = (Arc::new(AtomicBool::new(false)), Warnings::default());
    if let Some(after) = stop_after {
        let stop = stop.clone();
        std::thread::spawn(move || {
            sleep(after);
            stop.store(true, Ordering::Relaxed);
        });
    }
    let outcome = session.run(&stop, &mut warnings);
    let checkpoint = run.checkpoints().list().expect("a list").pop();
    (outcome, warnings.0, checkpoint.map(|checkpoint| checkpoint.read().expect("whole")))
}

/// Panics of worlds are expected here: they need not fill the screen.
fn silence_worlds() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload().downcast_ref::<&str>() != Some(&"the world fell apart") {
                usual(info);
            }
        }));
    });
}

/// Waits until no thread of this process is one of a training's.
fn no_thread_is_left() -> bool {
    let of_a_training = |name: &String| {
        name.starts_with("actor-") || ["inference", "learner", "replay"].contains(&name.trim())
    };
    let threads = || {
        let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
        names.filter(of_a_training).count()
    };
    let started = Instant::now();
    while threads() > 0 && started.elapsed() < Duration::from_secs(20) {
        sleep(Duration::from_millis(20));
    }
    threads() == 0
}

/// One at a time: they look for threads that others would leave.
static ALONE: Mutex<()> = Mutex::new(());

const UNDER_LOAD: [&str; 7] = [
    "num_envs=4",
    "actors.count=4",
    "actors.max_failures=1000000",
    "env_steps=100000000",
    "evaluation.every_env_steps=0",
    "checkpoint.every_env_steps=20000",
    "log.every_env_steps=1000",
];

#[test]
fn worlds_that_fail_panic_and_stall_lose_no_transition_and_double_none() {
    silence_worlds();
    let _alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    // A minute's worth, where somebody asks for it.
    let seconds =
        std::env::var("PAVLOV_FAULT_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(6.0);
    let history = Arc::new(History::default());
    let spec = Fragile::spec("Fragile-v0", history.clone(), Duration::from_millis(30), 300);
    let more = [
        "net.hidden_sizes=[16]",
        "batch_size=16",
        "warmup_env_steps=100",
        "train_every_env_steps=4",
        "replay_capacity=5000000",
    ];
    let sets = [&UNDER_LOAD[..], &more].concat();
    let (outcome, warnings, state) =
        train_fragile(("dqn", spec), &sets, Some(Duration::from_secs_f64(seconds)));
    let outcome = outcome.expect("an interrupted training");
    assert!(no_thread_is_left());

    let state = state.expect("a checkpoint");
    let rewards: Vec<f32> = state.view().vec("agent.replay.rewards").expect("the replay's rewards");
    let made = history.made.load(Ordering::Relaxed);
    let numbers: HashSet<u64> = rewards.iter().map(|&reward| reward as u64).collect();
    assert_eq!(numbers.len(), rewards.len(), "transitions are doubled");
    assert_eq!(rewards.len() as u64, made, "transitions are lost");
    assert_eq!(outcome.env_steps, made);
    let failed = history.failed.load(Ordering::Relaxed);
    assert!(failed > 20, "only {failed} failures");
    let told = warnings.iter().filter(|warning| warning.contains("failed and was replaced")).count() as u64;
    assert_eq!(told, failed);
    assert!(outcome.updates > 100, "{} updates", outcome.updates);
}

#[test]
fn rollouts_survive_worlds_that_fail() {
    silence_worlds();
    let _alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    for inference in ["actors.inference=own", "actors.inference=batched"] {
        let history = Arc::new(History::default());
        let spec = Fragile::spec("Fragile-v1", history.clone(), Duration::from_millis(10), 200);
        let more = ["net.hidden_sizes=[16]", "rollout_steps=32", "epochs=2", "minibatch_size=32", inference];
        let sets = [&UNDER_LOAD[..], &more].concat();
        let (outcome, warnings, _) = train_fragile(("ppo", spec), &sets, Some(Duration::from_secs(3)));
        let outcome = outcome.expect("an interrupted training");
        assert!(no_thread_is_left());
        assert_eq!(outcome.env_steps, history.made.load(Ordering::Relaxed));
        assert!(outcome.updates > 20 && warnings.len() > 5, "{} updates, {warnings:?}", outcome.updates);
    }
}

#[test]
fn too_many_failures_stop_the_run_with_a_checkpoint_and_the_cause() {
    silence_worlds();
    let _alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    for (agent, mode) in [("dqn", "free"), ("ppo", "free"), ("dqn", "lockstep"), ("ppo", "lockstep")] {
        let spec = Fragile::spec("Fragile-v2", Arc::default(), Duration::ZERO, 100);
        let mode = format!("actors.mode={mode}");
        let sets = ["num_envs=2", "actors.count=2", "actors.max_failures=3", "net.hidden_sizes=[16]", &mode];
        let (outcome, warnings, state) = train_fragile((agent, spec), &sets, None);
        let error = format!("{:#}", outcome.expect_err("a failure"));
        assert!(
            error.contains("environments have failed") && error.contains("checkpoint was written"),
            "{error}"
        );
        assert!(warnings.len() >= 3 && state.is_some(), "{warnings:?}");
        assert!(no_thread_is_left());
    }
}

#[test]
fn a_world_that_never_answers_is_given_up() {
    let _alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    for (agent, inference) in [("dqn", "own"), ("ppo", "own"), ("dqn", "batched"), ("ppo", "batched")] {
        let history = Arc::new(History::default());
        let spec = Fragile::spec("Fragile-v3", history.clone(), Duration::from_secs(4), 400);
        let more = ["actors.stop_timeout_seconds=0.5", "net.hidden_sizes=[16]", "warmup_env_steps=100"];
        let more = if agent == "dqn" { &more[..] } else { &more[..2] };
        let inference = format!("actors.inference={inference}");
        let sets = [&UNDER_LOAD[..], more, &[&inference]].concat();
        let started = Instant::now();
        let (outcome, warnings, state) = train_fragile((agent, spec), &sets, Some(Duration::from_secs(2)));
        assert!(outcome.is_ok() && state.is_some(), "{outcome:?}");
        assert!(started.elapsed() < Duration::from_millis(3_900), "{:?}", started.elapsed());
        assert!(warnings.iter().any(|warning| warning.contains("given up")), "{warnings:?}");
        assert!(no_thread_is_left());
    }
}

#[test]
fn a_learner_that_diverges_stops_all_threads_and_leaves_the_checkpoints_before() {
    for (agent, mode) in [("dqn", "free"), ("ppo", "free"), ("dqn", "lockstep"), ("ppo", "lockstep")] {
        let place = Workplace::new();
        let mode = format!("actors.mode={mode}");
        let mut arguments =
            vec!["train", agent, "CartPole-v1", "--run-dir", "run", "--quiet", "--actors", "2"];
        let sets = ["learning_rate=1e30", "env_steps=50000", "checkpoint.every_env_steps=200", &mode];
        sets.iter().chain(&["evaluation.every_env_steps=0", "gradient_clip_norm=1"]).for_each(|set| {
            arguments.extend(["--set", set]);
        });
        let started = Instant::now();
        let said = place.pavlov(&arguments);
        assert!(!said.success && said.err.contains("learning rate"), "{agent} {mode}: {}", said.err);
        assert!(started.elapsed() < Duration::from_secs(20), "{agent} {mode}: {:?}", started.elapsed());
        let run = RunFolder::open(&place.path("run")).expect("the run");
        let kept = run.checkpoints().list().expect("a list").pop();
        // PPO's first round ends in its first training, before there is any.
        assert_eq!(
            kept.is_some(),
            (agent, mode.as_str()) != ("ppo", "actors.mode=lockstep"),
            "{agent} {mode}"
        );
        assert!(kept.is_none_or(|kept| kept.read().is_ok()), "{agent} {mode}");
    }
}

#[test]
fn what_cannot_be_shared_is_refused() {
    let place = Workplace::new();
    for (arguments, message) in [
        (vec!["dqn", "CartPole-v1", "--actors", "4", "--envs", "6"], "--envs 8"),
        (vec!["reinforce", "CartPole-v1", "--actors", "2"], "in turns only"),
        (vec!["dqn", "CartPole-v1", "--actors", "2", "--set", "actors.mode=fast"], "unknown word `fast`"),
        (
            vec![
                "ppo",
                "CartPole-v1",
                "--actors",
                "2",
                "--set",
                "actors.mode=lockstep",
                "--set",
                "actors.inference=batched",
            ],
            "actors.mode=free",
        ),
        (vec!["dqn", "CartPole-v1", "--actors", "2", "--set", "actors.stop_timeout_seconds=0"], "above 0"),
        (vec!["dqn", "CartPole-v1", "--set", "actors.segment_steps=0"], "actors.segment_steps is 0"),
        (vec!["dqn", "CartPole-v1", "--set", "replay.n_steps=0"], "replay.n_steps is 0"),
        (vec!["dqn", "CartPole-v1", "--set", "replay.priority_exponent=2"], "from 0 to 1"),
    ] {
        let said = place.pavlov(&[&["train"], arguments.as_slice()].concat());
        assert!(!said.success && said.err.contains(message), "{arguments:?}: {}", said.err);
        assert!(!place.path("runs").exists(), "{arguments:?} leaves a folder behind");
    }
}
