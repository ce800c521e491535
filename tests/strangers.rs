//! A run's folder that somebody else has made or damaged: nothing is executed, nothing outside it is touched, and
//! what is whole goes on.

use std::fs;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::command::{SMALL, Workplace};

fn trained(place: &Workplace, folder: &str) {
    let train = ["train", "dqn", "CartPole-v1", "--quiet", "--run-dir", folder];
    let said = place.pavlov(&[&train, SMALL].concat());
    assert!(said.success, "{}", said.err);
}

/// Changes the saved values of a checkpoint, with sums that fit.
fn change(checkpoint: &Path, change: impl FnOnce(&mut Value)) {
    let path = checkpoint.join("state.json");
    let mut state: Value = serde_json::from_str(&fs::read_to_string(&path).expect("a state")).expect("JSON");
    change(&mut state);
    fs::write(&path, state.to_string()).expect("a state");
    let sums = ["tensors.safetensors", "state.json"].map(|name| {
        let sum = Sha256::digest(fs::read(checkpoint.join(name)).expect("a file"));
        format!("{}  {name}\n", pavlov::common::hexadecimal(&sum))
    });
    fs::write(checkpoint.join("SHA256SUMS"), sums.concat()).expect("sums");
}

#[test]
fn what_a_configuration_would_execute_needs_trust() {
    let place = Workplace::new();
    trained(&place, "run");
    let config = place.path("run/config.toml");
    let text = fs::read_to_string(&config).expect("a configuration");
    let foreign =
        |id: &str| text.replace("environment = \"CartPole-v1\"", &format!("environment = \"{id}\""));
    let of_module = foreign("gym:mine:World-v0");
    let python = foreign("gym:CartPole-v1")
        .replace("[environment_options]", "[environment_options]\npython = \"./evil\"\n");
    for (text, part) in
        [(of_module, "imports Python's module `mine`"), (python, "runs the program \"./evil\"")]
    {
        fs::write(&config, text).expect("a configuration");
        for command in [&["eval", "run"][..], &["play", "run", "--gif", "x.gif"], &["resume", "run"]] {
            place.refuses(&[(command, &[part, "--trust"])]);
        }
        let said = place.pavlov(&["eval", "run", "--trust"]);
        assert!(!said.success && !said.err.contains("--trust"), "{}", said.err);
    }
}

#[test]
fn no_path_of_a_checkpoint_leaves_the_run() {
    let place = Workplace::new();
    trained(&place, "run");
    fs::write(place.path("victim"), "whole").expect("a file");
    fs::write(place.path("events.out.tfevents.1"), "whole").expect("a file");
    let checkpoint = place.path("run/checkpoints/step-000000003000");
    let absolute = place.path("victim").display().to_string();
    for name in ["../victim", &absolute, "../events.out.tfevents.1", "events.out.tfevents.x/../../victim", ""]
    {
        change(&checkpoint, |state| {
            state["session"]["log"]["events_file"] = name.into();
            state["session"]["log"]["events_bytes"] = 0.into();
        });
        place.refuses(&[(&["resume", "run"], &["as event file, which is no name of one"])]);
    }
    for name in ["victim", "events.out.tfevents.1"] {
        assert_eq!(fs::read_to_string(place.path(name)).expect("a file"), "whole", "{name}");
    }
}

#[cfg(unix)]
#[test]
fn links_and_pipes_in_place_of_files_are_refused() {
    use std::os::unix::fs::symlink;
    let place = Workplace::new();
    trained(&place, "run");
    let pipe = |name: &str| {
        let status = std::process::Command::new("mkfifo").arg(place.path(name)).status().expect("mkfifo");
        assert!(status.success());
    };
    let resume = &["resume", "run", "--checkpoint", "run/checkpoints/step-000000002500"][..];
    for (name, command, part) in [
        ("run/progress.csv", resume, "a FIFO"),
        ("run/best/weights.safetensors", &["eval", "run"], "a FIFO"),
        ("run/checkpoints/step-000000002500/state.json", resume, "a FIFO"),
    ] {
        let (path, kept) = (place.path(name), place.path("kept"));
        fs::rename(&path, &kept).expect("out of the way");
        pipe(name);
        place.refuses(&[(command, &[part])]);
        fs::remove_file(&path).expect("a pipe");
        fs::rename(&kept, &path).expect("back");
    }
    let outside = place.path("outside");
    fs::create_dir(&outside).expect("a folder");
    for name in ["best", "checkpoints"] {
        let path = place.path(&format!("run/{name}"));
        fs::rename(&path, outside.join(name)).expect("out of the way");
        fs::write(outside.join(name).join("mine.part"), "whole").expect("a file");
        symlink(outside.join(name), &path).expect("a link");
        place.refuses(&[(resume, &["a symbolic link"])]);
        assert!(outside.join(name).join("mine.part").exists(), "nothing is swept outside");
        fs::remove_file(&path).expect("a link");
        fs::rename(outside.join(name), &path).expect("back");
    }
    let said = place.pavlov(resume);
    assert!(said.success, "{}", said.err);
}

#[test]
fn a_log_that_is_gone_or_damaged_holds_no_run_back() {
    let place = Workplace::new();
    trained(&place, "run");
    let older = ["resume", "run", "--checkpoint", "run/checkpoints/step-000000002500"];
    let events = || {
        let names =
            fs::read_dir(place.path("run")).expect("a folder").map(|entry| entry.expect("an entry").path());
        names.filter(|path| path.to_string_lossy().contains("tfevents")).collect::<Vec<_>>()
    };
    let first = events().remove(0);
    fs::remove_file(&first).expect("an event file");
    let said = place.pavlov(&older);
    assert!(said.success && said.err.contains("is gone: the log goes on in"), "{}", said.err);
    assert!(said.err.contains("later checkpoints were set aside"), "{}", said.err);
    assert!(place.path("run/checkpoints/set-aside-step-000000003000").exists());
    assert!(place.path("run/checkpoints/step-000000003000").exists(), "it came there again");

    fs::write(&first, "cut").expect("an event file");
    let log = place.path("run/progress.csv");
    let text = fs::read_to_string(&log).expect("a log");
    fs::write(&log, text.replacen('\n', "\njunk\n", 1)).expect("a log");
    let said = place.pavlov(&older);
    assert!(said.success, "{}", said.err);
    for part in
        ["is shorter than its checkpoint says", "line 2: steps that are no whole number", "csv.damaged"]
    {
        assert!(said.err.contains(part), "{}", said.err);
    }
    assert_eq!(fs::read_to_string(&log).expect("a log").lines().count(), text.lines().count());
}

#[test]
fn a_checkpoint_of_another_run_changes_nothing() {
    let place = Workplace::new();
    trained(&place, "run");
    trained(&place, "other");
    let files = || crate::command::files(&place.path("run"));
    let before = files();
    place.refuses(&[
        (
            &["resume", "run", "--checkpoint", "other/checkpoints/step-000000003000"],
            &["is no checkpoint of the run: they are run/checkpoints/step-000000002500"],
        ),
        (&["resume", "run", "--checkpoint", "nowhere"], &["nowhere is no checkpoint of the run"]),
    ]);
    assert_eq!(files(), before);
}
