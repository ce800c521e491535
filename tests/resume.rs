//! A run that is killed and resumed ends as one that was never interrupted, bit for bit.

use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use pavlov::nn::weights;

use crate::command::{SMALL, Workplace, files};
use crate::reproducible::{log, tensors};

/// Milliseconds after which the process is killed, over the whole length of a training and beyond its start.
fn moments() -> impl Iterator<Item = u64> {
    // A fixed sequence that looks random: the test must not depend on luck, nor on a round number.
    let mut word: u64 = 0x2545_f491_4f6c_dd1d;
    std::iter::from_fn(move || {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        Some(60 + word % 500)
    })
}

/// Trains with these arguments once without interruption, and once killed and resumed many times, and
/// compares.
pub fn killed_and_resumed(times: usize, train: &[&str]) {
    let place = Workplace::new();
    let whole = place.pavlov(&[train, &["--run-dir", "whole"]].concat());
    assert!(whole.success, "{}", whole.err);

    let arguments = [train, &["--run-dir", "killed"]].concat();
    let next = || {
        // A start that has come to no checkpoint is begun again.
        if place.path("killed/config.toml").exists() {
            return vec!["resume", "killed"];
        }
        let _ = std::fs::remove_dir_all(place.path("killed"));
        arguments.clone()
    };
    for milliseconds in moments().take(times) {
        let mut child = place
            .command(&next())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the command starts");
        sleep(Duration::from_millis(milliseconds));
        child.kill().expect("SIGKILL");
        child.wait().expect("an end");
    }
    let said = place.pavlov(&next());
    assert!(said.success, "{}", said.err);
    assert!(
        tensors(&place.path("killed")) == tensors(&place.path("whole")),
        "weights, moments or experience differ"
    );
    assert_eq!(log(&place.path("killed")), log(&place.path("whole")));
    let [killed, whole] = ["killed", "whole"].map(|run| place.path(run).join("best/weights.safetensors"));
    assert_eq!(killed.exists(), whole.exists());
    if whole.exists() {
        let [killed, whole] = [killed, whole].map(|path| weights::read(&path).expect("weights"));
        assert!(killed == whole, "the best weights differ");
    }
    let leftovers = files(&place.path("killed"));
    assert!(leftovers.iter().all(|path| !path.to_string_lossy().contains(".part")), "{leftovers:?}");
}

#[test]
fn killed_ten_times_and_resumed_is_the_same_as_never_interrupted() {
    let more = ["--seed", "3", "--set", "env_steps=12000"];
    killed_and_resumed(10, &[&["train", "dqn", "CartPole-v1"], SMALL, &more].concat());
}

/// A policy's memory, the normalisers and the generator of dropout continue as well.
#[test]
fn a_recurrent_agent_with_dropout_goes_on_exactly_in_the_middle_of_a_rollout() {
    let sets = [
        "env_steps=6000",
        "num_envs=3",
        "checkpoint.every_env_steps=500",
        "evaluation.every_env_steps=0",
        "rollout_steps=64",
        "epochs=2",
        "net.recurrent=gru",
        "net.recurrent_size=8",
        "net.hidden_sizes=[16]",
        "net.dropout=0.2",
        "wrappers=[{ kind = \"normalize_observation\" }, { kind = \"normalize_reward\" }]",
    ];
    let mut arguments = vec!["train", "ppo", "CartPoleNoVel-v1", "--seed", "3", "--quiet"];
    sets.iter().for_each(|set| arguments.extend(["--set", set]));
    killed_and_resumed(4, &arguments);
}

/// Batch norm's statistics are buffers, its dropout has a generator, its target network copies what is no
/// parameter.
#[test]
fn a_network_from_a_list_of_layers_goes_on_exactly() {
    let sets = [
        "env_steps=4000",
        "checkpoint.every_env_steps=400",
        "evaluation.every_env_steps=0",
        "net.backbone=[{ linear = 16 }, \"batch_norm\", \"relu\", { dropout = 0.1 }, { residual = [{ linear = 16 }] }]",
        "net.hidden_sizes=[16]",
    ];
    for (agent, environment, own) in [
        ("sac", "Pendulum-v1", &["batch_size=16", "warmup_env_steps=100", "train_every_env_steps=4"][..]),
        ("ppo", "CartPole-v1", &["num_envs=2", "rollout_steps=100", "epochs=2"]),
    ] {
        let mut arguments = vec!["train", agent, environment, "--seed", "3", "--quiet"];
        sets.iter().chain(own).for_each(|set| arguments.extend(["--set", set]));
        killed_and_resumed(3, &arguments);
    }
}

