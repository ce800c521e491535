//! Transformer encoders (Vaswani et al. 2017).

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::attention::sequence_width;
use super::dropout::dropout;
use super::item::{Built, Item, Site};
use super::{
    Attended, AttentionConfig, Dropout, EPS, LayerNorm, LayerNormConfig, Linear, LinearConfig,
    MultiHeadAttention, Sequential, at_least, eps, is_eps, is_no,
};
use crate::{Activation, Init, Layout, Module, NnError, Pass, Precision};

/// Largest number of blocks of one transformer.
const MOST_BLOCKS: i64 = 1000;

/// One block of a transformer encoder, as PyTorch's `nn.TransformerEncoderLayer` with `batch_first`. In a
/// list of layers: `{ transformer_block = { heads = 4, feedforward = 128 } }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransformerBlockConfig {
    /// Number of heads; it divides the width.
    pub heads: i64,
    /// Number of units between the two linear layers.
    #[serde(default = "feedforward", skip_serializing_if = "is_feedforward")]
    pub feedforward: i64,
    /// The share that dropout silences in training, `0 <= dropout < 1`: of attention weights, of the hidden
    /// units, and of what each half adds.
    #[serde(default = "share", skip_serializing_if = "is_share")]
    pub dropout: f64,
    /// Activation after the first linear layer.
    #[serde(default, skip_serializing_if = "is_relu")]
    pub activation: Activation,
    /// Normalise the input of each half (Xiong et al. 2020) instead of each sum.
    #[serde(default, skip_serializing_if = "is_no")]
    pub norm_first: bool,
    /// Added to the variance by layer norm.
    #[serde(default = "eps", skip_serializing_if = "is_eps")]
    pub eps: f64,
    /// Let each step see only itself and earlier steps.
    #[serde(default, skip_serializing_if = "is_no")]
    pub causal: bool,
    /// Initialisation of weights. Default: the list's, otherwise PyTorch's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<Init>,
    /// Number type of the linear layers. Default: the list's, otherwise f32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<Precision>,
}

/// Blocks of a transformer encoder one after the other, as PyTorch's `nn.TransformerEncoder`. In a list of
/// layers: `{ transformer = { layers = 2, heads = 4, feedforward = 128 } }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransformerConfig {
    /// Number of blocks.
    pub layers: i64,
    /// As [`TransformerBlockConfig::heads`].
    pub heads: i64,
    /// As [`TransformerBlockConfig::feedforward`].
    #[serde(default = "feedforward", skip_serializing_if = "is_feedforward")]
    pub feedforward: i64,
    /// As [`TransformerBlockConfig::dropout`].
    #[serde(default = "share", skip_serializing_if = "is_share")]
    pub dropout: f64,
    /// As [`TransformerBlockConfig::activation`].
    #[serde(default, skip_serializing_if = "is_relu")]
    pub activation: Activation,
    /// As [`TransformerBlockConfig::norm_first`].
    #[serde(default, skip_serializing_if = "is_no")]
    pub norm_first: bool,
    /// Add a layer norm after the last block, as is customary with `norm_first`.
    #[serde(default, skip_serializing_if = "is_no")]
    pub final_norm: bool,
    /// As [`TransformerBlockConfig::eps`].
    #[serde(default = "eps", skip_serializing_if = "is_eps")]
    pub eps: f64,
    /// As [`TransformerBlockConfig::causal`].
    #[serde(default, skip_serializing_if = "is_no")]
    pub causal: bool,
    /// As [`TransformerBlockConfig::init`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<Init>,
    /// As [`TransformerBlockConfig::precision`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<Precision>,
}

const FEEDFORWARD: i64 = 2048;
const DROPOUT: f64 = 0.1;

fn feedforward() -> i64 {
    FEEDFORWARD
}

fn share() -> f64 {
    DROPOUT
}

// serde asks by reference.
fn is_feedforward(value: &i64) -> bool {
    *value == FEEDFORWARD
}

fn is_share(value: &f64) -> bool {
    *value == DROPOUT
}

fn is_relu(value: &Activation) -> bool {
    *value == Activation::Relu
}

