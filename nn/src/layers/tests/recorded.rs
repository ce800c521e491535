//! Every layer against PyTorch's numbers (scripts/record-layers.py): forward and backward, in training and in
//! use, fused and by operations.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use tch::{Kind, Tensor};

use super::*;
use crate::{Module, Pass, StateDict, StateView, weights};

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

pub(super) fn arrays(name: &str) -> StateDict<'static> {
    weights::read(&fixture(name)).unwrap()
}

pub(super) fn text(name: &str) -> String {
    std::fs::read_to_string(fixture(name)).unwrap()
}

#[derive(Debug, Deserialize)]
pub(super) struct Case {
    pub layers: String,
    pub shape: Vec<i64>,
}

pub(super) fn cases(name: &str) -> BTreeMap<String, Case> {
    serde_json::from_str(&text(name)).unwrap()
}

fn distance(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    if a.numel() == 0 { 0.0 } else { (a - b).abs().max().double_value(&[]) }
}

/// The loss whose gradients are recorded.
fn loss(output: &Tensor) -> Tensor {
    let cotangent = Tensor::arange(output.numel() as i64, FLOAT_CPU).cos().reshape(output.size());
    (output * cotangent).sum(Kind::Float)
}

/// Runs one pass and its way back, and holds everything to the record.
pub(super) fn hold(
    what: &str,
    parameters: &mut Parameters,
    recorded: &StateView<'_>,
    forward: impl FnOnce(&Parameters) -> Tensor,
    inputs: &[(&str, &Tensor)],
) {
    parameters.zero_gradients();
    let output = forward(parameters);
    let expected = recorded.tensor("output").unwrap();
    assert!(distance(&output.detach(), &expected) < 1e-5, "{what}: {output} for {expected}");
    if output.requires_grad() {
        loss(&output).backward();
    }
    for (name, input) in inputs {
        let name = format!("{name}_gradient");
        if recorded.has_array(&name) {
            assert!(distance(&input.grad(), &recorded.tensor(&name).unwrap()) < 1e-4, "{what}: {name}");
        }
    }
    let place = |spec: &crate::ParameterSpec, flat: &Tensor| {
        flat.narrow(0, spec.offset, spec.len()).reshape(spec.shape.as_slice())
    };
    for spec in parameters.layout().specs() {
        let (name, flat) = match spec.role {
            crate::Role::Buffer => (format!("buffer.{}", spec.name), parameters.values()),
            _ => (format!("gradient.{}", spec.name), parameters.gradients().unwrap()),
        };
        let expected = recorded.tensor(&name).unwrap().to_kind(Kind::Float);
        let distance = distance(&place(spec, flat), &expected);
        assert!(
            distance < 1e-4 * expected.abs().max().double_value(&[]).max(1.0),
            "{what}: {name} by {distance}"
        );
    }
}

#[test]
fn every_layer_is_pytorchs() {
    let cases = cases("layers.json");
    let record = arrays("layers.safetensors");
    for (name, case) in &cases {
        let (network, mut parameters, shape) = built(&case.layers, &case.shape).unwrap();
        let own = record.view().part(name);
        let given = own.tensor("input").unwrap();
        for mode in ["train", "eval"] {
            let recorded = match own.has_array(&format!("{mode}.output")) {
                true => own.part(mode),
                false => own.part("eval"),
            };
            if mode == "train" && drops(&case.layers) {
                continue;
            }
            for fused in [true, false] {
                parameters.load_state(&own.part("state")).unwrap();
                let x = given.copy().set_requires_grad(given.kind() == Kind::Float);
                let mut rng = SeededRng::seeded(1);
                let forward = |parameters: &Parameters| {
                    let mut pass = match mode {
                        "train" => Pass::train(parameters, &mut rng),
                        _ => Pass::eval(parameters),
                    };
                    match fused {
                        true => network.forward(&mut pass, &x).unwrap(),
                        false => network.forward_by_operations(&mut pass, &x).unwrap(),
                    }
                };
                let what = format!("{name}, {mode}, fused {fused}");
                hold(&what, &mut parameters, &recorded, forward, &[("input", &x)]);
                assert_eq!(recorded.tensor("output").unwrap().size()[1..], shape, "{what}");
            }
        }
    }
}

/// True if dropout acts in training.
fn drops(layers: &str) -> bool {
    let layers = read(layers).unwrap();
    layers.iter().any(|layer| match layer {
        LayerConfig::Dropout(config) => config.share > 0.0,
        LayerConfig::Transformer(config) => config.dropout > 0.0,
        _ => false,
    })
}

#[test]
fn attention_between_two_sequences_with_padding_is_pytorchs() {
    let record = arrays("layers.safetensors");
    let own = record.view().part("cross");
    let mut layout = Layout::new();
    let attention = MultiHeadAttention::new(&mut layout, "", 6, &AttentionConfig::new(2)).unwrap();
    let mut parameters = Parameters::new(&layout, &mut SeededRng::seeded(1), Device::Cpu).unwrap();
    parameters.load_state(&own.part("state")).unwrap();
    let [query, key, value] =
        ["query", "key", "value"].map(|name| own.tensor(name).unwrap().set_requires_grad(true));
    let padding = own.tensor("padding").unwrap();
    let attended = Attended { query: &query, key: &key, value: &value, padding: Some(&padding) };
    let inputs = [("query", &query), ("key", &key), ("value", &value)];
    let forward = |parameters: &Parameters| attention.attend(&mut Pass::eval(parameters), &attended).unwrap();
    hold("cross", &mut parameters, &own.part("eval"), forward, &inputs);
}
