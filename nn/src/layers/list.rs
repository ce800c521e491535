//! Lists of layers as they stand in a file.

use std::fmt;
use std::ops::Deref;

use pavlov_common::did_you_mean;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::attention::AttentionConfig;
use super::batch_norm::BatchNormConfig;
use super::branches::{AddConfig, ConcatConfig, ResidualConfig};
use super::build;
use super::conv::{Conv1dConfig, Conv2dConfig, ConvTranspose2dConfig};
use super::dropout::DropoutConfig;
use super::embedding::EmbeddingConfig;
use super::item::{Built, Item, Short, Site};
use super::leaky_relu::LeakyReluConfig;
use super::linear::LinearConfig;
use super::magnitude::Magnitude;
use super::norm::{GroupNormConfig, LayerNormConfig, RmsNormConfig};
use super::pad::{Pad1d, Pad2d};
use super::pool::{
    AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveMaxPool1d, AdaptiveMaxPool2d, AvgPool1d, AvgPool2d,
    MaxPool1d, MaxPool2d,
};
use super::position::PositionEmbeddingConfig;
use super::recurrent::{GruConfig, LstmConfig};
use super::reduce::{Max, Mean};
use super::shape::{Flatten, Reshape, Transpose, Unsqueeze};
use super::transformer::{TransformerBlockConfig, TransformerConfig};
use super::upsample::Upsample;
use crate::{Activation, NnError};

