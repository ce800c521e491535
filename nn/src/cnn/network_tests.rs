use pavlov_common::SeededRng;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use tch::{Device, kind::FLOAT_CPU};

use super::*;
use crate::set_team_size;

fn image(height: i64, width: i64, channels: i64, channels_first: bool) -> Image {
    Image { height, width, channels, channels_first }
}

fn network(image: Image, config: &CnnConfig) -> (Cnn, Parameters) {
    let mut layout = Layout::new();
    let cnn = Cnn::new(&mut layout, "", image, config, Init::Torch).unwrap();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
    (cnn, Parameters::new(&layout, &mut rng, Device::Cpu).unwrap())
}

fn named(architecture: Architecture) -> CnnConfig {
    CnnConfig::Named(architecture)
}

fn layers(layers: &[[i64; 4]]) -> CnnConfig {
    CnnConfig::Layers(layers.iter().map(|&[f, k, s, p]| ConvLayer::new(f, k, s, p)).collect())
}

fn input(rows: i64, columns: i64) -> Tensor {
    (Tensor::arange(rows * columns, FLOAT_CPU) * 0.37).sin().reshape([rows, columns])
}

fn distance(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

/// The same image in the other order.
fn reordered(x: &Tensor, image: Image) -> Tensor {
    let Image { height, width, channels, channels_first } = image;
    match channels_first {
        true => x.reshape([-1, channels, height, width]).permute([0, 2, 3, 1]),
        false => x.reshape([-1, height, width, channels]).permute([0, 3, 1, 2]),
    }
    .reshape([-1, image.len()])
}

/// Layers one by one, by libtorch, from images `[batch, channels, height, width]`.
fn plain(parameters: &Parameters, config: &[[i64; 4]], x: &Tensor) -> Tensor {
    let mut y = x.contiguous();
    for (index, &[_, _, stride, padding]) in config.iter().enumerate() {
        let at = parameters.layout().specs();
        let view = |spec: &crate::ParameterSpec| {
            parameters.values().narrow(0, spec.offset, spec.len()).reshape(spec.shape.as_slice())
        };
        let (weight, bias) = (view(&at[2 * index]), view(&at[2 * index + 1]));
        y = y.conv2d(&weight, Some(&bias), [stride; 2], [padding; 2], [1, 1], 1).relu();
    }
    y.flatten(1, -1)
}

const SHAPES: [&[[i64; 4]]; 6] = [
    &[[16, 3, 1, 0]],
    &[[5, 3, 2, 1]],
    &[[7, 2, 1, 1], [3, 3, 2, 2]],
    &[[33, 4, 3, 0], [16, 1, 1, 0], [2, 2, 2, 1]],
    &[[16, 3, 1, 1], [16, 3, 1, 1]],
    &[[20, 5, 1, 4]],
];

#[test]
fn layers_are_those_of_libtorch_in_both_orders_of_the_row() {
    for shape in SHAPES {
        for channels in [1, 4, 17] {
            for channels_first in [false, true] {
                let image = image(9, 7, channels, channels_first);
                let (cnn, parameters) = network(image, &layers(shape));
                for rows in [1, 5, 130] {
                    let x = input(rows, image.len());
                    let first = if channels_first { x.copy() } else { reordered(&x, image) };
                    let expected = plain(&parameters, shape, &first.reshape([rows, channels, 9, 7]));
                    let recorded =
                        cnn.forward(&mut Pass::train(&parameters, &mut SeededRng::seeded(1)), &x).unwrap();
                    let what = format!("{shape:?}, {channels} channels, first {channels_first}, {rows} rows");
                    assert_eq!(recorded.size(), [rows, cnn.outputs()], "{what}");
                    assert!(distance(&recorded, &expected) < 1e-5, "{what}");
                    let _guard = tch::no_grad_guard();
                    let free = cnn.forward(&mut Pass::eval(&parameters), &x).unwrap();
                    assert!(distance(&free, &expected) < 1e-5, "{what} without a graph");
                }
            }
        }
    }
}

#[test]
fn gradients_are_those_of_libtorch_and_accumulate_in_the_arena() {
    for shape in SHAPES {
        for channels_first in [false, true] {
            let image = image(9, 7, 4, channels_first);
            let (cnn, mut parameters) = network(image, &layers(shape));
            let weights = input(6, cnn.outputs());
            let mut pass = |own: bool, wants_input: bool| {
                parameters.zero_gradients();
                let x = input(6, image.len()).set_requires_grad(wants_input);
                let y = match own {
                    true => {
                        cnn.forward(&mut Pass::train(&parameters, &mut SeededRng::seeded(1)), &x).unwrap()
                    }
                    false => cnn.forward_by_operations(&parameters, &x).unwrap(),
                };
                (y * &weights).sum(Kind::Float).backward();
                (x.grad(), parameters.gradients().unwrap().copy())
            };
            let (own, plain, without) = (pass(true, true), pass(false, true), pass(true, false));
            assert!(distance(&own.0, &plain.0) < 1e-4, "{shape:?} input gradient");
            assert!(distance(&own.1, &plain.1) < 1e-3, "{shape:?} gradients");
            assert!(distance(&own.1, &without.1) < 1e-6, "{shape:?} without an input gradient");
            assert!(plain.1.abs().max().double_value(&[]) > 1e-1, "gradients to compare");

            let x = input(6, image.len());
            (cnn.forward(&mut Pass::train(&parameters, &mut SeededRng::seeded(1)), &x).unwrap() * &weights)
                .sum(Kind::Float)
                .backward();
            assert!(distance(&(without.1 * 2.0), parameters.gradients().unwrap()) < 1e-3, "accumulated");
        }
    }
}

/// Windows that are multiplied in several pieces, and images enough for several threads.
#[test]
fn wide_windows_are_those_of_libtorch_and_any_team_gives_the_same_bits() {
    let shape: &[[i64; 4]] = &[[64, 8, 4, 0], [64, 4, 1, 1]];
    let image = image(20, 16, 16, false);
    let (cnn, mut parameters) = network(image, &layers(shape));
    let x = input(40, image.len());
    let weights = input(40, cnn.outputs());
    let mut pass = |own: bool| {
        parameters.zero_gradients();
        let y = match own {
            true => cnn.forward(&mut Pass::train(&parameters, &mut SeededRng::seeded(1)), &x).unwrap(),
            false => cnn.forward_by_operations(&parameters, &x).unwrap(),
        };
        (&y * &weights).sum(Kind::Float).backward();
        (y.detach(), parameters.gradients().unwrap().copy())
    };
    let (one, plain) = (pass(true), pass(false));
    assert!(distance(&one.0, &plain.0) < 1e-4, "outputs");
    let scale = plain.1.abs().max().double_value(&[]);
    assert!(distance(&one.1, &plain.1) < 1e-4 * scale, "gradients");
    for threads in [2, 3, 1] {
        set_team_size(threads);
        assert_eq!(pass(true), one, "{threads} threads");
    }
}

#[test]
fn gradients_match_finite_differences() {
    let image = image(4, 4, 2, false);
    for config in [layers(&[[2, 3, 1, 1], [2, 2, 2, 0]]), named(Architecture::Impala)] {
        let (cnn, mut parameters) = network(image, &config);
        let (x, weights) = (input(2, image.len()), input(2, cnn.outputs()));
        let loss = |parameters: &Parameters| {
            (cnn.forward(&mut Pass::train(parameters, &mut SeededRng::seeded(1)), &x).unwrap() * &weights)
                .sum(Kind::Double)
        };
        parameters.zero_gradients();
        loss(&parameters).backward();
        let gradients = Vec::<f32>::try_from(parameters.gradients().unwrap()).unwrap();
        let step = 1e-3;
        // Every so many parameters, so that the residual network's are reached too.
        for index in (0..gradients.len()).step_by(gradients.len().div_ceil(60)) {
            let at = |offset: f64| {
                let moved = parameters.frozen_copy().unwrap();
                let _ = moved.values().narrow(0, index as i64, 1).g_add_scalar_(offset);
                loss(&moved).double_value(&[])
            };
            let numeric = (at(step) - at(-step)) / (2.0 * step);
            let gradient = f64::from(gradients[index]);
            assert!(
                (numeric - gradient).abs() < 2e-2 * (1.0 + gradient.abs()),
                "{index}: {numeric} {gradient}"
            );
        }
    }
}

#[test]
fn published_networks_have_their_published_shapes() {
    let atari = image(84, 84, 4, true);
    let (nature, parameters) = network(atari, &named(Architecture::Nature));
    assert_eq!(nature.outputs(), 3136);
    let shapes: Vec<_> =
        parameters.layout().specs().iter().map(|spec| (spec.name.as_str(), spec.shape.clone())).collect();
    assert_eq!(shapes[0], ("0.weight", vec![32, 4, 8, 8]));
    assert_eq!(shapes[1], ("0.bias", vec![32]));
    assert_eq!(shapes[2], ("1.weight", vec![64, 32, 4, 4]));
    assert_eq!(shapes[4], ("2.weight", vec![64, 64, 3, 3]));
    assert_eq!(
        nature.forward(&mut Pass::eval(&parameters), &input(2, atari.len())).unwrap().size(),
        [2, 3136]
    );

    let (impala, parameters) = network(atari, &named(Architecture::Impala));
    assert_eq!(impala.outputs(), 3872);
    let specs = parameters.layout().specs();
    // 15 convolutions; Espeholt et al.'s network without what follows the flattening.
    assert_eq!(specs.len(), 30);
    assert_eq!(specs[0].name, "block0.conv.weight");
    assert_eq!(specs[0].shape, [16, 4, 3, 3]);
    assert_eq!(specs[2].name, "block0.residual0.conv0.weight");
    assert_eq!(specs[29].name, "block2.residual1.conv1.bias");
    assert_eq!(specs[20].shape, [32, 32, 3, 3]);
    assert_eq!(
        impala.forward(&mut Pass::eval(&parameters), &input(2, atari.len())).unwrap().size(),
        [2, 3872]
    );

    let (minatar, parameters) = network(image(10, 10, 4, false), &named(Architecture::MinAtar));
    assert_eq!((minatar.outputs(), parameters.len()), (1024, 16 * 36 + 16));
}

#[test]
fn the_residual_network_is_what_its_paper_draws() {
    let small = image(11, 8, 3, false);
    let (cnn, parameters) = network(small, &named(Architecture::Impala));
    let x = input(3, small.len());
    let mut y = reordered(&x, small).reshape([3, 3, 11, 8]);
    let mut next = 0;
    let mut conv = |y: &Tensor| {
        let view = |index: usize| {
            let spec = &parameters.layout().specs()[index];
            parameters.values().narrow(0, spec.offset, spec.len()).reshape(spec.shape.as_slice())
        };
        next += 2;
        y.conv2d(&view(next - 2), Some(&view(next - 1)), [1, 1], [1, 1], [1, 1], 1)
    };
    for _ in 0..3 {
        y = conv(&y).max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false);
        for _ in 0..2 {
            let inner = conv(&y.relu());
            y = &y + conv(&inner.relu());
        }
    }
    let expected = y.relu().flatten(1, -1);
    assert!(distance(&cnn.forward(&mut Pass::eval(&parameters), &x).unwrap(), &expected) < 1e-5);
}

