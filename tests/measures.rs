//! Fitted models on data that is not the fit's own: another file, the samples of a GAN, numbers of a program.

use std::fs;

use pavlov::tasks::SampleRequest;
use pavlov::{Fitted, Registries, RunFolder};
use serde_json::Value;

use crate::command::Workplace;

const SMALL: &[&str] = &["--quiet", "--set", "data.options.size=8", "--set", "data.options.count=600"];

fn fitted(place: &Workplace, arguments: &[&str]) {
    let said = place.pavlov(arguments);
    assert!(said.success, "{}", said.err);
}

/// A classifier and a conditional GAN of digits of 8 x 8, hardly trained.
fn judge_and_maker(place: &Workplace) {
    let classifier = ["fit", "classifier", "digits", "--run-dir", "judge", "--epochs", "5"];
    let small =
        ["--set", "net.layers=[\"flatten\", { linear = 64 }, \"relu\"]", "--set", "data.transforms=[]"];
    fitted(place, &[&classifier, &small[..], SMALL].concat());
    let layers = [
        "generator.layers=[{ linear = 64 }, \"relu\", { linear = 64 }]",
        "discriminator.layers=[\"flatten\", { linear = 32 }, \"leaky_relu\"]",
    ];
    for (run, conditional) in [("maker", "conditional=true"), ("aimless", "conditional=false")] {
        let gan = ["fit", "gan", "digits", "--run-dir", run, "--updates", "100", "--set", conditional];
        fitted(place, &[&gan, &["--set", layers[0], "--set", layers[1]][..], SMALL].concat());
    }
}

#[test]
fn a_classifier_measures_what_a_conditional_gan_makes() {
    let place = Workplace::new();
    judge_and_maker(&place);
    let said = place.pavlov(&[
        "eval",
        "judge",
        "--samples-of",
        "maker",
        "--count",
        "40",
        "--json",
        "--pictures",
        "pictures",
    ]);
    assert!(said.success, "{}", said.err);
    let summary: Value = serde_json::from_str(&said.out).expect("JSON");
    let accuracy = summary["metrics"]["accuracy"].as_f64().expect("an accuracy");
    assert_eq!((&summary["part"], &summary["samples"]), (&"made".into(), &40.into()));
    assert!((0.0..=1.0).contains(&accuracy), "{accuracy}");
    assert!(image::open(place.path("pictures/confusion.png")).is_ok(), "the matrix is there");
    for (arguments, part) in [
        (["eval", "judge", "--samples-of", "aimless"], "conditional=true"),
        (["eval", "judge", "--samples-of", "judge"], "makes no samples"),
        (["eval", "maker", "--samples-of", "maker"], "no classifier"),
    ] {
        let said = place.pavlov(&arguments);
        assert!(!said.success && said.err.contains(part), "{arguments:?}: {}", said.err);
    }

    // The same through the library: what was predicted is what was measured.
    let registries = Registries::bundled();
    let open = |run: &str| {
        let folder = RunFolder::open(&place.path(run)).expect("a run");
        Fitted::open(&folder, &registries, false).expect("a model")
    };
    let (mut judge, mut maker) = (open("judge"), open("maker"));
    let request = SampleRequest { count: 40, ..SampleRequest::default() };
    let measured = judge.judge(&mut maker, &request).expect("a measurement");
    assert_eq!(measured.metrics["accuracy"], accuracy);
    let pavlov::tasks::Samples::Pictures(pictures) = maker.task.samples(&request).expect("samples") else {
        panic!("no pictures")
    };
    let chances = judge.predict(&pictures.numbers).expect("chances");
    let likeliest = |row: &[f32]| (0..10).max_by(|&a, &b| row[a].total_cmp(&row[b])).expect("ten classes");
    let right =
        chances.chunks_exact(10).zip(&pictures.classes).filter(|(row, class)| likeliest(row) == **class);
    assert!((right.count() as f64 / 40.0 - accuracy).abs() < 1e-9);
    assert!(chances.chunks_exact(10).all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-4));
    let wrong = judge.predict(&[0.0; 65]).expect_err("65 numbers are no picture of 8 x 8").to_string();
    assert!(wrong.contains("65 numbers are not whole samples"), "{wrong}");
    assert!(maker.predict(&[0.0; 64]).expect_err("a GAN has no inputs").to_string().contains("from noise"));
}

