//! What the images of observations go through.

use std::fmt;

use pavlov_nn::features::Architecture;
use pavlov_nn::{CnnConfig, Features, Init, Layout, NnError, Part};
use serde::de::{Error, IntoDeserializer, SeqAccess, Visitor, value::SeqAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Encoder;

/// An image with a shorter side has no room for the Nature network, in pixels.
const SMALLEST_FOR_NATURE: i64 = 36;

/// What images go through.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ImageConfig {
    /// The Nature network, or for images of less than 36 pixels MinAtar's; in a file the word "auto".
    #[default]
    Auto,
    /// Nothing: their numbers go to the hidden layers as they are; in a file the word "off".
    Off,
    /// These convolutions.
    Cnn(CnnConfig),
}

impl Serialize for ImageConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Off => serializer.serialize_str("off"),
            Self::Cnn(config) => config.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ImageConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrLayers;

        impl<'de> Visitor<'de> for WordOrLayers {
            type Value = ImageConfig;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("\"auto\", \"off\", \"nature\", \"impala\", \"minatar\" or a list of layers")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<ImageConfig, E> {
                match word {
                    "auto" => Ok(ImageConfig::Auto),
                    "off" => Ok(ImageConfig::Off),
                    name => CnnConfig::deserialize(name.into_deserializer()).map(ImageConfig::Cnn),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, layers: A) -> Result<ImageConfig, A::Error> {
                CnnConfig::deserialize(SeqAccessDeserializer::new(layers)).map(ImageConfig::Cnn)
            }
        }

        deserializer.deserialize_any(WordOrLayers)
    }
}

impl ImageConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`NnError::Config`] naming what makes no sense.
    pub fn validate(&self) -> Result<(), NnError> {
        match self {
            Self::Cnn(cnn) => cnn.validate(),
            Self::Auto | Self::Off => Ok(()),
        }
    }

    /// The front of a network for encoded observations with so many other numbers after them (a critic's action); its
    /// parameters are named `prefix` + their own names.
    ///
    /// # Errors
    /// [`NnError::Config`] when an image is too small for the layers.
    pub fn features(
        &self,
        layout: &mut Layout,
        prefix: &str,
        (encoder, others): (&Encoder, usize),
        init: Init,
    ) -> Result<Features, NnError> {
        let mut parts = encoder.parts(*self != Self::Off);
        let sides = parts.iter().filter_map(|part| match part {
            Part::Image(image) => Some(image.height.min(image.width)),
            Part::Numbers(_) => None,
        });
        let cnn = match self {
            Self::Cnn(cnn) => cnn.clone(),
            _ if sides.min().is_some_and(|side| side < SMALLEST_FOR_NATURE) => {
                CnnConfig::Named(Architecture::MinAtar)
            }
            _ => CnnConfig::Named(Architecture::Nature),
        };
        parts.push(Part::Numbers(others as i64));
        Features::new(layout, prefix, &parts, &cnn, init)
    }
}