#[test]
fn both_orders_of_the_row_give_the_same_features() {
    for architecture in [Architecture::MinAtar, Architecture::Impala] {
        let last = image(10, 10, 4, false);
        let (cnn, parameters) = network(last, &named(architecture));
        let (other, _) = network(image(10, 10, 4, true), &named(architecture));
        let x = input(5, last.len());
        let y = cnn.forward(&mut Pass::eval(&parameters), &x).unwrap();
        assert!(
            distance(&y, &other.forward(&mut Pass::eval(&parameters), &reordered(&x, last)).unwrap()) < 1e-6
        );
    }
}

#[test]
fn a_frozen_copy_passes_the_gradient_to_its_input_alone() {
    for config in [layers(&[[5, 3, 2, 1], [4, 2, 1, 0]]), named(Architecture::Impala)] {
        let image = image(9, 7, 2, true);
        let (cnn, parameters) = network(image, &config);
        let frozen = parameters.frozen_copy().unwrap();
        let y = cnn
            .forward(&mut Pass::train(&frozen, &mut SeededRng::seeded(1)), &input(4, image.len()))
            .unwrap();
        assert!(!y.requires_grad());
        let input_gradient = |parameters: &Parameters| {
            let x = input(4, image.len()).set_requires_grad(true);
            cnn.forward(&mut Pass::train(parameters, &mut SeededRng::seeded(1)), &x)
                .unwrap()
                .square()
                .sum(Kind::Float)
                .backward();
            x.grad()
        };
        assert!(distance(&input_gradient(&frozen), &input_gradient(&parameters)) < 1e-6);
        assert!(input_gradient(&frozen).abs().max().double_value(&[]) > 0.0);
    }
}