/// Defines [`LayerConfig`] from one line for each layer.
macro_rules! layers {
    ($($(#[$doc:meta])* $variant:ident($config:ty) = $name:literal,)*) => {
        /// One layer of a list in a file: its name, or a table of one key, `{ name = ... }`.
        ///
        /// ```
        /// # use pavlov_nn::layers::{LayerConfig, Layers};
        /// #[derive(serde::Deserialize, serde::Serialize)]
        /// struct Net {
        ///     layers: Layers,
        /// }
        /// let conv = "{ conv2d = { filters = 32, kernel = 8, stride = 4 } }";
        /// let text = format!(r#"layers = [{conv}, "relu", "flatten", {{ linear = 64 }}]"#);
        /// let net: Net = toml::from_str(&text)?;
        /// assert_eq!(net.layers[3].name(), "linear");
        /// assert_eq!(toml::from_str::<Net>(&toml::to_string(&net)?)?.layers, net.layers);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        #[derive(Clone, Debug, PartialEq)]
        pub enum LayerConfig {
            /// An activation function, by its name: `"relu"`.
            Activation(Activation),
            $($(#[$doc])* $variant($config),)*
        }

        impl LayerConfig {
            /// The layer's name in a file.
            pub fn name(&self) -> &'static str {
                match self {
                    Self::Activation(activation) => activation.name(),
                    $(Self::$variant(_) => $name,)*
                }
            }

            pub(super) fn names() -> impl Iterator<Item = &'static str> {
                // A leaky ReLU has a slope as a layer, and is an activation too.
                let own = [$($name),*];
                let others = Activation::ALL.into_iter().map(Activation::name);
                own.into_iter().chain(others.filter(move |name| !own.contains(name)))
            }

            /// The layer of this name and short form: `None` if no layer has the name, `Some(None)` if it has
            /// no such form.
            fn from_short(name: &str, short: Short) -> Option<Option<Self>> {
                match name {
                    $($name => Some(<$config>::from_short(short).map(Self::$variant)),)*
                    _ => {
                        let activation = Activation::ALL.into_iter().find(|each| each.name() == name)?;
                        Some(short.word().map(|()| Self::Activation(activation)))
                    }
                }
            }

            /// The layer of this name from its table or list, `None` if no layer has the name.
            fn from_whole<'de, D: Deserializer<'de>>(name: &str, whole: D) -> Option<Result<Self, D::Error>> {
                match name {
                    $($name => Some(<$config>::deserialize(whole).map(Self::$variant)),)*
                    _ => Activation::ALL.iter().any(|each| each.name() == name).then(|| {
                        Err(D::Error::custom(format!("it has no settings: write \"{name}\"")))
                    }),
                }
            }

            fn to_short(&self) -> Option<Short> {
                match self {
                    Self::Activation(_) => Some(Short::Word),
                    $(Self::$variant(config) => config.to_short(),)*
                }
            }

            fn serialize_whole<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
                match self {
                    Self::Activation(_) => Ok(()),
                    $(Self::$variant(config) => map.serialize_entry($name, config),)*
                }
            }

            pub(super) fn keeps_numbers(&self) -> bool {
                match self {
                    Self::Activation(_) => false,
                    $(Self::$variant(config) => config.keeps_numbers(),)*
                }
            }

            pub(super) fn build(&self, site: &mut Site<'_>, shape: &[i64]) -> Result<Built, NnError> {
                match self {
                    Self::Activation(activation) => Ok(Built::new(*activation, shape.to_vec())),
                    $(Self::$variant(config) => config.build(site, shape),)*
                }
            }
        }
    };
}

layers! {
    /// `{ linear = 64 }`
    Linear(LinearConfig) = "linear",
    /// `{ conv1d = { filters = 16, kernel = 3 } }`
    Conv1d(Conv1dConfig) = "conv1d",
    /// `{ conv2d = { filters = 32, kernel = 8, stride = 4 } }`
    Conv2d(Conv2dConfig) = "conv2d",
    /// `{ conv_transpose2d = { filters = 16, kernel = 4, stride = 2, padding = 1 } }`
    ConvTranspose2d(ConvTranspose2dConfig) = "conv_transpose2d",
    /// `{ pad1d = { after = 64, mode = "reflect" } }`
    Pad1d(Pad1d) = "pad1d",
    /// `{ pad2d = 1 }`
    Pad2d(Pad2d) = "pad2d",
    /// `"magnitude"`
    Magnitude(Magnitude) = "magnitude",
    /// `{ max_pool1d = 2 }`
    MaxPool1d(MaxPool1d) = "max_pool1d",
    /// `{ max_pool2d = 2 }`
    MaxPool2d(MaxPool2d) = "max_pool2d",
    /// `{ avg_pool1d = 2 }`
    AvgPool1d(AvgPool1d) = "avg_pool1d",
    /// `{ avg_pool2d = 2 }`
    AvgPool2d(AvgPool2d) = "avg_pool2d",
    /// `{ adaptive_max_pool1d = 1 }`
    AdaptiveMaxPool1d(AdaptiveMaxPool1d) = "adaptive_max_pool1d",
    /// `{ adaptive_max_pool2d = 1 }`
    AdaptiveMaxPool2d(AdaptiveMaxPool2d) = "adaptive_max_pool2d",
    /// `{ adaptive_avg_pool1d = 1 }`
    AdaptiveAvgPool1d(AdaptiveAvgPool1d) = "adaptive_avg_pool1d",
    /// `{ adaptive_avg_pool2d = 1 }`
    AdaptiveAvgPool2d(AdaptiveAvgPool2d) = "adaptive_avg_pool2d",
    /// `{ upsample = 2 }`
    Upsample(Upsample) = "upsample",
    /// `{ mean = 0 }`
    Mean(Mean) = "mean",
    /// `{ max = 0 }`
    Max(Max) = "max",
    /// `{ embedding = { vocabulary = 10, width = 16 } }`
    Embedding(EmbeddingConfig) = "embedding",
    /// `"position_embedding"`
    PositionEmbedding(PositionEmbeddingConfig) = "position_embedding",
    /// `{ attention = { heads = 4 } }`
    Attention(AttentionConfig) = "attention",
    /// `{ transformer_block = { heads = 4, feedforward = 128 } }`
    TransformerBlock(TransformerBlockConfig) = "transformer_block",
    /// `{ transformer = { layers = 2, heads = 4, feedforward = 128 } }`
    Transformer(TransformerConfig) = "transformer",
    /// `{ lstm = 128 }`
    Lstm(LstmConfig) = "lstm",
    /// `{ gru = { size = 64, bidirectional = true } }`
    Gru(GruConfig) = "gru",
    /// `"batch_norm"`
    BatchNorm(BatchNormConfig) = "batch_norm",
    /// `"layer_norm"`
    LayerNorm(LayerNormConfig) = "layer_norm",
    /// `{ group_norm = 8 }`
    GroupNorm(GroupNormConfig) = "group_norm",
    /// `"rms_norm"`
    RmsNorm(RmsNormConfig) = "rms_norm",
    /// `"leaky_relu"`, or `{ leaky_relu = 0.2 }`
    LeakyRelu(LeakyReluConfig) = "leaky_relu",
    /// `{ dropout = 0.1 }`
    Dropout(DropoutConfig) = "dropout",
    /// `"flatten"`
    Flatten(Flatten) = "flatten",
    /// `{ reshape = [16, 5, 5] }`
    Reshape(Reshape) = "reshape",
    /// `{ unsqueeze = 0 }`
    Unsqueeze(Unsqueeze) = "unsqueeze",
    /// `{ transpose = [0, 1] }`
    Transpose(Transpose) = "transpose",
    /// `{ residual = [...] }`
    Residual(ResidualConfig) = "residual",
    /// `{ concat = [[...], [...]] }`
    Concat(ConcatConfig) = "concat",
    /// `{ add = [[...], [...]] }`
    Add(AddConfig) = "add",
}

/// A list of layers in a file. Its errors name the layer by its place, counted from 0 as PyTorch counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layers(pub Vec<LayerConfig>);

/// True where an embedding reads the list's own input, which has to be tokens then.
pub fn takes_tokens(layers: &[LayerConfig]) -> bool {
    for layer in layers {
        let reads = match layer {
            LayerConfig::Embedding(_) => true,
            LayerConfig::Residual(inside) => takes_tokens(&inside.layers) || takes_tokens(&inside.projection),
            LayerConfig::Concat(inside) => inside.branches.iter().any(|branch| takes_tokens(branch)),
            LayerConfig::Add(inside) => inside.branches.iter().any(|branch| takes_tokens(branch)),
            _ => false,
        };
        if reads || !layer.keeps_numbers() {
            return reads;
        }
    }
    false
}

impl Deref for Layers {
    type Target = [LayerConfig];

    fn deref(&self) -> &[LayerConfig] {
        &self.0
    }
}

impl From<Vec<LayerConfig>> for Layers {
    fn from(layers: Vec<LayerConfig>) -> Self {
        Self(layers)
    }
}

impl Serialize for Layers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl Serialize for LayerConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let short = self.to_short();
        if short == Some(Short::Word) {
            return serializer.serialize_str(self.name());
        }
        let mut map = serializer.serialize_map(Some(1))?;
        match short {
            Some(Short::Whole(number)) => map.serialize_entry(self.name(), &number)?,
            Some(Short::Real(number)) => map.serialize_entry(self.name(), &number)?,
            _ => self.serialize_whole(&mut map)?,
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for LayerConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        At(None).deserialize(deserializer)
    }
}

