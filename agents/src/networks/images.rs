//! The convolutions of images, as `net.cnn` gives them.

use std::collections::BTreeMap;
use std::fmt;

use pavlov_nn::cnn::Architecture;
use pavlov_nn::{CnnConfig, NnError};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::observation::part_index;
use super::{ObservationPart, PartKind};

/// An image with a shorter side has no room for the Nature network, in pixels.
const SMALLEST_FOR_NATURE: i64 = 36;

/// The convolutions of an observation's images.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ImageConfig {
    /// The Nature network, or for an image whose shorter side is below 36 pixels MinAtar's; in a file the
    /// word "auto".
    #[default]
    Auto,
    /// Nothing: their numbers go to the hidden layers as they are; in a file the word "off".
    Off,
    /// These convolutions, for every image.
    Cnn(CnnConfig),
    /// For each image of a dict its own, by its key; those that are not named are as with "auto". In a file a
    /// table: `cnn = { camera = "nature", map = [{ filters = 16, kernel = 3 }] }`.
    ByKey(BTreeMap<String, ImageConfig>),
}

impl Serialize for ImageConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Off => serializer.serialize_str("off"),
            Self::Cnn(config) => config.serialize(serializer),
            Self::ByKey(entries) => entries.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ImageConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrLayers;

        impl<'de> Visitor<'de> for WordOrLayers {
            type Value = ImageConfig;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("\"auto\", \"off\", \"nature\", \"impala\", \"minatar\" a list of layers, or a table of these by the \
                               images' keys")
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

            fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<ImageConfig, A::Error> {
                BTreeMap::deserialize(MapAccessDeserializer::new(entries)).map(ImageConfig::ByKey)
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
            Self::ByKey(entries) => entries.values().try_for_each(Self::validate),
            Self::Auto | Self::Off => Ok(()),
        }
    }

    /// The convolutions of this part; `None` where it goes on as plain numbers.
    pub(super) fn convolutions(&self, part: &ObservationPart) -> Option<CnnConfig> {
        let PartKind::Image(image) = &part.kind else { return None };
        match self {
            Self::Off => None,
            Self::Cnn(cnn) => Some(cnn.clone()),
            Self::ByKey(entries) => entries.get(&part.key).unwrap_or(&Self::Auto).convolutions(part),
            Self::Auto if image.height.min(image.width) < SMALLEST_FOR_NATURE => {
                Some(CnnConfig::Named(Architecture::MinAtar))
            }
            Self::Auto => Some(CnnConfig::Named(Architecture::Nature)),
        }
    }

    /// Refuses keys that name no image of the observation.
    pub(super) fn check_keys(&self, parts: &[ObservationPart]) -> Result<(), NnError> {
        let Self::ByKey(entries) = self else { return Ok(()) };
        for key in entries.keys() {
            let part = &parts[part_index(parts, key)?];
            if !matches!(part.kind, PartKind::Image(_)) {
                let message = format!(
                    "net.cnn names the entry `{key}`, which is no picture: leave it out, or declare it one with \
                     net.layout = {{ {key} = \"channels_first\" }} (or \"channels_last\", \"grey\")"
                );
                return Err(NnError::Config(message));
            }
        }
        Ok(())
    }
}
