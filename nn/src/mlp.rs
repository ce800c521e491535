//! Multi-layer perceptrons from a typed specification.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::layers::{dropout, dropout_mask};
use crate::{Activation, Init, Layout, Module, NnError, ParameterId, Pass, Precision, shim};

/// The configuration of an MLP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MlpConfig {
    /// The widths of the hidden layers; none gives a linear map.
    pub hidden_sizes: Vec<i64>,
    /// After each hidden layer.
    pub activation: Activation,
    /// After the last layer.
    pub output_activation: Activation,
    /// The initial values of the hidden layers' weights.
    pub init: Init,
    /// The initial values of the last layer's weight.
    pub output_init: Init,
    /// True if each hidden layer is normalised before its activation (Ba et al. 2016).
    pub layer_norm: bool,
    /// The share of hidden units that dropout silences in training, `0 <= dropout < 1`.
    pub dropout: f64,
    /// The type of number of products.
    pub precision: Precision,
}

impl Default for MlpConfig {
    fn default() -> Self {
        Self {
            hidden_sizes: vec![64, 64],
            activation: Activation::Relu,
            output_activation: Activation::Identity,
            init: Init::Torch,
            output_init: Init::Torch,
            layer_norm: false,
            dropout: 0.0,
            precision: Precision::F32,
        }
    }
}

impl MlpConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`NnError::Config`] naming the field that makes no sense.
    pub fn validate(&self) -> Result<(), NnError> {
        if let Some(size) = self.hidden_sizes.iter().find(|&&size| size < 1) {
            return Err(NnError::Config(format!(
                "hidden_sizes has a layer of {size} units: give at least 1"
            )));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(NnError::Config(format!(
                "dropout is {}: give 0 or more, and less than 1",
                self.dropout
            )));
        }
        Ok(())
    }
}

/// A layer as the perceptron's node takes it: linear, a norm or none, the activation, dropout.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dense {
    /// `[units, inputs]`
    pub weight: ParameterId,
    /// `[units]`
    pub bias: ParameterId,
    /// Weight and bias of a layer norm before the activation, `[units]` each.
    pub norm: Option<(ParameterId, ParameterId)>,
    /// Number of outputs.
    pub units: i64,
    /// The share that dropout silences behind the activation; 0 in the last layer.
    pub dropout: f64,
}

/// A multi-layer perceptron: `linear -> [layer norm] -> activation -> [dropout]` for each hidden layer, then
/// a last linear layer and the output activation.
///
/// Parameters are named as PyTorch names those of the `nn.Sequential` of the same modules, so a file of
/// weights goes both ways. The whole network is one node of the autograd graph, whose backward pass is
/// derived by hand and accumulates straight into the arena. Where autograd asks for a derivative of a
/// derivative, the node runs the network by single operations.
#[derive(Clone, Debug)]
pub struct Mlp {
    inputs: i64,
    layers: Vec<Dense>,
    config: MlpConfig,
}

impl Mlp {
    /// Describes an MLP from `inputs` to `outputs` numbers and adds its parameters, named `prefix` +
    /// `0.weight` ..., to the layout.
    ///
    /// # Errors
    /// [`NnError::Config`] for a specification that makes no sense.
    pub fn new(
        layout: &mut Layout,
        prefix: &str,
        inputs: i64,
        outputs: i64,
        config: &MlpConfig,
    ) -> Result<Self, NnError> {
        config.validate()?;
        if inputs < 1 || outputs < 1 {
            let message = format!("a network from {inputs} to {outputs} numbers: give at least 1 each");
            return Err(NnError::Config(message));
        }
        let widths = config.hidden_sizes.iter().copied().chain([outputs]);
        let mut layers = Vec::new();
        // The position in PyTorch's Sequential, where activations and dropouts take a number too.
        let mut position = 0;
        let mut fan_in = inputs;
        for (index, width) in widths.enumerate() {
            let hidden = index < config.hidden_sizes.len();
            let init = if hidden { config.init } else { config.output_init };
            let weight = layout.add(format!("{prefix}{position}.weight"), &[width, fan_in], init)?;
            let bias = layout.add(format!("{prefix}{position}.bias"), &[width], init.bias(fan_in))?;
            let norm = if hidden && config.layer_norm {
                position += 1;
                let (one, zero) = (Init::Constant { value: 1.0 }, Init::Constant { value: 0.0 });
                let scale = layout.add(format!("{prefix}{position}.weight"), &[width], one)?;
                Some((scale, layout.add(format!("{prefix}{position}.bias"), &[width], zero)?))
            } else {
                None
            };
            position += if hidden && config.dropout > 0.0 { 3 } else { 2 };
            let dropout = if hidden { config.dropout } else { 0.0 };
            layers.push(Dense { weight, bias, norm, units: width, dropout });
            fan_in = width;
        }
        Ok(Self { inputs, layers, config: config.clone() })
    }

