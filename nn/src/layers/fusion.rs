//! Runs of layers that have a node of their own.
//!
//! Autograd's price is per operation, and libtorch's convolutions reorder small images at each call. A
//! [`Sequential`] looks at what its modules are ([`Fusible`]) when it is put together, and finds the runs
//! that the multi-layer perceptron's node and the convolutions' node take as a whole. The numbers are those
//! of the modules one by one, to rounding.
//!
//! [`Sequential`]: super::Sequential

use std::ops::Range;
use std::sync::Arc;

use tch::{Device, Kind, Tensor};

use crate::mlp::{Dense, forward_dense};
use crate::{Activation, Module, NnError, ParameterId, Parameters, Pass, Precision, shim};

/// A module as the planner of a [`Sequential`](super::Sequential) sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fusible {
    /// `y = x W^T + b` over the last dimension.
    Linear {
        /// `[units, inputs]`
        weight: ParameterId,
        /// `[units]`
        bias: ParameterId,
        /// Number of inputs.
        inputs: i64,
        /// Number of outputs.
        units: i64,
        /// The type of number of the product.
        precision: Precision,
    },
    /// Layer norm over the last dimension.
    LayerNorm {
        /// `[width]`
        weight: ParameterId,
        /// `[width]`
        bias: ParameterId,
        /// Size of the last dimension.
        width: i64,
        /// Added to the variance.
        eps: f64,
    },
    /// An activation function.
    Activation(Activation),
    /// In training a mask, otherwise the identity.
    Dropout {
        /// The share that is silenced.
        share: f64,
    },
    /// A convolution over images with square windows, without groups and dilation.
    Conv2d {
        /// `[filters, channels, kernel, kernel]`
        weight: ParameterId,
        /// `[filters]`
        bias: ParameterId,
        /// Number of input channels.
        channels: i64,
        /// Number of output channels.
        filters: i64,
        /// The side of a window, in pixels.
        kernel: i64,
        /// Distance between neighbouring windows, in pixels.
        stride: i64,
        /// Number of zeros at each side of the image.
        padding: i64,
        /// The type of number of the products.
        precision: Precision,
    },
    /// The largest numbers of squares of an image, side by side, without padding.
    MaxPool2d {
        /// The side of a square, in pixels.
        side: i64,
    },
}

/// Largest side of the squares that the convolutions' node pools.
const LARGEST_POOL: i64 = 15;

/// Largest window, in numbers, for the convolutions' node. The node copies windows to multiply them: with
/// larger ones, or around padding, libtorch's own convolutions are faster (Xeon with AMX, batches of 32, both
/// ways: 2.1 times as fast at Nature's three layers, 1.6 to 2.2 at MinAtar's; with padding 0.5 to 1.0, with
/// windows of 1152 and more 0.2 to 1.0). Around padding the node is faster where it pools too.
const LARGEST_WINDOW: i64 = 640;

/// One step of a [`Sequential`](super::Sequential): a range of modules that run one by one or as one node.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub modules: Range<usize>,
    pub node: Option<Node>,
}

/// A run of layers that is one node of the autograd graph.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Mlp(Perceptron),
    Cnn(Convolutions),
}

impl Node {
    /// The output for `x`; `None` where the node is not for this input or these parameters, and the modules
    /// go one by one.
    pub fn forward(&self, pass: &mut Pass<'_>, x: &Tensor) -> Option<Result<Tensor, NnError>> {
        match self {
            Self::Mlp(run) => run.forward(pass, x),
            Self::Cnn(run) => run.forward(pass.parameters(), x),
        }
    }
}

/// The steps through these modules, in training or in use.
pub(super) fn plan(modules: &[Arc<dyn Module>], training: bool) -> Vec<Step> {
    let parts: Vec<_> = modules.iter().map(|module| module.fusible()).collect();
    let parts = Parts { parts: &parts, training };
    let mut steps = Vec::new();
    let mut at = 0;
    while at < modules.len() {
        let (end, node) = match (parts.perceptron(at), parts.convolutions(at)) {
            (Some((end, run)), _) => (end, Some(Node::Mlp(run))),
            (_, Some((end, run))) => (end, Some(Node::Cnn(run))),
            _ => (at + 1, None),
        };
        steps.push(Step { modules: at..end, node });
        at = end;
    }
    steps
}

