//! The networks: layers, the input's layout, the fused pass.

use tch::{Device, Kind, Tensor};

use super::config::{Architecture, CnnConfig, ConvLayer};
use crate::{Init, Layout, NnError, ParameterId, Parameters, Pass, Precision, shim};

/// An image, and the order of its numbers in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// In pixels.
    pub height: i64,
    /// In pixels.
    pub width: i64,
    /// Numbers per pixel.
    pub channels: i64,
    /// True if the row runs over channels, height, width (stacked frames); otherwise over height, width,
    /// channels.
    pub channels_first: bool,
}

impl Image {
    /// The number of the image's numbers.
    pub fn len(&self) -> i64 {
        self.height * self.width * self.channels
    }

    /// True if it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows, `[batch, numbers]`, as a batch of images, `[batch, channels, height, width]`, in the memory
    /// order that libtorch calls "channels last": its convolutions take it as it is, and any other they
    /// reorder at each layer. Without a copy where the rows have that order.
    ///
    /// # Errors
    /// [`NnError::Torch`] for rows of another width.
    pub fn view(&self, x: &Tensor) -> Result<Tensor, NnError> {
        let &Self { height, width, channels, channels_first } = self;
        let batch = x.size()[0];
        let x = match channels_first {
            true => x.f_reshape([batch, channels, height * width])?.f_transpose(1, 2)?.f_contiguous()?,
            false => x.shallow_clone(),
        };
        Ok(x.f_reshape([batch, height, width, channels])?.f_permute([0, 3, 1, 2])?)
    }
}

/// A convolution's place in the arena and how it walks over the image.
#[derive(Clone, Debug)]
struct Conv {
    weight: ParameterId,
    bias: ParameterId,
    layer: ConvLayer,
}

impl Conv {
    fn forward(&self, parameters: &Parameters, precision: Precision, x: &Tensor) -> Result<Tensor, NnError> {
        let weight = precision.cast(parameters.find(self.weight)?.0)?;
        let bias = precision.cast(parameters.find(self.bias)?.0)?;
        let ConvLayer { stride, padding, .. } = self.layer;
        Ok(x.f_conv2d(&weight, Some(&bias), [stride; 2], [padding; 2], [1, 1], 1)?)
    }
}

/// A part of the network.
#[derive(Clone, Debug)]
enum Stage {
    /// A convolution and a ReLU.
    Plain(Conv),
    /// A convolution, a pooling that halves the sides, and residual units of two convolutions each.
    Residual { conv: Conv, units: [[Conv; 2]; 2] },
}

impl Stage {
    fn forward(&self, parameters: &Parameters, precision: Precision, x: &Tensor) -> Result<Tensor, NnError> {
        let (conv, units) = match self {
            Self::Plain(conv) => return Ok(conv.forward(parameters, precision, x)?.f_relu()?),
            Self::Residual { conv, units } => (conv, units),
        };
        let x = conv.forward(parameters, precision, x)?;
        let mut x = x.f_max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false)?;
        for [first, second] in units {
            let inner = first.forward(parameters, precision, &x.f_relu()?)?.f_relu()?;
            x = x.f_add(&second.forward(parameters, precision, &inner)?)?;
        }
        Ok(x)
    }
}

/// A convolutional network; its output is the flattened features, in the order of channels, height, width, as
/// PyTorch's `nn.Flatten` has them.
///
/// The plain networks' parameters are named by the layer's number: `0.weight` (`[filters, channels, kernel,
/// kernel]`), `0.bias`, `1.weight` ... The residual network's are named `block0.conv.weight`,
/// `block0.residual0.conv0.weight` ...
#[derive(Clone, Debug)]
pub struct Cnn {
    image: Image,
    stages: Vec<Stage>,
    outputs: i64,
    precision: Precision,
    /// A residual unit ends with a sum: the network's last ReLU stands by itself.
    ends_with_sum: bool,
}

impl Cnn {
    /// Describes a network for this image and adds its parameters to the layout.
    ///
    /// # Errors
    /// [`NnError::Config`] for an image or layers that make no sense, or an image that is too small for the
    /// layers.
    pub fn new(
        layout: &mut Layout,
        prefix: &str,
        image: Image,
        config: &CnnConfig,
        init: Init,
    ) -> Result<Self, NnError> {
        config.validate()?;
        let Image { height, width, channels, .. } = image;
        if height < 1 || width < 1 || channels < 1 {
            let message =
                format!("an image of {height}x{width} pixels and {channels} channels: give at least 1 each");
            return Err(NnError::Config(message));
        }
        let mut builder = Builder { layout, prefix, init, size: [height, width], channels };
        const NATURE: [ConvLayer; 3] =
            [ConvLayer::new(32, 8, 4, 0), ConvLayer::new(64, 4, 2, 0), ConvLayer::new(64, 3, 1, 0)];
        let stages = match config {
            CnnConfig::Layers(layers) => builder.plain(layers)?,
            CnnConfig::Named(Architecture::Nature) => builder.plain(&NATURE)?,
            CnnConfig::Named(Architecture::MinAtar) => builder.plain(&[ConvLayer::new(16, 3, 1, 0)])?,
            CnnConfig::Named(Architecture::Impala) => builder.residual(&[16, 32, 32])?,
        };
        let outputs = builder.channels * builder.size[0] * builder.size[1];
        let ends_with_sum = matches!(config, CnnConfig::Named(Architecture::Impala));
        Ok(Self { image, stages, outputs, precision: Precision::F32, ends_with_sum })
    }

