//! Trainings in several shards and processes: the numbers do not depend on the processes, a killed group goes on
//! exactly, and what is wrong is told with the rank and the setting.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pavlov::nn::weights;
use pavlov::record::{Row, read_csv};

use crate::command::{Said, Workplace};
use crate::reproducible::tensors;

/// The log without times.
fn log(run: &Path) -> Vec<Row> {
    let (_, mut rows) = read_csv(&run.join("progress.csv")).expect("a log");
    let is_time = |tag: &str| tag.starts_with("time/") || tag.ends_with("idle_share");
    rows.iter_mut().for_each(|row| row.values.retain(|tag, _| !is_time(tag)));
    rows
}

/// Fails unless two runs have the same weights, moments, experience, best weights and log.
fn same(place: &Workplace, one: &str, other: &str) {
    let [a, b] = [one, other].map(|run| place.path(run));
    assert!(tensors(&a) == tensors(&b), "{one} and {other} have other weights, moments or experience");
    let (rows, others) = (log(&a), log(&b));
    assert!(!rows.is_empty());
    assert_eq!(rows, others, "the logs of {one} and {other}");
    let [a, b] = [a, b].map(|run| run.join("best/weights.safetensors"));
    assert_eq!(a.exists(), b.exists());
    if a.exists() {
        let [a, b] = [a, b].map(|path| weights::read(&path).expect("weights"));
        assert!(a == b, "the best weights of {one} and {other} differ");
    }
}

fn launch(place: &Workplace, processes: usize, arguments: &[&str]) -> Said {
    let processes = processes.to_string();
    place.pavlov(&[&["launch", "--processes", &processes], arguments].concat())
}

/// `--set` for each of these.
fn sets<'s>(sets: &[&'s str]) -> Vec<&'s str> {
    sets.iter().flat_map(|set| ["--set", set]).collect()
}

/// Four shards in one, two and four processes.
fn does_not_depend_on_processes(command: &[&str]) {
    let place = Workplace::new();
    for processes in [1, 2, 4] {
        let run = format!("in-{processes}");
        let said =
            launch(&place, processes, &[command, &["-q", "--set", "shards=4", "--run-dir", &run]].concat());
        assert!(said.success, "{processes} processes: {}", said.err);
    }
    same(&place, "in-1", "in-2");
    same(&place, "in-1", "in-4");
}

const BRIEF: &[&str] = &[
    "num_envs=8",
    "net.hidden_sizes=[16, 16]",
    "log.every_env_steps=500",
    "evaluation.every_env_steps=1500",
    "evaluation.episodes=2",
    "evaluation.final_episodes=0",
    "checkpoint.every_env_steps=1000",
];

#[test]
fn ppo_with_normalisers_and_a_target_divergence_does_not_depend_on_processes() {
    let place = Workplace::new();
    let file = place.path("wrappers.toml");
    let wrappers = "wrappers = [{ kind = \"normalize_observation\" }, { kind = \"normalize_reward\" }]\n";
    std::fs::write(&file, wrappers).expect("a file");
    let own =
        sets(&["rollout_steps=64", "minibatch_size=64", "epochs=4", "target_kl=0.01", "env_steps=4096"]);
    let file = file.to_string_lossy();
    let command = [&["train", "ppo", "Pendulum-v1", "--config", &file], &sets(BRIEF)[..], &own].concat();
    does_not_depend_on_processes(&command);
}

#[test]
fn sac_with_its_replay_does_not_depend_on_processes() {
    let own = sets(&["warmup_env_steps=400", "env_steps=2000", "batch_size=32"]);
    does_not_depend_on_processes(&[&["train", "sac", "Pendulum-v1"], &sets(BRIEF)[..], &own].concat());
}

#[test]
fn dqn_with_actors_in_lock_step_and_priorities_does_not_depend_on_processes() {
    let own = sets(&[
        "warmup_env_steps=400",
        "env_steps=3000",
        "batch_size=32",
        "replay.priority_exponent=0.6",
        "replay.n_steps=3",
        "actors.count=1",
        "actors.mode=lockstep",
        "net.dropout=0.1",
    ]);
    does_not_depend_on_processes(&[&["train", "dqn", "CartPole-v1"], &sets(BRIEF)[..], &own].concat());
}

#[test]
fn a_fit_with_batch_norm_and_dropout_does_not_depend_on_processes() {
    let place = Workplace::new();
    let net = "[hyperparameters.net]\nlayers = [\"flatten\", { linear = 16 }, \"batch_norm\", \"relu\", { linear = 10 }]\n";
    let file = place.path("net.toml");
    std::fs::write(&file, net).expect("a file");
    let own =
        sets(&["data.options.count=300", "data.batch_size=32", "data.accumulate=2", "log.every_updates=3"]);
    let file = file.to_string_lossy();
    let command = ["fit", "classifier", "digits", "--epochs", "3", "--config", &file];
    does_not_depend_on_processes(&[&command[..], &own].concat());
}

