//! Single layers beyond PyTorch's numbers: errors, dropout, masks, statistics, gradients by finite
//! differences.

use tch::Kind;

use super::*;
use crate::{Init, Module, NnError, Pass};

fn parameters(layout: &Layout) -> Parameters {
    Parameters::new(layout, &mut SeededRng::seeded(7), Device::Cpu).unwrap()
}

fn eval(network: &dyn Module, parameters: &Parameters, x: &Tensor) -> Result<Tensor, NnError> {
    network.forward(&mut Pass::eval(parameters), x)
}

#[test]
fn a_batch_of_one_row_is_refused_by_a_batch_norm_in_training_alone() {
    let mut layout = Layout::new();
    let norm = BatchNorm::new(&mut layout, "backbone.1.", 3, &BatchNormConfig::default()).unwrap();
    let parameters = parameters(&layout);
    let x = numbers(&[1, 3]);
    assert!(eval(&norm, &parameters, &x).is_ok());
    let before = parameters.values().copy();
    let mut rng = SeededRng::seeded(1);
    let error = norm.forward(&mut Pass::train(&parameters, &mut rng), &x).unwrap_err().to_string();
    assert!(error.contains("`backbone.1`") && error.contains("give batches of at least two"), "{error}");
    assert_eq!(parameters.values(), &before);
    // A single image has many numbers for each channel.
    let _ = norm.forward(&mut Pass::train(&parameters, &mut rng), &numbers(&[1, 3, 2])).unwrap();
    assert_ne!(parameters.values(), &before);
}