/// The modules that a plan is made for.
struct Parts<'a> {
    parts: &'a [Option<Fusible>],
    training: bool,
}

impl Parts<'_> {
    /// The first part from here that is no idle dropout, and the place after it.
    fn after_dropouts(&self, at: usize) -> Option<(Fusible, usize)> {
        match self.parts.get(at).copied().flatten()? {
            Fusible::Dropout { share } if !self.training || share == 0.0 => self.after_dropouts(at + 1),
            part => Some((part, at + 1)),
        }
    }

    fn activation(&self, at: usize) -> Option<(Activation, usize)> {
        match self.after_dropouts(at)? {
            (Fusible::Activation(activation), end) => Some((activation, end)),
            _ => None,
        }
    }

    /// The longest run of linear layers from here that the node takes: all but the last are followed by one
    /// activation.
    fn perceptron(&self, at: usize) -> Option<(usize, Perceptron)> {
        let first = self.dense(at)?;
        let (mut end, mut last) = (first.end, first.activation);
        let mut run = Perceptron {
            inputs: first.inputs,
            layers: vec![first.layer],
            activation: last,
            output_activation: last,
            precision: first.precision,
        };
        loop {
            // The node drops out between two layers alone: behind the last one dropout is a step of its own.
            let (dropout, begin) = self.dropout(end);
            let Some(next) = self.dense(begin) else { break };
            if last != run.activation || next.precision != run.precision || next.inputs != run.outputs() {
                break;
            }
            run.last_mut().dropout = dropout;
            run.layers.push(next.layer);
            (end, last) = (next.end, next.activation);
        }
        run.output_activation = last;
        Some((end, run))
    }

    /// A linear layer with its norm and its activation.
    fn dense(&self, at: usize) -> Option<Found> {
        let (Fusible::Linear { weight, bias, inputs, units, precision }, end) = self.after_dropouts(at)?
        else {
            return None;
        };
        let (norm, end) = match self.after_dropouts(end) {
            Some((Fusible::LayerNorm { weight, bias, width, eps }, end))
                if width == units && eps == shim::mlp::NORM_EPS =>
            {
                (Some((weight, bias)), end)
            }
            _ => (None, end),
        };
        let (activation, end) = self.activation(end).unwrap_or((Activation::Identity, end));
        let layer = Dense { weight, bias, norm, units, dropout: 0.0 };
        Some(Found { layer, inputs, precision, activation, end })
    }

    /// The share of a dropout that acts here, and the place after it; 0 and this place without one.
    fn dropout(&self, at: usize) -> (f64, usize) {
        match self.after_dropouts(at) {
            Some((Fusible::Dropout { share }, end)) => (share, end),
            _ => (0.0, at),
        }
    }

    /// The longest run of convolutions from here that the node is faster at, each followed by a ReLU.
    fn convolutions(&self, at: usize) -> Option<(usize, Convolutions)> {
        let (first, precision, mut end) = self.convolution(at)?;
        let mut run = Convolutions { layers: vec![first], precision };
        while let Some((layer, precision, next)) = self.convolution(end) {
            if precision != run.precision || layer.channels != run.last().filters {
                break;
            }
            run.layers.push(layer);
            end = next;
        }
        Some((end, run))
    }

    fn convolution(&self, at: usize) -> Option<(Conv, Precision, usize)> {
        let part = self.after_dropouts(at)?;
        let (Fusible::Conv2d { weight, bias, channels, filters, kernel, stride, padding, precision }, end) =
            part
        else {
            return None;
        };
        let (Activation::Relu, end) = self.activation(end)? else { return None };
        let (pool, end) = match self.after_dropouts(end) {
            Some((Fusible::MaxPool2d { side }, end)) if (2..=LARGEST_POOL).contains(&side) => (side, end),
            _ => (1, end),
        };
        let is_faster = (padding == 0 || pool > 1) && channels * kernel * kernel <= LARGEST_WINDOW;
        let layer = Conv { weight, bias, channels, filters, kernel, stride, padding, pool };
        is_faster.then_some((layer, precision, end))
    }
}