/// Each network of a GAN passes in training while the other learns, and writes statistics of batch norm.
#[test]
fn a_gan_does_not_depend_on_processes() {
    let more = ["adversary=standard"].into_iter().chain(["data.options.count=100", "data.batch_size=16"]);
    let more: Vec<_> = more.chain(["validation.every_epochs=0", "learning.ema_decay=off"]).collect();
    let command = ["fit", "gan", "digits", "--updates", "3"];
    does_not_depend_on_processes(&[&command[..], &sets(&more)].concat());
}

/// A learner's gradients are summed whatever the algorithm.
#[test]
fn every_agent_that_can_be_cut_is_cut_and_the_others_say_so() {
    let place = Workplace::new();
    for (agent, world) in [
        ("a2c", "CartPole-v1"),
        ("impala", "CartPole-v1"),
        ("apex", "CartPole-v1"),
        ("td3", "Pendulum-v1"),
        ("ddpg", "Pendulum-v1"),
        ("sac", "CartPole-v1"),
    ] {
        let brief = sets(BRIEF);
        let command = [&["train", agent, world, "-q", "--steps", "1500"], &brief[..]].concat();
        let off_policy: &[&str] = if ["a2c", "impala"].contains(&agent) {
            &[]
        } else {
            &["--set", "warmup_env_steps=200", "--set", "batch_size=16"]
        };
        let runs = [format!("{agent}-1"), format!("{agent}-2")];
        for (run, processes) in runs.iter().zip([1, 2]) {
            let more = ["--set", "shards=2", "--run-dir", run];
            let said = launch(&place, processes, &[&command, off_policy, &more].concat());
            assert!(said.success, "{agent}: {}", said.err);
        }
        same(&place, &runs[0], &runs[1]);
    }
    let said = place.pavlov(&["train", "reinforce", "CartPole-v1", "--set", "shards=2", "--run-dir", "r"]);
    assert!(!said.success && said.err.contains("reinforce learns in one shard alone"), "{}", said.err);
}

#[test]
fn free_actors_of_several_shards_come_to_an_end_with_equal_weights() {
    let place = Workplace::new();
    for (agent, own) in [
        ("ppo", &["rollout_steps=32", "minibatch_size=64", "env_steps=6000"][..]),
        ("dqn", &["warmup_env_steps=400", "env_steps=6000", "batch_size=32"]),
    ] {
        let mut own = sets(own);
        own.extend(["--set", "actors.count=2", "--run-dir", agent, "-q"]);
        let command = [&["train", agent, "CartPole-v1"], &sets(BRIEF)[..], &own].concat();
        // That the weights are equal is checked at each checkpoint.
        let said = launch(&place, 2, &command);
        assert!(said.success, "{agent}: {}", said.err);
        let rows = log(&place.path(agent));
        assert!(rows.last().is_some_and(|row| row.step >= 6000 && row.values.contains_key("train/loss")));
    }
}

#[test]
fn a_run_goes_on_in_another_number_of_processes_and_in_no_other_number_of_shards() {
    let place = Workplace::new();
    let brief = sets(BRIEF);
    let own = ["--set", "warmup_env_steps=300", "--set", "batch_size=32", "--set", "shards=4", "-q"];
    let command = [&["train", "dqn", "CartPole-v1"], &brief[..], &own].concat();
    let whole = launch(&place, 4, &[&command[..], &["--steps", "4000", "--run-dir", "whole"]].concat());
    assert!(whole.success, "{}", whole.err);
    // The schedules run over the whole length, which is known from the start.
    let first = [&command[..], &["--steps", "4000", "--run-dir", "parts"]].concat();
    let mut child = place.command(&[&["launch", "--processes", "2"], &first[..]].concat());
    let mut child = child.stderr(Stdio::null()).spawn().expect("the launcher starts");
    until(|| place.path("parts/checkpoints/step-000000002000").exists() || ended(&mut child));
    terminate(&child);
    child.wait().expect("an end");
    let refused = place.pavlov(&["resume", "parts", "--set", "shards=2"]);
    assert!(refused.err.contains("the checkpoint has 4 shards, the run 2"), "{}", refused.err);
    let said = place.pavlov(&["resume", "parts", "-q"]);
    assert!(said.success, "{}", said.err);
    same(&place, "whole", "parts");
    let said = launch(&place, 3, &["resume", "parts"]);
    assert!(said.err.contains("shards is 4, which 3 processes cannot share out evenly"), "{}", said.err);
}

fn ended(child: &mut Child) -> bool {
    child.try_wait().expect("a state").is_some()
}

fn terminate(child: &Child) {
    let id = child.id().to_string();
    let _ = Command::new("kill").args(["-TERM", &id]).status();
}

