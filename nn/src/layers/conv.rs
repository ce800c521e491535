//! Convolutions over sequences and images.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::fusion::Fusible;
use super::item::{Built, Item, Site};
use super::pair::Pair;
use super::walk::Walk;
use super::{is_one, is_yes, is_zero, one, wrong_input, yes};
use crate::spectral::Weight;
use crate::{Init, Layout, Module, NnError, ParameterId, Pass, Precision};

/// A convolution over sequences, as PyTorch's `nn.Conv1d`. In a list of layers:
/// `{ conv1d = { filters = 16, kernel = 3 } }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv1dConfig {
    /// Number of output channels.
    pub filters: i64,
    /// Steps per window: one output sees one window.
    pub kernel: i64,
    /// Distance between neighbouring windows.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub stride: i64,
    /// Number of zeros before and after the sequence.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub padding: i64,
    /// Distance between the steps of a window.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub dilation: i64,
    /// Number of groups of channels and filters; each group of filters sees its own group of channels.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub groups: i64,
    /// Add a bias.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub bias: bool,
    /// Initialisation of the weight. Default: the list's, otherwise PyTorch's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<Init>,
    /// Number type of the products. Default: the list's, otherwise f32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<Precision>,
    /// Divide the weight by its largest singular value. Default: the list's, otherwise false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spectral_norm: Option<bool>,
}

/// A convolution over images, as PyTorch's `nn.Conv2d`. In a list of layers:
/// `{ conv2d = { filters = 32, kernel = 8, stride = 4 } }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2dConfig {
    /// Number of output channels.
    pub filters: i64,
    /// Height and width of a window, in pixels: one output sees one window.
    pub kernel: Pair,
    /// Distance between neighbouring windows, in pixels.
    #[serde(default = "Pair::one", skip_serializing_if = "Pair::is_one")]
    pub stride: Pair,
    /// Number of zeros at each side of the image.
    #[serde(default = "Pair::zero", skip_serializing_if = "Pair::is_zero")]
    pub padding: Pair,
    /// Distance between the pixels of a window.
    #[serde(default = "Pair::one", skip_serializing_if = "Pair::is_one")]
    pub dilation: Pair,
    /// Number of groups of channels and filters; each group of filters sees its own group of channels.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub groups: i64,
    /// Add a bias.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub bias: bool,
    /// Initialisation of the weight. Default: the list's, otherwise PyTorch's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<Init>,
    /// Number type of the products. Default: the list's, otherwise f32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<Precision>,
    /// Divide the weight by its largest singular value. Default: the list's, otherwise false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spectral_norm: Option<bool>,
}

/// A transposed convolution over images, as PyTorch's `nn.ConvTranspose2d`: the way back through the shapes
/// of a [`Conv2d`]. In a list of layers: `{ conv_transpose2d = { filters = 16, kernel = 4, stride = 2,
/// padding = 1 } }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvTranspose2dConfig {
    /// Number of output channels.
    pub filters: i64,
    /// Height and width of a window, in pixels: one input writes to one window.
    pub kernel: Pair,
    /// Distance between neighbouring windows, in pixels.
    #[serde(default = "Pair::one", skip_serializing_if = "Pair::is_one")]
    pub stride: Pair,
    /// Number of pixels cut off at each side of the output.
    #[serde(default = "Pair::zero", skip_serializing_if = "Pair::is_zero")]
    pub padding: Pair,
    /// Number of rows added below and columns added on the right. Several input sizes of a strided
    /// convolution give one output size; this number selects the one to go back to.
    #[serde(default = "Pair::zero", skip_serializing_if = "Pair::is_zero")]
    pub output_padding: Pair,
    /// Distance between the pixels of a window.
    #[serde(default = "Pair::one", skip_serializing_if = "Pair::is_one")]
    pub dilation: Pair,
    /// Number of groups of channels and filters; each group of filters sees its own group of channels.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub groups: i64,
    /// Add a bias.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub bias: bool,
    /// Initialisation of the weight. Default: the list's, otherwise PyTorch's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<Init>,
    /// Number type of the products. Default: the list's, otherwise f32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<Precision>,
    /// Divide the weight by its largest singular value. Default: the list's, otherwise false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spectral_norm: Option<bool>,
}

impl Conv1dConfig {
    /// This number of filters and this kernel, all other fields at their defaults.
    pub const fn new(filters: i64, kernel: i64) -> Self {
        let (stride, padding, dilation, groups) = (1, 0, 1, 1);
        let (bias, init, precision, spectral_norm) = (true, None, None, None);
        Self { filters, kernel, stride, padding, dilation, groups, bias, init, precision, spectral_norm }
    }

