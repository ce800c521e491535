//! Layers that go beside one another: residual connections, parallel branches.

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tch::Tensor;

use super::item::{Built, Item, Site};
use super::list::Layers;
use super::{Sequential, build};
use crate::{Module, NnError, Pass};

/// A residual connection (He et al. 2016). In a list of layers: `{ residual = [...] }`, or
/// `{ residual = { layers = [...], projection = [...] } }` where the layers change the shape.
///
/// Parameters are named as those of an `nn.Sequential` with one more member, `projection`: `0.weight`,
/// `projection.0.weight`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResidualConfig {
    /// Layers whose output is added to the input.
    pub layers: Layers,
    /// Layers on the input's side of the sum; without any the input itself is added.
    pub projection: Layers,
}

/// `projection(x) + layers(x)`.
#[derive(Clone, Debug)]
pub struct Residual {
    layers: Sequential,
    projection: Sequential,
}

impl Residual {
    /// The sum of what the two give. A [`Sequential`] without layers gives its input.
    pub fn new(layers: Sequential, projection: Sequential) -> Self {
        Self { layers, projection }
    }
}

impl Module for Residual {
    /// From `[batch, ...]` to what the layers give.
    fn forward(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        let inner = self.layers.forward(pass, x)?;
        let kept = self.projection.forward(pass, x)?;
        if inner.size() != kept.size() {
            let (inner, kept) = (inner.size(), kept.size());
            return Err(NnError::Shape(format!(
                "a residual connection adds {inner:?} to {kept:?}: give layers that keep the shape, or a \
                 projection"
            )));
        }
        Ok(kept.f_add(&inner)?)
    }
}

impl Item for ResidualConfig {
    fn build(&self, site: &mut Site<'_>, shape: &[i64]) -> Result<Built, NnError> {
        let (layers, output) = build::nested(site, "", shape, &self.layers)?;
        let (projection, kept) = build::nested(site, "projection.", shape, &self.projection)
            .map_err(|error| build::within("projection", error))?;
        if output != kept {
            let advice = match self.projection.is_empty() {
                true => {
                    "give it a projection of its input to that shape: \
                     { residual = { layers = [...], projection = [...] } }"
                }
                false => "give layers and projection that end with the same shape",
            };
            return Err(NnError::Config(format!(
                "its layers give {output:?}, and the other side is {kept:?}: {advice}"
            )));
        }
        Ok(Built::new(Residual::new(layers, projection), output))
    }
}

/// Branches side by side whose outputs are put together along the first dimension of a sample (channels, or
/// the numbers of a row). In a list of layers: `{ concat = [[...], [...]] }`.
///
/// Parameters are named as those of an `nn.ModuleList` of `nn.Sequential`s: `0.0.weight` is of the first
/// branch's first layer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConcatConfig {
    /// The branches; one without layers passes its input on.
    pub branches: Vec<Layers>,
}

/// Branches side by side whose outputs are added. In a list of layers: `{ add = [[...], [...]] }`.
///
/// Parameters are named as those of [`ConcatConfig`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AddConfig {
    /// The branches; one without layers passes its input on.
    pub branches: Vec<Layers>,
}

/// The outputs of branches, put together along the first dimension after the batch.
#[derive(Clone, Debug)]
pub struct Concat {
    branches: Vec<Sequential>,
}

/// The sum of the outputs of branches.
#[derive(Clone, Debug)]
pub struct Add {
    branches: Vec<Sequential>,
}

impl Concat {
    /// These branches.
    ///
    /// # Errors
    /// [`NnError::Config`] when there are none.
    pub fn new(branches: Vec<Sequential>) -> Result<Self, NnError> {
        at_least_one(branches.len())?;
        Ok(Self { branches })
    }
}

impl Add {
    /// These branches.
    ///
    /// # Errors
    /// [`NnError::Config`] when there are none.
    pub fn new(branches: Vec<Sequential>) -> Result<Self, NnError> {
        at_least_one(branches.len())?;
        Ok(Self { branches })
    }
}