/// Waits, for a minute at most.
fn until(mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() && begun.elapsed() < Duration::from_secs(60) {
        sleep(Duration::from_millis(2));
    }
}

/// The processes of a group that works in this folder, by their ids.
fn ranks(run: &Path) -> Vec<u32> {
    let run = run.to_string_lossy().into_owned();
    let of_group = |id: &u32| {
        let text = |file: &str| std::fs::read(format!("/proc/{id}/{file}")).unwrap_or_default();
        let has = |bytes: Vec<u8>, word: &str| bytes.windows(word.len()).any(|part| part == word.as_bytes());
        let command = text("cmdline");
        has(text("environ"), "\0RANK=")
            && has(command.clone(), &run)
            && command.starts_with(PAVLOV.as_bytes())
    };
    let entries = std::fs::read_dir("/proc").expect("processes").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(of_group).collect()
}

const PAVLOV: &str = env!("CARGO_BIN_EXE_pavlov");

/// Kills a random process of the group ten times, at random moments; the run must end as one that was never
/// interrupted.
fn killed_ten_times(starter: &[&str], train: &[&str]) {
    let place = Workplace::new();
    let whole = place.pavlov(&[train, &["-q", "--run-dir", "whole"]].concat());
    assert!(whole.success, "{}", whole.err);
    let run = place.path("killed");
    let path = run.to_string_lossy().into_owned();
    let mut command = Command::new(starter[0]);
    command.args(&starter[1..]).args(train).args(["-q", "--run-dir", &path]);
    let log = std::fs::File::create(place.path("output")).expect("a file");
    let mut child = command
        .current_dir(place.path("."))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("the launcher starts");
    // A fixed sequence that looks random.
    let mut word: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut kills = 0;
    while kills < 10 && !ended(&mut child) {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        sleep(Duration::from_millis(300 + (word >> 33) % 900));
        let ranks = ranks(&run);
        if let Some(id) = ranks.get((word >> 20) as usize % ranks.len().max(1)) {
            let _ = Command::new("kill").args(["-KILL", &id.to_string()]).status();
            kills += 1;
        }
    }
    let status = child.wait().expect("an end");
    let said = std::fs::read_to_string(place.path("output")).unwrap_or_default();
    assert!(status.success(), "after {kills} kills: {said}");
    assert_eq!(kills, 10, "the training was too short for the kills: {said}");
    same(&place, "whole", "killed");
    assert!(ranks(&run).is_empty(), "processes are left");
}

fn long_training() -> Vec<&'static str> {
    let brief = [
        "num_envs=8",
        "shards=2",
        "env_steps=300000",
        "net.hidden_sizes=[16, 16]",
        "log.every_env_steps=2048",
        "evaluation.every_env_steps=50000",
        "evaluation.episodes=2",
        "evaluation.final_episodes=0",
        "checkpoint.every_env_steps=2048",
    ];
    [&["train", "ppo", "CartPole-v1"], &sets(&brief)[..]].concat()
}

#[test]
fn a_group_that_is_killed_ten_times_ends_as_one_that_never_was() {
    killed_ten_times(&[PAVLOV, "launch", "--processes", "2", "--max-restarts", "20"], &long_training());
}

/// The launcher of PyTorch: `PAVLOV_TORCHRUN`, or the one on the path.
fn torchrun() -> Option<PathBuf> {
    let given = std::env::var_os("PAVLOV_TORCHRUN").map(PathBuf::from);
    let on_path = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|folder| folder.join("torchrun")).find(|file| file.is_file())
    };
    let found = given.or_else(on_path);
    if found.is_none() {
        eprintln!("there is no torchrun: this part is left out");
    }
    found
}

#[test]
fn under_torchrun_it_is_the_same() {
    let Some(torchrun) = torchrun() else { return };
    let torchrun = torchrun.to_string_lossy();
    let starter = [
        &torchrun,
        "--no-python",
        "--nproc-per-node",
        "2",
        "--max-restarts",
        "20",
        "--monitor-interval",
        "0.1",
        PAVLOV,
    ];
    killed_ten_times(&starter, &long_training());
}