    /// The number of inputs.
    pub fn inputs(&self) -> i64 {
        self.inputs
    }

    /// The number of outputs.
    pub fn outputs(&self) -> i64 {
        self.layers.last().map_or(self.inputs, |layer| layer.units)
    }

    /// From `x` (f32 `[batch, inputs]`) to f32 `[batch, outputs]`.
    ///
    /// # Errors
    /// [`NnError::Shape`] for an input of another shape or type.
    pub fn forward(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        self.check_input(x)?;
        forward_fused(std::slice::from_ref(self), shim::mlp::Networks::One, pass, x)
    }

    pub(crate) fn check_input(&self, x: &Tensor) -> Result<(), NnError> {
        if x.dim() == 2 && x.size()[1] == self.inputs && x.kind() == tch::Kind::Float {
            return Ok(());
        }
        let (want, have, kind) = (self.inputs, x.size(), x.kind());
        let message = format!("the network takes f32 [batch, {want}], the input is {kind:?} {have:?}");
        Err(NnError::Shape(message))
    }

    /// The forward pass as one operation per layer part, each recorded by autograd: what [`Mlp::forward`] is
    /// held to. In f32.
    ///
    /// # Errors
    /// [`NnError::Torch`] for an input of another shape or type.
    pub fn forward_by_operations(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        let mut x = x.shallow_clone();
        let last = self.layers.len() - 1;
        for (index, layer) in self.layers.iter().enumerate() {
            x = x.f_linear(pass.get(layer.weight)?, Some(pass.get(layer.bias)?))?;
            if let Some((scale, shift)) = layer.norm {
                let (scale, shift) = (pass.get(scale)?, pass.get(shift)?);
                x = x.f_layer_norm([layer.units], Some(scale), Some(shift), shim::mlp::NORM_EPS, false)?;
            }
            if index == last {
                x = self.config.output_activation.apply(&x)?;
            } else {
                x = self.config.activation.apply(&x)?;
                x = dropout(pass, &x, layer.dropout)?;
            }
        }
        Ok(x)
    }
}

impl Module for Mlp {
    fn forward(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        Self::forward(self, pass, x)
    }
}

/// The pass of networks of one shape as one node.
pub(crate) fn forward_fused(
    networks: &[Mlp],
    stacked: shim::mlp::Networks,
    pass: &mut Pass<'_>,
    x: &Tensor,
) -> Result<Tensor, NnError> {
    let Some(Mlp { config, .. }) = networks.first() else {
        return Err(NnError::Config("an ensemble of no networks".into()));
    };
    let layers = networks.iter().flat_map(|network| network.layers.iter().copied());
    forward_dense(pass, x, stacked, layers, (config.activation, config.output_activation), config.precision)
}

/// The pass of these layers, of one network after the other, as one node. The activations are that of all
/// layers but the last, and that one's.
pub(crate) fn forward_dense(
    pass: &mut Pass<'_>,
    x: &Tensor,
    networks: shim::mlp::Networks,
    layers: impl Iterator<Item = Dense> + Clone,
    (activation, output_activation): (Activation, Activation),
    precision: Precision,
) -> Result<Tensor, NnError> {
    // A generator's draws in the order in which the layers would make them one by one.
    let mut masks = Vec::new();
    for layer in layers.clone().filter(|layer| layer.dropout > 0.0) {
        masks.push(dropout_mask(pass, &[x.size()[0], layer.units], x.device(), layer.dropout)?);
    }
    let mut masks = masks.iter();
    let parameters = pass.parameters();
    let parameter = |id| shim::Parameter::of(parameters, id);
    let layers = layers.map(|layer| {
        let norm = match layer.norm {
            Some((scale, shift)) => Some((parameter(scale)?, parameter(shift)?)),
            None => None,
        };
        let mask = (layer.dropout > 0.0).then(|| masks.next()).flatten().and_then(Option::as_ref);
        Ok(shim::mlp::Layer { weight: parameter(layer.weight)?, bias: parameter(layer.bias)?, norm, mask })
    });
    shim::mlp::forward(x, networks, layers, (activation.code(), output_activation.code()), precision)
}

#[cfg(test)]
#[path = "mlp_tests.rs"]
mod tests;
