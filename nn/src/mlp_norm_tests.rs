//! Layer norm and dropout inside the node, held to those by operations.

use super::*;

/// Shapes that are thin, odd and wide, cut by rows and by units.
const SHAPES: [(&[i64], i64); 8] = [
    (&[1], 3),
    (&[2, 31], 1),
    (&[17, 8], 7),
    (&[64, 64], 64),
    (&[33, 70, 16], 131),
    (&[96, 96], 300),
    (&[257, 130], 13),
    (&[300, 300], 40),
];

#[test]
fn layer_norm_and_dropout_inside_the_node_are_those_by_operations() {
    for activation in ALL {
        for (hidden_sizes, rows) in SHAPES {
            for dropout in [0.0, 0.3] {
                let config = MlpConfig {
                    hidden_sizes: hidden_sizes.to_vec(),
                    activation,
                    layer_norm: true,
                    dropout,
                    ..Default::default()
                };
                let (mlp, mut parameters) = network(&config);
                shake(&mut parameters);
                let what = format!("{activation:?} {hidden_sizes:?}, {rows} rows, dropout {dropout}");
                let (fused, plain) =
                    (pass(&mlp, &mut parameters, rows, true), pass(&mlp, &mut parameters, rows, false));
                for (part, (one, other)) in fused.iter().zip(&plain).enumerate() {
                    let scale = other.abs().max().double_value(&[]).max(1.0);
                    let far = distance(one, other) / scale;
                    assert!(far < 2e-5, "{what}, part {part}: {far}");
                }
                let _guard = tch::no_grad_guard();
                let free = |fused: bool| match fused {
                    true => mlp.forward(&mut Pass::eval(&parameters), &input(rows)).unwrap(),
                    false => mlp.forward_by_operations(&mut Pass::eval(&parameters), &input(rows)).unwrap(),
                };
                assert!(distance(&free(true), &free(false)) < 2e-5, "{what}, without a graph");
            }
        }
    }
}

/// Moves parameters that start at ones and zeros away from there.
fn shake(parameters: &mut Parameters) {
    let noise = (Tensor::arange(parameters.len(), FLOAT_CPU) * 1.3).sin() * 0.1;
    tch::no_grad(|| {
        let _ = parameters.values().shallow_clone().g_add_(&noise);
    });
}

#[test]
fn dropout_without_a_norm_is_that_by_operations() {
    for activation in [Activation::Tanh, Activation::Relu, Activation::Silu] {
        let config = MlpConfig { hidden_sizes: vec![70, 33], activation, dropout: 0.4, ..Default::default() };
        let (mlp, mut parameters) = network(&config);
        let (fused, plain) = (pass(&mlp, &mut parameters, 90, true), pass(&mlp, &mut parameters, 90, false));
        for (one, other) in fused.iter().zip(&plain) {
            assert!(distance(one, other) < 1e-4, "{activation:?}");
        }
    }
}
