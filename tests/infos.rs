//! The infos of worlds in the log: in turns, with actors, after a resume, in evaluations, of
//! worlds in Python.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use pavlov::envs::{Action, End, Env, EnvError, EnvSpec, EnvState, ObsMut, Space, Step};
use pavlov::record::Row;
use pavlov::run::Quiet;
use pavlov::{Overrides, Registries, RunConfig, RunFolder, Session, Training};

use crate::command::{SMALL, Workplace};
use crate::reproducible::log;

/// An episode of four steps that costs 1 each; its goal is said at the end alone, its number from the second step
/// on. The goal is reached in every other episode.
struct Costly {
    step: u32,
    episode: u32,
}

impl Env for Costly {
    fn observation_space(&self) -> &Space {
        &Space::Discrete(5)
    }

    fn action_space(&self) -> &Space {
        &Space::Discrete(2)
    }

    fn reset(&mut self, seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        self.episode = seed.map_or(self.episode + 1, |_| 1);
        (self.step, observation.floats[0]) = (0, 0.0);
        Ok(())
    }

    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        action.discrete(2)?;
        self.step += 1;
        observation.floats[0] = self.step as f32;
        Ok(Step::new(1.0, End::terminated_if(self.step == 4)))
    }

    fn visit_info(&self, visit: &mut dyn FnMut(&str, f64)) {
        visit("a cost", 1.0);
        visit("nothing", f64::NAN);
        if self.step > 1 {
            visit("step", self.step.into());
        }
        if self.step == 4 {
            visit("goal", (self.episode % 2).into());
        }
    }

    fn save_state(&self) -> Option<EnvState> {
        EnvState::pack(&(self.step, self.episode))
    }

    fn load_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        (self.step, self.episode) = state.unpack()?;
        Ok(())
    }
}

fn registries() -> Registries {
    let mut registries = Registries::bundled();
    let spec = EnvSpec::new("Costly-v0", |_| Ok(Box::new(Costly { step: 0, episode: 0 })));
    registries.envs.register(spec).expect("a free id");
    registries
}

const SETS: [&str; 10] = [
    "net.hidden_sizes=[8]",
    "batch_size=8",
    "warmup_env_steps=48",
    "train_every_env_steps=8",
    "updates_per_phase=1",
    "num_envs=2",
    "log.every_env_steps=50",
    "evaluation.every_env_steps=400",
    "evaluation.episodes=3",
    "checkpoint.every_env_steps=198",
];

/// Trains for so many steps, or goes on with the latest checkpoint.
fn train(run: &Path, steps: u32, sets: &[&str], resumes: bool) {
    let registries = registries();
    let sets = SETS.iter().chain(sets).map(ToString::to_string);
    let sets = sets.chain([format!("env_steps={steps}")]).collect();
    let config = RunConfig::resolve(&registries, "dqn", "Costly-v0", &Overrides { file: None, sets });
    let config = config.expect("a configuration");
    let job = Training::new(config.clone(), &registries).expect("a training");
    let mut session = match resumes {
        false => Session::start(job, RunFolder::create(Some(run), &config).expect("a folder")),
        true => {
            let folder = RunFolder::open(run).expect("a run");
            let latest = folder.checkpoints().list().expect("a list").pop().expect("a checkpoint");
            Session::resume(job, folder, &latest)
        }
    }
    .expect("a session");
    session.run(&AtomicBool::new(false), &mut Quiet).expect("trained");
}

/// The infos among the values.
fn infos(row: &Row) -> BTreeMap<&str, f64> {
    let infos = row.values.iter().filter(|(tag, _)| tag.contains("/info"));
    infos.map(|(tag, value)| (tag.as_str(), *value)).collect()
}

const EXPECTED: [(&str, f64); 6] = [
    ("rollout/info/a_cost", 1.0),
    ("rollout/info/goal", 0.5),
    ("rollout/info/step", 4.0),
    ("rollout/info_sum/a_cost", 4.0),
    ("rollout/info_sum/goal", 0.5),
    ("rollout/info_sum/step", 9.0),
];