#[test]
fn bf16_is_near_f32_and_its_gradients_land_in_the_arena() {
    for (image, config) in [
        (image(84, 84, 4, true), named(Architecture::Nature)),
        (image(20, 20, 3, false), named(Architecture::Impala)),
        (image(10, 10, 4, false), named(Architecture::MinAtar)),
    ] {
        let (cnn, mut parameters) = network(image, &config);
        let mut pass = |precision| {
            parameters.zero_gradients();
            let cnn = cnn.clone().with_precision(precision);
            let y = cnn
                .forward(&mut Pass::train(&parameters, &mut SeededRng::seeded(1)), &input(8, image.len()))
                .unwrap();
            assert_eq!(y.kind(), Kind::Float);
            y.square().mean(Kind::Float).backward();
            (y.detach(), parameters.gradients().unwrap().copy())
        };
        let (single, half) = (pass(Precision::F32), pass(Precision::Bf16));
        // Relative to the largest number: eight bits of significand, several sums.
        for (single, half) in [(single.0, half.0), (single.1, half.1)] {
            let scale = single.abs().max().double_value(&[]);
            let error = distance(&single, &half) / scale;
            assert!(error > 0.0 && error < 0.03, "{config:?}: {error}");
        }
    }
}

#[test]
fn what_makes_no_sense_is_explained() {
    let error = |image: Image, config: CnnConfig| {
        let outcome = Cnn::new(&mut Layout::new(), "", image, &config, Init::Torch);
        outcome.unwrap_err().to_string()
    };
    let small = image(10, 10, 4, false);
    let message = error(image(16, 20, 4, false), named(Architecture::Nature));
    assert!(message.contains("layer 1") && message.contains("3x4") && message.contains("4x4"), "{message}");
    assert!(error(image(7, 84, 4, false), named(Architecture::Nature)).contains("layer 0: it gets 7x84"));
    assert!(error(image(0, 10, 4, false), named(Architecture::MinAtar)).contains("0x10"));
    assert!(error(small, layers(&[])).contains("no layers"));
    assert!(error(small, layers(&[[8, 3, 1, 0], [0, 3, 1, 0]])).contains("layer 1: filters is 0"));
    assert!(error(small, layers(&[[8, 0, 1, 0]])).contains("kernel is 0"));
    assert!(error(small, layers(&[[8, 3, 0, 0]])).contains("stride is 0"));
    assert!(error(small, layers(&[[8, 3, 1, -1]])).contains("padding is -1"));
    assert!(error(small, layers(&[[8, 3, 1, 3]])).contains("less than the kernel"));

    let (cnn, parameters) = network(small, &named(Architecture::MinAtar));
    for x in [input(2, 399), input(2, 400).to_kind(Kind::Double), input(2, 400).reshape([2, 10, 10, 4])] {
        assert!(matches!(cnn.forward(&mut Pass::eval(&parameters), &x), Err(NnError::Shape(_))));
    }
    let empty = cnn.forward(&mut Pass::eval(&parameters), &Tensor::zeros([0, 400], FLOAT_CPU)).unwrap();
    assert_eq!(empty.size(), [0, 1024]);
}
