//! Any list that can be put together also runs, and gives the shape that was promised.

use std::collections::BTreeSet;

use rand::RngExt;
use rand::seq::IndexedRandom;
use tch::Kind;

use super::*;
use crate::{Module, Pass, Precision};

/// A list of up to so many layers; lists inside of lists are shorter.
fn random_list(rng: &mut SeededRng, longest: usize) -> String {
    let layers: Vec<_> = (0..rng.random_range(0..=longest)).map(|_| random_layer(rng, longest)).collect();
    format!("[{}]", layers.join(", "))
}

fn random_layer(rng: &mut SeededRng, longest: usize) -> String {
    let mut number = |from: i64, to: i64| rng.random_range(from..=to);
    let (a, b, c, d, e) = (number(1, 4), number(1, 4), number(1, 3), number(0, 2), number(-2, 2));
    let each = [
        r#""relu""#.to_string(),
        format!("{{ linear = {} }}", 2 * a),
        format!("{{ linear = {{ units = {a}, spectral_norm = true }} }}"),
        format!(
            "{{ conv1d = {{ filters = {}, kernel = {b}, stride = {c}, padding = {d}, dilation = {c} }} }}",
            2 * a
        ),
        format!("{{ conv2d = {{ filters = {}, kernel = [{b}, {c}], stride = {c}, padding = {d} }} }}", 2 * a),
        format!(
            "{{ conv_transpose2d = {{ filters = {a}, kernel = {b}, stride = {c}, output_padding = {d} }} }}"
        ),
        format!(r#"{{ pad1d = {{ before = {b}, after = {d}, mode = "reflect" }} }}"#),
        format!("{{ pad2d = {{ before = [{a}, {d}] }} }}"),
        r#""magnitude""#.to_string(),
        format!("{{ max_pool1d = {{ kernel = {b}, stride = {c}, padding = {d}, dilation = {c} }} }}"),
        format!("{{ max_pool2d = {{ kernel = {b}, padding = {d} }} }}"),
        format!("{{ avg_pool1d = {{ kernel = {b}, padding = {d} }} }}"),
        format!("{{ avg_pool2d = {{ kernel = [{b}, {a}], stride = {c} }} }}"),
        format!("{{ adaptive_max_pool1d = {a} }}"),
        format!("{{ adaptive_max_pool2d = [{a}, {b}] }}"),
        format!("{{ adaptive_avg_pool1d = {a} }}"),
        format!("{{ adaptive_avg_pool2d = {a} }}"),
        format!(r#"{{ upsample = {{ scale = {c}, mode = "bilinear" }} }}"#),
        format!("{{ mean = {{ dimension = {e}, keep = true }} }}"),
        format!("{{ max = {e} }}"),
        format!("{{ embedding = {{ vocabulary = {a}, width = {} }} }}", 2 * b),
        r#""position_embedding""#.to_string(),
        format!("{{ lstm = {{ size = {a}, layers = {c}, dropout = 0.5 }} }}"),
        format!("{{ gru = {{ size = {a}, bidirectional = true }} }}"),
        format!("{{ attention = {{ heads = {c}, causal = true }} }}"),
        format!("{{ transformer_block = {{ heads = {c}, feedforward = {a} }} }}"),
        format!(
            "{{ transformer = {{ layers = {c}, heads = {c}, feedforward = {a}, norm_first = true, \
             final_norm = true }} }}"
        ),
        r#""batch_norm""#.to_string(),
        format!("{{ layer_norm = {{ dimensions = {c} }} }}"),
        format!("{{ group_norm = {c} }}"),
        r#""rms_norm""#.to_string(),
        r#"{ dropout = 0.2 }"#.to_string(),
        format!("{{ leaky_relu = 0.{a} }}"),
        format!("{{ flatten = {{ first = {e} }} }}"),
        format!("{{ reshape = [{a}, -1, {c}] }}"),
        format!("{{ unsqueeze = {e} }}"),
        format!("{{ transpose = [{e}, {d}] }}"),
    ];
    if longest < 2 || number(0, 5) > 0 {
        return each.choose(rng).unwrap().clone();
    }
    let mut list = || random_list(rng, longest / 2);
    let (one, other) = (list(), list());
    let nested = [
        format!("{{ residual = {one} }}"),
        format!("{{ residual = {{ layers = {one}, projection = {other} }} }}"),
        format!("{{ concat = [{one}, {other}] }}"),
        format!("{{ add = [{one}, {other}] }}"),
    ];
    nested.choose(rng).unwrap().clone()
}

#[test]
fn any_list_that_is_put_together_runs_and_gives_the_promised_shape() {
    let mut rng = SeededRng::seeded(11);
    let mut seen = BTreeSet::new();
    for _ in 0..4000 {
        let text = random_list(&mut rng, 5);
        let shape: Vec<i64> = (0..rng.random_range(0..4)).map(|_| rng.random_range(1..7)).collect();
        let precision = if rng.random() { Precision::F32 } else { Precision::Bf16 };
        let layers = read(&text).unwrap();
        let mut layout = Layout::new();
        let defaults = Defaults { precision, ..Defaults::default() };
        let Ok((network, output)) = build(&mut layout, "net.", &shape, &layers, defaults) else { continue };
        let parameters = Parameters::new(&layout, &mut rng, Device::Cpu).unwrap();
        // Zeros are tokens too.
        let size = [&[3], shape.as_slice()].concat();
        let x = if text.contains("embedding") { Tensor::zeros(size, FLOAT_CPU) } else { numbers(&size) };
        for training in [false, true] {
            let mut own = SeededRng::seeded(1);
            let mut pass =
                if training { Pass::train(&parameters, &mut own) } else { Pass::eval(&parameters) };
            let what = format!("{text} of {shape:?}, training {training}");
            let y = network.forward(&mut pass, &x).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(
                (&y.size()[1..], y.size()[0], y.kind()),
                (output.as_slice(), 3, Kind::Float),
                "{what}"
            );
        }
        assert_eq!(serde_json::from_str::<Layers>(&serde_json::to_string(&layers).unwrap()).unwrap(), layers);
        seen.extend(layers.iter().map(LayerConfig::name));
    }
    let missing: Vec<_> = LayerConfig::names()
        .filter(|name| !seen.contains(name) && crate::Activation::ALL.iter().all(|each| each.name() != *name))
        .collect();
    assert!(missing.is_empty(), "no list with {missing:?} could be put together");
}