#[test]
fn infos_reach_the_log_in_turns_with_actors_and_after_a_resume() {
    let layouts: [&[&str]; 4] = [
        &[],
        &["actors.count=2"],
        &["actors.count=1", "actors.mode=lockstep"],
        &["actors.count=2", "actors.mode=lockstep"],
    ];
    let mut logs = Vec::new();
    for sets in layouts {
        let place = Workplace::new();
        let (whole, broken) = (place.path("whole"), place.path("broken"));
        train(&whole, 800, sets, false);
        let rows = log(&whole);
        // Both environments have begun as many episodes.
        assert_eq!(rows.last().map(infos).expect("rows").range("rollout".."s").count(), 6, "{sets:?}");
        for (tag, expected) in EXPECTED {
            let mean = rows.last().expect("rows").values[tag];
            assert!((mean - expected).abs() < 0.02, "{sets:?} {tag}: {mean}");
        }
        let evaluated = rows.iter().rev().find(|row| row.values.contains_key("eval/mean_reward"));
        let evaluated = infos(evaluated.expect("an evaluation"));
        assert_eq!((evaluated["eval/info/step"], evaluated["eval/info_sum/a_cost"]), (4.0, 4.0));
        assert_eq!(evaluated["eval/info/goal"], 1.0, "an evaluation's episode begins with its seed");
        assert_eq!(evaluated.range("eval".."f").count(), 6);
        if sets.is_empty() || sets.len() == 2 {
            // The same settings, stopped in the middle of an episode and resumed.
            train(&broken, 398, sets, false);
            train(&broken, 800, sets, true);
            let (resumed, all) = (log(&broken), &rows);
            let later = |rows: &[Row]| rows.iter().filter(|row| row.step > 398).cloned().collect::<Vec<_>>();
            let (resumed, whole) = (later(&resumed), later(all));
            assert!(resumed.len() > 7 && resumed.len() == whole.len(), "{sets:?}");
            for (resumed, whole) in resumed.iter().zip(&whole) {
                assert_eq!((resumed.step, infos(resumed)), (whole.step, infos(whole)), "{sets:?}");
            }
        }
        logs.push(rows);
        if sets.is_empty() {
            let read = &crate::tensorboard::read(&whole)["scalars"];
            for (tag, expected) in EXPECTED {
                let events = read[tag].as_array().unwrap_or_else(|| panic!("{tag} is missing"));
                let last = events.last().expect("events")[1].as_f64().expect("a number");
                assert!((last - expected).abs() < 0.02, "{tag}: {last}");
            }
            assert_eq!(read["eval/info_sum/a_cost"][0][1], 4.0);
        }
    }
    assert_eq!(logs[2], logs[3], "one actor or two");
}

#[test]
fn worlds_in_python_have_infos_evaluations_and_presets() {
    let place = Workplace::new();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/gymnasium-env.sh");
    let output = std::process::Command::new(script).output().expect("the script starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let python = String::from_utf8_lossy(&output.stdout).trim().to_string();
    let pavlov = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        let output = command.env("PAVLOV_PYTHON", &python).output().expect("the command starts");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let short = ["--set", "env_steps=1500", "--set", "evaluation.every_env_steps=700"];
    let train = |id: &str, run: &str| {
        pavlov(&[&["train", "dqn", id, "--run-dir", run], SMALL, &short[..]].concat()).1
    };
    let said = train("gym:FrozenLake-v1", "lake");
    assert!(said.contains("with the preset of FrozenLake-v1"), "{said}");
    let rows = log(&place.path("lake"));
    for tag in ["rollout/info/prob", "rollout/info_sum/prob", "eval/info/prob", "eval/info_sum/prob"] {
        assert!(rows.iter().any(|row| row.values.contains_key(tag)), "{tag}");
    }
    let eval = |envs: &str| {
        let arguments = ["eval", "lake", "--episodes", "7", "--json", "--envs", envs];
        serde_json::from_str::<serde_json::Value>(&pavlov(&arguments).0).expect("JSON")
    };
    let (few, many) = (eval("2"), eval("7"));
    assert_eq!(few["returns"], many["returns"], "they do not depend on the number of environments");
    let prob = few["infos"]["prob"]["last"].as_f64().expect("a mean");
    assert!((0.3..=1.0).contains(&prob), "{prob}");
    assert!(pavlov(&["eval", "lake", "--episodes", "3"]).0.contains("info prob: last "));

    let bundled = place.pavlov(&["config", "dqn", "CartPole-v1"]).out;
    let bridged = pavlov(&["config", "dqn", "gym:CartPole-v1"]).0;
    assert_eq!(bridged.replace("gym:CartPole-v1", "CartPole-v1"), bundled);
}

#[test]
fn a_training_without_a_preset_says_so() {
    let place = Workplace::new();
    let said = place.train_small("run", &[]);
    assert!(said.success && !said.err.contains("no preset"), "{}", said.err);
    let train = ["train", "dqn", "Probe/Constant-v0", "--run-dir", "probe"];
    let said = place.pavlov(&[&train, SMALL].concat());
    let probe = said.err.lines().find(|line| line.starts_with("no preset for dqn on Probe/"));
    assert!(said.success && probe.is_some_and(|line| line.contains("pavlov agents")), "{}", said.err);
}
