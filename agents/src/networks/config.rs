//! The configuration of an agent's networks: the same words for every agent.

use std::fmt;

use pavlov_common::bounds::{fits, product};
use pavlov_nn::layers::{Defaults, Layers, takes_tokens};
use pavlov_nn::{Activation, Cell, Init, MlpConfig, NnError, Precision};
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use toml::Table;

use super::{DiscreteCode, ImageConfig, LayoutConfig};

/// The networks of an agent, `net.*` in a file.
///
/// An observation goes through the backbone, then through `trunk_sizes` and the memory, then through the
/// hidden layers of policy and of value (or critics). Which of these policy and value share, `shared` says
/// for agents that learn from rollouts; for agents that learn from a replay each has its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetConfig {
    /// From an observation to features: "auto" (convolutions for images, other numbers as they are), the name
    /// of a registered backbone, or a list of layers.
    pub backbone: BackboneConfig,
    /// Settings of a registered backbone.
    pub backbone_options: Table,
    /// The boxes that are pictures, and the places of their channels: "auto", a layout, or a table of layouts by the
    /// boxes' keys.
    pub layout: LayoutConfig,
    /// The convolutions of the standard backbone's images: "auto", "off", a name, a list of layers, or a
    /// table of these by the images' keys.
    pub cnn: ImageConfig,
    /// The code of discrete observations: "one_hot", "token" (for backbones that embed them), or
    /// `{ embedding = WIDTH }`, which embeds them.
    pub discrete: DiscreteConfig,
    /// The widths of layers between backbone and memory.
    pub trunk_sizes: Vec<i64>,
    /// The memory before the hidden layers: "off", "lstm" or "gru".
    pub recurrent: RecurrentConfig,
    /// The units of the memory.
    pub recurrent_size: i64,
    /// Added to the initial bias of the gate that keeps the memory's state, an LSTM's forget gate or a GRU's
    /// update gate (Jozefowicz et al. 2015): with 0, as PyTorch starts them, half of the state is gone after a step.
    pub recurrent_keep_bias: f64,
    /// Steps of the sequences that a memory learns from, a divisor of the rollout's; 0 takes whole rollouts, or, of
    /// an agent that learns from minibatches, sequences that fit into one.
    pub sequence_length: usize,
    /// True if policy and value share backbone, trunk and memory; otherwise each has its own.
    pub shared: bool,
    /// The widths of the hidden layers of the policy, or of action values.
    pub hidden_sizes: Vec<i64>,
    /// The widths of the hidden layers of the value, or of each critic; "same" takes `hidden_sizes`.
    pub value_hidden_sizes: ValueSizes,
    /// After each hidden layer.
    pub activation: Activation,
    /// True if weights start orthogonal: hidden layers with gain `sqrt(2)`, a policy's last one with 0.01, a
    /// value's with 1, biases zero; else as PyTorch's layers start.
    pub orthogonal_init: bool,
    /// True if each hidden layer is normalised before its activation (Ba et al. 2016).
    pub layer_norm: bool,
    /// The share of hidden units that dropout silences in updates, `0 <= dropout < 1`; never where the agent
    /// acts.
    pub dropout: f64,
    /// The type of number in which convolutions and layers multiply: "f32" or "bf16".
    pub precision: Precision,
}

impl Default for NetConfig {
    fn default() -> Self {
        Self {
            backbone: BackboneConfig::default(),
            backbone_options: Table::new(),
            layout: LayoutConfig::default(),
            cnn: ImageConfig::default(),
            discrete: DiscreteConfig::default(),
            trunk_sizes: Vec::new(),
            recurrent: RecurrentConfig::default(),
            recurrent_size: 256,
            recurrent_keep_bias: 1.0,
            sequence_length: 0,
            shared: false,
            hidden_sizes: vec![64, 64],
            value_hidden_sizes: ValueSizes::Same,
            activation: Activation::Tanh,
            orthogonal_init: true,
            layer_norm: false,
            dropout: 0.0,
            precision: Precision::default(),
        }
    }
}

/// The widest layer, and the most layers of one kind.
const LARGEST_SIZE: i64 = 1 << 20;
const MOST_LAYERS: usize = 64;
/// Bytes of a weight: the number, its gradient, an optimiser's two moments.
const BYTES_OF_WEIGHT: usize = 16;