    fn walk(&self, channels: i64) -> Walk {
        Walk {
            channels,
            filters: self.filters,
            kernel: vec![self.kernel],
            stride: vec![self.stride],
            padding: vec![self.padding],
            dilation: vec![self.dilation],
            output_padding: vec![0],
            groups: self.groups,
            transposed: false,
        }
    }

    fn weights(&self) -> Weights {
        let Self { bias, init, precision, spectral_norm, .. } = *self;
        Weights { bias, init, precision, spectral_norm }
    }
}

impl Conv2dConfig {
    /// This number of filters and this square kernel, all other fields at their defaults.
    pub const fn new(filters: i64, kernel: i64) -> Self {
        Self {
            filters,
            kernel: Pair::both(kernel),
            stride: Pair::one(),
            padding: Pair::zero(),
            dilation: Pair::one(),
            groups: 1,
            bias: true,
            init: None,
            precision: None,
            spectral_norm: None,
        }
    }

    fn walk(&self, channels: i64) -> Walk {
        Walk {
            channels,
            filters: self.filters,
            kernel: self.kernel.sizes().into(),
            stride: self.stride.sizes().into(),
            padding: self.padding.sizes().into(),
            dilation: self.dilation.sizes().into(),
            output_padding: vec![0; 2],
            groups: self.groups,
            transposed: false,
        }
    }

    fn weights(&self) -> Weights {
        let Self { bias, init, precision, spectral_norm, .. } = *self;
        Weights { bias, init, precision, spectral_norm }
    }
}

impl ConvTranspose2dConfig {
    /// This number of filters and this square kernel, all other fields at their defaults.
    pub const fn new(filters: i64, kernel: i64) -> Self {
        Self {
            filters,
            kernel: Pair::both(kernel),
            stride: Pair::one(),
            padding: Pair::zero(),
            output_padding: Pair::zero(),
            dilation: Pair::one(),
            groups: 1,
            bias: true,
            init: None,
            precision: None,
            spectral_norm: None,
        }
    }

    fn walk(&self, channels: i64) -> Walk {
        Walk {
            channels,
            filters: self.filters,
            kernel: self.kernel.sizes().into(),
            stride: self.stride.sizes().into(),
            padding: self.padding.sizes().into(),
            dilation: self.dilation.sizes().into(),
            output_padding: self.output_padding.sizes().into(),
            groups: self.groups,
            transposed: true,
        }
    }

    fn weights(&self) -> Weights {
        let Self { bias, init, precision, spectral_norm, .. } = *self;
        Weights { bias, init, precision, spectral_norm }
    }
}

/// The settings of a convolution's weights.
#[derive(Clone, Copy)]
struct Weights {
    bias: bool,
    init: Option<Init>,
    precision: Option<Precision>,
    spectral_norm: Option<bool>,
}

impl Weights {
    fn or(self, site: &Site<'_>) -> Self {
        Self {
            init: Some(self.init.unwrap_or(site.defaults.init)),
            precision: Some(self.precision.unwrap_or(site.defaults.precision)),
            spectral_norm: Some(self.spectral_norm.unwrap_or(site.defaults.spectral_norm)),
            ..self
        }
    }
}

/// A convolution of any number of dimensions.
#[derive(Clone, Debug)]
struct Convolution {
    weight: Weight,
    bias: Option<ParameterId>,
    walk: Walk,
    precision: Precision,
}

impl Convolution {
    fn new(layout: &mut Layout, prefix: &str, walk: Walk, weights: Weights) -> Result<Self, NnError> {
        walk.validate()?;
        let Walk { channels, filters, groups, .. } = walk;
        let mut shape = match walk.transposed {
            false => vec![filters, channels / groups],
            true => vec![channels, filters / groups],
        };
        shape.extend(&walk.kernel);
        let init = weights.init.unwrap_or_default();
        let weight = match weights.spectral_norm.unwrap_or_default() {
            true => Weight::normalized(layout, prefix, &shape, init, walk.transposed)?,
            false => Weight::plain(layout, prefix, &shape, init)?,
        };
        let bias = match weights.bias {
            true => {
                // PyTorch counts the second dimension here in both directions.
                let fan_in = shape[1..].iter().product();
                Some(layout.add(format!("{prefix}bias"), &[filters], init.bias(fan_in))?)
            }
            false => None,
        };
        Ok(Self { weight, bias, walk, precision: weights.precision.unwrap_or_default() })
    }

