//! Tests of all layers together; what a test needs often.

mod devices;
mod foreign;
mod fused;
mod lists;
mod random;
mod recorded;
mod resnet;
mod single;
mod spectral;

use pavlov_common::SeededRng;
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor, kind::FLOAT_CPU};

use super::*;
use crate::{Layout, Parameters};

/// A file with a list of layers.
#[derive(Debug, PartialEq, Deserialize, Serialize)]
struct File {
    layers: Layers,
}

fn read(text: &str) -> Result<Layers, String> {
    toml::from_str::<File>(&format!("layers = {text}")).map(|file| file.layers).map_err(|e| e.to_string())
}

fn built(text: &str, shape: &[i64]) -> Result<(Sequential, Parameters, Vec<i64>), String> {
    let mut layout = Layout::new();
    let layers = read(text)?;
    let (network, shape) =
        build(&mut layout, "", shape, &layers, Defaults::default()).map_err(|error| error.to_string())?;
    let parameters = Parameters::new(&layout, &mut SeededRng::seeded(7), Device::Cpu).unwrap();
    Ok((network, parameters, shape))
}

/// Numbers without a pattern, the same in every run.
fn numbers(shape: &[i64]) -> Tensor {
    (Tensor::arange(shape.iter().product::<i64>(), FLOAT_CPU) * 0.37).sin().reshape(shape)
}