impl NetConfig {
    /// Two hidden layers of `width` units with relu, started as PyTorch's: the default of agents that learn
    /// from a replay.
    pub fn relu(width: i64) -> Self {
        Self {
            hidden_sizes: vec![width, width],
            activation: Activation::Relu,
            orthogonal_init: false,
            ..Self::default()
        }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`NnError::Config`] naming the field that makes no sense.
    pub fn validate(&self) -> Result<(), NnError> {
        let refuse = |message: String| Err(NnError::Config(message));
        let sizes = [
            ("hidden_sizes", self.hidden_sizes.as_slice()),
            ("value_hidden_sizes", self.value_hidden_sizes()),
            ("trunk_sizes", &self.trunk_sizes),
            ("recurrent_size", &[self.recurrent_size]),
        ];
        for (key, sizes) in sizes {
            if let Some(size) = sizes.iter().find(|&&size| !(1..=LARGEST_SIZE).contains(&size)) {
                return refuse(format!(
                    "net.{key} has a size of {size}: give at least 1 and at most {LARGEST_SIZE}"
                ));
            }
            if sizes.len() > MOST_LAYERS {
                let count = sizes.len();
                return refuse(format!("net.{key} has {count} layers: give at most {MOST_LAYERS}"));
            }
            let weights: u128 =
                sizes.windows(2).map(|pair| product([pair[0] as usize, pair[1] as usize])).sum();
            let sizes = format!("{sizes:?}");
            fits(&format!("net.{key}"), sizes, weights * BYTES_OF_WEIGHT as u128).map_err(NnError::Config)?;
        }
        if !self.recurrent_keep_bias.is_finite() {
            let bias = self.recurrent_keep_bias;
            return refuse(format!(
                "net.recurrent_keep_bias is {bias}: give a finite number, usually 0 to 3"
            ));
        }
        self.mlp(&self.hidden_sizes, 1.0).validate()?;
        self.cnn.validate()?;
        if let DiscreteConfig::Embedding(width) = self.discrete
            && !(1..=LARGEST_SIZE).contains(&width)
        {
            return refuse(format!(
                "net.discrete: an embedding of {width} numbers: give at least 1 and at most {LARGEST_SIZE}"
            ));
        }
        let is_auto = self.backbone == BackboneConfig::Auto;
        if !is_auto && self.cnn != ImageConfig::Auto {
            let message =
                "net.cnn is for the standard backbone: set net.cnn = \"auto\", or leave net.backbone out";
            return refuse(message.into());
        }
        if !is_auto && matches!(self.discrete, DiscreteConfig::Embedding(_)) {
            let message = "net.discrete = { embedding = .. } is for the standard backbone: give \"token\", and let the \
                           backbone embed them";
            return refuse(message.into());
        }
        if is_auto && self.discrete == DiscreteConfig::Token {
            let message = "net.discrete = \"token\" is for backbones that embed tokens: give { embedding = 16 } to have \
                           the standard one embed them";
            return refuse(message.into());
        }
        if !matches!(self.backbone, BackboneConfig::Named(_)) && !self.backbone_options.is_empty() {
            return refuse(
                "net.backbone_options are for a registered backbone: name it in net.backbone".into(),
            );
        }
        Ok(())
    }

    /// Checks every field for an agent that learns from single transitions of a replay.
    ///
    /// # Errors
    /// [`NnError::Config`] naming the field that makes no sense there.
    pub fn validate_for_replay(&self) -> Result<(), NnError> {
        self.validate()?;
        let refuse = |key: &str, value: &str, why: &str| {
            Err(NnError::Config(format!("net.{key} must be {value} for this agent: {why}")))
        };
        if self.recurrent != RecurrentConfig::Off {
            return refuse(
                "recurrent",
                "\"off\"",
                "it learns from single transitions; a2c, ppo and impala take a memory",
            );
        }
        if self.sequence_length != 0 {
            return refuse("sequence_length", "0", "it learns from single transitions");
        }
        if self.shared {
            return refuse("shared", "false", "its networks share nothing");
        }
        Ok(())
    }

    /// Refuses sizes for a value's network of its own, for an agent that has one network.
    ///
    /// # Errors
    /// [`NnError::Config`] naming the field.
    pub fn refuse_value_sizes(&self) -> Result<(), NnError> {
        match self.value_hidden_sizes {
            ValueSizes::Same => Ok(()),
            ValueSizes::Sizes(_) => Err(NnError::Config(
                "net.value_hidden_sizes must be \"same\" for this agent: it has one network, whose sizes are \
                 net.hidden_sizes"
                    .into(),
            )),
        }
    }