impl TransformerBlockConfig {
    /// This number of heads, all other fields at their defaults.
    pub const fn new(heads: i64) -> Self {
        Self {
            heads,
            feedforward: FEEDFORWARD,
            dropout: DROPOUT,
            activation: Activation::Relu,
            norm_first: false,
            eps: EPS,
            causal: false,
            init: None,
            precision: None,
        }
    }

    fn or(self, site: &Site<'_>) -> Self {
        Self {
            init: Some(self.init.unwrap_or(site.defaults.init)),
            precision: Some(self.precision.unwrap_or(site.defaults.precision)),
            ..self
        }
    }
}

impl TransformerConfig {
    /// These numbers of blocks and heads, all other fields at their defaults.
    pub const fn new(layers: i64, heads: i64) -> Self {
        let block = TransformerBlockConfig::new(heads);
        Self {
            layers,
            heads,
            feedforward: block.feedforward,
            dropout: block.dropout,
            activation: block.activation,
            norm_first: block.norm_first,
            final_norm: false,
            eps: block.eps,
            causal: block.causal,
            init: None,
            precision: None,
        }
    }

    fn block(&self) -> TransformerBlockConfig {
        let Self {
            heads, feedforward, dropout, activation, norm_first, eps, causal, init, precision, ..
        } = *self;
        TransformerBlockConfig {
            heads,
            feedforward,
            dropout,
            activation,
            norm_first,
            eps,
            causal,
            init,
            precision,
        }
    }
}

/// One block: attention, then two linear layers, each added to its input.
///
/// Parameters are those of `self_attn.` ([`MultiHeadAttention`]), `linear1.`, `linear2.`, `norm1.`, `norm2.`.
#[derive(Clone, Debug)]
pub struct TransformerBlock {
    attention: MultiHeadAttention,
    feedforward: Sequential,
    norms: [LayerNorm; 2],
    norm_first: bool,
    dropout: f64,
}

impl TransformerBlock {
    /// Describes a block for vectors of this width and adds its parameters, named `prefix` + `linear1.weight`
    /// and so on, to the layout.
    ///
    /// # Errors
    /// [`NnError::Config`] when the heads do not divide the width, another field makes no sense, or a name is
    /// taken.
    pub fn new(
        layout: &mut Layout,
        prefix: &str,
        width: i64,
        config: &TransformerBlockConfig,
    ) -> Result<Self, NnError> {
        let TransformerBlockConfig { heads, dropout, causal, init, precision, .. } = *config;
        at_least("feedforward", config.feedforward, 1)?;
        let attention = AttentionConfig { causal, dropout, init, precision, ..AttentionConfig::new(heads) };
        let attention = MultiHeadAttention::new(layout, &format!("{prefix}self_attn."), width, &attention)?;
        let mut linear = |name: &str, inputs, units| {
            let config = LinearConfig { init, precision, ..LinearConfig::new(units) };
            Linear::new(layout, &format!("{prefix}{name}."), inputs, &config)
        };
        let feedforward = Sequential::default()
            .then(linear("linear1", width, config.feedforward)?)
            .then(config.activation)
            .then(Dropout::new(dropout)?)
            .then(linear("linear2", config.feedforward, width)?);
        let norm_config = LayerNormConfig { eps: config.eps, ..LayerNormConfig::default() };
        let mut norm =
            |name: &str| LayerNorm::new(layout, &format!("{prefix}{name}."), &[width], &norm_config);
        let norms = [norm("norm1")?, norm("norm2")?];
        Ok(Self { attention, feedforward, norms, norm_first: config.norm_first, dropout })
    }

