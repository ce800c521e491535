//! Spectral normalisation against PyTorch's numbers (scripts/record-spectral-norm.py), and what it is for.

use tch::Kind;

use super::recorded::{Case, arrays, cases, hold};
use super::*;
use crate::{Init, Module, Pass};

/// The largest singular value of a weight with a row for each output.
fn largest(weight: &Tensor) -> f64 {
    let (_, values, _) = weight.flatten(1, -1).svd(true, false);
    values.max().double_value(&[])
}

#[test]
fn passes_in_training_and_in_use_are_pytorchs() {
    let record = arrays("spectral-norm.safetensors");
    for (name, Case { layers, shape }) in cases("spectral-norm.json") {
        let (network, mut parameters, _) = built(&layers, &shape).unwrap();
        let own = record.view().part(&name);
        parameters.load_state(&own.part("state")).unwrap();
        for pass in ["0", "1", "2", "use"] {
            let x = own.tensor("input").unwrap().copy().set_requires_grad(true);
            let mut rng = SeededRng::seeded(1);
            let forward = |parameters: &Parameters| {
                let mut circumstances = match pass {
                    "use" => Pass::eval(parameters),
                    _ => Pass::train(parameters, &mut rng),
                };
                network.forward(&mut circumstances, &x).unwrap()
            };
            hold(
                &format!("{name}, pass {pass}"),
                &mut parameters,
                &own.part(pass),
                forward,
                &[("input", &x)],
            );
        }
    }
}

#[test]
fn a_gradient_of_a_gradient_is_pytorchs() {
    let record = arrays("spectral-norm.safetensors");
    let own = record.view().part("critic");
    let Case { layers, shape } = &cases("spectral-norm.json")["critic"];
    let (network, mut parameters, _) = built(layers, shape).unwrap();
    parameters.load_state(&own.part("state")).unwrap();
    let x = own.tensor("input").unwrap().copy().set_requires_grad(true);
    let mut rng = SeededRng::seeded(1);
    let y = network.forward(&mut Pass::train(&parameters, &mut rng), &x).unwrap();
    let slope = &Tensor::run_backward(&[y.sum(Kind::Float)], &[&x], true, true)[0];
    let norms = slope.flatten(1, -1).square().sum_dim_intlist(1, false, Kind::Float).sqrt();
    (norms - 1.0).square().mean(Kind::Float).backward();
    let recorded = own.part("penalty");
    let layout = parameters.layout();
    for (id, spec) in layout.ids().zip(layout.specs()) {
        let name = format!("gradient.{}", spec.name);
        if let (Some(gradient), true) = (parameters.gradient(id), recorded.has_array(&name)) {
            let distance = (gradient - recorded.tensor(&name).unwrap()).abs().max().double_value(&[]);
            assert!(distance < 1e-5, "{name} by {distance}");
        }
    }
}

#[test]
fn the_weight_that_is_used_has_a_largest_singular_value_near_1() {
    for text in [
        r#"[{ linear = { units = 40, spectral_norm = true, init = { normal = { deviation = 3.0 } }, bias = false } }]"#,
        r#"[{ linear = { units = 8, spectral_norm = true, init = { normal = { deviation = 1e-3 } }, bias = false } }]"#,
    ] {
        let (network, parameters, _) = built(text, &[30]).unwrap();
        let unit = Tensor::eye(30, FLOAT_CPU);
        let mut rng = SeededRng::seeded(1);
        let used = |pass: &mut Pass<'_>| largest(&network.forward(pass, &unit).unwrap().detach().tr());
        // An agent acts before it learns: the vectors begin with those of the initial weight.
        let before = used(&mut Pass::eval(&parameters));
        assert!((before - 1.0).abs() < 0.05, "{text}: {before}");
        for _ in 0..60 {
            let _ = used(&mut Pass::train(&parameters, &mut rng));
        }
        let after = used(&mut Pass::eval(&parameters));
        assert!((after - 1.0).abs() < 1e-2, "{text}: {after}");
    }
}

#[test]
fn a_pass_in_use_and_a_saved_state_leave_the_vectors_as_they_are() {
    let text = "[{ linear = { units = 6, spectral_norm = true } }]";
    let (network, parameters, _) = built(text, &[5]).unwrap();
    let x = numbers(&[4, 5]);
    let mut rng = SeededRng::seeded(1);
    let _ = network.forward(&mut Pass::train(&parameters, &mut rng), &x).unwrap();
    let before = parameters.values().copy();
    let y = network.forward(&mut Pass::eval(&parameters), &x).unwrap();
    assert_eq!(parameters.values(), &before);
    let state = parameters.state().unwrap();
    let names: Vec<_> = state.arrays.keys().map(ToString::to_string).collect();
    assert_eq!(names.len(), 4);
    for name in ["original", "0._u", "0._v"] {
        assert!(names.contains(&format!("0.parametrizations.weight.{name}")), "{names:?}");
    }
    let (_, mut other, _) = built(text, &[5]).unwrap();
    other.load_state(&state.view()).unwrap();
    assert_eq!(network.forward(&mut Pass::eval(&other), &x).unwrap(), y);
}

#[test]
fn a_list_normalises_all_its_layers_but_those_that_say_otherwise() {
    let layers = read(r#"[{ linear = 4 }, { linear = { units = 4, spectral_norm = false } }]"#).unwrap();
    let mut layout = Layout::new();
    let defaults = Defaults { init: Init::Torch, spectral_norm: true, ..Defaults::default() };
    build(&mut layout, "", &[3], &layers, defaults).unwrap();
    let names: Vec<_> = layout.specs().iter().map(|spec| spec.name.as_str()).collect();
    let first =
        ["parametrizations.weight.original", "parametrizations.weight.0._u", "parametrizations.weight.0._v"];
    let first = first.map(|name| format!("0.{name}"));
    assert_eq!(names, [&first[0], &first[1], &first[2], "0.bias", "1.weight", "1.bias"]);
}