    fn forward(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        let walk = &self.walk;
        let shape = x.size();
        if shape.len() != 2 + walk.kernel.len() || shape[1] != walk.channels || x.kind() != Kind::Float {
            let takes = format!("a batch of f32 {} with {} channels", walk.takes(), walk.channels);
            return Err(wrong_input("a convolution", takes, x));
        }
        walk.output(&shape[1..])?;
        let weight = self.precision.cast(&self.weight.of(pass)?)?;
        let bias = pass.get_if(self.bias)?.map(|bias| self.precision.cast(bias)).transpose()?;
        let y = self.precision.cast(x)?.f_convolution(
            &weight,
            bias.as_ref(),
            &walk.stride,
            &walk.padding,
            &walk.dilation,
            walk.transposed,
            &walk.output_padding,
            walk.groups,
        )?;
        Ok(y.f_to_kind(Kind::Float)?)
    }

    fn fusible(&self) -> Option<Fusible> {
        let Walk { channels, filters, kernel, stride, padding, dilation, groups, transposed, .. } =
            &self.walk;
        let square = |sizes: &[i64]| match *sizes {
            [height, width] if height == width => Some(height),
            _ => None,
        };
        let plain = !transposed && *groups == 1 && dilation.iter().all(|&dilation| dilation == 1);
        let bias = self.bias.filter(|_| plain)?;
        Some(Fusible::Conv2d {
            weight: self.weight.as_plain()?,
            bias,
            channels: *channels,
            filters: *filters,
            kernel: square(kernel)?,
            stride: square(stride)?,
            padding: square(padding)?,
            precision: self.precision,
        })
    }
}

/// Puts a convolution of a list together.
fn build(
    site: &mut Site<'_>,
    shape: &[i64],
    walk: impl Fn(i64) -> Walk,
    weights: Weights,
) -> Result<(Convolution, Vec<i64>), NnError> {
    let walk = walk(shape.first().copied().unwrap_or(1));
    walk.validate()?;
    let output = walk.output(shape)?;
    let weights = weights.or(site);
    Ok((Convolution::new(site.layout, site.prefix, walk, weights)?, output))
}

macro_rules! convolution {
    ($(#[$doc:meta])* $name:ident, $config:ident, $forward:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name(Convolution);

        impl $name {
            /// Describes a layer for this many channels and adds its parameters, named `prefix` + `weight`
            /// and so on, to the layout.
            ///
            /// # Errors
            /// [`NnError::Config`] for a field that makes no sense, or a name that is taken.
            pub fn new(
                layout: &mut Layout,
                prefix: &str,
                channels: i64,
                config: &$config,
            ) -> Result<Self, NnError> {
                Convolution::new(layout, prefix, config.walk(channels), config.weights()).map(Self)
            }

            /// The shape of one sample of the output for samples of `shape`, channels first in both.
            ///
            /// # Errors
            /// [`NnError::Config`] when the samples are too small.
            pub fn output_shape(&self, shape: &[i64]) -> Result<Vec<i64>, NnError> {
                self.0.walk.output(shape)
            }
        }

        impl Module for $name {
            #[doc = $forward]
            fn forward(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
                self.0.forward(pass, x)
            }

            fn fusible(&self) -> Option<Fusible> {
                self.0.fusible()
            }
        }

        impl Item for $config {
            fn build(&self, site: &mut Site<'_>, shape: &[i64]) -> Result<Built, NnError> {
                let (convolution, shape) =
                    build(site, shape, |channels| self.walk(channels), self.weights())?;
                Ok(Built::new($name(convolution), shape))
            }
        }
    };
}

convolution! {
    /// A convolution over sequences.
    ///
    /// Parameters: `weight` (`[filters, channels / groups, kernel]`) and, with a bias, `bias` (`[filters]`).
    Conv1d, Conv1dConfig, "From f32 `[batch, channels, steps]` to f32 `[batch, filters, steps]`."
}

convolution! {
    /// A convolution over images.
    ///
    /// Parameters: `weight` (`[filters, channels / groups, height, width]`) and, with a bias, `bias`
    /// (`[filters]`).
    Conv2d, Conv2dConfig,
    "From f32 `[batch, channels, height, width]` to f32 `[batch, filters, height, width]`."
}

convolution! {
    /// A transposed convolution over images, for decoders.
    ///
    /// Parameters: `weight` (`[channels, filters / groups, height, width]`) and, with a bias, `bias`
    /// (`[filters]`).
    ConvTranspose2d, ConvTranspose2dConfig,
    "From f32 `[batch, channels, height, width]` to f32 `[batch, filters, height, width]`."
}
