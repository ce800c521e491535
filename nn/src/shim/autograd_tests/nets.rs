//! A network of each kind that is one node of the autograd graph.

use pavlov_common::SeededRng;
use tch::{Device, Tensor, kind::FLOAT_CPU};

use crate::cnn::ConvLayer;
use crate::{
    Activation, Cell, Cnn, CnnConfig, Ensemble, Image, Init, Layout, Mlp, MlpConfig, NnError, Parameters,
    Pass, Recurrent, Sequence,
};

pub type Forward = Box<dyn Fn(&Parameters, &Tensor) -> Result<Tensor, NnError>>;

/// A network whose pass is one node, and the same by single operations.
pub struct Net {
    pub name: String,
    pub parameters: Parameters,
    pub shape: Vec<i64>,
    pub forward: Forward,
    pub by_operations: Forward,
}

impl Net {
    pub fn input(&self) -> Tensor {
        let count = self.shape.iter().product::<i64>();
        (Tensor::arange(count, FLOAT_CPU) * 0.37).sin().reshape(&self.shape).set_requires_grad(true)
    }

    pub fn call(&self, x: &Tensor) -> Tensor {
        (self.forward)(&self.parameters, x).unwrap()
    }

    pub fn call_by_operations(&self, x: &Tensor) -> Tensor {
        (self.by_operations)(&self.parameters, x).unwrap()
    }

    pub fn gradients(&self) -> Tensor {
        self.parameters.gradients().unwrap().copy()
    }

    /// The parameters, leaves of the graph.
    pub fn leaves(&self) -> Vec<&Tensor> {
        self.parameters.layout().ids().map(|id| self.parameters.get(id)).collect()
    }
}

pub fn parameters(layout: &Layout) -> Parameters {
    Parameters::new(layout, &mut SeededRng::seeded(7), Device::Cpu).unwrap()
}

pub fn perceptron(name: &str, config: &MlpConfig) -> Net {
    let mut layout = Layout::new();
    let net = Mlp::new(&mut layout, "", 5, 3, config).unwrap();
    let other = net.clone();
    Net {
        name: name.into(),
        parameters: parameters(&layout),
        shape: vec![6, 5],
        forward: Box::new(move |parameters, x| {
            net.forward(&mut Pass::train(parameters, &mut SeededRng::seeded(3)), x)
        }),
        by_operations: Box::new(move |parameters, x| {
            other.forward_by_operations(&mut Pass::train(parameters, &mut SeededRng::seeded(3)), x)
        }),
    }
}

fn ensemble(name: &str, config: &MlpConfig) -> Net {
    let mut layout = Layout::new();
    let net = Ensemble::new(&mut layout, "", 2, 5, 3, config).unwrap();
    let other = net.clone();
    Net {
        name: name.into(),
        parameters: parameters(&layout),
        shape: vec![6, 5],
        forward: Box::new(move |parameters, x| {
            net.forward(&mut Pass::train(parameters, &mut SeededRng::seeded(3)), x)
        }),
        by_operations: Box::new(move |parameters, x| {
            let mut rng = SeededRng::seeded(3);
            let pass = |net: &Mlp| net.forward_by_operations(&mut Pass::train(parameters, &mut rng), x);
            let each = other.members().iter().map(pass).collect::<Result<Vec<_>, _>>()?;
            Ok(Tensor::f_stack(&each, 0)?)
        }),
    }
}

pub fn images(layout: &mut Layout, prefix: &str, channels_first: bool) -> Cnn {
    let image = Image { height: 6, width: 5, channels: 2, channels_first };
    let layer = |filters, kernel, stride, padding| ConvLayer { filters, kernel, stride, padding };
    let layers = CnnConfig::Layers(vec![layer(4, 3, 1, 1), layer(3, 2, 2, 0)]);
    Cnn::new(layout, prefix, image, &layers, Init::Torch).unwrap()
}

fn convolutions(name: &str, channels_first: bool) -> Net {
    let mut layout = Layout::new();
    let net = images(&mut layout, "", channels_first);
    let other = net.clone();
    Net {
        name: name.into(),
        parameters: parameters(&layout),
        shape: vec![6, 60],
        forward: Box::new(move |parameters, x| net.forward(&mut Pass::eval(parameters), x)),
        by_operations: Box::new(move |parameters, x| other.forward_by_operations(parameters, x)),
    }
}

fn recurrent(name: &str, cell: Cell) -> Net {
    let mut layout = Layout::new();
    let net = Recurrent::new(&mut layout, "", cell, 4, 6, Init::Torch).unwrap();
    let starts =
        Tensor::from_slice(&[0f32, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]).reshape([4, 3]);
    let state = (Tensor::arange(3 * net.state_width(), FLOAT_CPU) * 0.83).sin().reshape([3, -1]);
    let (other, other_starts, other_state) = (net.clone(), starts.copy(), state.copy());
    Net {
        name: name.into(),
        parameters: parameters(&layout),
        shape: vec![4, 3, 4],
        forward: Box::new(move |parameters, x| {
            let sequence = Sequence { x, starts: &starts, state: &state };
            Ok(net.forward(&mut Pass::eval(parameters), &sequence)?.outputs)
        }),
        by_operations: Box::new(move |parameters, x| {
            let sequence = Sequence { x, starts: &other_starts, state: &other_state };
            Ok(other.forward_by_operations(parameters, &sequence)?.outputs)
        }),
    }
}

/// One network of each kind. Tanh runs over plain memory, silu by ATen.
pub fn nets() -> Vec<Net> {
    let config = |activation| MlpConfig {
        hidden_sizes: vec![9, 8],
        activation,
        output_activation: activation,
        ..MlpConfig::default()
    };
    let norm = |activation| MlpConfig { layer_norm: true, dropout: 0.3, ..config(activation) };
    vec![
        perceptron("mlp, tanh", &config(Activation::Tanh)),
        perceptron("mlp, silu", &config(Activation::Silu)),
        perceptron("mlp, tanh, norm and dropout", &norm(Activation::Tanh)),
        perceptron("mlp, silu, norm and dropout", &norm(Activation::Silu)),
        ensemble("ensemble, tanh", &config(Activation::Tanh)),
        ensemble("ensemble, silu, norm and dropout", &norm(Activation::Silu)),
        convolutions("cnn, channels first", true),
        convolutions("cnn, channels last", false),
        recurrent("lstm", Cell::Lstm),
        recurrent("gru", Cell::Gru),
    ]
}
