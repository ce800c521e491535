//! Linear layers.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::fusion::Fusible;
use super::item::{Built, Item, Short, Site};
use super::{at_least, is_yes, unfit, wrong_input, yes};
use crate::spectral::Weight;
use crate::{Init, Layout, Module, NnError, ParameterId, Pass, Precision};

/// A linear layer, as PyTorch's `nn.Linear`. In a list of layers: `{ linear = 64 }`, or `{ linear = { units =
/// 64, ... } }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearConfig {
    /// Number of outputs.
    pub units: i64,
    /// Add a bias.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub bias: bool,
    /// Initialisation of the weight. Default: the list's, otherwise PyTorch's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<Init>,
    /// Number type of the product. Default: the list's, otherwise f32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<Precision>,
    /// Divide the weight by its largest singular value. Default: the list's, otherwise false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spectral_norm: Option<bool>,
}

impl LinearConfig {
    /// This number of units, all other fields at their defaults.
    pub const fn new(units: i64) -> Self {
        Self { units, bias: true, init: None, precision: None, spectral_norm: None }
    }
}

/// `y = x W^T + b`, over the last dimension.
///
/// Parameters: `weight` (`[units, inputs]`) and, with a bias, `bias` (`[units]`). With spectral normalisation
/// (Miyato et al. 2018) the weight is `parametrizations.weight.original`, with the buffers
/// `parametrizations.weight.0._u` (`[units]`) and `parametrizations.weight.0._v` (`[inputs]`), which a pass in
/// training writes, as those of PyTorch's `parametrizations.spectral_norm`.
#[derive(Clone, Debug)]
pub struct Linear {
    inputs: i64,
    units: i64,
    weight: Weight,
    bias: Option<ParameterId>,
    precision: Precision,
}

impl Linear {
    /// Describes a layer for `inputs` numbers and adds its parameters, named `prefix` + `weight` and so on,
    /// to the layout.
    ///
    /// # Errors
    /// [`NnError::Config`] for a layer without inputs or units, or a name that is taken.
    pub fn new(
        layout: &mut Layout,
        prefix: &str,
        inputs: i64,
        config: &LinearConfig,
    ) -> Result<Self, NnError> {
        at_least("inputs", inputs, 1)?;
        at_least("units", config.units, 1)?;
        let init = config.init.unwrap_or_default();
        let shape = [config.units, inputs];
        let weight = match config.spectral_norm.unwrap_or_default() {
            true => Weight::normalized(layout, prefix, &shape, init, false)?,
            false => Weight::plain(layout, prefix, &shape, init)?,
        };
        let bias = match config.bias {
            true => Some(layout.add(format!("{prefix}bias"), &[config.units], init.bias(inputs))?),
            false => None,
        };
        let precision = config.precision.unwrap_or_default();
        Ok(Self { inputs, units: config.units, weight, bias, precision })
    }

    /// Number of inputs.
    pub fn inputs(&self) -> i64 {
        self.inputs
    }

    /// Number of outputs.
    pub fn outputs(&self) -> i64 {
        self.units
    }
}

impl Module for Linear {
    /// From f32 `[batch, ..., inputs]` to f32 `[batch, ..., units]`.
    fn forward(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        if x.size().last() != Some(&self.inputs) || x.kind() != Kind::Float {
            return Err(wrong_input("a linear layer", format!("f32 [batch, ..., {}]", self.inputs), x));
        }
        affine(x, &self.weight.of(pass)?, pass.get_if(self.bias)?, self.precision)
    }

    fn fusible(&self) -> Option<Fusible> {
        let Self { inputs, units, weight, bias, precision } = *self;
        Some(Fusible::Linear { weight: weight.as_plain()?, bias: bias?, inputs, units, precision })
    }
}

/// `x W^T + b` in this type of number, recorded by autograd; f32 goes in and comes out.
pub(super) fn affine(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    precision: Precision,
) -> Result<Tensor, NnError> {
    let bias = bias.map(|bias| precision.cast(bias)).transpose()?;
    let y = precision.cast(x)?.f_linear(&precision.cast(weight)?, bias.as_ref())?;
    Ok(y.f_to_kind(Kind::Float)?)
}

impl Item for LinearConfig {
    fn from_short(short: Short) -> Option<Self> {
        short.whole().map(Self::new)
    }

    fn to_short(&self) -> Option<Short> {
        (*self == Self::new(self.units)).then_some(Short::Whole(self.units))
    }

    fn build(&self, site: &mut Site<'_>, shape: &[i64]) -> Result<Built, NnError> {
        let [others @ .., inputs] = shape else {
            return Err(unfit("at least one number for each sample", shape));
        };
        if others.len() >= 2 {
            return Err(NnError::Config(format!(
                "it gets images {shape:?} and takes rows of numbers: put \"flatten\" before it"
            )));
        }
        let config = Self {
            init: Some(self.init.unwrap_or(site.defaults.init)),
            precision: Some(self.precision.unwrap_or(site.defaults.precision)),
            spectral_norm: Some(self.spectral_norm.unwrap_or(site.defaults.spectral_norm)),
            ..*self
        };
        let linear = Linear::new(site.layout, site.prefix, *inputs, &config)?;
        Ok(Built::new(linear, [others, &[self.units]].concat()))
    }
}
