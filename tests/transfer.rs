//! Silero VAD, a network that PyTorch has trained, hears here what it hears there: `scripts/record-silero.py`
//! has recorded the probabilities that its own TorchScript gives. `scripts/fetch-silero` brings the weights.

// The example's network is the one that is tested.
#[allow(dead_code)]
#[path = "../examples/silero_vad.rs"]
mod silero_vad;

use std::path::{Path, PathBuf};

use pavlov::data::read_wav;
use serde::Deserialize;

use crate::command::Workplace;
use silero_vad::{CHUNK, RATE, Vad, segments, weights_path};

#[derive(Deserialize)]
struct Recorded {
    torchscript: Heard,
    safetensors: Heard,
    onnx_differs_by: f32,
}

#[derive(Deserialize)]
struct Heard {
    probabilities: Vec<f32>,
    /// In numbers of the sound.
    segments: Vec<(usize, usize)>,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn largest_difference(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max)
}

/// Holds the network with the weights of a file to what was recorded of them.
fn hold(weights: &str, report: &str, sound: &[f32], recorded: &Heard) {
    let path = weights_path(weights).expect("a cache");
    let (vad, said) = Vad::read(&path).expect("the weights");
    assert!(said.to_string().starts_with(report), "{said}");
    assert_eq!(recorded.probabilities.len(), sound.len().div_ceil(CHUNK));

    let at_once = vad.hear(&mut vad.listener(), sound).expect("probabilities");
    let difference = largest_difference(&at_once, &recorded.probabilities);
    println!("{weights}: {} chunks, the largest difference is {difference:e}", at_once.len());
    assert!(difference < 1e-4, "{weights}: by {difference}");

    // The state goes from call to call: chunk by chunk it is the same recording.
    let mut listener = vad.listener();
    let pieces = sound.chunks(CHUNK).flat_map(|chunk| vad.hear(&mut listener, chunk).expect("one chunk"));
    let difference = largest_difference(&pieces.collect::<Vec<_>>(), &recorded.probabilities);
    assert!(difference < 1e-4, "{weights}, chunk by chunk: by {difference}");

    let found = segments(&at_once);
    let found: Vec<_> =
        found.iter().map(|(first, end)| (first * CHUNK, (end * CHUNK).min(sound.len()))).collect();
    assert_eq!(found, recorded.segments, "{weights}");
}

#[test]
fn silero_hears_what_its_torchscript_hears() {
    let text = std::fs::read_to_string(fixture("silero.json")).expect("the fixture");
    let recorded: Recorded = serde_json::from_str(&text).expect("the fixture");
    let (sound, rate) = read_wav(&fixture("silero.wav"), None).expect("the sound");
    assert_eq!(rate, RATE);
    assert!(recorded.onnx_differs_by < 1e-5, "the package agrees with itself");
    hold("silero_vad_16k.safetensors", "15 of 15 arrays loaded", &sound, &recorded.safetensors);
    hold("silero_vad.safetensors", "15 of 15 arrays loaded; 15 that", &sound, &recorded.torchscript);
}

#[test]
fn the_encoder_of_silero_begins_a_fit() {
    let weights = weights_path("silero_vad_16k.safetensors").expect("a cache");
    let path = format!("pretrained.path={}", weights.display());
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/silero_words.toml");
    let config = config.to_str().expect("a path of UTF-8");
    let mut arguments = vec!["fit", "speech", "tones", "--config", config, "--updates", "4"];
    arguments.extend(["--set", &path, "--set", "data.options.count=200", "--run-dir", "run"]);
    let said = Workplace::new().pavlov(&arguments);
    assert!(said.success, "{}", said.err);
    let told = said.out + &said.err;
    assert!(told.contains("5 of 21 arrays loaded; 16 missing: `net.8.weight`"), "{told}");
}