#[test]
fn other_data_is_measured_when_it_is_named_and_refused_when_it_is_not() {
    let place = Workplace::new();
    let table = |shift: i32| {
        let rows = (0..200).map(|row| format!("{},{}\n", row + shift, 2 * row + shift));
        format!("x,y\n{}", rows.collect::<String>())
    };
    fs::write(place.path("a.csv"), table(0)).expect("a table");
    fs::write(place.path("b.csv"), table(1)).expect("a table");
    let fit = ["fit", "regression", "csv", "--data", "a.csv", "--set", "data.options.target=y", "--quiet"];
    fitted(&place, &[&fit[..], &["--run-dir", "run", "--epochs", "2"]].concat());
    assert!(place.pavlov(&["eval", "run"]).success);
    let named = place.pavlov(&["eval", "run", "--data", "b.csv", "--json"]);
    assert!(named.success, "{}", named.err);
    let summary: Value = serde_json::from_str(&named.out).expect("JSON");
    assert_eq!((&summary["samples"], &summary["part"]), (&200.into(), &"given".into()), "all of the file");
    for (set, part) in [
        ("epochs=3", "data.options.KEY"),
        ("data.split.test=0.5", "data.options.KEY"),
        ("data.batch=3", "data.batch_size"),
    ] {
        let said = place.pavlov(&["eval", "run", "--set", set]);
        assert!(!said.success && said.err.contains(part), "{set}: {}", said.err);
    }

    fs::write(place.path("far.csv"), "x,y\n1e38,0.5\n-1e38,1.5\n").expect("a table");
    let said = place.pavlov(&["eval", "run", "--data", "far.csv"]);
    assert!(!said.success && said.err.contains("the loss of these samples is inf"), "{}", said.err);

    fs::write(place.path("a.csv"), table(1)).expect("a table");
    let said = place.pavlov(&["eval", "run"]);
    assert!(!said.success && said.err.contains("are not those of the fit"), "{}", said.err);
    assert!(place.pavlov(&["eval", "run", "--data", "a.csv"]).success, "named, it is measured");
}

#[test]
fn a_batch_of_one_sample_is_named_and_can_be_left_out() {
    let place = Workplace::new();
    let rows = (0..65).map(|row| format!("{row},{}\n", 2 * row)).collect::<String>();
    fs::write(place.path("a.csv"), format!("x,y\n{rows}")).expect("a table");
    let fit = ["fit", "regression", "csv", "--data", "a.csv", "--set", "data.options.kind=number", "--quiet"];
    let layers = "net.layers=[{ linear = 4 }, \"batch_norm\", \"relu\"]";
    let all = ["--set", "data.split.validation=0", "--set", "data.split.test=0", "--set", layers];
    let fit = [&fit[..], &all, &["--epochs", "2", "--run-dir"]].concat();
    let said = place.pavlov(&[&fit[..], &["stops"]].concat());
    assert!(!said.success && said.err.contains("--set data.drop_last=true"), "{}", said.err);
    fitted(&place, &[&fit[..], &["goes-on", "--set", "data.drop_last=true"]].concat());
}

#[test]
fn the_flags_of_fits_are_refused_for_agents() {
    let place = Workplace::new();
    fitted(&place, &["train", "dqn", "CartPole-v1", "--steps", "1100", "--run-dir", "agent", "--quiet"]);
    for flag in [["--set", "data.split.test=0.5"], ["--data", "x"], ["--samples-of", "agent"]] {
        let said = place.pavlov(&[&["eval", "agent"], &flag[..]].concat());
        assert!(!said.success && said.err.contains("is for the fit of a model"), "{}", said.err);
    }
}

#[test]
fn data_of_other_classes_columns_or_tokens_is_refused() {
    let place = Workplace::new();
    let table = |header: &str, first: &str| {
        let rows =
            (0..60).map(|row| format!("{row},{},{}\n", 60 - row, if row < 30 { first } else { "dog" }));
        format!("{header}\n{}", rows.collect::<String>())
    };
    for (file, header, class) in [
        ("a.csv", "x,y,kind", "cat"),
        ("renamed.csv", "x,y,kind", "zebra"),
        ("swapped.csv", "y,x,kind", "cat"),
    ] {
        fs::write(place.path(file), table(header, class)).expect("a table");
    }
    let fit =
        ["fit", "classifier", "csv", "--data", "a.csv", "--quiet", "--updates", "10", "--run-dir", "run"];
    fitted(&place, &[&fit[..], &["--set", "data.options.target=kind"]].concat());
    for (file, part) in
        [("renamed.csv", "the classes `dog`, `zebra`"), ("swapped.csv", "the columns `x`, `y`")]
    {
        let said = place.pavlov(&["eval", "run", "--data", file]);
        assert!(!said.success && said.err.contains(part), "{file}: {}", said.err);
    }

    let words = ["fit", "language", "text", "--quiet", "--updates", "5", "--run-dir", "words"];
    let small = ["--set", "data.options.tokens=words", "--set", "data.options.characters=20000"];
    let layers = ["--set", "net.layers=[{ embedding = { vocabulary = 900, width = 8 } }, { gru = 8 }]"];
    fitted(&place, &[&words[..], &small, &layers, &["--set", "data.options.length=32"]].concat());
    assert!(place.pavlov(&["eval", "words"]).success);
    let said = place.pavlov(&["eval", "words", "--set", "data.options.length=33"]);
    assert!(!said.success && said.err.contains("vocabulary of this data"), "{}", said.err);
    let said = place.pavlov(&["sample", "words", "--count", "99999999999"]);
    assert!(!said.success && said.err.contains("give 1 to 10000"), "{}", said.err);

    let said = place.pavlov(&["fit", "classifier", "digits", "--data", "a.csv"]);
    assert!(!said.success && said.err.contains("takes no `path`"), "{}", said.err);
}
