//! The choice of the best weights among candidates at the end of a run.

use std::path::Path;

use pavlov::common::derive_seed;
use pavlov::nn::StateDict;
use pavlov::training::{EvaluationOptions, evaluate};
use pavlov::{Registries, RunFolder, Training};

use crate::command::Workplace;
use crate::reproducible::log;

const OFTEN: [&str; 2] = ["--set", "evaluation.every_env_steps=250"];

fn last_state(run: &Path) -> StateDict<'static> {
    let folder = RunFolder::open(run).expect("a run");
    let last = folder.checkpoints().list().expect("a list").pop().expect("a checkpoint");
    last.read().expect("whole")
}

/// The env steps of the candidates in a run's last checkpoint.
fn candidates(state: &StateDict<'_>) -> Vec<u64> {
    let list = &state.values["candidates"];
    list.as_array().expect("a list").iter().map(|entry| entry["done"].as_u64().expect("steps")).collect()
}

#[test]
fn the_best_weights_are_those_of_the_candidate_that_plays_best_again() {
    let place = Workplace::new();
    let said = place.train_small("run", &[&OFTEN[..], &["--json"]].concat());
    assert!(said.success, "{}", said.err);
    let outcome: serde_json::Value =
        serde_json::from_str(said.out.lines().last().expect("a line")).expect("JSON");
    let choice = &outcome["outcome"]["choice"];
    // Twelve evaluations of two episodes leave twelve episodes for three candidates.
    assert_eq!((choice["candidates"].as_u64(), choice["episodes"].as_u64()), (Some(3), Some(4)));
    let (registries, run) = (Registries::bundled(), place.path("run"));
    let folder = RunFolder::open(&run).expect("a run");
    let config = folder.config(&registries).expect("a configuration");
    let state = last_state(&run);
    let mut means = Vec::new();
    for candidate in candidates(&state) {
        let mut agent = Training::agent(&config, &registries).expect("an agent");
        agent.load_weights(&state.view().part("candidates").part(&candidate.to_string())).expect("they fit");
        let seed = derive_seed(config.seed, "final comparison", 0);
        let options = EvaluationOptions { episodes: 4, seed, ..EvaluationOptions::default() };
        let factory = config.factory(&registries).expect("a factory");
        let result = evaluate(agent.policy().expect("a policy").as_mut(), &factory, &options);
        means.push((candidate, result.expect("played").mean(), agent.weights().expect("weights")));
    }
    let best = means.iter().map(|(_, mean, _)| *mean).fold(f64::MIN, f64::max);
    let (chosen, mean, weights) = means.iter().find(|(_, mean, _)| *mean == best).expect("one");
    assert_eq!((choice["chosen"].as_u64(), choice["metric"].as_f64()), (Some(*chosen), Some(*mean)));
    let written = pavlov::nn::weights::read(&folder.best_weights()).expect("weights");
    assert!(written.arrays == weights.arrays);
    let rows = log(&run);
    let last = rows.last().expect("a row");
    assert_eq!((last.step, last.values.get("eval/final_mean_reward")), (3000, Some(mean)));
    // A finished run has nothing to choose again, and tells of its choice.
    let said = place.pavlov(&["resume", "run"]);
    assert!(
        said.success && said.err.contains(&format!("best weights: those after {chosen} env steps")),
        "{}",
        said.err
    );
    // One that goes on has other candidates at its next end.
    let said = place.pavlov(&["resume", "run", "--steps", "4000", "--json"]);
    let outcome: serde_json::Value =
        serde_json::from_str(said.out.lines().last().expect("a line")).expect("JSON");
    assert_eq!(outcome["outcome"]["choice"]["at"], 4000, "{}", said.err);
}

#[test]
fn no_choice_is_made_where_none_is_wanted_or_there_is_too_little() {
    let place = Workplace::new();
    let none = [&OFTEN[..], &["--set", "evaluation.final_episodes=0"]].concat();
    let reached = [&OFTEN[..], &["--until-return", "1"]].concat();
    for (run, more, has_candidates) in
        [("off", &none[..], false), ("reached", &reached[..], true), ("few", &[], true)]
    {
        let said = place.train_small(run, more);
        assert!(said.success && !said.err.contains("best weights"), "{run}: {}", said.err);
        let state = last_state(&place.path(run));
        assert_eq!(!candidates(&state).is_empty(), has_candidates, "{run}");
        assert_eq!(state.arrays.keys().any(|name| name.starts_with("candidates.")), has_candidates, "{run}");
        assert!(place.path(run).join("best/weights.safetensors").exists());
    }
}
