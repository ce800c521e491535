//! The `pavlov` command, run in a folder of its own, and tests of the commands that list.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A folder in which commands run.
pub struct Workplace {
    folder: TempDir,
}

/// The output of a command.
pub struct Said {
    pub success: bool,
    pub out: String,
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            success: output.status.success(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A training that takes a second: CartPole with a small network and a checkpoint every 500 env steps.
pub const SMALL: &[&str] = &[
    "--set",
    "env_steps=3000",
    "--set",
    "net.hidden_sizes=[16, 16]",
    "--set",
    "warmup_env_steps=200",
    "--set",
    "train_every_env_steps=8",
    "--set",
    "updates_per_phase=4",
    "--set",
    "log.every_env_steps=250",
    "--set",
    "evaluation.every_env_steps=1000",
    "--set",
    "evaluation.episodes=2",
    "--set",
    "checkpoint.every_env_steps=500",
];

impl Workplace {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// Every command of the table fails, with a message that contains its words.
    pub fn refuses(&self, table: &[(&[&str], &[&str])]) {
        for (arguments, words) in table {
            let said = self.pavlov(arguments);
            assert!(!said.success, "{arguments:?} succeeded");
            assert!(said.err.starts_with("error: "), "{arguments:?}: {}", said.err);
            assert!(!said.err.contains("panicked"), "{arguments:?}: {}", said.err);
            for word in *words {
                assert!(said.err.contains(word), "{arguments:?} does not say `{word}`: {}", said.err);
            }
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pavlov"));
        command.args(arguments).current_dir(self.folder.path());
        command
    }

    pub fn pavlov(&self, arguments: &[&str]) -> Said {
        self.command(arguments).output().expect("the command starts").into()
    }

    /// Trains DQN on CartPole-v1 with the settings of [`SMALL`], into `run`.
    pub fn train_small(&self, run: &str, more: &[&str]) -> Said {
        self.pavlov(&[&["train", "dqn", "CartPole-v1", "--run-dir", run], SMALL, more].concat())
    }
}

/// The files of a folder and of those below it, by their path in it.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() { found.extend(files(&entry)) } else { found.push(entry) }
    }
    found.sort();
    found
}

#[test]
fn lists_name_environments_and_agents() {
    let place = Workplace::new();
    let envs = place.pavlov(&["envs", "--json"]).out;
    let envs: serde_json::Value = serde_json::from_str(&envs).expect("JSON");
    assert!(envs.as_array().expect("a list").iter().any(|env| env["id"] == "CartPole-v1"));
    assert!(place.pavlov(&["envs"]).out.contains("CartPole-v1"));
    assert!(place.pavlov(&["agents"]).out.contains("dqn"));
    assert!(place.pavlov(&["--help"]).out.contains("pavlov train dqn CartPole-v1"));
}

#[test]
fn a_configuration_is_printed_whole_and_read_back() {
    let place = Workplace::new();
    let printed =
        place.pavlov(&["config", "dqn", "CartPole-v1", "--seed", "5", "--set", "optimizer.kind=sgd"]);
    assert!(printed.success, "{}", printed.err);
    for line in
        ["env_steps = 50000", "seed = 5", "start = 0.001", "kind = \"sgd\"", "hidden_sizes = [256, 256]"]
    {
        assert!(
            printed.out.replace(",\n", ", ").contains(line) || printed.out.contains(line),
            "{line}: {}",
            printed.out
        );
    }
    std::fs::write(place.path("my.toml"), &printed.out).expect("a file");
    let again = place.pavlov(&["config", "dqn", "CartPole-v1", "--config", "my.toml"]);
    assert_eq!(again.out, printed.out, "{}", again.err);
}

#[test]
fn a_run_is_trained_listed_and_evaluated() {
    let place = Workplace::new();
    let said = place.train_small("runs/a", &[]);
    assert!(said.success, "{}", said.err);
    for word in ["done after 3000 env steps", "pavlov eval runs/a", "tensorboard --logdir runs"] {
        assert!(said.err.contains(word), "{word}: {}", said.err);
    }
    assert!(place.pavlov(&["runs"]).out.contains("runs/a"));
    for flags in
        [&["--episodes", "3"][..], &["--episodes", "3", "--stochastic"], &["--episodes", "3", "--last"]]
    {
        let said = place.pavlov(&[&["eval", "runs/a", "--json"], flags].concat());
        let json: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
        assert_eq!(json["returns"].as_array().expect("returns").len(), 3, "{}", said.err);
    }
    let twice = [0, 1].map(|_| place.pavlov(&["eval", "runs/a", "--episodes", "5", "--seed", "9"]).out);
    assert_eq!(twice[0], twice[1], "one seed, the same episodes");
    let quiet = place.train_small("runs/b", &["--quiet"]);
    assert!(quiet.success && quiet.out.is_empty() && quiet.err.is_empty(), "{}{}", quiet.out, quiet.err);
    let json = place.train_small("runs/c", &["--json"]).out;
    let last: serde_json::Value = serde_json::from_str(json.lines().last().expect("lines")).expect("JSON");
    assert_eq!(last["outcome"]["reason"], "completed");
}

#[test]
fn learning_curves_are_drawn() {
    let place = Workplace::new();
    for (run, seed) in [("runs/a", "1"), ("runs/b", "2")] {
        assert!(place.train_small(run, &["--seed", seed]).success);
    }
    let both = ["plot", "runs/a", "runs/b"];
    let said = place.pavlov(&[&both[..], &["--out", "curve.svg", "--csv", "curve.csv"]].concat());
    assert!(said.success, "{}", said.err);
    let svg = std::fs::read_to_string(place.path("curve.svg")).expect("a picture");
    assert!(svg.contains("dqn on CartPole-v1") && svg.contains("dqn: mean of 2 runs"));
    let csv = std::fs::read_to_string(place.path("curve.csv")).expect("numbers");
    assert!(csv.starts_with("env_steps,dqn mean,dqn lowest,dqn highest,dqn a,dqn b\n1000,"), "{csv}");
    assert!(place.train_small("runs/c", &["--set", "discount=0.5", "--set", "seed=1"]).success);
    let said = place.pavlov(&[&both[..], &["runs/c"]].concat());
    assert!(said.success, "{}", said.err);
    let svg = std::fs::read_to_string(place.path("curve.svg")).expect("a picture");
    assert!(svg.contains("discount 0.99: mean of 2 runs") && svg.contains("\ndiscount 0.5\n"), "{svg}");

    let said = place.pavlov(&[&both[..], &["--tag", "eval/mean_rewrd"]].concat());
    assert!(said.err.contains("did you mean `eval/mean_reward`?"), "{}", said.err);
    let said = place.pavlov(&[&both[..], &["--out", "curve.png"]].concat());
    assert!(said.err.contains(".svg"), "{}", said.err);
    let said = place.pavlov(&["plot", "nowhere"]);
    assert!(said.err.contains("nowhere"), "{}", said.err);
}

#[test]
fn environments_are_checked() {
    let place = Workplace::new();
    let said = place.pavlov(&["check", "CartPole-v1", "--option", "sutton_barto_reward=true"]);
    assert!(said.success && said.out.contains("keeps every law"), "{}{}", said.out, said.err);
    let json = place.pavlov(&["check", "Pendulum-v1", "--json"]).out;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["breaches"].as_array().map(Vec::len), Some(0));
    for (arguments, words) in [
        (&["check", "CartPole-v2"][..], "did you mean `CartPole-v"),
        (&["check", "Pendulum-v1", "--option", "g=heavy"], "give a finite number"),
        (&["check", "Pendulum-v1", "--option", "h=1"], "no option `h`"),
        (&["check", "Pendulum-v1", "--option", "g"], "key=value"),
    ] {
        let said = place.pavlov(arguments);
        assert!(!said.success && said.err.contains(words), "{words}: {}", said.err);
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Workplace::new();
    let mut child = place
        .command(&["envs", "--json"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the command starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("an end");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_reader_of_messages_that_goes_away_stops_nothing() {
    let place = Workplace::new();
    for arguments in
        [&["train", "dqn", "CartPole-v1", "--run-dir", "run"][..], &["train", "dqn", "Nothing-v0"]]
    {
        let mut child = place
            .command(&[arguments, SMALL].concat())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("the command starts");
        drop(child.stderr.take());
        let code = child.wait().expect("an end").code();
        assert_eq!(code, Some(i32::from(arguments.len() == 3)), "{arguments:?}");
    }
    assert!(place.pavlov(&["eval", "run", "--episodes", "2"]).success);
}

#[test]
fn one_part_of_a_value_is_set_whose_short_form_the_preset_has() {
    let place = Workplace::new();
    for (agent, set, words) in [
        ("ppo", "learning_rate.end=1e-4", "end = 0.0001\nkind = \"linear\"\nstart = 0.001"),
        ("ppo", "clip_range.start=0.3", "end = 0.0\nkind = \"linear\"\nstart = 0.3"),
        ("dqn", "replay.n_steps=3", "n_steps = 3"),
        ("dqn", "optimizer.kind=sgd", "kind = \"sgd\""),
    ] {
        let said = place.pavlov(&["config", agent, "CartPole-v1", "--set", set]);
        assert!(said.success && said.out.contains(words), "{set}: {}{}", said.out, said.err);
    }
}

#[test]
fn whole_numbers_are_read_as_people_write_them() {
    let place = Workplace::new();
    std::fs::write(place.path("whole.toml"), "env_steps = 1e6\n[log]\nevery_env_steps = 1e3")
        .expect("a file");
    for arguments in [
        &["--steps", "1e6"][..],
        &["--steps", "1_000_000"],
        &["--set", "env_steps=1e6"],
        &["--set", "env_steps=1_000_000"],
        &["--config", "whole.toml"],
    ] {
        let said = place.pavlov(&[&["config", "dqn", "CartPole-v1"], arguments].concat());
        assert!(said.success && said.out.contains("env_steps = 1000000\n"), "{arguments:?}: {}", said.err);
    }
    for (arguments, part) in [
        (&["--steps", "1.5"][..], "no whole number"),
        (&["--steps=-1"], "no whole number"),
        (&["--set", "env_steps=1.5"], "env_steps"),
    ] {
        let said = place.pavlov(&[&["config", "dqn", "CartPole-v1"], arguments].concat());
        assert!(!said.success && said.err.contains(part), "{arguments:?}: {}", said.err);
    }
}
