//! A network refuses the parameters of another, of every kind, and takes every form of its own.

use super::*;
use crate::{
    Cell, Cnn, CnnConfig, Ensemble, Image, Init, Memory, Mlp, MlpConfig, Module, NnError, Optimizer,
    OptimizerConfig, Pass, Recurrent, RecurrentStack, RecurrentStackConfig, Sequence, cnn,
};

/// A list of each kind of layer that has parameters, the shape of its samples, and lists that run as one node.
const LISTS: [(&str, &[i64]); 25] = [
    (r#"[{ linear = 4 }]"#, &[3]),
    (r#"[{ linear = { units = 4, bias = false } }]"#, &[5, 3]),
    (r#"[{ linear = { units = 4, spectral_norm = true } }]"#, &[3]),
    (r#"[{ conv1d = { filters = 4, kernel = 3 } }]"#, &[2, 9]),
    (r#"[{ conv2d = { filters = 4, kernel = 3 } }]"#, &[2, 6, 6]),
    (r#"[{ conv2d = { filters = 4, kernel = 3, spectral_norm = true } }]"#, &[2, 6, 6]),
    (r#"[{ conv_transpose2d = { filters = 4, kernel = 3 } }]"#, &[2, 4, 4]),
    (r#"[{ conv_transpose2d = { filters = 4, kernel = 3, spectral_norm = true } }]"#, &[2, 4, 4]),
    (r#"["batch_norm"]"#, &[3]),
    (r#"[{ batch_norm = { affine = false } }]"#, &[3, 4, 4]),
    (r#"["layer_norm"]"#, &[3]),
    (r#"[{ group_norm = 2 }]"#, &[4, 5]),
    (r#"["rms_norm"]"#, &[3]),
    (r#"[{ embedding = { vocabulary = 5, width = 3 } }]"#, &[4]),
    (r#"["position_embedding"]"#, &[4, 3]),
    (r#"[{ attention = { heads = 2 } }]"#, &[4, 6]),
    (r#"[{ transformer_block = { heads = 2, feedforward = 8 } }]"#, &[4, 6]),
    (r#"[{ transformer = { layers = 2, heads = 2, feedforward = 8 } }]"#, &[4, 6]),
    (r#"[{ lstm = 6 }]"#, &[4, 3]),
    (r#"[{ gru = { size = 6, layers = 2, bidirectional = true } }]"#, &[4, 3]),
    (r#"[{ residual = [{ linear = 3 }] }]"#, &[3]),
    (r#"[{ concat = [[], [{ linear = 3 }]] }]"#, &[3]),
    (r#"[{ add = [[{ linear = 2 }], [{ linear = 2 }]] }]"#, &[3]),
    (r#"[{ linear = 16 }, "layer_norm", "tanh", { dropout = 0.5 }, { linear = 2 }]"#, &[3]),
    (r#"[{ conv2d = { filters = 4, kernel = 3 } }, "relu", { max_pool2d = 2 }, "flatten"]"#, &[2, 6, 6]),
];

type Call = Box<dyn Fn(&mut Pass<'_>) -> Result<Tensor, NnError>>;
/// Describes a network in a layout, its parameters named after the prefix.
type Describe = Box<dyn Fn(&mut Layout, &str) -> Call>;

/// Every list, and every network that is none.
fn kinds() -> Vec<(String, Describe)> {
    let mut kinds: Vec<(String, Describe)> = Vec::new();
    for (text, shape) in LISTS {
        let describe = move |layout: &mut Layout, prefix: &str| -> Call {
            let layers = read(text).unwrap();
            let (network, _) = build(layout, prefix, shape, &layers, Defaults::default()).unwrap();
            let x = numbers(&[&[4], shape].concat());
            let x = if text.contains("embedding = {") { x.zeros_like() } else { x };
            Box::new(move |pass| network.forward(pass, &x))
        };
        kinds.push((text.into(), Box::new(describe)));
    }
    let mut add = |name: &str, describe: fn(&mut Layout, &str) -> Call| {
        kinds.push((name.into(), Box::new(describe)));
    };
    add("mlp", |layout, prefix| {
        let config =
            MlpConfig { hidden_sizes: vec![8, 8], layer_norm: true, dropout: 0.5, ..Default::default() };
        let net = Mlp::new(layout, prefix, 3, 2, &config).unwrap();
        Box::new(move |pass| {
            let x = numbers(&[4, 3]);
            let _ = net.forward_by_operations(pass, &x)?;
            net.forward(pass, &x)
        })
    });
    add("ensemble", |layout, prefix| {
        let net = Ensemble::new(layout, prefix, 3, 3, 2, &MlpConfig::default()).unwrap();
        Box::new(move |pass| net.forward(pass, &numbers(&[4, 3])))
    });
    for config in ["nature", "impala"] {
        let describe = move |layout: &mut Layout, prefix: &str| -> Call {
            let image = Image { height: 40, width: 40, channels: 2, channels_first: true };
            let named = match config {
                "nature" => cnn::Architecture::Nature,
                _ => cnn::Architecture::Impala,
            };
            let net = Cnn::new(layout, prefix, image, &CnnConfig::Named(named), Init::Torch).unwrap();
            Box::new(move |pass| net.forward(pass, &numbers(&[2, net.inputs()])))
        };
        kinds.push((config.into(), Box::new(describe)));
    }
    for cell in [Cell::Lstm, Cell::Gru] {
        let describe = move |layout: &mut Layout, prefix: &str| -> Call {
            let net = Recurrent::new(layout, prefix, cell, 3, 4, Init::Torch).unwrap();
            Box::new(move |pass| {
                let _ = Memory::read(&net, pass, &numbers(&[5, 2, 3]))?;
                remember(&net, pass)
            })
        };
        kinds.push((format!("{cell:?}"), Box::new(describe)));
        let describe = move |layout: &mut Layout, prefix: &str| -> Call {
            let config =
                RecurrentStackConfig { layers: 2, bidirectional: true, ..RecurrentStackConfig::new(cell, 4) };
            let net = RecurrentStack::new(layout, prefix, 3, &config, Init::Torch).unwrap();
            Box::new(move |pass| remember(&net, pass))
        };
        kinds.push((format!("a stack of {cell:?}"), Box::new(describe)));
    }
    kinds
}

fn remember(net: &dyn Memory, pass: &mut Pass<'_>) -> Result<Tensor, NnError> {
    let (x, starts, state) =
        (numbers(&[5, 2, 3]), numbers(&[5, 2]).ge(0.9), numbers(&[2, net.state_width()]));
    let starts = starts.to_kind(tch::Kind::Float);
    Ok(net.forward(pass, &Sequence { x: &x, starts: &starts, state: &state })?.outputs)
}

fn made(layout: &Layout) -> Parameters {
    Parameters::new(layout, &mut SeededRng::seeded(7), Device::Cpu).unwrap()
}

fn both(call: &Call, parameters: &Parameters) -> [Result<Tensor, NnError>; 2] {
    let trained = call(&mut Pass::train(parameters, &mut SeededRng::seeded(3)));
    [trained, call(&mut Pass::eval(parameters))]
}

#[test]
fn another_networks_parameters_are_refused_by_every_kind() {
    for (name, describe) in kinds() {
        let mut own = Layout::new();
        let call = describe(&mut own, "");
        let first = own.specs()[0].clone();
        let mut renamed = Layout::new();
        let _ = describe(&mut renamed, "other.");
        let mut shifted = Layout::new();
        shifted.add("other", &first.shape, Init::Torch).unwrap();
        let _ = describe(&mut shifted, "");
        let mut wider = Layout::new();
        let shape = [&first.shape[..], &[2]].concat();
        wider.add(first.name.clone(), &shape, Init::Torch).unwrap();
        // The first parameter alone, and none.
        let mut shorter = Layout::new();
        shorter.add(first.name.clone(), &first.shape, Init::Torch).unwrap();
        for (other, layout) in [
            ("renamed", renamed),
            ("shifted", shifted),
            ("wider", wider),
            ("shorter", shorter),
            ("empty", Layout::new()),
        ] {
            if other == "shorter" && own.specs().len() == 1 {
                continue;
            }
            let parameters = made(&layout);
            let before = parameters.values().copy();
            for result in both(&call, &parameters) {
                let error = result.unwrap_err();
                assert!(matches!(error, NnError::Shape(_)), "{name}, {other}: {error}");
                let error = error.to_string();
                assert!(error.contains("another network's parameters"), "{name}, {other}: {error}");
                // Both are named, but for parameters that are not there.
                let named = |layout: &Layout| {
                    layout
                        .specs()
                        .iter()
                        .any(|spec| error.contains(&format!("`{}` {:?}", spec.name, spec.shape)))
                };
                assert!(named(&own), "{name}, {other}: {error}");
                assert!(named(&layout) || layout.specs().len() < 2, "{name}, {other}: {error}");
            }
            assert_eq!(parameters.values(), &before, "{name}, {other}: a buffer was written");
        }
    }
}

#[test]
fn every_form_of_its_own_parameters_is_taken_by_every_kind() {
    for (index, (name, describe)) in kinds().into_iter().enumerate() {
        let mut layout = Layout::new();
        let call = describe(&mut layout, "");
        // Described again, in another thread, and by a layout that has other networks behind this one.
        let mut twin = std::thread::spawn(move || {
            let (mut layout, kinds) = (Layout::new(), kinds());
            let _ = kinds[index].1(&mut layout, "");
            layout
        })
        .join()
        .unwrap();
        twin.add("behind", &[3], Init::Torch).unwrap();
        let mut parameters = made(&layout);
        let [trained, used] = both(&call, &parameters).map(Result::unwrap);
        assert_eq!(trained.size(), used.size(), "{name}");
        for form in [
            parameters.frozen_copy().unwrap(),
            parameters.frozen_on(Device::Cpu).unwrap(),
            parameters.frozen_view().unwrap(),
            made(&twin),
        ] {
            for result in both(&call, &form) {
                assert_eq!(result.unwrap().size(), used.size(), "{name}");
            }
        }
        // A file of the first parameter alone, and parameters that are frozen on the way.
        let mut state = parameters.state().unwrap();
        let first = layout.specs()[0].name.clone();
        state.arrays.retain(|name, _| *name == first);
        parameters.load_matching(&state.view(), &[]).unwrap();
        if layout.parameters_len() > 0 {
            parameters.freeze(&["*"]).unwrap();
        }
        for result in both(&call, &parameters) {
            assert_eq!(result.unwrap().size(), used.size(), "{name}");
        }
    }
}

#[test]
fn layouts_that_part_on_the_way_are_told_apart() {
    let mut one = Layout::new();
    let shared = one.add("shared", &[2], Init::Torch).unwrap();
    let mut other = one.clone();
    let long = one.add("own", &[100], Init::Torch).unwrap();
    let short = other.add("own", &[2], Init::Torch).unwrap();
    let (one, other) = (made(&one), made(&other));
    for (parameters, own, foreign) in [(&one, long, short), (&other, short, long)] {
        let pass = Pass::eval(parameters);
        assert_eq!(pass.get(shared).unwrap().size(), [2]);
        assert_eq!(pass.get(own).unwrap().size(), parameters.get(own).size());
        let error = pass.get(foreign).unwrap_err().to_string();
        assert!(error.contains("`own` [2]") && error.contains("`own` [100]"), "{error}");
        assert!(pass.gradient(foreign).is_err() && pass.get_if(Some(foreign)).is_err());
        assert!(panics(|| drop(parameters.get(foreign).size())));
        assert!(panics(|| assert!(parameters.gradient(foreign).is_none())));
    }
}

#[test]
fn an_optimiser_and_copies_refuse_another_network() {
    let (mut one, mut other) = (Layout::new(), Layout::new());
    one.add("a", &[6], Init::Torch).unwrap();
    other.add("a", &[2, 3], Init::Torch).unwrap();
    let (one, mut other) = (made(&one), made(&other));
    let mut optimizer = Optimizer::new(&OptimizerConfig::default(), &one).unwrap();
    assert!(matches!(optimizer.step(&mut other, 0.1), Err(NnError::Shape(_))));
    assert!(matches!(other.copy_from(&one), Err(NnError::Shape(_))));
    assert!(matches!(other.polyak_update(&one, 0.5), Err(NnError::Shape(_))));
}

fn panics(run: impl FnOnce()) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err()
}