#[test]
fn a_batch_norm_in_use_changes_nothing() {
    let (network, parameters, _) = built(r#"[{ linear = 4 }, "batch_norm"]"#, &[3]).unwrap();
    let before = parameters.values().copy();
    let _ = eval(&network, &parameters, &numbers(&[5, 3])).unwrap();
    assert_eq!(parameters.values(), &before);
    // Statistics are written between the forward pass and its way back, which must not mind.
    let mut rng = SeededRng::seeded(1);
    let y = network.forward(&mut Pass::train(&parameters, &mut rng), &numbers(&[5, 3])).unwrap();
    y.square().sum(Kind::Float).f_backward().unwrap();
    assert_ne!(parameters.values(), &before);
}

#[test]
fn dropout_silences_its_share_and_keeps_the_mean() {
    let dropout = Dropout::new(0.25).unwrap();
    let parameters = parameters(&Layout::new());
    let x = Tensor::ones([200, 100], FLOAT_CPU);
    assert_eq!(eval(&dropout, &parameters, &x).unwrap(), x);
    let run =
        |seed| dropout.forward(&mut Pass::train(&parameters, &mut SeededRng::seeded(seed)), &x).unwrap();
    let y = run(1);
    let silenced = y.eq(0.0).to_kind(Kind::Float).mean(Kind::Float).double_value(&[]);
    assert!((silenced - 0.25).abs() < 0.02, "{silenced}");
    assert!((y.mean(Kind::Float).double_value(&[]) - 1.0).abs() < 0.02);
    assert_eq!(y, run(1));
    assert_ne!(y, run(2));
}

#[test]
fn an_embedding_takes_whole_numbers_of_any_type_and_refuses_others() {
    let mut layout = Layout::new();
    let embedding = Embedding::new(&mut layout, "", &EmbeddingConfig::new(5, 3)).unwrap();
    let parameters = parameters(&layout);
    let tokens = Tensor::from_slice(&[0i64, 4, 2, 2]).reshape([2, 2]);
    let expected = eval(&embedding, &parameters, &tokens).unwrap();
    assert_eq!(expected.size(), [2, 2, 3]);
    for kind in [Kind::Float, Kind::Uint8, Kind::Int] {
        assert_eq!(eval(&embedding, &parameters, &tokens.to_kind(kind)).unwrap(), expected);
    }
    for (tokens, part) in [
        (Tensor::from_slice(&[0i64, 5]), "tokens from 0 to 5"),
        (Tensor::from_slice(&[-1i64]), "tokens from -1"),
        (Tensor::from_slice(&[0.5f32]), "whole numbers"),
        (Tensor::from_slice(&[f32::NAN]), "tokens"),
    ] {
        let error = eval(&embedding, &parameters, &tokens).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

fn attention(config: &AttentionConfig) -> (MultiHeadAttention, Parameters) {
    let mut layout = Layout::new();
    let attention = MultiHeadAttention::new(&mut layout, "", 8, config).unwrap();
    let parameters = parameters(&layout);
    (attention, parameters)
}

fn attend(
    (attention, parameters): &(MultiHeadAttention, Parameters),
    x: &Tensor,
    padding: Option<&Tensor>,
) -> Tensor {
    let attended = Attended { query: x, key: x, value: x, padding };
    attention.attend(&mut Pass::eval(parameters), &attended).unwrap()
}

#[test]
fn padding_is_seen_by_nobody_and_all_padding_gives_no_nan() {
    for causal in [false, true] {
        let own = attention(&AttentionConfig { causal, ..AttentionConfig::new(2) });
        let x = numbers(&[2, 5, 8]);
        let padding = Tensor::from_slice2(&[[0f32, 0.0, 0.0, 1.0, 1.0], [1.0; 5]]);
        let other = x.copy();
        let _ = other.narrow(1, 3, 2).fill_(9.0);
        let [one, two] = [&x, &other].map(|x| attend(&own, x, Some(&padding)));
        assert_eq!(one.narrow(1, 0, 3).select(0, 0), two.narrow(1, 0, 3).select(0, 0));
        let short = attend(&own, &x.narrow(1, 0, 3), None);
        let distance = (one.narrow(1, 0, 3).select(0, 0) - short.select(0, 0)).abs().max().double_value(&[]);
        assert!(distance < 1e-6, "{distance}");
        // Nothing to attend to: the last projection's bias is left.
        assert_eq!(one.select(0, 1).abs().max().double_value(&[]), 0.0);
    }
}

#[test]
fn all_padding_gives_finite_gradients_with_dropout_and_without() {
    for dropout in [0.0, 0.3] {
        let (attention, parameters) = attention(&AttentionConfig { dropout, ..AttentionConfig::new(2) });
        let x = numbers(&[1, 3, 8]).set_requires_grad(true);
        let padding = Tensor::ones([1, 3], (Kind::Bool, Device::Cpu));
        let attended = Attended { query: &x, key: &x, value: &x, padding: Some(&padding) };
        let mut rng = SeededRng::seeded(1);
        let y = attention.attend(&mut Pass::train(&parameters, &mut rng), &attended).unwrap();
        y.sum(Kind::Float).backward();
        assert!(parameters.gradients().unwrap().isfinite().all().int64_value(&[]) == 1, "{dropout}");
        assert!(x.grad().isfinite().all().int64_value(&[]) == 1, "{dropout}");
    }
}

#[test]
fn causal_attention_does_not_see_what_comes() {
    let own = attention(&AttentionConfig { causal: true, ..AttentionConfig::new(2) });
    let x = numbers(&[2, 5, 8]);
    let other = x.copy();
    let _ = other.narrow(1, 3, 2).fill_(9.0);
    let [one, two] = [&x, &other].map(|x| attend(&own, x, None));
    assert_eq!(one.narrow(1, 0, 3), two.narrow(1, 0, 3));
    assert_ne!(one, two);
}

#[test]
fn attention_with_dropout_is_that_without_but_for_the_silenced_weights() {
    for causal in [false, true] {
        for padded in [false, true] {
            // A share this small silences nothing here.
            let config = AttentionConfig { dropout: 1e-9, causal, ..AttentionConfig::new(2) };
            let (attention, parameters) = attention(&config);
            let x = numbers(&[2, 5, 8]);
            let padding = Tensor::from_slice2(&[[0i64, 0, 0, 1, 1], [0, 1, 0, 0, 0]]);
            let padding = padded.then_some(&padding);
            let attended = Attended { query: &x, key: &x, value: &x, padding };
            let mut rng = SeededRng::seeded(1);
            let trained = attention.attend(&mut Pass::train(&parameters, &mut rng), &attended).unwrap();
            let used = attention.attend(&mut Pass::eval(&parameters), &attended).unwrap();
            let distance = (trained - used).abs().max().double_value(&[]);
            assert!(distance < 1e-5, "causal {causal}, padded {padded}: {distance}");
        }
    }
    let config = AttentionConfig { dropout: 0.5, ..AttentionConfig::new(2) };
    let (attention, parameters) = attention(&config);
    let x = numbers(&[2, 5, 8]);
    let run =
        |seed| attention.forward(&mut Pass::train(&parameters, &mut SeededRng::seeded(seed)), &x).unwrap();
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn attention_of_parts_that_do_not_fit_is_an_error() {
    let (attention, parameters) = attention(&AttentionConfig::new(2));
    let x = numbers(&[2, 5, 8]);
    for (query, key, padding, part) in [
        (numbers(&[2, 5, 7]), x.copy(), None, "[batch, steps, 8]"),
        (numbers(&[3, 5, 8]), x.copy(), None, "give one batch"),
        (x.copy(), x.copy(), Some(numbers(&[2, 4])), "padding of [batch, keys]"),
    ] {
        let attended = Attended { query: &query, key: &key, value: &key, padding: padding.as_ref() };
        let error = attention.attend(&mut Pass::eval(&parameters), &attended).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let error = MultiHeadAttention::new(&mut Layout::new(), "", 8, &AttentionConfig::new(3)).unwrap_err();
    assert!(error.to_string().contains("divides the width of 8"), "{error}");
}

#[test]
fn a_magnitude_of_silence_has_a_gradient() {
    let text = r#"[{ conv1d = { filters = 4, kernel = 3, bias = false } }, "magnitude"]"#;
    let (network, parameters, _) = built(text, &[1, 7]).unwrap();
    let y = eval(&network, &parameters, &Tensor::zeros([2, 1, 7], FLOAT_CPU)).unwrap();
    assert_eq!(y.abs().max().double_value(&[]), 0.0);
    y.sum(Kind::Float).backward();
    assert_eq!(parameters.gradients().unwrap().abs().max().double_value(&[]), 0.0);
}

#[test]
fn layers_start_as_pytorchs() {
    let (_, parameters, _) = built(
        r#"[{ linear = { units = 200, init = { orthogonal = { gain = 2.0 } } } },
            { attention = { heads = 4 } }]"#,
        &[3, 400],
    )
    .unwrap();
    let state = parameters.state().unwrap();
    let deviation = |name: &str| state.view().tensor(name).unwrap().std(false).double_value(&[]);
    // Rows of length 2 in 400 dimensions.
    assert!((deviation("0.weight") / 0.1 - 1.0).abs() < 0.02);
    assert_eq!(deviation("0.bias"), 0.0);
    // Xavier's bound sqrt(6 / (fan_in + fan_out)) for the three projections together.
    let xavier = (6.0f64 / 800.0).sqrt() / 3f64.sqrt();
    assert!((deviation("1.in_proj_weight") / xavier - 1.0).abs() < 0.02);
    assert_eq!(deviation("1.out_proj.bias"), 0.0);
    let mut layout = Layout::new();
    Embedding::new(&mut layout, "", &EmbeddingConfig::new(100, 50)).unwrap();
    assert!((self::parameters(&layout).values().std(false).double_value(&[]) - 1.0).abs() < 0.05);
    assert!(Init::Normal { deviation: f64::NAN }.sample(&[2], &mut SeededRng::seeded(1)).is_err());
}

/// A loss's slope along one direction in the space of parameters and inputs, by finite differences and by
/// gradients.
fn slopes(text: &str, shape: &[i64]) -> (f64, f64) {
    let (network, parameters, _) = built(text, shape).unwrap();
    let x = numbers(&[&[3], shape].concat()).set_requires_grad(true);
    let direction = |count: i64| (Tensor::arange(count, FLOAT_CPU) * 1.7).cos();
    let of_input = direction(x.numel() as i64).reshape(x.size());
    let of_values = direction(parameters.layout().trainable_len());
    let loss = |x: &Tensor| {
        let y = network.forward(&mut Pass::eval(&parameters), x).unwrap();
        (&y * numbers(&y.size())).sum(Kind::Float)
    };
    loss(&x).backward();
    let by_gradient = (x.grad() * &of_input).sum(Kind::Double)
        + (parameters.gradients().unwrap() * &of_values).sum(Kind::Double);
    let step = 2e-3;
    let moved = |sign: f64| {
        let _guard = tch::no_grad_guard();
        let _ = parameters.trainable_values().shallow_clone().f_add_(&(&of_values * (sign * step))).unwrap();
        let loss = loss(&(&x + &of_input * (sign * step))).double_value(&[]);
        let _ = parameters.trainable_values().shallow_clone().f_add_(&(&of_values * (-sign * step))).unwrap();
        loss
    };
    ((moved(1.0) - moved(-1.0)) / (2.0 * step), by_gradient.double_value(&[]))
}

#[test]
fn gradients_are_those_of_finite_differences() {
    for (text, shape) in [
        (r#"[{ linear = 4 }, "tanh", { linear = 2 }]"#, vec![3]),
        (r#"[{ conv2d = { filters = 3, kernel = 3, stride = 2, padding = 1 } }, "tanh"]"#, vec![2, 5, 4]),
        (r#"[{ conv1d = { filters = 3, kernel = 3 } }, "tanh"]"#, vec![2, 7]),
        (
            r#"[{ pad1d = { after = 2, mode = "reflect" } }, { conv1d = { filters = 4, kernel = 3 } }, "magnitude"]"#,
            vec![2, 7],
        ),
        (r#"[{ conv_transpose2d = { filters = 3, kernel = 3, stride = 2 } }]"#, vec![2, 3, 2]),
        (r#"[{ attention = { heads = 2, causal = true } }]"#, vec![4, 6]),
        (
            r#"[{ transformer = { layers = 2, heads = 2, feedforward = 5, activation = "gelu" } }]"#,
            vec![4, 6],
        ),
        (r#"["layer_norm"]"#, vec![6]),
        (r#"["rms_norm"]"#, vec![6]),
        (r#"[{ group_norm = 2 }]"#, vec![4, 3]),
        (r#"["batch_norm"]"#, vec![4, 3]),
    ] {
        let (differences, gradients) = slopes(text, &shape);
        assert!(
            (differences - gradients).abs() < 5e-3 * gradients.abs().max(1.0),
            "{text}: {differences} {gradients}"
        );
        assert!(gradients.abs() > 0.05, "{text}: {gradients} is nothing to compare");
    }
}

#[test]
fn a_leaky_relu_has_the_slope_that_it_is_given() {
    let (network, parameters, _) = built("[{ leaky_relu = 0.2 }]", &[4]).unwrap();
    let x = Tensor::from_slice(&[-2f32, -0.5, 0.0, 3.0]).view([1, 4]).set_requires_grad(true);
    let y = eval(&network, &parameters, &x).unwrap();
    assert_eq!(y, Tensor::from_slice(&[-0.4f32, -0.1, 0.0, 3.0]).view([1, 4]));
    y.sum(Kind::Float).backward();
    assert_eq!(x.grad(), Tensor::from_slice(&[0.2f32, 0.2, 0.2, 1.0]).view([1, 4]));
}