/// A linear layer with its norm and its activation, as it was found in a list, and the place after all.
struct Found {
    layer: Dense,
    inputs: i64,
    precision: Precision,
    activation: Activation,
    end: usize,
}

/// Linear layers, each with a layer norm or without, one activation after each but the last, which has its
/// own, and dropout between them.
#[derive(Clone, Debug)]
pub(super) struct Perceptron {
    inputs: i64,
    layers: Vec<Dense>,
    activation: Activation,
    output_activation: Activation,
    precision: Precision,
}

impl Perceptron {
    fn last_mut(&mut self) -> &mut Dense {
        let last = self.layers.len() - 1;
        &mut self.layers[last]
    }

    fn outputs(&self) -> i64 {
        self.layers.last().map_or(0, |layer| layer.units)
    }

    fn forward(&self, pass: &mut Pass<'_>, x: &Tensor) -> Option<Result<Tensor, NnError>> {
        let size = x.size();
        let [others @ .., last] = size.as_slice() else { return None };
        if others.is_empty() || *last != self.inputs || x.kind() != Kind::Float {
            return None;
        }
        match others {
            [_] => Some(self.rows(pass, x)),
            _ => Some(self.sequences(pass, x, others)),
        }
    }

    fn sequences(&self, pass: &mut Pass<'_>, x: &Tensor, others: &[i64]) -> Result<Tensor, NnError> {
        let rows = self.rows(pass, &x.f_reshape([-1, self.inputs])?)?;
        Ok(rows.f_reshape([others, &[self.outputs()]].concat())?)
    }

    fn rows(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        let (one, layers) = (shim::mlp::Networks::One, self.layers.iter().copied());
        forward_dense(pass, x, one, layers, (self.activation, self.output_activation), self.precision)
    }
}

#[derive(Clone, Debug)]
struct Conv {
    weight: ParameterId,
    bias: ParameterId,
    channels: i64,
    filters: i64,
    kernel: i64,
    stride: i64,
    padding: i64,
    /// The side of the squares that are pooled; 1 for none.
    pool: i64,
}

/// Convolutions with a ReLU after each, and perhaps a pooling after that.
#[derive(Clone, Debug)]
pub(super) struct Convolutions {
    layers: Vec<Conv>,
    precision: Precision,
}

impl Convolutions {
    fn last(&self) -> &Conv {
        &self.layers[self.layers.len() - 1]
    }

    fn forward(&self, parameters: &Parameters, x: &Tensor) -> Option<Result<Tensor, NnError>> {
        let &[batch, channels, height, width] = x.size().as_slice() else { return None };
        let on_cpu = x.device() == Device::Cpu && parameters.device() == Device::Cpu;
        let fits = on_cpu && x.kind() == Kind::Float && channels == self.layers[0].channels;
        if !fits || !shim::cnn::is_available(self.precision) {
            return None;
        }
        let [down, across] = self.output_size([height, width])?;
        let output = [batch, self.last().filters, down, across];
        Some(self.images(parameters, x, (height, width)).and_then(|rows| Ok(rows.f_reshape(output)?)))
    }

    /// The sides of the images that come out; `None` where they are too small.
    fn output_size(&self, mut size: [i64; 2]) -> Option<[i64; 2]> {
        for layer in &self.layers {
            let room = size.map(|side| side + 2 * layer.padding - layer.kernel);
            size = room.map(|room| (room / layer.stride + 1) / layer.pool);
            if room.iter().any(|&room| room < 0) || size.contains(&0) {
                return None;
            }
        }
        Some(size)
    }

    fn images(&self, parameters: &Parameters, x: &Tensor, size: (i64, i64)) -> Result<Tensor, NnError> {
        let layers: Vec<_> = self
            .layers
            .iter()
            .map(|layer| {
                Ok(shim::cnn::Layer {
                    weight: shim::Parameter::of(parameters, layer.weight)?,
                    bias: shim::Parameter::of(parameters, layer.bias)?,
                    stride: layer.stride,
                    padding: layer.padding,
                    pool: layer.pool,
                })
            })
            .collect::<Result<_, NnError>>()?;
        shim::cnn::forward(&x.f_flatten(1, -1)?, size, true, &layers, self.precision)
    }
}
