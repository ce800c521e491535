//! torchvision's ResNet-18, written from the layers alone: its names, its shapes, its outputs.

use std::collections::BTreeMap;

use tch::Kind;

use super::recorded::{arrays, text};
use super::*;
use crate::{Activation, Module, NnError, Pass, StateDict};

fn conv(layout: &mut Layout, name: &str, channels: i64, filters: i64, kernel: i64, stride: i64) -> Conv2d {
    let config = Conv2dConfig {
        stride: stride.into(),
        padding: (kernel / 2).into(),
        bias: false,
        ..Conv2dConfig::new(filters, kernel)
    };
    Conv2d::new(layout, &format!("{name}."), channels, &config).unwrap()
}

fn norm(layout: &mut Layout, name: &str, channels: i64) -> BatchNorm {
    BatchNorm::new(layout, &format!("{name}."), channels, &BatchNormConfig::default()).unwrap()
}

/// torchvision's `BasicBlock`.
fn block(layout: &mut Layout, name: &str, channels: i64, filters: i64, stride: i64) -> Sequential {
    let layers = Sequential::default()
        .then(conv(layout, &format!("{name}.conv1"), channels, filters, 3, stride))
        .then(norm(layout, &format!("{name}.bn1"), filters))
        .then(Activation::Relu)
        .then(conv(layout, &format!("{name}.conv2"), filters, filters, 3, 1))
        .then(norm(layout, &format!("{name}.bn2"), filters));
    let projection = match stride != 1 || channels != filters {
        true => Sequential::default()
            .then(conv(layout, &format!("{name}.downsample.0"), channels, filters, 1, stride))
            .then(norm(layout, &format!("{name}.downsample.1"), filters)),
        false => Sequential::default(),
    };
    Sequential::default().then(Residual::new(layers, projection)).then(Activation::Relu)
}

fn resnet18(layout: &mut Layout, classes: i64) -> Sequential {
    let pool = MaxPool2d { stride: Some(2.into()), padding: 1.into(), ..MaxPool2d::new(3) };
    let mut network = Sequential::default()
        .then(conv(layout, "conv1", 3, 64, 7, 2))
        .then(norm(layout, "bn1", 64))
        .then(Activation::Relu)
        .then(pool);
    let mut channels = 64;
    for (index, filters) in [64, 128, 256, 512].into_iter().enumerate() {
        for unit in 0..2 {
            let stride = if index > 0 && unit == 0 { 2 } else { 1 };
            let name = format!("layer{}.{unit}", index + 1);
            network = network.then(block(layout, &name, channels, filters, stride));
            channels = filters;
        }
    }
    let linear = Linear::new(layout, "fc.", channels, &LinearConfig::new(classes)).unwrap();
    network.then(AdaptiveAvgPool2d(1.into())).then(Flatten::default()).then(linear)
}

/// The weights of `formula` in scripts/record-layers.py.
fn formula(layout: &[crate::ParameterSpec]) -> StateDict<'static> {
    let mut state = StateDict::new();
    for (k, spec) in layout.iter().enumerate() {
        if spec.is_counter {
            state.put_tensor(&spec.name, &Tensor::from(0i64)).unwrap();
            continue;
        }
        let i = Tensor::arange(spec.len(), (Kind::Double, Device::Cpu));
        let u: Tensor = ((i * 12.9898 + 78.233 * k as f64).sin() * 43758.5453).frac().abs();
        let fan_in: i64 = spec.shape.iter().skip(1).product();
        let value = match spec.name.rsplit('.').next().unwrap() {
            "weight" if spec.shape.len() > 1 => (u * 2.0 - 1.0) * (3.0 / fan_in as f64).sqrt(),
            "weight" => u / 2.0 + 0.75,
            "running_var" => u + 0.5,
            _ => u * 0.4 - 0.2,
        };
        state.put_tensor(&spec.name, &value.to_kind(Kind::Float).reshape(spec.shape.as_slice())).unwrap();
    }
    state
}

#[test]
fn torchvisions_resnet18_loads_and_gives_its_outputs() -> Result<(), NnError> {
    let mut layout = Layout::new();
    let network = resnet18(&mut layout, 10);
    let names: BTreeMap<String, Vec<i64>> = serde_json::from_str(&text("resnet18.json")).unwrap();
    let own = layout.specs().iter().map(|spec| (spec.name.clone(), spec.shape.clone()));
    assert_eq!(own.collect::<BTreeMap<_, _>>(), names);

    let mut parameters = Parameters::new(&layout, &mut SeededRng::seeded(1), Device::Cpu)?;
    parameters.load_state(&formula(layout.specs()).view())?;
    let record = arrays("resnet18.safetensors");
    let expected = |name: &str| record.view().tensor(name).unwrap();
    let _guard = tch::no_grad_guard();
    let x = (Tensor::arange(2 * 3 * 64 * 64, (Kind::Double, Device::Cpu)) * 0.37).sin();
    let x = x.to_kind(Kind::Float).reshape([2, 3, 64, 64]);
    let mut rng = SeededRng::seeded(1);
    let used = network.forward(&mut Pass::eval(&parameters), &x)?;
    let trained = network.forward(&mut Pass::train(&parameters, &mut rng), &x)?;
    for (name, output) in [("eval.output", used), ("train.output", trained)] {
        let expected = expected(name);
        let distance = (&output - &expected).abs().max().double_value(&[]);
        assert!(distance < 1e-4, "{name}: {distance}, {output} for {expected}");
    }
    let variance = parameters.state()?.view().tensor("layer4.1.bn2.running_var")?;
    let distance = (variance - expected("train.running_var")).abs().max().double_value(&[]);
    assert!(distance < 1e-4, "{distance}");
    Ok(())
}