impl Module for Concat {
    /// From `[batch, ...]` to `[batch, sum of the first sizes, ...]`.
    fn forward(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        let outputs = self.branches.iter().map(|branch| branch.forward(pass, x));
        Ok(Tensor::f_cat(&outputs.collect::<Result<Vec<_>, _>>()?, 1)?)
    }
}

impl Module for Add {
    /// From `[batch, ...]` to what each branch gives.
    fn forward(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        let mut sum = self.branches[0].forward(pass, x)?;
        for branch in &self.branches[1..] {
            let next = branch.forward(pass, x)?;
            if next.size() != sum.size() {
                let (next, sum) = (next.size(), sum.size());
                let message = format!("branches give {sum:?} and {next:?}: what is added has one shape");
                return Err(NnError::Shape(message));
            }
            sum = sum.f_add(&next)?;
        }
        Ok(sum)
    }
}

impl Item for ConcatConfig {
    fn build(&self, site: &mut Site<'_>, shape: &[i64]) -> Result<Built, NnError> {
        let (branches, outputs) = side_by_side(site, shape, &self.branches)?;
        let mut output = outputs[0].clone();
        for (index, other) in outputs.iter().enumerate().skip(1) {
            if output.is_empty() || other.len() != output.len() || other[1..] != output[1..] {
                return Err(NnError::Config(format!(
                    "its branch 0 gives {:?} and branch {index} gives {other:?}: only the first size may \
                     differ",
                    outputs[0]
                )));
            }
            output[0] += other[0];
        }
        Ok(Built::new(Concat::new(branches)?, output))
    }
}

impl Item for AddConfig {
    fn build(&self, site: &mut Site<'_>, shape: &[i64]) -> Result<Built, NnError> {
        let (branches, outputs) = side_by_side(site, shape, &self.branches)?;
        if let Some(index) = outputs.iter().position(|output| *output != outputs[0]) {
            return Err(NnError::Config(format!(
                "its branch 0 gives {:?} and branch {index} gives {:?}: give branches that end with the same \
                 shape",
                outputs[0], outputs[index]
            )));
        }
        let output = outputs[0].clone();
        Ok(Built::new(Add::new(branches)?, output))
    }
}

fn at_least_one(branches: usize) -> Result<(), NnError> {
    match branches {
        0 => Err(NnError::Config("there are no branches: give at least one".into())),
        _ => Ok(()),
    }
}

/// The branches and the shapes that they give, at least one.
fn side_by_side(
    site: &mut Site<'_>,
    shape: &[i64],
    branches: &[Layers],
) -> Result<(Vec<Sequential>, Vec<Vec<i64>>), NnError> {
    at_least_one(branches.len())?;
    let each = branches.iter().enumerate().map(|(index, layers)| {
        build::nested(site, &format!("{index}."), shape, layers)
            .map_err(|error| build::within(&format!("branch {index}"), error))
    });
    Ok(each.collect::<Result<Vec<_>, _>>()?.into_iter().unzip())
}

impl Serialize for ResidualConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Whole<'a> {
            layers: &'a Layers,
            projection: &'a Layers,
        }
        match self.projection.is_empty() {
            true => self.layers.serialize(serializer),
            false => Whole { layers: &self.layers, projection: &self.projection }.serialize(serializer),
        }
    }
}

// By hand, since an untagged enum's error would not say what is wrong with the layers.
impl<'de> Deserialize<'de> for ResidualConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Whole {
            layers: Layers,
            #[serde(default)]
            projection: Layers,
        }

        struct LayersOrWhole;

        impl<'de> Visitor<'de> for LayersOrWhole {
            type Value = ResidualConfig;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("a list of layers, or { layers = [...], projection = [...] }")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, layers: A) -> Result<ResidualConfig, A::Error> {
                let layers = Layers::deserialize(SeqAccessDeserializer::new(layers))?;
                Ok(ResidualConfig { layers, projection: Layers::default() })
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<ResidualConfig, A::Error> {
                let Whole { layers, projection } = Whole::deserialize(MapAccessDeserializer::new(fields))?;
                Ok(ResidualConfig { layers, projection })
            }
        }

        deserializer.deserialize_any(LayersOrWhole)
    }
}
