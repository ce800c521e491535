//! Actors and a learner: the same bits for any number of actors, and a stop at any time.

use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use pavlov::RunFolder;
use pavlov::nn::StateDict;

use crate::command::Workplace;
use crate::reproducible::{log, tensors};

/// Layers with statistics and random numbers of their own.
const LISTED: &str = "net.backbone=[{ linear = 16 }, \"batch_norm\", \"relu\", { dropout = 0.2 }]";

/// Small trainings of every agent that has halves.
fn small() -> Vec<(&'static str, &'static str, Vec<&'static str>)> {
    const OFF_POLICY: [&str; 4] =
        ["net.hidden_sizes=[16]", "batch_size=16", "warmup_env_steps=60", "updates_per_phase=2"];
    let off_policy = |more: &[&'static str]| [&OFF_POLICY[..], more].concat();
    vec![
        ("dqn", "CartPole-v1", off_policy(&["train_every_env_steps=8", "epsilon_spread=3"])),
        (
            "dqn",
            "MinAtar/Breakout-v1",
            off_policy(&["train_every_env_steps=20", "replay.n_steps=3", "replay.priority_exponent=0.6"]),
        ),
        ("sac", "Pendulum-v1", off_policy(&["train_every_env_steps=4"])),
        (
            "ddpg",
            "Pendulum-v1",
            off_policy(&[
                "train_every_env_steps=4",
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
        ("dqn", "CartPole-v1", off_policy(&["train_every_env_steps=8", "dueling=true", LISTED])),
        ("a2c", "CartPole-v1", vec!["net.hidden_sizes=[16]", "rollout_steps=10", LISTED]),
        (
            "a2c",
            "Pendulum-v1",
            vec![
                "net.hidden_sizes=[16]",
                "exploration.state_dependent=true",
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

/// The learning half of the agent in a run's last checkpoint.
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

        let logged = log(&place.path("run"));
        let tells = |tag: &str| logged.iter().any(|row| row.values.contains_key(tag));
        assert_eq!(tells("inference/batch_rows"), inference.ends_with("batched"), "{agent} on {environment}");
        for tag in ["actors/idle_share", "learner/idle_share", "actors/policy_lag_mean", "train/n_updates"] {
            assert!(tells(tag), "{agent} on {environment} does not log {tag}");
        }
        let run = RunFolder::open(&place.path("run")).expect("the run");
        let done = run.checkpoints().list().expect("a list").pop().expect("a checkpoint").step;
        let config = place.path("run/config.toml");
        let text = std::fs::read_to_string(&config).expect("the configuration");
        let more = format!("env_steps = {}", done + 1_000);
        std::fs::write(&config, text.replace("env_steps = 2000000", &more)).expect("written");
        let said = place.pavlov(&["resume", "run"]);
        assert!(said.success && said.err.contains("done after"), "{agent} on {environment}: {}", said.err);
    }
}

#[test]
fn settings_that_do_not_fit_actors_are_refused() {
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