    /// The hidden layers of the value, or of each critic.
    pub fn value_hidden_sizes(&self) -> &[i64] {
        match &self.value_hidden_sizes {
            ValueSizes::Same => &self.hidden_sizes,
            ValueSizes::Sizes(sizes) => sizes,
        }
    }

    /// The initial values of the weights of layers before the last one.
    pub fn hidden_init(&self) -> Init {
        match self.orthogonal_init {
            true => Init::Orthogonal { gain: 2f64.sqrt() },
            false => Init::Torch,
        }
    }

    /// The initial values of a list's layers, and the type of number in which they compute.
    pub(super) fn layer_defaults(&self) -> Defaults {
        Defaults { init: self.hidden_init(), precision: self.precision, ..Defaults::default() }
    }

    /// The code of an observation's discrete numbers for these networks.
    pub fn discrete_code(&self) -> DiscreteCode {
        let embeds = match &self.backbone {
            BackboneConfig::Layers(layers) => takes_tokens(layers),
            _ => false,
        };
        match self.discrete {
            DiscreteConfig::OneHot if !embeds => DiscreteCode::OneHot,
            _ => DiscreteCode::Token,
        }
    }

    /// The hidden layers and the last one of a head; `output_gain` is for one that starts orthogonal.
    pub fn mlp(&self, hidden_sizes: &[i64], output_gain: f64) -> MlpConfig {
        let output_init = match self.orthogonal_init {
            true => Init::Orthogonal { gain: output_gain },
            false => Init::Torch,
        };
        MlpConfig {
            hidden_sizes: hidden_sizes.to_vec(),
            activation: self.activation,
            output_activation: Activation::Identity,
            init: self.hidden_init(),
            output_init,
            layer_norm: self.layer_norm,
            dropout: self.dropout,
            precision: self.precision,
        }
    }
}

/// The backbone of an agent's networks.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum BackboneConfig {
    /// The standard one; in a file the word "auto".
    #[default]
    Auto,
    /// A registered one, by its name.
    Named(String),
    /// These layers.
    Layers(Layers),
}

impl Serialize for BackboneConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Named(name) => serializer.serialize_str(name),
            Self::Layers(layers) => layers.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for BackboneConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrLayers;

        impl<'de> Visitor<'de> for NameOrLayers {
            type Value = BackboneConfig;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("\"auto\", the name of a registered backbone, or a list of layers")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<BackboneConfig, E> {
                Ok(match name {
                    "auto" => BackboneConfig::Auto,
                    name => BackboneConfig::Named(name.to_string()),
                })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, layers: A) -> Result<BackboneConfig, A::Error> {
                Layers::deserialize(SeqAccessDeserializer::new(layers)).map(BackboneConfig::Layers)
            }
        }

        deserializer.deserialize_any(NameOrLayers)
    }
}

/// The code of discrete observations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiscreteConfig {
    /// As a row of zeros with a one in the number's place.
    #[default]
    OneHot,
    /// As i64 tokens, for a backbone that embeds them.
    Token,
    /// Embedded by the standard backbone as a row of so many numbers, which are learned.
    Embedding(i64),
}

impl DiscreteConfig {
    /// The width of the row that the standard backbone makes of a token.
    pub(super) fn embedding(self) -> i64 {
        match self {
            Self::Embedding(width) => width,
            Self::OneHot | Self::Token => 1,
        }
    }
}

/// The widths of hidden layers that may be those of another network.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ValueSizes {
    /// As the policy's; in a file the word "same".
    #[default]
    Same,
    /// These.
    Sizes(Vec<i64>),
}

impl Serialize for ValueSizes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Same => serializer.serialize_str("same"),
            Self::Sizes(sizes) => sizes.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ValueSizes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrSizes;

        impl<'de> Visitor<'de> for WordOrSizes {
            type Value = ValueSizes;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("\"same\" or a list of widths")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<ValueSizes, E> {
                match word {
                    "same" => Ok(ValueSizes::Same),
                    other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, sizes: A) -> Result<ValueSizes, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(sizes)).map(ValueSizes::Sizes)
            }
        }

        deserializer.deserialize_any(WordOrSizes)
    }
}

/// The kind of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecurrentConfig {
    /// None.
    #[default]
    Off,
    /// An LSTM layer.
    Lstm,
    /// A GRU layer.
    Gru,
}

impl RecurrentConfig {
    pub(super) fn cell(self) -> Option<Cell> {
        match self {
            Self::Off => None,
            Self::Lstm => Some(Cell::Lstm),
            Self::Gru => Some(Cell::Gru),
        }
    }
}