impl<'de> Deserialize<'de> for Layers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = Layers;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a list of layers")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Layers, A::Error> {
                let mut layers = Vec::new();
                while let Some(layer) = items.next_element_seed(At(Some(layers.len())))? {
                    layers.push(layer);
                }
                Ok(Layers(layers))
            }
        }

        deserializer.deserialize_seq(List)
    }
}

/// A layer at this place of its list, or outside of one.
#[derive(Clone, Copy)]
struct At(Option<usize>);

impl At {
    fn error<E: Error>(self, name: &str, message: impl fmt::Display) -> E {
        match self.0 {
            Some(index) => E::custom(build::placed(index, name, &message.to_string())),
            None => E::custom(format!("{name}: {message}")),
        }
    }

    fn unknown<E: Error>(self, name: &str) -> E {
        let place = self.0.map_or_else(String::new, |index| format!("layer {index}: "));
        let known = LayerConfig::names().collect::<Vec<_>>();
        let (hint, known) = (did_you_mean(name, known.iter().copied()), known.join(", "));
        E::custom(format!("{place}unknown layer `{name}`{hint}; there are: {known}"))
    }

    fn short<E: Error>(self, name: &str, short: Short) -> Result<LayerConfig, E> {
        let layer = LayerConfig::from_short(name, short).ok_or_else(|| self.unknown(name))?;
        layer.ok_or_else(|| match short {
            Short::Word => self.error(name, format!("it needs settings: write {{ {name} = ... }}")),
            _ if Activation::ALL.iter().any(|each| each.name() == name) => {
                self.error(name, format!("it has no settings: write \"{name}\""))
            }
            Short::Real(_) => {
                self.error(name, "a fraction does not fit here: give a whole number, or a table")
            }
            _ => self.error(name, "a number alone does not say enough: give a table of its settings"),
        })
    }
}

impl<'de> DeserializeSeed<'de> for At {
    type Value = LayerConfig;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<LayerConfig, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At {
    type Value = LayerConfig;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a layer: its name, or a table of one key such as { linear = 64 }")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<LayerConfig, E> {
        self.short(name, Short::Word)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LayerConfig, A::Error> {
        let Some(name) = map.next_key::<String>()? else {
            return Err(A::Error::custom(
                "a layer is a table of one key, such as { linear = 64 }: this one is empty",
            ));
        };
        let layer = map.next_value_seed(Settings { at: self, name: &name })?;
        if let Some(other) = map.next_key::<String>()? {
            return Err(
                self.error(&name, format!("a layer is a table of one key, and `{other}` is a second one"))
            );
        }
        Ok(layer)
    }
}

/// Reads the settings after a layer's name.
struct Settings<'n> {
    at: At,
    name: &'n str,
}

impl Settings<'_> {
    fn whole<'de, D: Deserializer<'de>>(self, whole: D) -> Result<LayerConfig, D::Error> {
        let layer = LayerConfig::from_whole(self.name, whole).ok_or_else(|| self.at.unknown(self.name))?;
        layer.map_err(|error| self.at.error(self.name, explained(error.to_string().trim())))
    }
}

impl<'de> DeserializeSeed<'de> for Settings<'_> {
    type Value = LayerConfig;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<LayerConfig, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Settings<'_> {
    type Value = LayerConfig;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the settings of {}", self.name)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<LayerConfig, E> {
        self.at.short(self.name, Short::Whole(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<LayerConfig, E> {
        self.at.short(self.name, Short::Whole(i64::try_from(number).map_err(E::custom)?))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<LayerConfig, E> {
        self.at.short(self.name, Short::Real(number))
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<LayerConfig, A::Error> {
        self.whole(MapAccessDeserializer::new(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<LayerConfig, A::Error> {
        self.whole(SeqAccessDeserializer::new(items))
    }
}

/// serde's "unknown field `x`, expected one of `a`, `b`" with the nearest name.
fn explained(message: &str) -> String {
    let Some(start) = message.find("unknown field `") else { return message.to_string() };
    let (place, rest) = message.split_at(start);
    let quoted: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    let Some((name, known)) = quoted.split_first() else { return message.to_string() };
    let hint = did_you_mean(name, known.iter().copied());
    format!("{place}unknown key `{name}`{hint}; there are: {}", known.join(", "))
}
