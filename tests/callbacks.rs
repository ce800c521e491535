//! Callbacks: their scalars, the stop that they ask for, their state, and their errors, with actors and without.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use anyhow::{Result, ensure};
use pavlov::nn::{StateDict, StateView};
use pavlov::run::{Evaluated, LogRow, Quiet, RunView, StopReason};
use pavlov::{Callback, Fit, FitConfig, Outcome, Overrides, Registries, RunFolder, Session, Training};

use crate::command::{SMALL, Workplace};
use crate::reproducible::{log, tensors};
use crate::settings::resolved;
use crate::tensorboard;

/// The settings that SMALL gives the command line.
fn small() -> Vec<&'static str> {
    SMALL.iter().filter(|argument| **argument != "--set").copied().collect()
}

/// Counts rows, and keeps what it was called with.
#[derive(Default)]
struct Counter {
    rows: u64,
    /// It asks the run to stop with the first row from this step on.
    stop_at: Option<u64>,
    /// The method that fails.
    fails_in: Option<&'static str>,
    called: Rc<RefCell<Vec<String>>>,
}

impl Counter {
    fn note(&self, method: &'static str, words: String) -> Result<()> {
        self.called.borrow_mut().push(format!("{method} {words}"));
        ensure!(self.fails_in != Some(method), "{method} is broken");
        Ok(())
    }
}

impl Callback for Counter {
    fn on_start(&mut self, run: &mut RunView<'_>) -> Result<()> {
        self.note("start", format!("{} {}", run.origin(), run.env_steps()))
    }

    fn on_row(&mut self, row: &mut LogRow<'_>, run: &mut RunView<'_>) -> Result<()> {
        self.rows += 1;
        row.add("own/rows", self.rows as f64)?;
        if self.stop_at.is_some_and(|at| row.step() >= at) {
            run.stop("enough was seen");
        }
        self.note("row", row.step().to_string())
    }

    fn on_evaluation(&mut self, evaluated: &Evaluated, run: &mut RunView<'_>) -> Result<()> {
        if let Some(episodes) = &evaluated.episodes {
            assert_eq!(episodes.mean(), evaluated.metric);
            assert!(run.policy()?.is_some());
        }
        assert!(run.weights()?.is_some_and(|weights| !weights.arrays.is_empty()));
        self.note("evaluation", format!("{} {}", run.env_steps(), evaluated.episodes.is_some()))
    }

    fn on_checkpoint(&mut self, folder: &Path, run: &mut RunView<'_>) -> Result<()> {
        assert!(folder.join("state.json").exists());
        self.note("checkpoint", run.env_steps().to_string())
    }

    fn on_end(&mut self, outcome: &Outcome, _: &mut RunView<'_>) -> Result<()> {
        self.note("end", format!("{:?}", outcome.reason))
    }

    fn put_state(&self, state: &mut StateDict<'_>) -> Result<()> {
        Ok(state.put_value("rows", &self.rows)?)
    }

    fn load_state(&mut self, state: &StateView<'_>) -> Result<()> {
        self.rows = state.value("rows")?;
        Ok(())
    }
}

/// Trains a new run, or goes on with one from its last checkpoint.
fn train(run: &Path, agent: &str, sets: &[&str], callback: Counter) -> Result<Outcome> {
    let registries = Registries::bundled();
    let config = resolved(&registries, agent, "CartPole-v1", &[&["seed=3"], sets].concat());
    let session = match RunFolder::open(run) {
        Ok(folder) => {
            let last = folder.checkpoints().list()?.pop().expect("a checkpoint");
            Session::resume(Training::new(config, &registries)?, folder, &last)?
        }
        Err(_) => {
            let folder = RunFolder::create(Some(run), &config)?;
            Session::start(Training::new(config, &registries)?, folder)?
        }
    };
    session.with_callback(callback)?.run(&false.into(), &mut Quiet)
}

/// The column `own/rows` of a run, and its steps.
fn counted(run: &Path) -> Vec<(u64, f64)> {
    let tag = "own/rows";
    log(run).iter().filter_map(|row| Some((row.step, *row.values.get(tag)?))).collect()
}