    /// As [`Module::forward`], with keys that are only padding: `[batch, steps]` of any type, true or
    /// not 0 where a step is to be ignored.
    ///
    /// # Errors
    /// [`NnError::Shape`] when shapes or types do not fit.
    pub fn forward_padded(
        &self,
        pass: &mut Pass<'_>,
        x: &Tensor,
        padding: Option<&Tensor>,
    ) -> Result<Tensor, NnError> {
        let [first, second] = &self.norms;
        let attend = |pass: &mut Pass<'_>, x: &Tensor| {
            let mixed = self.attention.attend(pass, &Attended { query: x, key: x, value: x, padding })?;
            dropout(pass, &mixed, self.dropout)
        };
        let feed = |pass: &mut Pass<'_>, x: &Tensor| {
            let fed = self.feedforward.forward(pass, x)?;
            dropout(pass, &fed, self.dropout)
        };
        if self.norm_first {
            let normed = first.forward(pass, x)?;
            let x = x.f_add(&attend(pass, &normed)?)?;
            let normed = second.forward(pass, &x)?;
            return Ok(x.f_add(&feed(pass, &normed)?)?);
        }
        let sum = x.f_add(&attend(pass, x)?)?;
        let x = first.forward(pass, &sum)?;
        let sum = x.f_add(&feed(pass, &x)?)?;
        second.forward(pass, &sum)
    }
}

impl Module for TransformerBlock {
    /// From f32 `[batch, steps, width]` to the same shape.
    fn forward(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        self.forward_padded(pass, x, None)
    }
}

/// Blocks one after the other, and a layer norm at the end if it is asked for.
///
/// Parameters are those of `layers.0.` ([`TransformerBlock`]), `layers.1.` and so on, and `norm.`.
#[derive(Clone, Debug)]
pub struct Transformer {
    blocks: Vec<TransformerBlock>,
    norm: Option<LayerNorm>,
}

impl Transformer {
    /// Describes an encoder for vectors of this width and adds its parameters, named `prefix` +
    /// `layers.0.linear1.weight` and so on, to the layout.
    ///
    /// # Errors
    /// As [`TransformerBlock::new`].
    pub fn new(
        layout: &mut Layout,
        prefix: &str,
        width: i64,
        config: &TransformerConfig,
    ) -> Result<Self, NnError> {
        at_least("layers", config.layers, 1)?;
        if config.layers > MOST_BLOCKS {
            let layers = config.layers;
            return Err(NnError::Config(format!("layers is {layers}: give at most {MOST_BLOCKS}")));
        }
        let block = config.block();
        let blocks = (0..config.layers)
            .map(|index| TransformerBlock::new(layout, &format!("{prefix}layers.{index}."), width, &block))
            .collect::<Result<_, _>>()?;
        let norm_config = LayerNormConfig { eps: config.eps, ..LayerNormConfig::default() };
        let norm = match config.final_norm {
            true => Some(LayerNorm::new(layout, &format!("{prefix}norm."), &[width], &norm_config)?),
            false => None,
        };
        Ok(Self { blocks, norm })
    }

    /// As [`TransformerBlock::forward_padded`].
    ///
    /// # Errors
    /// [`NnError::Shape`] when shapes or types do not fit.
    pub fn forward_padded(
        &self,
        pass: &mut Pass<'_>,
        x: &Tensor,
        padding: Option<&Tensor>,
    ) -> Result<Tensor, NnError> {
        let mut x = x.shallow_clone();
        for block in &self.blocks {
            x = block.forward_padded(pass, &x, padding)?;
        }
        match &self.norm {
            Some(norm) => norm.forward(pass, &x),
            None => Ok(x),
        }
    }
}

impl Module for Transformer {
    /// From f32 `[batch, steps, width]` to the same shape.
    fn forward(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        self.forward_padded(pass, x, None)
    }
}

impl Item for TransformerBlockConfig {
    fn build(&self, site: &mut Site<'_>, shape: &[i64]) -> Result<Built, NnError> {
        let config = self.or(site);
        let block = TransformerBlock::new(site.layout, site.prefix, sequence_width(shape)?, &config)?;
        Ok(Built::new(block, shape.to_vec()))
    }
}

impl Item for TransformerConfig {
    fn build(&self, site: &mut Site<'_>, shape: &[i64]) -> Result<Built, NnError> {
        let config = Self {
            init: Some(self.init.unwrap_or(site.defaults.init)),
            precision: Some(self.precision.unwrap_or(site.defaults.precision)),
            ..*self
        };
        let transformer = Transformer::new(site.layout, site.prefix, sequence_width(shape)?, &config)?;
        Ok(Built::new(transformer, shape.to_vec()))
    }
}
