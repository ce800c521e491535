//! Each example runs to its end.

use std::path::PathBuf;
use std::process::Command;

fn run(name: &str) -> String {
    // cargo builds the examples beside the test binary before it runs the tests.
    let folder =
        std::env::current_exe().expect("a path").ancestors().nth(2).expect("target/profile").to_path_buf();
    let path: PathBuf = folder.join("examples").join(name);
    let place = tempfile::tempdir().expect("a folder");
    let output =
        Command::new(path).current_dir(place.path()).output().expect("`cargo test` builds the examples");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {text}");
    text
}

#[test]
fn dqn_cartpole() {
    assert!(run("dqn_cartpole").contains("mean return of 20 episodes"));
}

#[test]
fn callback() {
    let said = run("callback");
    assert!(said.contains("evaluation 1:") && said.contains("stopped: three evaluations in a row"), "{said}");
}

#[test]
fn custom_environment() {
    assert!(run("custom_environment").contains("reached the goal"));
}

#[test]
fn custom_network() {
    assert!(run("custom_network").contains("accuracy"));
}

#[test]
fn dict_observation() {
    assert!(run("dict_observation").contains("fetched everybody"));
}

#[test]
fn custom_agent() {
    assert!(run("custom_agent").contains("balanced the pole"));
}

#[test]
fn custom_policy_network() {
    let said = run("custom_policy_network");
    assert!(
        said.contains("ppo follows the heaviest entity") && said.contains("dqn follows the heaviest entity")
    );
}

#[test]
fn classifier_digits() {
    assert!(run("classifier_digits").contains("accuracy on 400 test samples"));
}

#[test]
fn autoencoder_digits() {
    assert!(run("autoencoder_digits").contains("64 new digits"));
}

#[test]
fn gan_digits() {
    assert!(run("gan_digits").contains("forty threes"));
}

#[test]
fn language_model() {
    assert!(run("language_model").contains("bits a character"));
}

#[test]
fn pretrained_backbone() {
    assert!(run("pretrained_backbone").contains("trained for 1024 env steps with a pretrained backbone"));
}

#[test]
fn custom_task() {
    assert!(run("custom_task").contains("accuracy on 400 pairs"));
}

#[test]
fn silero_vad() {
    let said = run("silero_vad");
    assert!(said.contains("15 of 15 arrays loaded") && said.contains("5 segments of speech"), "{said}");
}