/// Two launchers of PyTorch on this machine, as on two: they restart together, each with its own count.
#[test]
fn two_launchers_of_torchrun_restart_together() {
    let Some(torchrun) = torchrun() else { return };
    let place = Workplace::new();
    let train = long_training();
    let whole = place.pavlov(&[&train[..], &["-q", "--run-dir", "whole"]].concat());
    assert!(whole.success, "{}", whole.err);
    let run = place.path("killed");
    let path = run.to_string_lossy().into_owned();
    let endpoint = format!("localhost:{}", free_port());
    let start = |_: usize| {
        let mut command = Command::new(&torchrun);
        command.args(["--no-python", "--nnodes", "2", "--nproc-per-node", "1", "--max-restarts", "20"]);
        command.args(["--rdzv-backend", "c10d", "--rdzv-endpoint", &endpoint, "--monitor-interval", "0.1"]);
        command.arg(PAVLOV).args(&train).args(["-q", "--run-dir", &path]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("torchrun starts")
    };
    let mut launchers: Vec<_> = (0..2).map(start).collect();
    for _ in 0..3 {
        until(|| ranks(&run).len() == 2 || launchers.iter_mut().any(ended));
        sleep(Duration::from_millis(700));
        if let Some(id) = ranks(&run).first() {
            let _ = Command::new("kill").args(["-KILL", &id.to_string()]).status();
        }
    }
    for launcher in &mut launchers {
        assert!(launcher.wait().expect("an end").success());
    }
    same(&place, "whole", "killed");
}

/// Starts a process of a group by hand.
fn rank(place: &Workplace, variables: &[(&str, &str)], arguments: &[&str]) -> Child {
    let mut command = place.command(arguments);
    let nowhere = ["RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"];
    for name in nowhere {
        command.env_remove(name);
    }
    command.envs(variables.iter().copied()).env("PAVLOV_TIMEOUT_SECONDS", "3");
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the command starts")
}

fn said(child: Child) -> Said {
    child.wait_with_output().expect("an end").into()
}

fn free_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port().to_string()
}

#[test]
fn what_is_wrong_with_a_group_is_told_with_the_rank_and_the_setting() {
    let place = Workplace::new();
    let train = ["train", "ppo", "CartPole-v1", "--steps", "2000", "--envs", "8"];
    let refused = |variables: &[(&str, &str)], words: &[&str]| {
        let said = said(rank(&place, variables, &train));
        assert!(!said.success, "{variables:?}");
        for word in words {
            assert!(said.err.contains(word), "{variables:?} does not say `{word}`: {}", said.err);
        }
    };
    refused(&[("RANK", "0"), ("WORLD_SIZE", "2")], &["MASTER_ADDR", "pavlov launch"]);
    refused(&[("RANK", "2"), ("WORLD_SIZE", "2")], &["RANK", "2"]);
    refused(&[("RANK", "x"), ("WORLD_SIZE", "2")], &["RANK", "x"]);
    let port = free_port();
    let address = [("WORLD_SIZE", "2"), ("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", port.as_str())];
    let with = |rank: &'static str| [&[("RANK", rank)], &address[..]].concat();
    // A rank that never comes.
    refused(&with("0"), &["rank 1 did not come within 3 s"]);
    // A port in use.
    let taken = std::net::TcpListener::bind(format!("127.0.0.1:{port}")).expect("the port");
    refused(&with("0"), &["in use", "MASTER_PORT"]);
    drop(taken);
    // Two processes of one rank, and other settings.
    for (first, second, others, words) in [
        ("0", "0", &[][..], &["rank 0", "in use"][..]),
        ("0", "1", &["--seed", "5"], &["rank 0 and rank 1 have other settings", "seed is 0 and 5"]),
        ("0", "1", &["--set", "discount=0.5"], &["discount is", "0.5"]),
    ] {
        let port = free_port();
        let address = [("WORLD_SIZE", "2"), ("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", port.as_str())];
        let with = |rank: &'static str| [&[("RANK", rank)], &address[..]].concat();
        let one = rank(&place, &with(first), &train);
        sleep(Duration::from_millis(300));
        let other = rank(&place, &with(second), &[&train[..], others].concat());
        let (one, other) = (said(one), said(other));
        assert!(!one.success && !other.success, "{}{}", one.err, other.err);
        for word in words {
            assert!(other.err.contains(word), "`{word}`: {}", other.err);
        }
        assert!(!one.err.contains("panicked") && !other.err.contains("panicked"));
    }
    // Settings that cannot be cut.
    for (sets, word) in [
        (&["num_envs=3"][..], "num_envs is 3, which 2 shards cannot share evenly"),
        (&["minibatch_size=63"], "minibatch_size is 63: give a multiple of shards, 2"),
        (&["shards=0"], "shards"),
        (
            &["shards=3", "num_envs=6", "minibatch_size=66"],
            "shards is 3, which 2 processes cannot share out evenly",
        ),
    ] {
        let own = sets.iter().flat_map(|set| ["--set", set]).collect::<Vec<_>>();
        let said = launch(&place, 2, &[&["train", "ppo", "CartPole-v1"], &own[..]].concat());
        assert!(!said.success && said.err.contains(word), "`{word}`: {}", said.err);
    }
    let said = place.pavlov(&["launch", "--processes", "2", "envs"]);
    assert!(!said.success && said.err.contains("starts train, fit or resume"), "{}", said.err);
    assert!(!place.path("runs").exists() || std::fs::read_dir(place.path("runs")).is_ok());
}
