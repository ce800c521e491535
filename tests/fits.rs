//! Fits of models as their users see them: every task learns, resumes exactly, and explains mistakes.

use std::fs;

use serde_json::Value;

use crate::command::{Workplace, files};
use crate::reproducible::{log, tensors};
use crate::resume::killed_and_resumed;

/// A fit of each task that takes a second or two, and settings that make it small.
const FITS: &[(&str, &str, &[&str])] = &[
    (
        "classifier",
        "digits",
        &[
            "data.options.count=1000",
            "net.layers=[\"flatten\", { linear = 32 }, \"batch_norm\", \"relu\", { dropout = 0.1 }]",
            "mixup_alpha=0.2",
            "learning.ema_decay=0.9",
        ],
    ),
    ("classifier", "sentences", &["data.options.count=800", "data.balanced=true"]),
    (
        "autoencoder",
        "digits",
        &[
            "data.options.count=600",
            "variational=true",
            "restoration=bernoulli",
            "noise=0.1",
            "hidden_sizes=[32]",
        ],
    ),
    (
        "gan",
        "digits",
        &[
            "data.options.count=300",
            "data.options.size=8",
            "data.batch_size=16",
            "generator.layers=[{ linear = 64 }, \"batch_norm\", \"relu\", { linear = 64 }]",
            "discriminator.layers=[\"flatten\", { linear = 32 }, \"leaky_relu\"]",
            "adversary=wasserstein",
            "discriminator.spectral_norm=true",
            "discriminator_steps=2",
        ],
    ),
    (
        "language",
        "text",
        &[
            "data.options.characters=20000",
            "data.options.length=16",
            "net.layers=[{ embedding = { vocabulary = 64, width = 8 } }, { lstm = 16 }]",
        ],
    ),
    (
        "speech",
        "tones",
        &[
            "data.options.count=200",
            "net.layers=[\"flatten\", { linear = 16 }, \"relu\"]",
            "data.batch_size=16",
            "data.accumulate=2",
        ],
    ),
];

