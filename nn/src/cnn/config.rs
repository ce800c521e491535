//! The convolutions that an image goes through: a published network's name, or a list of layers.

use std::fmt;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{IntoDeserializer, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::NnError;

/// A published convolutional network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// Three layers of 32, 64 and 64 filters (Mnih et al. 2015, "Human-level control through deep
    /// reinforcement learning", Nature).
    Nature,
    /// The residual network of 15 convolutions (Espeholt et al. 2018, "IMPALA", figure 3, right).
    Impala,
    /// One layer of 16 filters (Young and Tian 2019, "MinAtar").
    MinAtar,
}

/// One convolution, square, with a bias and a ReLU after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvLayer {
    /// The number of output channels.
    pub filters: i64,
    /// The side of the square that one output sees, in pixels.
    pub kernel: i64,
    /// The distance between these squares, in pixels.
    #[serde(default = "one")]
    pub stride: i64,
    /// The number of zeros around the image, at each side.
    #[serde(default)]
    pub padding: i64,
}

/// The most layers, the most filters of one, and the longest side or step of a kernel, in pixels.
const MOST_LAYERS: usize = 64;
const MOST_FILTERS: i64 = 1 << 16;
const MOST_PIXELS: i64 = 1 << 12;

fn one() -> i64 {
    1
}

impl ConvLayer {
    pub(super) const fn new(filters: i64, kernel: i64, stride: i64, padding: i64) -> Self {
        Self { filters, kernel, stride, padding }
    }
}

/// The convolutions between an image and the rest of a network. In a file:
/// `cnn = "nature"`, or `cnn = [{ filters = 16, kernel = 3, stride = 1, padding = 0 }]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum CnnConfig {
    /// A published network.
    Named(Architecture),
    /// These layers, the first one first.
    Layers(Vec<ConvLayer>),
}

impl Default for CnnConfig {
    fn default() -> Self {
        Self::Named(Architecture::Nature)
    }
}

impl CnnConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`NnError::Config`] naming the layer and the field that makes no sense.
    pub fn validate(&self) -> Result<(), NnError> {
        let Self::Layers(layers) = self else { return Ok(()) };
        if layers.len() > MOST_LAYERS {
            let count = layers.len();
            return Err(NnError::Config(format!("cnn has {count} layers: give at most {MOST_LAYERS}")));
        }
        if layers.is_empty() {
            let message = "cnn has no layers: give at least one, or a name (nature, impala, minatar)";
            return Err(NnError::Config(message.into()));
        }
        for (index, layer) in layers.iter().enumerate() {
            for (name, value, least, most) in [
                ("filters", layer.filters, 1, MOST_FILTERS),
                ("kernel", layer.kernel, 1, MOST_PIXELS),
                ("stride", layer.stride, 1, MOST_PIXELS),
                ("padding", layer.padding, 0, MOST_PIXELS),
            ] {
                if !(least..=most).contains(&value) {
                    return Err(NnError::Config(format!(
                        "cnn layer {index}: {name} is {value}: give at least {least} and at most {most}"
                    )));
                }
            }
            // A square of nothing but padding would only ever give the bias.
            if layer.padding >= layer.kernel {
                let (padding, kernel) = (layer.padding, layer.kernel);
                return Err(NnError::Config(format!(
                    "cnn layer {index}: padding is {padding}: give less than the kernel of {kernel}"
                )));
            }
        }
        Ok(())
    }
}

// By hand, since an untagged enum's error would not say what is wrong with the name or the layer.
impl<'de> Deserialize<'de> for CnnConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrLayers;

        impl<'de> Visitor<'de> for NameOrLayers {
            type Value = CnnConfig;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("\"nature\", \"impala\", \"minatar\" or a list of layers")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<CnnConfig, E> {
                Architecture::deserialize(name.into_deserializer()).map(CnnConfig::Named)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, layers: A) -> Result<CnnConfig, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(layers)).map(CnnConfig::Layers)
            }
        }

        deserializer.deserialize_any(NameOrLayers)
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