    /// The same network, computing in this type of number.
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// The number of inputs.
    pub fn inputs(&self) -> i64 {
        self.image.len()
    }

    fn check_input(&self, x: &Tensor) -> Result<(), NnError> {
        let inputs = self.inputs();
        if x.dim() == 2 && x.size()[1] == inputs && x.kind() == Kind::Float {
            return Ok(());
        }
        let (have, kind) = (x.size(), x.kind());
        Err(NnError::Shape(format!(
            "the network takes f32 [batch, {inputs}], the input is {kind:?} {have:?}"
        )))
    }

    /// The number of features.
    pub fn outputs(&self) -> i64 {
        self.outputs
    }

    /// From `x` (f32 `[batch, inputs]`, each row an image) to f32 `[batch, outputs]`. Both modes do the same.
    ///
    /// # Errors
    /// [`NnError::Shape`] for an input of another shape or type.
    pub fn forward(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        self.check_input(x)?;
        match self.fused_layers(pass.parameters(), x)? {
            Some(layers) => {
                let Image { height, width, channels_first, .. } = self.image;
                shim::cnn::forward(x, (height, width), channels_first, &layers, self.precision)
            }
            None => self.forward_by_operations(pass.parameters(), x),
        }
    }

    /// The layers as the fused pass takes them; `None` where that is not for this network or this device.
    fn fused_layers<'a>(
        &self,
        parameters: &'a Parameters,
        x: &Tensor,
    ) -> Result<Option<Vec<shim::cnn::Layer<'a>>>, NnError> {
        let on_cpu = x.device() == Device::Cpu && parameters.device() == Device::Cpu;
        if !on_cpu || !shim::cnn::is_available(self.precision) {
            return Ok(None);
        }
        let parameter = |id| shim::Parameter::of(parameters, id);
        let layer = |stage: &Stage| match stage {
            Stage::Plain(conv) => Ok(Some(shim::cnn::Layer {
                weight: parameter(conv.weight)?,
                bias: parameter(conv.bias)?,
                stride: conv.layer.stride,
                padding: conv.layer.padding,
                pool: 1,
            })),
            Stage::Residual { .. } => Ok(None),
        };
        self.stages.iter().map(layer).collect()
    }

    /// The forward pass by libtorch's own convolutions, each recorded by autograd.
    ///
    /// # Errors
    /// [`NnError::Torch`] for an input of another shape or type.
    pub fn forward_by_operations(&self, parameters: &Parameters, x: &Tensor) -> Result<Tensor, NnError> {
        let mut y = self.precision.cast(&self.image.view(x)?)?;
        for stage in &self.stages {
            y = stage.forward(parameters, self.precision, &y)?;
        }
        if self.ends_with_sum {
            y = y.f_relu()?;
        }
        Ok(y.f_reshape([x.size()[0], self.outputs])?.f_to_kind(Kind::Float)?)
    }
}

/// Adds convolutions to a layout, one after the other.
struct Builder<'a> {
    layout: &'a mut Layout,
    prefix: &'a str,
    init: Init,
    /// Height and width of what the next layer gets.
    size: [i64; 2],
    /// Its channels.
    channels: i64,
}

impl Builder<'_> {
    fn plain(&mut self, layers: &[ConvLayer]) -> Result<Vec<Stage>, NnError> {
        let named = layers.iter().enumerate();
        named.map(|(index, &layer)| Ok(Stage::Plain(self.conv(&index.to_string(), layer)?))).collect()
    }

    fn residual(&mut self, filters: &[i64]) -> Result<Vec<Stage>, NnError> {
        let mut stages = Vec::with_capacity(filters.len());
        for (block, &filters) in filters.iter().enumerate() {
            let same = ConvLayer::new(filters, 3, 1, 1);
            let conv = self.conv(&format!("block{block}.conv"), same)?;
            // The pooling: 3x3, stride 2, padding 1.
            self.size = self.size.map(|side| (side - 1) / 2 + 1);
            let mut unit = |unit: usize| -> Result<[Conv; 2], NnError> {
                let name = |conv: usize| format!("block{block}.residual{unit}.conv{conv}");
                Ok([self.conv(&name(0), same)?, self.conv(&name(1), same)?])
            };
            stages.push(Stage::Residual { conv, units: [unit(0)?, unit(1)?] });
        }
        Ok(stages)
    }

    fn conv(&mut self, name: &str, layer: ConvLayer) -> Result<Conv, NnError> {
        let ConvLayer { filters, kernel, stride, padding } = layer;
        let [height, width] = self.size;
        if height.min(width) + 2 * padding < kernel {
            return Err(NnError::Config(format!(
                "the image is too small for cnn layer {name}: it gets {height}x{width} pixels and looks at \
                 {kernel}x{kernel} of them; give a larger image, fewer layers, smaller kernels or strides, or more padding \
                 (`cnn = \"minatar\"` is for small images)"
            )));
        }
        let fan_in = self.channels * kernel * kernel;
        let prefix = self.prefix;
        let shape = [filters, self.channels, kernel, kernel];
        let weight = self.layout.add(format!("{prefix}{name}.weight"), &shape, self.init)?;
        let bias = self.layout.add(format!("{prefix}{name}.bias"), &[filters], self.init.bias(fan_in))?;
        self.size = self.size.map(|side| (side + 2 * padding - kernel) / stride + 1);
        self.channels = filters;
        Ok(Conv { weight, bias, layer })
    }
}

#[cfg(test)]
#[path = "network_tests.rs"]
mod tests;