/// Stops at a row, goes on, and ends as the run that was never stopped.
fn stops_and_goes_on(agent: &str, sets: &[&str], stop_at: u64) {
    let place = Workplace::new();
    let (whole, stopped) = (place.path("whole"), place.path("stopped"));
    let outcome = train(&whole, agent, sets, Counter::default()).expect("a training");
    assert_eq!((outcome.reason, outcome.why), (StopReason::Completed, None));

    let stopping = Counter { stop_at: Some(stop_at), ..Counter::default() };
    let outcome = train(&stopped, agent, sets, stopping).expect("a training");
    assert_eq!((outcome.reason, outcome.why.as_deref()), (StopReason::Callback, Some("enough was seen")));
    let steps = log(&stopped).last().expect("rows").step;
    assert!(outcome.env_steps < 2000 && (stop_at..stop_at + 250).contains(&steps), "{agent}: {outcome:?}");
    let outcome = train(&stopped, agent, sets, Counter::default()).expect("a training");
    assert_eq!(outcome.reason, StopReason::Completed);
    // Between two rows the means of threads begin anew with a phase.
    if !sets.contains(&"actors.count=2") {
        assert_eq!(log(&stopped), log(&whole), "{agent}");
    }
    assert_eq!(counted(&stopped), counted(&whole), "{agent}");
    assert!(tensors(&stopped) == tensors(&whole), "{agent}");
    assert!(counted(&whole).len() > 5, "{:?}", counted(&whole));
    for (number, (_, rows)) in counted(&whole).into_iter().enumerate() {
        assert_eq!(rows, (number + 1) as f64, "each row is counted once");
    }

    let expected: Vec<_> =
        counted(&stopped).into_iter().map(|(step, rows)| serde_json::json!([step, rows])).collect();
    let found = tensorboard::read(&stopped)["scalars"]["own/rows"].clone();
    assert_eq!(found, serde_json::json!(expected), "{agent}");
}

#[test]
fn a_callback_stops_a_training_that_goes_on_exactly() {
    stops_and_goes_on("dqn", &small(), 750);
}

#[test]
fn a_callback_stops_actors_in_the_middle_of_a_phase() {
    let more = ["actors.count=2", "actors.mode=\"lockstep\"", "num_envs=2"];
    let rare = ["checkpoint.every_env_steps=0", "evaluation.every_env_steps=2500"];
    stops_and_goes_on("dqn", &[&small()[..], &more, &rare].concat(), 750);
}

#[test]
fn free_actors_have_the_scalars_of_callbacks_and_stop() {
    for (agent, own) in [("dqn", small()), ("ppo", vec!["net.hidden_sizes=[16]", "log.every_env_steps=250"])]
    {
        let place = Workplace::new();
        let run = place.path("run");
        let more = ["actors.count=2", "num_envs=2", "evaluation.every_env_steps=0", "env_steps=1000000"];
        let sets = [&own[..], &more, &["checkpoint.every_env_steps=0"]].concat();
        let called = Rc::default();
        // A row is written after so many steps or soon after.
        struct Soon(Counter);
        impl Callback for Soon {
            fn on_row(&mut self, row: &mut LogRow<'_>, run: &mut RunView<'_>) -> Result<()> {
                match row.step() {
                    1000.. => run.stop("enough was seen"),
                    _ => assert!(run.policy()?.is_none(), "the learner has it"),
                }
                self.0.on_row(row, run)
            }
        }
        let registries = Registries::bundled();
        let config = resolved(&registries, agent, "CartPole-v1", &sets);
        let folder = RunFolder::create(Some(&run), &config).expect("a folder");
        let session = Session::start(Training::new(config, &registries).expect("a training"), folder);
        let callback = Soon(Counter { called: Rc::clone(&called), ..Counter::default() });
        let session = session.and_then(|session| session.with_callback(callback)).expect("a session");
        let outcome = { session }.run(&false.into(), &mut Quiet).expect("a training");
        assert_eq!(outcome.reason, StopReason::Callback, "{agent}");
        assert!((1000..500_000).contains(&outcome.env_steps), "{agent}: {outcome:?}");
        let (logged, rows) = (counted(&run), called.borrow().len());
        assert!(rows >= 1 && logged.len() == rows, "{agent}: {logged:?}");
    }
}

