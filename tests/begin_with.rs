//! Runs that begin with the weights of others.

use std::fs;

use pavlov::nn::weights;
use pavlov::run::Job;
use pavlov::{Registries, RunFolder, Training};

use crate::command::Workplace;
use crate::reproducible::{log, tensors};

const NORMALIZED: &str = "wrappers=[{ kind = \"normalize_observation\" }]";
const PPO: [&str; 6] = ["train", "ppo", "CartPole-v1", "--quiet", "--set", "evaluation.every_env_steps=500"];

fn ppo(place: &Workplace, run: &str, more: &[&str]) -> crate::command::Said {
    place.pavlov(&[&PPO[..], &["--run-dir", run, "--steps", "1000"], more].concat())
}

#[test]
fn a_run_begins_with_all_that_another_has_learned() {
    let place = Workplace::new();
    assert!(ppo(&place, "a", &["--set", NORMALIZED]).success);
    let given = weights::read(&place.path("a/best/weights.safetensors")).expect("weights");
    let registries = Registries::bundled();
    let file = "a/best/weights.safetensors";
    for (run, from, more) in [("b", "a", &[][..]), ("c", file, &[]), ("d", "a", &["--actors", "1"])] {
        let more = [&["--set", NORMALIZED, "--from", from], more].concat();
        let said = place.pavlov(
            &[&["train", "ppo", "CartPole-v1", "--steps", "1000", "--run-dir", run], &more[..]].concat(),
        );
        assert!(said.success, "{}", said.err);
        for words in [
            "begins with the weights of",
            "arrays and the statistics of observations",
            "seed 0, 1000 env steps",
        ] {
            assert!(said.err.contains(words), "{words}: {}", said.err);
        }
        let config =
            RunFolder::open(&place.path(run)).expect("a run").config(&registries).expect("a configuration");
        assert!(config.pretrained.whole && config.pretrained.path.is_absolute());
        let mut training = Training::new(config, &registries).expect("a training");
        training.load_pretrained().expect("they fit").expect("told");
        assert!(training.weights().expect("weights") == given, "{run}: weights and statistics");
    }
    // The run's configuration begins in the same way, and a resumed run does not begin again.
    let copied = place.pavlov(&[
        "train",
        "ppo",
        "CartPole-v1",
        "--config",
        "b/config.toml",
        "--run-dir",
        "e",
        "--quiet",
    ]);
    assert!(copied.success, "{}", copied.err);
    assert!(tensors(&place.path("e")) == tensors(&place.path("b")));
    assert_eq!(log(&place.path("e")), log(&place.path("b")));
    assert!(ppo(&place, "fresh", &["--set", NORMALIZED]).success);
    assert!(tensors(&place.path("fresh")) != tensors(&place.path("b")));
    let said = place.pavlov(&["resume", "b", "--steps", "1500"]);
    assert!(said.success && !said.err.contains("begins with"), "{}", said.err);
    // The policy that was trained on normalised observations is used with their statistics.
    let said = place.pavlov(&["eval", "b", "--episodes", "3"]);
    assert!(said.success && said.out.contains("standard error of the mean"), "{}{}", said.out, said.err);
}

#[test]
fn weights_of_another_network_are_refused_with_the_first_difference() {
    let place = Workplace::new();
    assert!(ppo(&place, "plain", &[]).success);
    assert!(ppo(&place, "none", &["--set", "evaluation.every_env_steps=0"]).success);
    assert!(ppo(&place, "normalized", &["--set", NORMALIZED]).success);
    let count = "data.options.count=200";
    let fit =
        ["fit", "classifier", "digits", "--set", count, "--updates", "2", "--quiet", "--run-dir", "fit"];
    let said = place.pavlov(&fit);
    assert!(said.success, "{}", said.err);
    let before = fs::read_dir(place.path(".")).expect("a folder").count();
    let cases: [(&[&str], &[&str]); 8] = [
        (
            &["ppo", "CartPole-v1", "--set", "net.hidden_sizes=[8]", "--from", "plain"],
            &["there and", "here; other settings there: net.hidden_sizes", "--set net.pretrained="],
        ),
        (&["ppo", "Acrobot-v1", "--from", "plain"], &["environment \"CartPole-v1\" (here \"Acrobot-v1\")"]),
        (
            &["ppo", "CartPole-v1", "--set", NORMALIZED, "--from", "plain"],
            &["observation_normalizer", "wrappers"],
        ),
        (&["ppo", "CartPole-v1", "--from", "normalized"], &["is there and not here", "wrappers"]),
        (&["a2c", "CartPole-v1", "--from", "plain"], &["agent `ppo`", "agent `a2c`"]),
        (&["ppo", "CartPole-v1", "--from", "fit"], &["task `classifier`", "agent `ppo`"]),
        (&["ppo", "CartPole-v1", "--from", "none"], &["none has no best weights yet"]),
        (&["ppo", "CartPole-v1", "--from", "nowhere"], &["nowhere"]),
    ];
    for (arguments, words) in cases {
        let said = place.pavlov(&[&["train"], arguments].concat());
        assert!(!said.success, "{arguments:?}");
        words.iter().for_each(|word| assert!(said.err.contains(word), "{word}: {}", said.err));
    }
    assert_eq!(fs::read_dir(place.path(".")).expect("a folder").count(), before, "no folder is left behind");
}

#[test]
fn a_fit_begins_with_another_fit() {
    let place = Workplace::new();
    let fit = |run: &str, more: &[&str]| {
        let fit = [
            "fit",
            "classifier",
            "digits",
            "--updates",
            "4",
            "--set",
            "data.options.count=300",
            "--run-dir",
            run,
        ];
        place.pavlov(&[&fit[..], more].concat())
    };
    let said = fit("a", &[]);
    assert!(said.success, "{}", said.err);
    let said = fit("b", &["--from", "a"]);
    assert!(said.success && said.err.contains("pretrained weights of"), "{}", said.err);
    let said = fit("c", &["--from", "a", "--set", "net.layers=[\"flatten\", { linear = 8 }]"]);
    assert!(!said.success && said.err.contains("other settings there: net.layers"), "{}", said.err);
}
