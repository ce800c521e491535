//! Normalisation of each sample by itself: layer norm, group norm, RMS norm.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::fusion::Fusible;
use super::item::{Built, Item, Short, Site};
use super::{EPS, at_least, eps, is_eps, is_yes, unfit, wrong_input, yes};
use crate::{Init, Layout, Module, NnError, ParameterId, Pass};

const ONE: Init = Init::Constant { value: 1.0 };
const ZERO: Init = Init::Constant { value: 0.0 };

/// Layer norm, as PyTorch's `nn.LayerNorm`. In a list of layers: `"layer_norm"`, or `{ layer_norm = { eps =
/// 1e-6 } }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LayerNormConfig {
    /// Number of a sample's last dimensions that mean and variance are taken over. Default: the last one of
    /// rows and sequences, all three of images. It matters in a list only: [`LayerNorm::new`] gets the shape
    /// itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<i64>,
    /// Added to the variance.
    #[serde(skip_serializing_if = "is_eps")]
    pub eps: f64,
    /// Scale and shift each number afterwards by a learned weight and bias.
    #[serde(skip_serializing_if = "is_yes")]
    pub affine: bool,
    /// Shift, too; without it there is the weight alone.
    #[serde(skip_serializing_if = "is_yes")]
    pub bias: bool,
}

impl Default for LayerNormConfig {
    fn default() -> Self {
        Self { dimensions: None, eps: EPS, affine: true, bias: true }
    }
}

/// Layer norm (Ba et al. 2016): `(x - mean) / sqrt(variance + eps) * weight + bias`, mean and variance over
/// the last dimensions of each sample.
///
/// Parameters: `weight` and `bias` of the shape over which the mean is taken.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    shape: Vec<i64>,
    weight: Option<ParameterId>,
    bias: Option<ParameterId>,
    eps: f64,
}

impl LayerNorm {
    /// Describes a layer over the last dimensions, which have this shape, and adds its parameters, named
    /// `prefix` + `weight` and so on, to the layout.
    ///
    /// # Errors
    /// [`NnError::Config`] for an empty shape, or a name that is taken.
    pub fn new(
        layout: &mut Layout,
        prefix: &str,
        shape: &[i64],
        config: &LayerNormConfig,
    ) -> Result<Self, NnError> {
        validate(shape, config.eps)?;
        let mut add = |name: &str, init| layout.add(format!("{prefix}{name}"), shape, init);
        let weight = config.affine.then(|| add("weight", ONE)).transpose()?;
        let bias = (config.affine && config.bias).then(|| add("bias", ZERO)).transpose()?;
        Ok(Self { shape: shape.to_vec(), weight, bias, eps: config.eps })
    }
}

impl Module for LayerNorm {
    /// From f32 `[batch, ..., shape ...]` to the same shape.
    fn forward(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        check("layer norm", &self.shape, x)?;
        let (weight, bias) = (pass.get_if(self.weight)?, pass.get_if(self.bias)?);
        Ok(x.f_layer_norm(&self.shape, weight, bias, self.eps, false)?)
    }

    fn fusible(&self) -> Option<Fusible> {
        match *self.shape {
            [width] => {
                Some(Fusible::LayerNorm { weight: self.weight?, bias: self.bias?, width, eps: self.eps })
            }
            _ => None,
        }
    }
}

impl Item for LayerNormConfig {
    fn from_short(short: Short) -> Option<Self> {
        short.word().map(|()| Self::default())
    }

    fn to_short(&self) -> Option<Short> {
        (*self == Self::default()).then_some(Short::Word)
    }

    fn build(&self, site: &mut Site<'_>, shape: &[i64]) -> Result<Built, NnError> {
        let last = last_dimensions(self.dimensions, shape)?;
        Ok(Built::new(LayerNorm::new(site.layout, site.prefix, last, self)?, shape.to_vec()))
    }
}

/// RMS norm, as PyTorch's `nn.RMSNorm`. In a list of layers: `"rms_norm"`, or `{ rms_norm = { eps = 1e-6 }
/// }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RmsNormConfig {
    /// Number of a sample's last dimensions that the mean is taken over, as [`LayerNormConfig::dimensions`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<i64>,
    /// Added to the mean of the squares. PyTorch's default is the distance from 1 to the next f32.
    #[serde(skip_serializing_if = "is_f32_eps")]
    pub eps: f64,
    /// Scale each number afterwards by a learned weight.
    #[serde(skip_serializing_if = "is_yes")]
    pub affine: bool,
}

// serde asks by reference.
fn is_f32_eps(eps: &f64) -> bool {
    *eps == f64::from(f32::EPSILON)
}

impl Default for RmsNormConfig {
    fn default() -> Self {
        Self { dimensions: None, eps: f64::from(f32::EPSILON), affine: true }
    }
}

/// RMS norm (Zhang and Sennrich 2019): `x / sqrt(mean(x^2) + eps) * weight`, the mean over the last
/// dimensions of each sample.
///
/// Parameters: `weight` of the shape over which the mean is taken.
#[derive(Clone, Debug)]
pub struct RmsNorm {
    shape: Vec<i64>,
    weight: Option<ParameterId>,
    eps: f64,
}

impl RmsNorm {
    /// Describes a layer over the last dimensions, which have this shape, and adds its parameter, named
    /// `prefix` + `weight`, to the layout.
    ///
    /// # Errors
    /// [`NnError::Config`] for an empty shape, or a name that is taken.
    pub fn new(
        layout: &mut Layout,
        prefix: &str,
        shape: &[i64],
        config: &RmsNormConfig,
    ) -> Result<Self, NnError> {
        validate(shape, config.eps)?;
        let weight = config.affine.then(|| layout.add(format!("{prefix}weight"), shape, ONE)).transpose()?;
        Ok(Self { shape: shape.to_vec(), weight, eps: config.eps })
    }
}