fn arguments<'a>(fit: &(&'a str, &'a str, &'a [&'a str])) -> Vec<&'a str> {
    let mut arguments = vec!["fit", fit.0, fit.1, "--seed", "3", "--quiet", "--updates", "120"];
    let shared = ["checkpoint.every_updates=7", "validation.every_updates=40", "log.every_updates=10"];
    shared.iter().chain(fit.2).for_each(|set| arguments.extend(["--set", set]));
    arguments
}

#[test]
fn every_task_killed_ten_times_in_an_epoch_goes_on_exactly() {
    for fit in FITS {
        killed_and_resumed(10, &[arguments(fit), vec!["--set", "data.loader_threads=2"]].concat());
    }
}

#[test]
fn the_numbers_do_not_depend_on_the_threads_that_load() {
    for fit in FITS {
        let place = Workplace::new();
        for (run, threads) in [("one", "data.loader_threads=1"), ("four", "data.loader_threads=4")] {
            let said = place.pavlov(&[arguments(fit), vec!["--run-dir", run, "--set", threads]].concat());
            assert!(said.success, "{}: {}", fit.0, said.err);
        }
        assert!(tensors(&place.path("one")) == tensors(&place.path("four")), "{} {}", fit.0, fit.1);
        assert_eq!(log(&place.path("one")), log(&place.path("four")));
    }
}

#[test]
fn a_fitted_model_is_measured_listed_drawn_and_sampled() {
    let place = Workplace::new();
    for (fit, metric) in [(0, "accuracy"), (2, "elbo"), (3, "sliced_wasserstein"), (4, "bits_per_character")]
    {
        let fit = &FITS[fit];
        let run = format!("runs/{}", fit.0);
        let said = place.pavlov(&[arguments(fit), vec!["--run-dir", &run]].concat());
        assert!(said.success, "{}", said.err);
        for last in [&[][..], &["--last"]] {
            let said = place.pavlov(&[&["eval", &run, "--json"], last].concat());
            assert!(said.success, "{}", said.err);
            let summary: Value = serde_json::from_str(&said.out).expect("JSON");
            assert!(summary["metrics"][metric].is_number(), "{summary}");
            assert_eq!(summary["part"], "test");
        }
    }
    let said = place.pavlov(&["sample", "runs/gan", "--count", "4", "--out", "gan.png"]);
    assert!(said.success, "{}", said.err);
    let picture = image::open(place.path("gan.png")).expect("a picture");
    assert_eq!((picture.width(), picture.height()), (4 * 58 + 2, 58 + 2));
    let said =
        place.pavlov(&["sample", "runs/language", "--count", "2", "--length", "30", "--prompt", "The "]);
    assert!(said.success && said.out.matches("The ").count() >= 2, "{}{}", said.out, said.err);
    let again =
        place.pavlov(&["sample", "runs/language", "--count", "2", "--length", "30", "--prompt", "The "]);
    assert_eq!(said.out, again.out, "the same seed gives the same texts");
    for (flags, part) in [
        (&["sample", "runs/gan", "--prompt", "The "][..], "--prompt does nothing"),
        (&["sample", "runs/gan", "--length", "9"], "--length does nothing"),
        (&["sample", "runs/language", "--class", "1"], "--class does nothing"),
        (&["sample", "runs/language", "--out", "x.png"], "--out does nothing"),
        (&["eval", "runs/gan", "--episodes", "5"], "--episodes is for the training of an agent"),
        (&["eval", "runs/gan", "--stochastic"], "--stochastic is for"),
        (&["eval", "runs/gan", "--seed", "5"], "--seed without --samples-of"),
        (&["eval", "runs/gan", "--count", "5"], "--samples-of"),
    ] {
        let said = place.pavlov(flags);
        assert!(!said.success && said.err.contains(part), "{flags:?}: {}", said.err);
    }
    let said = place.pavlov(&["sample", "runs/classifier"]);
    assert!(!said.success && said.err.contains("makes no samples"), "{}", said.err);

    let said = place.pavlov(&["runs"]);
    assert!(["classifier", "gan", "120 updates"].iter().all(|word| said.out.contains(word)), "{}", said.out);
    let said = place.pavlov(&["plot", "runs/classifier", "--out", "loss.svg"]);
    assert!(said.success, "{}", said.err);
    let svg = fs::read_to_string(place.path("loss.svg")).expect("a drawing");
    assert!(svg.contains("classifier on digits") && svg.contains("updates"), "the axis says what it counts");
    let said = place.pavlov(&["play", "runs/classifier"]);
    assert!(!said.success && said.err.contains("the fit of a model"), "{}", said.err);
}

#[test]
fn a_fit_stops_when_validations_no_longer_become_better() {
    let place = Workplace::new();
    let said = place.pavlov(&[
        "fit",
        "classifier",
        "digits",
        "--run-dir",
        "run",
        "--json",
        "--updates",
        "5000",
        "--set",
        "data.options.count=300",
        "--set",
        "net.layers=[\"flatten\"]",
        "--set",
        "validation.every_updates=10",
        "--set",
        "validation.patience=3",
    ]);
    assert!(said.success, "{}", said.err);
    let summary: Value = serde_json::from_str(said.out.lines().last().expect("a summary")).expect("JSON");
    assert_eq!(summary["outcome"]["reason"], "no_progress", "{summary}");
    assert!(summary["outcome"]["updates"].as_u64().expect("a count") < 5000);
}

/// Arguments, and words that the message must contain.
const MISTAKES: &[(&[&str], &[&str])] = &[
    (&["fit", "clasifier", "digits"], &["unknown task `clasifier`", "did you mean `classifier`?"]),
    (&["fit", "classifier", "digit"], &["digit", "did you mean `digits`?"]),
    (
        &["fit", "classifier", "digits", "--set", "learning.rat=1"],
        &["unknown key `rat`", "did you mean `rate`?"],
    ),
    (&["fit", "classifier", "digits", "--set", "label_smooting=1"], &["did you mean `label_smoothing`?"]),
    (&["fit", "classifier", "digits", "--set", "label_smoothing=1"], &["label_smoothing is 1"]),
    (&["fit", "classifier", "digits", "--set", "data.options.cout=3"], &["cout", "count"]),
    (&["fit", "classifier", "digits", "--epochs", "0"], &["epochs and updates are 0"]),
    (&["fit", "classifier", "digits", "--set", "data.batch_size=0"], &["data.batch_size is 0"]),
    (&["fit", "classifier", "digits", "--set", "data.split.test=1.5"], &["test", "1.5"]),
    (&["fit", "classifier", "text"], &["classes"]),
    (&["fit", "gan", "digits", "--set", "data.normalize=true"], &["data.normalize"]),
    (
        &["fit", "autoencoder", "digits", "--set", "restoration=bernoulli", "--set", "data.normalize=true"],
        &["bernoulli", "data.normalize"],
    ),
    (
        &[
            "fit",
            "classifier",
            "digits",
            "--set",
            "validation.patience=3",
            "--set",
            "data.split.validation=0.0",
        ],
        &["data.split.validation"],
    ),
    (
        &["fit", "gan", "digits", "--set", "learning.freeze=[\"score.wight\"]"],
        &["score.wight", "learning.freeze"],
    ),
    (&["fit", "autoencoder", "frames"], &["data.options.environment"]),
    (&["fit", "classifier", "digits", "--set", "net.pretrained=nowhere"], &["pretrained.path", "nowhere"]),
    (&["train", "ppo", "CartPole-v1", "--set", "net.pretrained=nowhere"], &["pretrained.path", "nowhere"]),
    (&["fit", "regression", "digits"], &["regression learns numbers"]),
    (&["fit", "language", "digits"], &["text"]),
    (&["fit", "gan", "tones"], &["makes pictures"]),
    (&["fit", "classifier", "tones", "--set", "data.transforms=[]"], &["log_mel"]),
    (
        &["fit", "classifier", "digits", "--set", "net.layers=[\"relu\", { linear = 8 }]"],
        &["net.layers", "layer 1 (linear)", "flatten"],
    ),
    (
        &["fit", "classifier", "digits", "--set", "data.transforms=[{ kind = \"log_mel\" }]"],
        &["data.transforms", "log_mel"],
    ),
    (&["fit", "classifier", "images"], &["images", "path"]),
    (&["fit", "classifier", "images", "--data", "nowhere"], &["nowhere"]),
    (&["fit", "classifier", "images", "--data", "empty"], &["empty"]),
    (&["fit", "classifier", "idx", "--data", "cut"], &["train-images-idx3-ubyte"]),
    (&["fit", "classifier", "csv", "--data", "words.csv"], &["words.csv"]),
    (&["fit", "language", "text", "--data", "latin.txt"], &["latin.txt", "UTF-8"]),
    (&["fit", "speech", "sounds", "--data", "cut-sounds"], &["one.wav"]),
    (
        &["fit", "classifier", "digits", "--find-learning-rate=1e-3"],
        &["--find-learning-rate=1e-3", "two rates"],
    ),
    (&["fit", "classifier", "digits", "--find-learning-rate=1..1e-3"], &["the smaller one first"]),
    (&["fit", "classifier", "digits", "--find-learning-rate", "--updates", "3"], &["at least 10"]),
    (&["fit", "classifier", "digits", "--find-learning-rate", "--epochs", "3"], &["--epochs"]),
    (&["fit", "gan", "digits", "--find-learning-rate"], &["learn against each other"]),
    (
        &["fit", "classifier", "digits", "--set", "learning.rate={ kind = \"one_cycle\", max = -1.0 }"],
        &["learning.rate", "max is -1"],
    ),
    (&["sample", "nowhere"], &["nowhere", "pavlov runs"]),
    (&["fit", "classifier", "digits", "--set", "learning.freeze=[\"nothing.*\"]"], &["nothing.*"]),
];

#[test]
fn every_mistake_is_found_before_the_fit_begins() {
    let place = Workplace::new();
    fs::create_dir(place.path("empty")).expect("a folder");
    fs::create_dir(place.path("cut")).expect("a folder");
    // Images announced, and none there.
    let header = [0u8, 0, 8, 3, 0, 0, 0, 9, 0, 0, 0, 28, 0, 0, 0, 28];
    fs::write(place.path("cut/train-images-idx3-ubyte"), header).expect("a file");
    fs::write(place.path("cut/train-labels-idx1-ubyte"), [0u8, 0, 8, 1, 0, 0, 0, 9]).expect("a file");
    fs::write(place.path("words.csv"), "a,b\n1,x\n2\n").expect("a file");
    fs::write(place.path("latin.txt"), b"caf\xe9 au lait".repeat(100)).expect("a file");
    fs::create_dir_all(place.path("cut-sounds/yes")).expect("a folder");
    fs::create_dir_all(place.path("cut-sounds/no")).expect("a folder");
    for word in ["no", "yes"] {
        let path = place.path(&format!("cut-sounds/{word}/one.wav"));
        fs::write(path, b"RIFF\x24\x00\x00\x00WAVEfmt ").expect("a file");
    }
    place.refuses(MISTAKES);
    assert!(!place.path("runs").exists(), "a refused fit leaves no folder");
}

#[test]
fn a_search_for_a_learning_rate_draws_its_curve_and_leaves_no_run() {
    let place = Workplace::new();
    for (task, data, sets) in FITS.iter().filter(|(task, _, _)| *task != "gan") {
        let arguments = ["fit", task, data, "--find-learning-rate", "--json", "--run-dir", task];
        let sets = sets.iter().flat_map(|set| ["--set", set]).collect::<Vec<_>>();
        let said = place.pavlov(&[&arguments[..], &["--updates", "60"], &sets].concat());
        assert!(said.success, "{task}: {}", said.err);
        let summary: Value = serde_json::from_str(&said.out).expect("JSON");
        let steepest = summary["steepest"].as_f64().expect("a rate");
        assert!((1e-5..3.0).contains(&steepest), "{task}: {steepest}");
        let made = summary["updates"].as_u64().expect("a count") as usize;
        let table = fs::read_to_string(place.path(task).join("learning-rate.csv")).expect("a table");
        assert_eq!(table.lines().count(), made + 1, "{task}");
        let drawing = fs::read_to_string(place.path(task).join("learning-rate.svg")).expect("a drawing");
        assert!(["learning rate", "steepest fall"].iter().all(|word| drawing.contains(word)), "{task}");
        assert_eq!(files(&place.path(task)).len(), 2, "{task}");
    }
    let said = place.pavlov(&["fit", "classifier", "digits", "--find-learning-rate=1e-4..1"]);
    assert!(said.success && said.out.contains("--set learning.rate="), "{}{}", said.out, said.err);
    assert!(place.path("learning-rate.svg").is_file() && !place.path("runs").exists());
}

#[test]
fn a_fit_that_diverges_names_the_samples_and_the_update() {
    let place = Workplace::new();
    let rows: String = (0..60).map(|row| format!("{row},{}\n", 3e38 * f64::from(row % 2))).collect();
    fs::write(place.path("huge.csv"), format!("x,y\n{rows}")).expect("a file");
    let fit = ["fit", "regression", "csv", "--data", "huge.csv", "--run-dir", "run", "--quiet"];
    let said = place.pavlov(&[&fit[..], &["--set", "data.options.kind=number"]].concat());
    assert!(!said.success && said.err.contains("diverged"), "{}", said.err);
    assert!(said.err.contains("update 1") && said.err.contains("samples"), "{}", said.err);
}

#[test]
fn a_table_of_numbers_is_fitted_and_its_variance_explained() {
    let place = Workplace::new();
    let row = |index: u32| {
        let (x, z) = (f64::from(index % 31) / 31.0, f64::from(index * 7 % 53) / 53.0);
        format!("{x},{z},{}\n", x * x - 2.0 * z)
    };
    fs::write(place.path("table.csv"), format!("x,z,y\n{}", (0..1500).map(row).collect::<String>()))
        .expect("a file");
    let fit = ["fit", "regression", "csv", "--data", "table.csv", "--run-dir", "run", "--quiet"];
    let said = place.pavlov(&[&fit[..], &["--epochs", "20", "--set", "learning.rate=lin_3e-3"]].concat());
    assert!(said.success, "{}", said.err);
    let said = place.pavlov(&["eval", "run", "--json"]);
    let summary: Value = serde_json::from_str(&said.out).expect("JSON");
    assert!(summary["metrics"]["r2"].as_f64().expect("a number") > 0.99, "{summary}");
}

#[test]
fn a_fit_does_not_continue_on_other_data() {
    let place = Workplace::new();
    let table = |count: u32| (0..count).map(|row| format!("{row},{}\n", row % 3)).collect::<String>();
    fs::write(place.path("table.csv"), format!("x,kind\n{}", table(90))).expect("a file");
    let fit = ["fit", "classifier", "csv", "--data", "table.csv", "--run-dir", "run", "--quiet"];
    let said = place.pavlov(&[&fit[..], &["--updates", "20"]].concat());
    assert!(said.success, "{}", said.err);
    fs::write(place.path("table.csv"), format!("x,kind\n{}", table(120))).expect("a file");
    let said = place.pavlov(&["resume", "run"]);
    assert!(!said.success && said.err.contains("put the data set `csv` back"), "{}", said.err);
}
