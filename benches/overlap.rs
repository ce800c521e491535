//! The overlap of acting and learning: a world whose step costs as much as an update, learned in turns by one
//! thread, and by an actor and a learner.
//!
//! `cargo bench --bench overlap` on a machine with two idle cores.

use std::hint::black_box;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use pavlov::envs::{Action, End, Env, EnvError, EnvSpec, ObsMut, Space, Step};
use pavlov::record::read_csv;
use pavlov::run::Quiet;
use pavlov::{Overrides, Registries, RunConfig, RunFolder, Session, Training};

/// A world that computes for so long with each step.
struct Busy {
    cost: Duration,
    steps: u32,
    observations: Space,
    actions: Space,
}

impl Busy {
    fn spec(id: &'static str, cost: Duration) -> EnvSpec {
        EnvSpec::new(id, move |_| {
            let actions = Space::box_f32(-1.0, 1.0, &[2])?;
            Ok(Box::new(Self { cost, steps: 0, observations: Space::unbounded(&[8]), actions }))
        })
    }
}

impl Env for Busy {
    fn observation_space(&self) -> &Space {
        &self.observations
    }

    fn action_space(&self) -> &Space {
        &self.actions
    }

    fn reset(&mut self, _seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        self.steps = 0;
        observation.floats.fill(0.0);
        Ok(())
    }

    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        let started = Instant::now();
        let mut number = f64::from(action.point(2)?[0]);
        while started.elapsed() < self.cost {
            number = black_box(number.mul_add(0.999, 1e-3));
        }
        self.steps += 1;
        let noise = |index: usize| ((self.steps as usize * 31 + index * 17) % 97) as f32 / 97.0;
        observation.floats.iter_mut().enumerate().for_each(|(index, out)| *out = noise(index));
        Ok(Step::new(number, if self.steps.is_multiple_of(200) { End::Truncated } else { End::No }))
    }
}

/// Env steps per second after the warm-up, and the shares of the time that the threads waited.
fn measure(agent: &str, cost: Duration, steps: u64, sets: &[&str]) -> (f64, Vec<(String, f64)>) {
    let mut registries = Registries::bundled();
    registries.envs.register(Busy::spec("Busy-v0", cost)).expect("registered");
    let steps = format!("env_steps={steps}");
    let all = [&steps, "update_threads=1", "evaluation.every_env_steps=0", "checkpoint.every_env_steps=0"];
    let sets = all.iter().chain(sets).map(ToString::to_string).collect();
    let config =
        RunConfig::resolve(&registries, agent, "Busy-v0", &Overrides { file: None, sets }).expect("valid");
    let folder = tempfile::tempdir().expect("a folder");
    let run = RunFolder::create(Some(&folder.path().join("run")), &config).expect("a run");
    let mut session = Session::start(Training::new(config, &registries).expect("a training"), run.clone())
        .expect("a session");
    session.run(&AtomicBool::new(false), &mut Quiet).expect("a training");
    let (_, rows) = read_csv(&run.log()).expect("a log");
    let of = |row: &pavlov::record::Row| row.step as f64 / row.values["time/fps"];
    let (first, last) = (&rows[rows.len() / 4], &rows[rows.len() - 1]);
    let rate = (last.step - first.step) as f64 / (of(last) - of(first));
    let mean = |tag: &str| {
        let values: Vec<f64> =
            rows.iter().skip(rows.len() / 4).filter_map(|row| row.values.get(tag).copied()).collect();
        (!values.is_empty()).then(|| (tag.to_string(), values.iter().sum::<f64>() / values.len() as f64))
    };
    let tags = ["actors/idle_share", "learner/idle_share", "replay/idle_share", "actors/policy_lag_mean"];
    (rate, tags.into_iter().filter_map(mean).collect())
}

fn main() {
    // Cargo asks for the list of benches with an argument when it tests.
    if std::env::args().any(|argument| argument == "--list" || argument == "--test") {
        return;
    }
    let sac = ["warmup_env_steps=200", "log.every_env_steps=100", "batch_size=256"];
    let ppo = [
        "rollout_steps=256",
        "minibatch_size=256",
        "epochs=10",
        "log.every_env_steps=512",
        "net.hidden_sizes=[256, 256]",
    ];
    for (agent, sets, steps) in [("sac", &sac[..], 2_000), ("ppo", &ppo[..], 16_384)] {
        // The cost of an update for each env step, from a world that costs nothing.
        let (free, _) = measure(agent, Duration::ZERO, steps, sets);
        let cost = Duration::from_secs_f64(1.0 / free);
        let (turns, _) = measure(agent, cost, steps, sets);
        let actors = [sets, &["actors.count=1", "actors.tolerance_env_steps=200"]].concat();
        let (threads, shares) = measure(agent, cost, steps, &actors);
        println!("{agent}: a step costs {cost:.2?}, as its updates do");
        println!("  in turns            {turns:8.0} env steps/s");
        println!("  actor and learner   {threads:8.0} env steps/s, {:.2} times", threads / turns);
        shares.iter().for_each(|(tag, value)| println!("  {tag:<24} {value:.3}"));
    }
}