impl Module for RmsNorm {
    /// From f32 `[batch, ..., shape ...]` to the same shape.
    fn forward(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        check("RMS norm", &self.shape, x)?;
        Ok(x.f_rms_norm(&self.shape, pass.get_if(self.weight)?, self.eps)?)
    }
}

impl Item for RmsNormConfig {
    fn from_short(short: Short) -> Option<Self> {
        short.word().map(|()| Self::default())
    }

    fn to_short(&self) -> Option<Short> {
        (*self == Self::default()).then_some(Short::Word)
    }

    fn build(&self, site: &mut Site<'_>, shape: &[i64]) -> Result<Built, NnError> {
        let last = last_dimensions(self.dimensions, shape)?;
        Ok(Built::new(RmsNorm::new(site.layout, site.prefix, last, self)?, shape.to_vec()))
    }
}

/// Group norm, as PyTorch's `nn.GroupNorm`. In a list of layers: `{ group_norm = 8 }`, or
/// `{ group_norm = { groups = 8, eps = 1e-6 } }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupNormConfig {
    /// Number of groups of channels.
    pub groups: i64,
    /// Added to the variance.
    #[serde(default = "eps", skip_serializing_if = "is_eps")]
    pub eps: f64,
    /// Scale and shift each channel afterwards by a learned weight and bias.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub affine: bool,
}

impl GroupNormConfig {
    /// This number of groups, all other fields at their defaults.
    pub const fn new(groups: i64) -> Self {
        Self { groups, eps: EPS, affine: true }
    }
}

/// Group norm (Wu and He 2018): mean and variance over all numbers of a group of channels, for each sample.
///
/// Parameters: `weight` and `bias` (`[channels]`).
#[derive(Clone, Debug)]
pub struct GroupNorm {
    channels: i64,
    groups: i64,
    affine: Option<(ParameterId, ParameterId)>,
    eps: f64,
}

impl GroupNorm {
    /// Describes a layer for this many channels and adds its parameters, named `prefix` + `weight` and so on,
    /// to the layout.
    ///
    /// # Errors
    /// [`NnError::Config`] when the groups do not divide the channels, or a name is taken.
    pub fn new(
        layout: &mut Layout,
        prefix: &str,
        channels: i64,
        config: &GroupNormConfig,
    ) -> Result<Self, NnError> {
        validate(&[channels], config.eps)?;
        let groups = config.groups;
        at_least("groups", groups, 1)?;
        if channels % groups != 0 {
            let message = format!("groups is {groups}: give a number that divides the {channels} channels");
            return Err(NnError::Config(message));
        }
        let mut add = |name: &str, init| layout.add(format!("{prefix}{name}"), &[channels], init);
        let affine = match config.affine {
            true => Some((add("weight", ONE)?, add("bias", ZERO)?)),
            false => None,
        };
        Ok(Self { channels, groups, affine, eps: config.eps })
    }
}

impl Module for GroupNorm {
    /// From f32 `[batch, channels, ...]` to the same shape.
    fn forward(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        if x.dim() < 2 || x.size()[1] != self.channels || x.kind() != Kind::Float {
            return Err(wrong_input("group norm", format!("f32 [batch, {}, ...]", self.channels), x));
        }
        let (weight, bias) = self.affine.unzip();
        let (weight, bias) = (pass.get_if(weight)?, pass.get_if(bias)?);
        Ok(x.f_group_norm(self.groups, weight, bias, self.eps, false)?)
    }
}

impl Item for GroupNormConfig {
    fn from_short(short: Short) -> Option<Self> {
        short.whole().map(Self::new)
    }

    fn to_short(&self) -> Option<Short> {
        (*self == Self::new(self.groups)).then_some(Short::Whole(self.groups))
    }

    fn build(&self, site: &mut Site<'_>, shape: &[i64]) -> Result<Built, NnError> {
        let Some(&channels) = shape.first() else { return Err(unfit("channels first", shape)) };
        Ok(Built::new(GroupNorm::new(site.layout, site.prefix, channels, self)?, shape.to_vec()))
    }
}

fn validate(shape: &[i64], eps: f64) -> Result<(), NnError> {
    if shape.is_empty() || shape.iter().any(|&size| size < 1) {
        let message =
            format!("a normalisation over numbers of shape {shape:?}: give at least 1 of each size");
        return Err(NnError::Config(message));
    }
    if !(eps.is_finite() && eps >= 0.0) {
        return Err(NnError::Config(format!("eps is {eps}: give 0 or more")));
    }
    Ok(())
}

fn check(what: &str, shape: &[i64], x: &Tensor) -> Result<(), NnError> {
    let fits = x.dim() > shape.len() && x.size().ends_with(shape) && x.kind() == Kind::Float;
    match fits {
        true => Ok(()),
        false => Err(wrong_input(what, format!("f32 [batch, ...] that ends with {shape:?}"), x)),
    }
}

/// The sizes over which the mean of a sample of this shape is taken.
fn last_dimensions(dimensions: Option<i64>, shape: &[i64]) -> Result<&[i64], NnError> {
    let all = shape.len();
    let count = dimensions.unwrap_or(if all >= 3 { all as i64 } else { 1 });
    if count < 1 || count as usize > all {
        return Err(NnError::Config(format!(
            "dimensions is {count}: give 1 to {all}, since it gets samples of shape {shape:?}"
        )));
    }
    Ok(&shape[all - count as usize..])
}
