//! From a list of layers to a network: shapes are inferred, parameters named by position.

use super::item::Site;
use super::{Defaults, LIMIT, LayerConfig, Sequential};
use crate::{Layout, NnError};

/// Puts a list of layers together for samples of `input_shape` (without the batch) and adds the parameters to
/// the layout, named `prefix` + `0.weight` and so on, as PyTorch names those of the `nn.Sequential` of the
/// same layers. Gives the network and the shape of one sample of its output.
///
/// ```
/// use pavlov_common::SeededRng;
/// use pavlov_nn::layers::{Conv2dConfig, Defaults, Flatten, LayerConfig, LinearConfig, build};
/// use pavlov_nn::{Activation, Layout, Module, Parameters, Pass};
/// let layers = [
///     LayerConfig::Conv2d(Conv2dConfig::new(8, 3)),
///     LayerConfig::Activation(Activation::Relu),
///     LayerConfig::Flatten(Flatten::default()),
///     LayerConfig::Linear(LinearConfig::new(10)),
/// ];
/// let mut layout = Layout::new();
/// let (network, shape) = build(&mut layout, "", &[1, 28, 28], &layers, Defaults::default())?;
/// assert_eq!(shape, [10]);
/// let parameters = Parameters::new(&layout, &mut SeededRng::seeded(1), tch::Device::Cpu)?;
/// let images = tch::Tensor::ones([4, 1, 28, 28], tch::kind::FLOAT_CPU);
/// assert_eq!(network.forward(&mut Pass::eval(&parameters), &images)?.size(), [4, 10]);
/// # Ok::<(), pavlov_nn::NnError>(())
/// ```
///
/// # Errors
/// [`NnError::Config`] that names the layer by its place when its input does not fit or one of its settings
/// makes no sense.
pub fn build(
    layout: &mut Layout,
    prefix: &str,
    input_shape: &[i64],
    layers: &[LayerConfig],
    defaults: Defaults,
) -> Result<(Sequential, Vec<i64>), NnError> {
    if let Some(size) = input_shape.iter().find(|&&size| size < 1) {
        return Err(NnError::Config(format!(
            "the input has samples of shape {input_shape:?}, with a size of {size}: give at least 1 of each"
        )));
    }
    check_size(input_shape)?;
    nested(&mut Site { layout, prefix, defaults, is_input: true }, "", input_shape, layers)
}

/// A list inside a layer, whose parameters are named `prefix` after the layer's own.
pub(super) fn nested(
    site: &mut Site<'_>,
    prefix: &str,
    shape: &[i64],
    layers: &[LayerConfig],
) -> Result<(Sequential, Vec<i64>), NnError> {
    let mut network = Sequential::default();
    let mut shape = shape.to_vec();
    let mut is_input = site.is_input;
    for (index, layer) in layers.iter().enumerate() {
        let prefix = format!("{}{prefix}{index}.", site.prefix);
        let mut own = Site { layout: site.layout, prefix: &prefix, defaults: site.defaults, is_input };
        let built = layer.build(&mut own, &shape).map_err(|error| at(index, layer.name(), error))?;
        is_input = is_input && layer.keeps_numbers();
        shape = built.shape;
        check_size(&shape).map_err(|error| at(index, layer.name(), error))?;
        network = network.then_shared(built.module);
    }
    Ok((network, shape))
}

fn check_size(shape: &[i64]) -> Result<(), NnError> {
    let count = shape.iter().try_fold(1i64, |count, &size| count.checked_mul(size));
    match count.is_some_and(|count| (0..LIMIT).contains(&count)) {
        true => Ok(()),
        false => Err(NnError::Config(format!(
            "it would give samples of shape {shape:?}: give fewer than {LIMIT} numbers"
        ))),
    }
}

/// The error of a layer, with its place.
fn at(index: usize, name: &str, error: NnError) -> NnError {
    NnError::Config(placed(index, name, &error.to_string()))
}

/// The error of a part of a layer, with the part's name.
pub(super) fn within(part: &str, error: NnError) -> NnError {
    NnError::Config(joined(part, &error.to_string()))
}

/// A message with the place of the layer that it is about.
pub(super) fn placed(index: usize, name: &str, message: &str) -> String {
    joined(&format!("layer {index} ({name})"), message)
}

/// Places are a list, `layer 3 (residual), layer 1 (linear)`, which ends with a colon.
pub(super) fn joined(place: &str, message: &str) -> String {
    let goes_on = ["layer ", "branch ", "projection"].iter().any(|word| message.starts_with(word));
    format!("{place}{} {message}", if goes_on { "," } else { ":" })
}
