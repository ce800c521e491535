//! The runs that a [`Sequential`] finds, and their numbers against those of the modules one by one.

use proptest::prelude::*;
use tch::Kind;

use super::super::fusion::{Node, plan};
use super::*;
use crate::{Module, Pass, set_team_size};

/// The plan in short: `mlp 0..5`, `cnn 0..4`, `5`.
fn planned(text: &str, shape: &[i64], training: bool) -> String {
    let (network, _, _) = built(text, shape).unwrap();
    let step = |step: &super::super::fusion::Step| match (&step.node, &step.modules) {
        (Some(Node::Mlp(_)), modules) => format!("mlp {modules:?}"),
        (Some(Node::Cnn(_)), modules) => format!("cnn {modules:?}"),
        (None, modules) => modules.start.to_string(),
    };
    plan(network.modules(), training).iter().map(step).collect::<Vec<_>>().join(", ")
}

#[test]
fn runs_are_found() {
    let nature = r#"[{ conv2d = { filters = 32, kernel = 8, stride = 4 } }, "relu",
        { conv2d = { filters = 64, kernel = 4, stride = 2 } }, "relu",
        { conv2d = { filters = 64, kernel = 3 } }, "relu",
        "flatten", { linear = 512 }, "relu", { linear = 4 }]"#;
    let dropout = r#"[{ linear = 8 }, "relu", { dropout = 0.1 }, { linear = 8 }, "relu", { linear = 2 }]"#;
    for (text, shape, training, expected) in [
        (nature, vec![4, 84, 84], true, "cnn 0..6, 6, mlp 7..10"),
        (dropout, vec![4], false, "mlp 0..6"),
        (dropout, vec![4], true, "mlp 0..6"),
        // Dropout behind the last layer, or before the activation, is a step of its own.
        (r#"[{ linear = 4 }, "relu", "dropout", "relu"]"#, vec![4], true, "mlp 0..2, 2, 3"),
        (r#"[{ linear = 4 }, "dropout", "relu", { linear = 4 }]"#, vec![4], true, "mlp 0..1, 1, 2, mlp 3..4"),
        (
            r#"[{ linear = 4 }, "relu", "dropout", "dropout", { linear = 4 }]"#,
            vec![4],
            true,
            "mlp 0..2, 2, 3, mlp 4..5",
        ),
        (
            r#"[{ linear = 4 }, "layer_norm", "relu", { linear = 4 }, "relu", { linear = 4 }, "layer_norm"]"#,
            vec![4],
            true,
            "mlp 0..7",
        ),
        (r#"[{ linear = 4 }, { layer_norm = { eps = 1e-3 } }, "relu"]"#, vec![4], true, "mlp 0..1, 1, 2"),
        (r#"[{ linear = 4 }, "dropout"]"#, vec![4], false, "mlp 0..1, 1"),
        (r#"[{ dropout = 0.0 }, { linear = 4 }, { dropout = 0.0 }, "relu"]"#, vec![4], true, "mlp 0..4"),
        // The node has one activation for all layers but the last.
        (
            r#"[{ linear = 4 }, "tanh", { linear = 4 }, "relu", { linear = 4 }]"#,
            vec![4],
            true,
            "mlp 0..4, mlp 4..5",
        ),
        (r#"[{ linear = 4 }, { linear = 4 }, "relu", { linear = 4 }]"#, vec![4], true, "mlp 0..3, mlp 3..4"),
        // The node knows a leaky ReLU of slope 0.01.
        (r#"[{ linear = 4 }, "leaky_relu", { linear = 4 }]"#, vec![4], true, "mlp 0..3"),
        (r#"[{ linear = 4 }, { leaky_relu = 0.01 }, { linear = 4 }]"#, vec![4], true, "mlp 0..3"),
        (r#"[{ linear = 4 }, { leaky_relu = 0.2 }, { linear = 4 }]"#, vec![4], true, "mlp 0..1, 1, mlp 2..3"),
        (r#"["relu", { linear = 4 }, "relu", "relu"]"#, vec![4], true, "0, mlp 1..3, 3"),
        (r#"[{ linear = { units = 4, bias = false } }, "relu"]"#, vec![4], true, "0, 1"),
        (
            r#"[{ linear = 4 }, { linear = { units = 4, precision = "bf16" } }]"#,
            vec![4],
            true,
            "mlp 0..1, mlp 1..2",
        ),
        // Pooling is part of the node where its squares are side by side.
        (
            r#"[{ conv2d = { filters = 4, kernel = 3, padding = 1 } }, "relu", { max_pool2d = 2 },
            { conv2d = { filters = 4, kernel = 3 } }, "relu", { max_pool2d = { kernel = 3, stride = 3 } }, "flatten"]"#,
            vec![1, 16, 16],
            true,
            "cnn 0..6, 6",
        ),
        (
            r#"[{ conv2d = { filters = 4, kernel = 3 } }, "relu", { max_pool2d = { kernel = 3, stride = 2 } }]"#,
            vec![1, 16, 16],
            true,
            "cnn 0..2, 2",
        ),
        (
            r#"[{ conv2d = { filters = 4, kernel = 3 } }, "relu", { max_pool2d = { kernel = 2, padding = 1 } }]"#,
            vec![1, 16, 16],
            true,
            "cnn 0..2, 2",
        ),
        (
            r#"[{ conv2d = { filters = 4, kernel = 3 } }, "relu", { max_pool2d = [2, 3] }]"#,
            vec![1, 9, 9],
            true,
            "cnn 0..2, 2",
        ),
        // Convolutions that libtorch is faster at, and such that the node does not know.
        (r#"[{ conv2d = { filters = 4, kernel = 3, padding = 1 } }, "relu"]"#, vec![1, 8, 8], true, "0, 1"),
        (r#"[{ conv2d = { filters = 4, kernel = [3, 2] } }, "relu"]"#, vec![1, 8, 8], true, "0, 1"),
        (r#"[{ conv2d = { filters = 4, kernel = 3 } }, "tanh"]"#, vec![1, 8, 8], true, "0, 1"),
        (r#"[{ conv2d = { filters = 4, kernel = 3, groups = 2 } }, "relu"]"#, vec![2, 8, 8], true, "0, 1"),
        (r#"[{ conv2d = { filters = 4, kernel = 3, dilation = 2 } }, "relu"]"#, vec![2, 8, 8], true, "0, 1"),
    ] {
        assert_eq!(planned(text, &shape, training), expected, "{text}");
    }
}

/// Output, and the gradients of parameters and input.
fn passes(network: &Sequential, parameters: &mut Parameters, x: &Tensor, fused: bool) -> [Tensor; 3] {
    parameters.zero_gradients();
    let x = x.copy().set_requires_grad(true);
    let mut rng = SeededRng::seeded(3);
    let mut pass = Pass::train(parameters, &mut rng);
    let y = match fused {
        true => network.forward(&mut pass, &x).unwrap(),
        false => network.forward_by_operations(&mut pass, &x).unwrap(),
    };
    let cotangent = Tensor::arange(y.numel() as i64, FLOAT_CPU).cos().reshape(y.size());
    (&y * cotangent).sum(Kind::Float).backward();
    [y.detach(), parameters.gradients().unwrap().copy(), x.grad()]
}

fn assert_alike(text: &str, shape: &[i64], batch: i64) {
    let (network, mut parameters, _) = built(text, shape).unwrap();
    let x = numbers(&[&[batch], shape].concat());
    let fused = passes(&network, &mut parameters, &x, true);
    let plain = passes(&network, &mut parameters, &x, false);
    for (part, (fused, plain)) in fused.iter().zip(&plain).enumerate() {
        let scale = plain.abs().max().double_value(&[]).max(1.0);
        let distance = (fused - plain).abs().max().double_value(&[]) / scale;
        assert!(distance < 1e-5, "{text}, {batch} samples, part {part}: {distance}");
    }
    let _guard = tch::no_grad_guard();
    let used = network.forward(&mut Pass::eval(&parameters), &x).unwrap();
    let plain = network.forward_by_operations(&mut Pass::eval(&parameters), &x).unwrap();
    assert!((used - plain).abs().max().double_value(&[]) < 1e-5, "{text} in use");
}

#[test]
fn runs_give_the_numbers_of_their_modules() {
    for (text, shape) in [
        (r#"[{ linear = 17 }, "tanh", { linear = 70 }, "tanh", { linear = 3 }, "sigmoid"]"#, vec![5]),
        (r#"[{ linear = 17 }, "silu", { dropout = 0.4 }, { linear = 9 }, "gelu", { linear = 3 }]"#, vec![5]),
        (r#"[{ linear = 8 }, "relu", { dropout = 0.4 }, { linear = 3 }]"#, vec![6, 5]),
        (r#"[{ linear = 8 }, { leaky_relu = 0.2 }, { linear = 9 }, "leaky_relu"]"#, vec![5]),
        (
            r#"[{ linear = 70 }, "layer_norm", "tanh", { linear = 9 }, "tanh", { dropout = 0.4 },
            { linear = 33 }, "layer_norm"]"#,
            vec![5],
        ),
        (r#"[{ linear = 8 }, "layer_norm", "silu", { linear = 9 }, "layer_norm", "silu"]"#, vec![6, 5]),
        (
            r#"[{ conv2d = { filters = 7, kernel = 3, stride = 2 } }, "relu",
            { conv2d = { filters = 20, kernel = 2 } }, "relu",
            { conv2d = { filters = 4, kernel = 3, padding = 1 } }, "relu", "flatten", { linear = 3 }]"#,
            vec![3, 11, 9],
        ),
        (r#"["tanh", { conv2d = { filters = 7, kernel = 3 } }, "relu", "batch_norm"]"#, vec![3, 5, 9]),
        (
            r#"[{ conv2d = { filters = 7, kernel = 3, padding = 1 } }, "relu", { max_pool2d = 2 },
            { conv2d = { filters = 70, kernel = 2 } }, "relu", { max_pool2d = 3 }, "flatten", { linear = 3 }]"#,
            vec![3, 15, 13],
        ),
        (
            r#"[{ conv2d = { filters = 5, kernel = 3, stride = 2, padding = 2 } }, "relu", { max_pool2d = 2 }]"#,
            vec![2, 9, 12],
        ),
        (
            r#"[{ residual = [{ linear = 5 }, "relu", { linear = 5 }] },
            { concat = [[{ linear = 8 }, "elu"], []] }]"#,
            vec![5],
        ),
    ] {
        for batch in [2, 9, 130] {
            assert_alike(text, &shape, batch);
        }
    }
}

#[test]
fn frozen_weights_pass_a_gradient_to_the_input_and_keep_none() {
    let text = r#"[{ conv2d = { filters = 4, kernel = 3 } }, "relu", "flatten", { linear = 4 }, "relu"]"#;
    let (network, parameters, _) = built(text, &[2, 6, 6]).unwrap();
    let x = numbers(&[3, 2, 6, 6]).set_requires_grad(true);
    let frozen = parameters.frozen_view().unwrap();
    network.forward(&mut Pass::eval(&frozen), &x).unwrap().sum(Kind::Float).backward();
    assert!(x.grad().abs().max().double_value(&[]) > 0.0);
    assert_eq!(parameters.gradients().unwrap().abs().max().double_value(&[]), 0.0);
}

#[test]
fn a_wrong_input_is_an_error_of_the_layer_that_gets_it() {
    let text = r#"["identity", { linear = 4 }, "relu", { linear = 2 }]"#;
    let (network, parameters, _) = built(text, &[3]).unwrap();
    let forward = |x: Tensor| network.forward(&mut Pass::eval(&parameters), &x).unwrap_err().to_string();
    for x in [numbers(&[2, 4]), numbers(&[]), numbers(&[2, 3]).to_kind(Kind::Int64)] {
        let message = forward(x);
        assert!(message.starts_with("layer 1: a linear layer takes f32 [batch, ..., 3]"), "{message}");
    }
    let text = r#"[{ conv2d = { filters = 4, kernel = 3 } }, "relu"]"#;
    let (network, parameters, _) = built(text, &[2, 6, 6]).unwrap();
    for (x, part) in [(numbers(&[1, 2, 6, 2]), "too small"), (numbers(&[1, 3, 6, 6]), "with 2 channels")] {
        let message = network.forward(&mut Pass::eval(&parameters), &x).unwrap_err().to_string();
        assert!(message.starts_with("layer 0: ") && message.contains(part), "{message}");
    }
}

#[test]
fn any_team_gives_the_same_numbers() {
    let (network, mut parameters, _) =
        built(r#"[{ linear = 96 }, "tanh", { linear = 96 }, "tanh", { linear = 4 }]"#, &[5]).unwrap();
    let x = numbers(&[257, 5]);
    let alone = passes(&network, &mut parameters, &x, true);
    for threads in [2, 3, 1] {
        set_team_size(threads);
        assert_eq!(passes(&network, &mut parameters, &x, true), alone, "{threads} threads");
    }
}

fn activation() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["relu", "tanh", "gelu", "identity", "sigmoid"])
}

/// A linear layer of a generated list with what follows it.
fn linear_with(units: i64, bias: bool, norm: bool, activations: &[&str]) -> String {
    let norm = if norm { ", \"layer_norm\"" } else { "" };
    let activations: String = activations.iter().map(|word| format!(", {word:?}")).collect();
    format!("{{ linear = {{ units = {units}, bias = {bias} }} }}{norm}{activations}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_mix_of_linear_layers_and_activations_gives_the_numbers_of_its_modules(
        parts in prop::collection::vec(
            (1i64..20, any::<bool>(), prop::collection::vec(activation(), 0..3)),
            1..5,
        ),
        batch in 1i64..5,
    ) {
        let layers = parts.iter().map(|(units, bias, activations)| linear_with(*units, *bias, false, activations));
        assert_alike(&format!("[{}]", layers.collect::<Vec<_>>().join(", ")), &[3], batch);
    }

    // Layers with a bias and several units: a norm of one or two numbers, or of the multiples of one number,
    // takes the gradient away but for its rounding, which no two ways share.
    #[test]
    fn any_mix_with_layer_norms_gives_the_numbers_of_its_modules(
        parts in prop::collection::vec(
            (8i64..20, any::<bool>(), prop::collection::vec(activation(), 0..3)),
            1..5,
        ),
        batch in 1i64..5,
    ) {
        let layers = parts.iter().map(|(units, norm, activations)| linear_with(*units, true, *norm, activations));
        assert_alike(&format!("[{}]", layers.collect::<Vec<_>>().join(", ")), &[3], batch);
    }
}

#[test]
fn a_run_with_some_frozen_weights_trains_the_others() {
    let text = r#"[{ conv2d = { filters = 4, kernel = 3 } }, "relu",
        { conv2d = { filters = 3, kernel = 2 } }, "relu",
        "flatten", { linear = 4 }, "relu", { linear = 2 }]"#;
    let (network, mut parameters, _) = built(text, &[2, 6, 6]).unwrap();
    let x = numbers(&[3, 2, 6, 6]);
    let [_, whole, _] = passes(&network, &mut parameters, &x, true);
    let place = |parameters: &Parameters, name: &str| {
        let spec = parameters.layout().specs().iter().find(|spec| spec.name == name).unwrap().clone();
        (spec.offset, spec.len())
    };
    let trained = ["2.weight", "2.bias", "7.weight", "7.bias"];
    let before = trained.map(|name| {
        let (offset, len) = place(&parameters, name);
        whole.narrow(0, offset, len)
    });
    parameters.freeze(&["0.*", "5.*"]).unwrap();
    let [_, rest, _] = passes(&network, &mut parameters, &x, true);
    for (name, before) in trained.iter().zip(before) {
        let (offset, len) = place(&parameters, name);
        let distance = (rest.narrow(0, offset, len) - before).abs().max().double_value(&[]);
        assert!(distance < 1e-5, "{name}: {distance}");
    }
}
