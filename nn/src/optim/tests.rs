//! Our optimisers against PyTorch's, and against themselves.

mod clipping;
mod configs;
mod groups;
mod states;
mod trajectories;

use std::path::Path;

use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::Deserialize;
use tch::{Device, Tensor};

use super::{Optimizer, OptimizerConfig};
use crate::{Init, Layout, Parameters, Schedule, StateDict, weights};

/// The record of `scripts/record-optimizers.py`.
struct Fixtures {
    tensors: StateDict<'static>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Recorded {
    cases: Vec<Case>,
    grouped: Vec<Grouped>,
    schedules: Vec<Curve>,
    cycles: Vec<Cycle>,
}

/// One optimiser's run: at step `t` of `n` its learning rate is `learning_rate * (1 - t / n)`.
#[derive(Deserialize)]
struct Case {
    name: String,
    learning_rate: f64,
    config: OptimizerConfig,
}

/// An optimiser's run with parameters by name, those of `a.*` frozen for the first steps.
#[derive(Deserialize)]
struct Grouped {
    #[serde(flatten)]
    case: Case,
    parameters: Vec<(String, i64)>,
    first_layer_frozen_for: i64,
}

#[derive(Deserialize)]
struct Curve {
    schedule: Schedule,
    values: Vec<f64>,
}

/// One cycle: shares of the curve with PyTorch's rate there.
#[derive(Deserialize)]
struct Cycle {
    schedule: Schedule,
    points: Vec<(f64, f64)>,
}

const STEPS: i64 = 100;

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn recorded() -> Recorded {
    let text = std::fs::read_to_string(fixture("optimizers.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

impl Fixtures {
    fn read() -> Self {
        let tensors = weights::read(&fixture("optimizers.safetensors")).unwrap();
        Self { tensors, cases: recorded().cases }
    }

    fn tensor(&self, name: &str) -> Tensor {
        self.tensors.view().tensor(name).unwrap()
    }
}

impl Case {
    fn learning_rate(&self, step: i64) -> f64 {
        self.learning_rate * (1.0 - step as f64 / STEPS as f64)
    }
}

/// A network of one flat parameter with these values.
fn network(values: &Tensor) -> Parameters {
    let mut layout = Layout::new();
    layout.add("flat", &values.size(), Init::Constant { value: 0.0 }).unwrap();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(0);
    let parameters = Parameters::new(&layout, &mut rng, Device::Cpu).unwrap();
    parameters.values().shallow_clone().copy_(values);
    parameters
}

fn set_gradients(parameters: &Parameters, gradients: &Tensor) {
    parameters.gradients().unwrap().shallow_clone().copy_(gradients);
}

/// The bits of all numbers: NaN equals NaN, and 0 is not -0.
fn bits(tensor: &Tensor) -> Vec<u32> {
    Vec::<f32>::try_from(tensor).unwrap().into_iter().map(f32::to_bits).collect()
}

/// Fails unless every number is within 1e-6 of its counterpart, relative to the latter where that is above 1.
#[track_caller]
fn assert_near(ours: &Tensor, theirs: &Tensor, what: &str) {
    assert_within(1e-6, ours, theirs, what);
}

#[track_caller]
fn assert_within(tolerance: f32, ours: &Tensor, theirs: &Tensor, what: &str) {
    let (ours, theirs) = (Vec::<f32>::try_from(ours).unwrap(), Vec::<f32>::try_from(theirs).unwrap());
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (index, (a, b)) in ours.iter().zip(&theirs).enumerate() {
        assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{what}: number {index} is {a}, not {b}");
    }
}

#[test]
fn schedules_are_pytorchs() {
    for Curve { schedule, values } in recorded().schedules {
        assert_eq!(values.len() as i64, STEPS + 1);
        for (step, theirs) in values.into_iter().enumerate() {
            let ours = schedule.value(step as f64 / STEPS as f64);
            assert!((ours - theirs).abs() <= 1e-12, "{schedule:?} at {step}: {ours}, not {theirs}");
        }
    }
}

#[test]
fn one_cycle_is_pytorchs() {
    for Cycle { schedule, points } in recorded().cycles {
        for (share, theirs) in points {
            let ours = schedule.value(share);
            assert!((ours - theirs).abs() <= 1e-12, "{schedule:?} at {share}: {ours}, not {theirs}");
        }
    }
}