/// Starts a training into the folder `stopped` and waits for its log.
fn under_way(place: &Workplace, arguments: &[&str]) -> Child {
    let child = place.command(arguments).stderr(Stdio::piped()).spawn().expect("the command starts");
    while !place.path("stopped/progress.csv").exists() {
        sleep(Duration::from_millis(5));
    }
    child
}

/// True if the process was there to get the signal.
fn sent(child: &Child, signal: &str) -> bool {
    let id = child.id().to_string();
    Command::new("kill").args([signal, &id]).stderr(Stdio::null()).status().expect("kill").success()
}

#[test]
fn interrupted_it_writes_a_checkpoint_and_goes_on_exactly() {
    let place = Workplace::new();
    // Wrappers have a state of their own, and statistics over both environments.
    let more = [
        "--seed",
        "4",
        "--envs",
        "2",
        "--set",
        "env_steps=40000",
        "--set",
        "checkpoint.every_env_steps=0",
        "--set",
        "wrappers=[{ kind = \"sticky_actions\", probability = 0.2 }, { kind = \"frame_stack\", frames = 2 }, \
         { kind = \"normalize_observation\" }, { kind = \"normalize_reward\" }]",
    ];
    assert!(place.train_small("whole", &more).success);
    let arguments = [&["train", "dqn", "CartPole-v1", "--run-dir", "stopped"], SMALL, &more].concat();
    for signal in ["-INT", "-TERM"] {
        let _ = std::fs::remove_dir_all(place.path("stopped"));
        let child = under_way(&place, &arguments);
        sleep(Duration::from_millis(300));
        assert!(sent(&child, signal));
        let output = child.wait_with_output().expect("an end");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{text}");
        assert!(text.contains("pavlov resume stopped"), "{text}");
    }
    let said = place.pavlov(&["resume", "stopped"]);
    assert!(said.success, "{}", said.err);
    assert!(tensors(&place.path("stopped")) == tensors(&place.path("whole")));
    assert_eq!(log(&place.path("stopped")), log(&place.path("whole")));
}

#[test]
fn a_second_signal_ends_it_at_once_whatever_is_under_way() {
    let place = Workplace::new();
    let more = [
        "--actors",
        "2",
        "--envs",
        "4",
        "--set",
        "env_steps=4000000",
        "--set",
        "checkpoint.every_env_steps=0",
    ];
    let arguments = [&["train", "dqn", "CartPole-v1", "--run-dir", "stopped"], SMALL, &more].concat();
    for pause in [0, 0, 1, 2, 5, 20] {
        let _ = std::fs::remove_dir_all(place.path("stopped"));
        let child = under_way(&place, &arguments);
        sleep(Duration::from_millis(200));
        for _ in 0..2 {
            // The first may have ended it already.
            let _ = sent(&child, "-INT");
            sleep(Duration::from_millis(pause));
        }
        let output = child.wait_with_output().expect("an end");
        assert_eq!(
            output.status.code(),
            Some(130),
            "{pause} ms: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn a_finished_run_resumes_to_nothing_new() {
    let place = Workplace::new();
    assert!(place.train_small("run", &[]).success);
    let before = tensors(&place.path("run"));
    let said = place.pavlov(&["resume", "run"]);
    assert!(said.success && said.err.contains("done after 3000"), "{}", said.err);
    assert!(tensors(&place.path("run")) == before);
}

#[test]
fn a_run_in_progress_is_left_alone() {
    let place = Workplace::new();
    let fit = ["fit", "regression", "csv", "--data", "a.csv", "--run-dir", "run", "--updates", "100000000"];
    let rows: String = (0..100).map(|row| format!("{row},{}\n", 2 * row)).collect();
    std::fs::write(place.path("a.csv"), format!("x,y\n{rows}")).expect("a table");
    let sets = ["--set", "data.options.target=y", "--set", "checkpoint.every_updates=50"];
    let arguments = [&fit[..], &sets].concat();
    let mut child =
        place.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let checkpoints = place.path("run/checkpoints");
    for _ in 0..600 {
        if std::fs::read_dir(&checkpoints).is_ok_and(|mut entries| entries.next().is_some()) {
            break;
        }
        sleep(Duration::from_millis(100));
    }
    let said = place.pavlov(&["resume", "run"]);
    assert!(!said.success && said.err.contains("is in progress"), "{}", said.err);
    assert!(child.try_wait().expect("its state").is_none(), "it goes on");
    child.kill().expect("it ends");
    child.wait().expect("it has ended");
    let said = place.pavlov(&["eval", "run", "--last"]);
    assert!(said.success, "a killed process lets go of its run: {}", said.err);
}