#[test]
fn each_method_is_called_in_its_turn() {
    let place = Workplace::new();
    let called: Rc<RefCell<Vec<String>>> = Rc::default();
    let callback = Counter { called: Rc::clone(&called), ..Counter::default() };
    let sets = ["env_steps=1000", "log.every_env_steps=500", "checkpoint.every_env_steps=500"];
    train(&place.path("run"), "dqn", &[&small()[..], &sets].concat(), callback).expect("a training");
    let expected = [
        "start dqn on CartPole-v1 0",
        "row 500",
        "checkpoint 500",
        "evaluation 1000 true",
        "row 1000",
        "checkpoint 1000",
        "checkpoint 1000",
        "end Completed",
    ];
    assert_eq!(*called.borrow(), expected);
}

#[test]
fn a_failing_callback_ends_the_run_with_a_checkpoint() {
    let actors = ["actors.count=1", "actors.mode=\"lockstep\""];
    for (method, more) in [
        ("start", &[][..]),
        ("row", &[]),
        ("evaluation", &[]),
        ("checkpoint", &[]),
        ("end", &[]),
        ("row", &actors),
        ("evaluation", &actors),
    ] {
        let place = Workplace::new();
        let run = place.path("run");
        let sets = [&small()[..], more].concat();
        let callback = Counter { fails_in: Some(method), ..Counter::default() };
        let error = train(&run, "dqn", &sets, callback).expect_err(method).to_string();
        for word in
            ["the callback `Counter` failed", "is broken", "A checkpoint was written", "mend the callback"]
        {
            assert!(error.contains(word), "{method}: {error}");
        }
        let outcome = train(&run, "dqn", &sets, Counter::default()).expect("it goes on");
        assert_eq!((outcome.reason, outcome.env_steps), (StopReason::Completed, 3000), "{method}");
        let rows: Vec<_> = counted(&run).into_iter().map(|(_, rows)| rows as usize).collect();
        assert!(rows.is_sorted() && !rows.is_empty(), "{method}: {rows:?}");
        let evaluations = log(&run).iter().filter(|row| row.values.contains_key("eval/mean_reward")).count();
        assert_eq!(evaluations, 3, "{method}");
    }
}

#[test]
fn a_tag_of_the_log_is_refused_and_a_missing_callback_is_told() {
    struct Taken;
    impl Callback for Taken {
        fn on_row(&mut self, row: &mut LogRow<'_>, _: &mut RunView<'_>) -> Result<()> {
            row.add("time/fps", 1.0)
        }
    }
    let place = Workplace::new();
    let registries = Registries::bundled();
    let run = place.path("run");
    let config = resolved(&registries, "dqn", "CartPole-v1", &small());
    let folder = RunFolder::create(Some(&run), &config).expect("a folder");
    let session = Session::start(Training::new(config, &registries).expect("a training"), folder);
    let session = session.and_then(|session| session.with_callback(Taken)).expect("a session");
    let error = { session }.run(&false.into(), &mut Quiet).expect_err("the tag is taken").to_string();
    assert!(error.contains("the log has `time/fps` already"), "{error}");

    let said = place.pavlov(&["resume", "run"]);
    assert!(said.success && said.err.contains("Taken. It goes on without them"), "{}", said.err);
}

#[test]
fn a_fit_has_callbacks_too() {
    let place = Workplace::new();
    let registries = Registries::bundled();
    let sets = ["updates=20", "validation.every_updates=10", "log.every_updates=5", "data.options.count=200"];
    let overrides = Overrides { file: None, sets: sets.map(String::from).to_vec() };
    let config = FitConfig::resolve(&registries, "classifier", "digits", &overrides).expect("valid");
    let folder = RunFolder::create(Some(&place.path("run")), &config).expect("a folder");
    let called: Rc<RefCell<Vec<String>>> = Rc::default();
    let callback = Counter { called: Rc::clone(&called), stop_at: Some(10), ..Counter::default() };
    let session = Session::start(Fit::new(config, &registries).expect("a fit"), folder);
    let session = session.and_then(|session| session.with_callback(callback)).expect("a session");
    let outcome = { session }.run(&false.into(), &mut Quiet).expect("a fit");
    assert_eq!((outcome.reason, outcome.updates), (StopReason::Callback, 10));
    assert_eq!(counted(&place.path("run")), [(5, 1.0), (10, 2.0)]);
    let expected = [
        "start classifier on digits 0",
        "row 5",
        "evaluation 0 false",
        "row 10",
        "checkpoint 0",
        "end Callback",
    ];
    assert_eq!(*called.borrow(), expected);
}
