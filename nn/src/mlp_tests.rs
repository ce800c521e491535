use pavlov_common::SeededRng;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use tch::{Device, Kind, kind::FLOAT_CPU};

use super::*;
use crate::{Parameters, set_team_size};

#[path = "mlp_norm_tests.rs"]
mod norm;

const ALL: [Activation; 8] = [
    Activation::Identity,
    Activation::Relu,
    Activation::LeakyRelu,
    Activation::Elu,
    Activation::Gelu,
    Activation::Silu,
    Activation::Tanh,
    Activation::Sigmoid,
];

fn network(config: &MlpConfig) -> (Mlp, Parameters) {
    let mut layout = Layout::new();
    let mlp = Mlp::new(&mut layout, "", 5, 3, config).unwrap();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
    (mlp, Parameters::new(&layout, &mut rng, Device::Cpu).unwrap())
}

fn input(rows: i64) -> Tensor {
    (Tensor::arange(rows * 5, FLOAT_CPU) * 0.37).sin().reshape([rows, 5])
}

fn distance(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

#[test]
fn the_fused_pass_equals_autograd_for_every_activation() {
    for activation in ALL {
        for output_activation in ALL {
            let config =
                MlpConfig { hidden_sizes: vec![17, 8], activation, output_activation, ..Default::default() };
            let (mlp, mut parameters) = network(&config);
            let target = input(9).narrow(1, 0, 3);
            let mut results = Vec::new();
            for fused in [true, false] {
                parameters.zero_gradients();
                let x = input(9).set_requires_grad(true);
                let y = if fused {
                    mlp.forward(&mut Pass::train(&parameters, &mut SeededRng::seeded(1)), &x).unwrap()
                } else {
                    mlp.forward_by_operations(&mut Pass::train(&parameters, &mut SeededRng::seeded(1)), &x)
                        .unwrap()
                };
                (&y - &target).square().sum(Kind::Float).backward();
                results.push((y.detach(), x.grad(), parameters.gradients().unwrap().copy()));
            }
            let (fused, plain) = (&results[0], &results[1]);
            assert!(distance(&fused.0, &plain.0) < 1e-5, "{activation:?} {output_activation:?} output");
            assert!(
                distance(&fused.1, &plain.1) < 1e-4,
                "{activation:?} {output_activation:?} input gradient"
            );
            assert!(distance(&fused.2, &plain.2) < 1e-4, "{activation:?} {output_activation:?} gradients");
            assert!(plain.2.abs().max().double_value(&[]) > 1e-3, "the test must have gradients to compare");
        }
    }
}

#[test]
fn gradients_accumulate_over_backward_passes() {
    let (mlp, parameters) = network(&MlpConfig::default());
    let loss = || {
        mlp.forward(&mut Pass::train(&parameters, &mut SeededRng::seeded(1)), &input(4))
            .unwrap()
            .sum(Kind::Float)
    };
    loss().backward();
    let once = parameters.gradients().unwrap().copy();
    loss().backward();
    assert!(distance(&(once * 2.0), parameters.gradients().unwrap()) < 1e-5);
}

#[test]
fn a_frozen_copy_has_the_same_output_and_no_graph() {
    let (mlp, parameters) = network(&MlpConfig::default());
    let frozen = parameters.frozen_copy().unwrap();
    let y = mlp.forward(&mut Pass::train(&frozen, &mut SeededRng::seeded(1)), &input(4)).unwrap();
    assert!(!y.requires_grad());
    assert_eq!(
        y,
        mlp.forward(&mut Pass::train(&parameters, &mut SeededRng::seeded(1)), &input(4)).unwrap().detach()
    );
}

#[test]
fn names_are_those_of_a_sequential() {
    let config = MlpConfig { layer_norm: true, dropout: 0.1, hidden_sizes: vec![4, 4], ..Default::default() };
    let mut layout = Layout::new();
    Mlp::new(&mut layout, "q.", 5, 3, &config).unwrap();
    // Linear 0, LayerNorm 1, ReLU 2, Dropout 3, Linear 4, LayerNorm 5, ReLU 6, Dropout 7, Linear 8.
    let names: Vec<_> = layout.specs().iter().map(|spec| spec.name.as_str()).collect();
    let weights = ["q.0.weight", "q.1.weight", "q.4.weight", "q.5.weight", "q.8.weight"];
    for (index, weight) in weights.iter().enumerate() {
        assert_eq!(names[2 * index], *weight);
    }
}

#[test]
fn dropout_acts_in_training_only() {
    let config = MlpConfig { dropout: 0.5, ..Default::default() };
    let (mlp, parameters) = network(&config);
    let run = |pass: &mut Pass<'_>| mlp.forward(pass, &input(4)).unwrap().detach();
    assert_eq!(run(&mut Pass::eval(&parameters)), run(&mut Pass::eval(&parameters)));
    let mut rng = SeededRng::seeded(1);
    let first = run(&mut Pass::train(&parameters, &mut rng));
    assert_ne!(first, run(&mut Pass::train(&parameters, &mut rng)));
    assert_eq!(first, run(&mut Pass::train(&parameters, &mut SeededRng::seeded(1))));
}

#[test]
fn a_wrong_input_is_an_error() {
    let (mlp, parameters) = network(&MlpConfig::default());
    for x in [Tensor::zeros([4, 6], FLOAT_CPU), Tensor::zeros([4, 5], (Kind::Int64, Device::Cpu))] {
        assert!(matches!(mlp.forward(&mut Pass::eval(&parameters), &x), Err(NnError::Shape(_))));
    }
}

/// Output, gradient of the input and of the parameters, of a pass in training.
fn pass(mlp: &Mlp, parameters: &mut Parameters, rows: i64, fused: bool) -> [Tensor; 3] {
    parameters.zero_gradients();
    let x = input(rows).set_requires_grad(true);
    let mut rng = SeededRng::seeded(1);
    let mut pass = Pass::train(parameters, &mut rng);
    let y = match fused {
        true => mlp.forward(&mut pass, &x).unwrap(),
        false => mlp.forward_by_operations(&mut pass, &x).unwrap(),
    };
    let weights = Tensor::arange(y.numel() as i64, FLOAT_CPU).cos().reshape(y.size());
    (&y * weights).sum(Kind::Float).backward();
    [y.detach(), x.grad(), parameters.gradients().unwrap().copy()]
}

#[test]
fn any_team_gives_the_same_numbers() {
    let tanh = MlpConfig { hidden_sizes: vec![96, 96], activation: Activation::Tanh, ..Default::default() };
    let norm = MlpConfig { layer_norm: true, dropout: 0.2, ..tanh.clone() };
    // Cut by rows of the batch, and by units of layers that are wider than it.
    let wide = MlpConfig { hidden_sizes: vec![300, 300], ..norm.clone() };
    for (config, rows) in [(tanh, 257), (norm, 257), (wide, 40)] {
        let (mlp, mut parameters) = network(&config);
        let mut run = |threads| {
            crate::set_team_size(threads);
            let recorded = pass(&mlp, &mut parameters, rows, true);
            let free = tch::no_grad(|| mlp.forward(&mut Pass::eval(&parameters), &input(rows)).unwrap());
            (recorded, free)
        };
        let alone = run(1);
        for threads in [2, 3, 8] {
            for _ in 0..20 {
                assert_eq!(run(threads), alone, "{threads} threads, {config:?}");
            }
        }
    }
    crate::set_team_size(1);
}

#[test]
fn a_pass_without_a_graph_equals_one_with_it() {
    for widths in [vec![], vec![7], vec![96, 96], vec![300, 40, 300]] {
        let config = MlpConfig { hidden_sizes: widths.clone(), ..Default::default() };
        let (mlp, parameters) = network(&config);
        for rows in [1, 64, 65, 500] {
            let recorded =
                mlp.forward(&mut Pass::train(&parameters, &mut SeededRng::seeded(1)), &input(rows)).unwrap();
            for threads in [1, 2] {
                crate::set_team_size(threads);
                let _guard = tch::no_grad_guard();
                let plain = mlp.forward(&mut Pass::eval(&parameters), &input(rows)).unwrap();
                assert!(distance(&plain, &recorded.detach()) < 1e-5, "{widths:?} with {rows} rows");
            }
            crate::set_team_size(1);
        }
    }
}

#[test]
fn a_frozen_network_passes_the_gradient_to_its_input_and_keeps_none() {
    for activation in [Activation::Tanh, Activation::Silu] {
        let (mlp, parameters) = network(&MlpConfig { activation, ..Default::default() });
        let input_gradient = |parameters: &Parameters| {
            let x = input(6).set_requires_grad(true);
            mlp.forward(&mut Pass::train(parameters, &mut SeededRng::seeded(1)), &x)
                .unwrap()
                .square()
                .sum(Kind::Float)
                .backward();
            x.grad()
        };
        let frozen = parameters.frozen_copy().unwrap();
        assert_eq!(input_gradient(&frozen), input_gradient(&parameters));
        assert!(frozen.gradients().is_none());
    }
}

#[test]
fn a_frozen_view_sees_every_change_and_leaves_no_gradient() {
    let (mlp, mut parameters) = network(&MlpConfig::default());
    let other = parameters.frozen_copy().unwrap();
    let _ = other.values().shallow_clone().g_mul_scalar_(0.5);
    let view = parameters.frozen_view().unwrap();
    parameters.copy_from(&other).unwrap();
    let x = input(6).set_requires_grad(true);
    let y = mlp.forward(&mut Pass::train(&view, &mut SeededRng::seeded(1)), &x).unwrap();
    assert_eq!(y.detach(), mlp.forward(&mut Pass::eval(&other), &input(6)).unwrap().detach());
    y.sum(Kind::Float).backward();
    assert!(x.grad().abs().max().double_value(&[]) > 0.0);
    assert_eq!(parameters.gradients().unwrap().abs().max().double_value(&[]), 0.0);
}

#[test]
fn weights_changed_between_the_passes_are_an_error() {
    let (mlp, mut parameters) = network(&MlpConfig::default());
    let other = parameters.frozen_copy().unwrap();
    let loss = mlp
        .forward(&mut Pass::train(&parameters, &mut SeededRng::seeded(1)), &input(4))
        .unwrap()
        .sum(Kind::Float);
    parameters.copy_from(&other).unwrap();
    let error = loss.f_backward().unwrap_err().to_string();
    assert!(error.contains("changed between"), "{error}");
}

#[test]
fn a_network_that_has_diverged_shows_it() {
    for activation in ALL {
        let (mlp, parameters) = network(&MlpConfig { activation, ..Default::default() });
        let x = Tensor::full([3, 5], f64::NAN, FLOAT_CPU);
        let y = mlp.forward(&mut Pass::eval(&parameters), &x).unwrap();
        assert!(y.isnan().all().int64_value(&[]) == 1, "{activation:?}");
    }
}

#[test]
fn the_own_tanh_and_sigmoid_are_those_of_libtorch() {
    let mut layout = Layout::new();
    let line = MlpConfig { hidden_sizes: vec![], ..Default::default() };
    for activation in [Activation::Tanh, Activation::Sigmoid] {
        let config = MlpConfig { output_activation: activation, ..line.clone() };
        let mlp = Mlp::new(&mut layout, &format!("{activation:?}."), 1, 1, &config).unwrap();
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
        let parameters = Parameters::new(&layout, &mut rng, Device::Cpu).unwrap();
        let _guard = tch::no_grad_guard();
        // The identity before the activation.
        for (id, value) in [(mlp.layers[0].weight, 1.0), (mlp.layers[0].bias, 0.0)] {
            let _ = parameters.get(id).shallow_clone().fill_(value);
        }
        let x = Tensor::linspace(-12.0, 12.0, 100_001, FLOAT_CPU).reshape([-1, 1]);
        let y = mlp.forward(&mut Pass::eval(&parameters), &x).unwrap();
        let exact = activation.apply(&x.to_kind(Kind::Double)).unwrap();
        assert!(distance(&y.to_kind(Kind::Double), &exact) < 1e-6, "{activation:?}");
    }
}

#[test]
fn the_direct_backward_pass_is_the_engines() {
    let (mlp, mut parameters) = network(&MlpConfig { dropout: 0.0, ..Default::default() });
    let weights = input(4).narrow(1, 0, 3);
    let mut gradients = |x: &Tensor, direct: bool| {
        parameters.zero_gradients();
        let y = mlp.forward(&mut Pass::train(&parameters, &mut SeededRng::seeded(1)), x).unwrap();
        match direct {
            true => crate::backward(&y, &weights).unwrap(),
            false => (y * &weights).sum(Kind::Float).backward(),
        }
        parameters.gradients().unwrap().copy()
    };
    let expected = gradients(&input(4), false);
    assert_eq!(gradients(&input(4), true), expected);
    // An input that wants its gradient goes through the engine.
    let x = input(4).set_requires_grad(true);
    assert_eq!(gradients(&x, true), expected);
    assert!(x.grad().abs().max().double_value(&[]) > 0.0);

    let y = mlp.forward(&mut Pass::train(&parameters, &mut SeededRng::seeded(1)), &input(4)).unwrap();
    assert!(crate::backward(&y, &input(5)).is_err(), "a gradient of another shape");
    crate::backward(&y, &weights).unwrap();
    assert!(crate::backward(&y, &weights).is_err(), "the pass runs once");
}

#[test]
fn pytorchs_weights_give_pytorchs_output_and_go_back_unchanged() {
    let fixture =
        std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/sequential.safetensors"));
    let file = crate::weights::read(fixture).unwrap();
    let plain = MlpConfig { hidden_sizes: vec![17, 8], activation: Activation::Tanh, ..Default::default() };
    let norm = MlpConfig { activation: Activation::Silu, layer_norm: true, dropout: 0.1, ..plain.clone() };
    for (name, config) in [("plain", plain), ("norm", norm)] {
        let (mlp, mut parameters) = network(&config);
        let recorded = file.view().part(name);
        assert!(parameters.load_matching(&recorded, &[]).unwrap().is_complete());
        let given = recorded.tensor("input").unwrap();
        let output = mlp.forward(&mut Pass::eval(&parameters), &given).unwrap().detach();
        assert!(distance(&output, &recorded.tensor("output").unwrap()) < 1e-6, "{name}");

        // The same names, shapes and numbers as PyTorch wrote.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.safetensors");
        crate::weights::write(&path, &parameters.state().unwrap()).unwrap();
        let written = crate::weights::read(&path).unwrap();
        let ours: Vec<_> =
            written.arrays.iter().map(|(key, array)| (format!("{name}.{key}"), array)).collect();
        let theirs = file
            .arrays
            .iter()
            .filter(|(key, _)| key.starts_with(&format!("{name}.")) && !key.ends_with("put"));
        assert!(ours.iter().map(|(key, array)| (key, *array)).eq(theirs), "{name}");
        assert!(ours.len() >= 6);
    }
}

#[test]
fn products_of_any_shape_are_right() {
    // Widths around those of vectors and tiles, and weights on both sides of what counts as small.
    let shapes: [&[i64]; 6] = [&[], &[1], &[31, 2], &[64, 64], &[70, 33, 16], &[257, 130]];
    for hidden_sizes in shapes {
        let config = MlpConfig {
            hidden_sizes: hidden_sizes.to_vec(),
            activation: Activation::Tanh,
            ..Default::default()
        };
        let (mlp, mut parameters) = network(&config);
        for rows in [1, 2, 7, 13, 64, 131] {
            let mut pass = |fused: bool| {
                parameters.zero_gradients();
                let x = input(rows).set_requires_grad(true);
                let y = match fused {
                    true => {
                        mlp.forward(&mut Pass::train(&parameters, &mut SeededRng::seeded(1)), &x).unwrap()
                    }
                    false => mlp
                        .forward_by_operations(&mut Pass::train(&parameters, &mut SeededRng::seeded(1)), &x)
                        .unwrap(),
                };
                y.square().sum(Kind::Float).backward();
                (y.detach(), x.grad(), parameters.gradients().unwrap().copy())
            };
            let (fused, plain) = (pass(true), pass(false));
            let what = format!("{hidden_sizes:?}, {rows} rows");
            assert!(distance(&fused.0, &plain.0) < 1e-5, "{what}");
            assert!(distance(&fused.1, &plain.1) < 1e-4, "{what}");
            assert!(distance(&fused.2, &plain.2) < 1e-3, "{what}");
            let _guard = tch::no_grad_guard();
            let inferred = mlp.forward(&mut Pass::eval(&parameters), &input(rows)).unwrap();
            assert!(distance(&inferred, &plain.0) < 1e-5, "{what}");
        }
    }
}

/// Numbers that bf16 holds exactly: rounding loses nothing, only the order of the sums differs.
fn exact(rows: i64, columns: i64, step: f64) -> Tensor {
    let numbers = (Tensor::arange(rows * columns, FLOAT_CPU) * step).sin();
    numbers.to_kind(Kind::BFloat16).to_kind(Kind::Float).reshape([rows, columns])
}

#[test]
fn bf16_multiplies_what_f32_does_where_nothing_is_rounded_away() {
    for (batch, inputs, outputs) in [(16, 16, 16), (33, 37, 31), (130, 64, 130), (17, 100, 65), (64, 129, 48)]
    {
        let pass = |precision: Precision| {
            let config = MlpConfig { hidden_sizes: vec![], precision, ..MlpConfig::default() };
            let mut layout = Layout::new();
            let net = Mlp::new(&mut layout, "", inputs, outputs, &config).unwrap();
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
            let mut parameters = Parameters::new(&layout, &mut rng, Device::Cpu).unwrap();
            tch::no_grad(|| {
                parameters.values().shallow_clone().copy_(&exact(1, parameters.len(), 0.7).squeeze())
            });
            parameters.zero_gradients();
            let x = exact(batch, inputs, 0.37).set_requires_grad(true);
            let y = net.forward(&mut Pass::train(&parameters, &mut SeededRng::seeded(1)), &x).unwrap();
            (&y * exact(batch, outputs, 0.11)).sum(Kind::Float).backward();
            [y.detach(), x.grad(), parameters.gradients().unwrap().copy()]
        };
        for (rounded, whole) in pass(Precision::Bf16).iter().zip(&pass(Precision::F32)) {
            let distance = (rounded - whole).abs().max().double_value(&[]);
            let scale = whole.abs().max().double_value(&[]);
            // By ATen, where the processor lacks the instructions, products themselves are rounded to bf16.
            let allowed = if shim::mlp::has_bf16() { 1e-5 } else { 1e-2 };
            assert!(distance < allowed * scale.max(1.0), "{batch} x {inputs} to {outputs}: {distance}");
        }
    }
}

#[test]
fn bf16_is_near_f32_for_any_team() {
    for layer_norm in [false, true] {
        check_bf16(layer_norm);
    }
}

fn check_bf16(layer_norm: bool) {
    let pass = |precision: Precision| {
        let config =
            MlpConfig { hidden_sizes: vec![192, 160], precision, layer_norm, ..MlpConfig::default() };
        let mut layout = Layout::new();
        let net = Mlp::new(&mut layout, "", 11, 3, &config).unwrap();
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
        let mut parameters = Parameters::new(&layout, &mut rng, Device::Cpu).unwrap();
        parameters.zero_gradients();
        let y = net
            .forward(&mut Pass::train(&parameters, &mut SeededRng::seeded(1)), &exact(140, 11, 0.37))
            .unwrap();
        (&y * exact(140, 3, 0.11)).sum(Kind::Float).backward();
        let free = tch::no_grad(|| net.forward(&mut Pass::eval(&parameters), &exact(140, 11, 0.37)).unwrap());
        assert!((free - &y).abs().max().double_value(&[]) < 1e-2, "with and without a graph");
        (y.detach(), parameters.gradients().unwrap().copy())
    };
    let (whole, rounded) = (pass(Precision::F32), pass(Precision::Bf16));
    let distance = |a: &Tensor, b: &Tensor| (a - b).norm().double_value(&[]) / b.norm().double_value(&[]);
    assert!(distance(&rounded.0, &whole.0) < 0.02 && distance(&rounded.1, &whole.1) < 0.05);
    assert!(rounded.0 != whole.0, "bf16 was asked for");
    for threads in [2, 3, 1] {
        set_team_size(threads);
        assert_eq!(pass(Precision::Bf16), rounded, "{threads} threads");
    }
}

/// A frozen parameter keeps no gradient; those beside it train.
#[test]
fn a_partly_frozen_network_trains_the_rest() {
    for pattern in ["0.weight", "0.bias", "2.*"] {
        let mut layout = Layout::new();
        let mlp = Mlp::new(&mut layout, "", 5, 3, &MlpConfig::default()).unwrap();
        layout.freeze(&[pattern]).unwrap();
        let parameters = Parameters::new(&layout, &mut SeededRng::seeded(7), Device::Cpu).unwrap();
        let y = mlp.forward(&mut Pass::eval(&parameters), &input(4)).unwrap();
        y.square().sum(Kind::Float).backward();
        let moved = parameters.gradients().unwrap().abs().sum(Kind::Float).double_value(&[]);
        assert!(moved > 0.0, "{pattern}");
    }
}
