//! Multi-head attention (Vaswani et al. 2017).

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::dropout::dropout;
use super::item::{Built, Item, Site};
use super::linear::affine;
use super::{Dropout, at_least, is_no, is_yes, unfit, wrong_input, yes};
use crate::{Init, Layout, Module, NnError, ParameterId, Pass, Precision};

/// Multi-head attention, as PyTorch's `nn.MultiheadAttention` with `batch_first`. In a list of layers:
/// `{ attention = { heads = 4 } }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttentionConfig {
    /// Number of heads; it divides the width.
    pub heads: i64,
    /// Let each step see only itself and earlier steps.
    #[serde(default, skip_serializing_if = "is_no")]
    pub causal: bool,
    /// The share of attention weights that dropout silences in training, `0 <= dropout < 1`.
    #[serde(default, skip_serializing_if = "is_none_dropped")]
    pub dropout: f64,
    /// Add biases to the projections.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub bias: bool,
    /// Initialisation of the projections' weights. Default: the list's, otherwise PyTorch's. Biases start at
    /// zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<Init>,
    /// Number type of the projections. Default: the list's, otherwise f32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<Precision>,
}

// serde asks by reference.
fn is_none_dropped(share: &f64) -> bool {
    *share == 0.0
}

impl AttentionConfig {
    /// This number of heads, all other fields at their defaults.
    pub const fn new(heads: i64) -> Self {
        Self { heads, causal: false, dropout: 0.0, bias: true, init: None, precision: None }
    }

    pub(super) fn or(self, site: &Site<'_>) -> Self {
        Self {
            init: Some(self.init.unwrap_or(site.defaults.init)),
            precision: Some(self.precision.unwrap_or(site.defaults.precision)),
            ..self
        }
    }
}

/// The inputs of attention.
#[derive(Clone, Copy, Debug)]
pub struct Attended<'a> {
    /// Queries, f32 `[batch, queries, width]`.
    pub query: &'a Tensor,
    /// Keys, f32 `[batch, keys, width]`.
    pub key: &'a Tensor,
    /// Values, one for each key, f32 `[batch, keys, width]`.
    pub value: &'a Tensor,
    /// Mask of padding, `[batch, keys]` of any type: queries ignore keys where it is true or not 0. PyTorch's
    /// `key_padding_mask`.
    pub padding: Option<&'a Tensor>,
}

/// Multi-head attention: each query gets a mean of the values, weighted by the softmax of the scaled products
/// of query and keys.
///
/// Parameters: `in_proj_weight` (`[3 width, width]`: of queries, keys, values), `in_proj_bias` (`[3 width]`),
/// `out_proj.weight` (`[width, width]`), `out_proj.bias` (`[width]`).
#[derive(Clone, Debug)]
pub struct MultiHeadAttention {
    width: i64,
    heads: i64,
    causal: bool,
    dropout: f64,
    precision: Precision,
    inner: (ParameterId, Option<ParameterId>),
    outer: (ParameterId, Option<ParameterId>),
}

impl MultiHeadAttention {
    /// Describes a layer for vectors of this width and adds its parameters, named `prefix` + `in_proj_weight`
    /// and so on, to the layout.
    ///
    /// # Errors
    /// [`NnError::Config`] when the heads do not divide the width, another field makes no sense, or a name is
    /// taken.
    pub fn new(
        layout: &mut Layout,
        prefix: &str,
        width: i64,
        config: &AttentionConfig,
    ) -> Result<Self, NnError> {
        let AttentionConfig { heads, causal, dropout, bias, init, precision } = *config;
        at_least("the width", width, 1)?;
        at_least("heads", heads, 1)?;
        Dropout::new(dropout)?;
        if width % heads != 0 {
            return Err(NnError::Config(format!(
                "heads is {heads}: give a number that divides the width of {width}"
            )));
        }
        let init = init.unwrap_or_default();
        // PyTorch initialises the two projections differently.
        let inner_init = if init == Init::Torch { Init::XavierUniform } else { init };
        let mut add = |name: &str, rows: i64, init| -> Result<_, NnError> {
            // The names are `in_proj_weight`, but `out_proj.weight`.
            let weight = layout.add(format!("{prefix}{name}weight"), &[rows, width], init)?;
            let zero = Init::Constant { value: 0.0 };
            let bias = bias.then(|| layout.add(format!("{prefix}{name}bias"), &[rows], zero)).transpose()?;
            Ok((weight, bias))
        };
        let inner = add("in_proj_", 3 * width, inner_init)?;
        let outer = add("out_proj.", width, init)?;
        Ok(Self { width, heads, causal, dropout, precision: precision.unwrap_or_default(), inner, outer })
    }

    /// The weighted means for the queries, f32 `[batch, queries, width]`. A query whose keys are all padding
    /// gets zeros before the last projection, where PyTorch gives NaN.
    ///
    /// # Errors
    /// [`NnError::Shape`] when shapes or types do not fit.
    pub fn attend(&self, pass: &mut Pass<'_>, attended: &Attended<'_>) -> Result<Tensor, NnError> {
        self.check(attended)?;
        let [query, key, value] = self.projected(pass, attended)?;
        let mask = self.mask(attended)?;
        let mixed = match self.dropout > 0.0 && pass.is_training() {
            true => self.by_operations(pass, [&query, &key, &value], mask.as_ref())?,
            false => {
                let causal = self.causal && mask.is_none();
                let mask = mask.as_ref();
                Tensor::f_scaled_dot_product_attention(&query, &key, &value, mask, 0.0, causal, None, false)?
            }
        };
        let (batch, queries) = (attended.query.size()[0], attended.query.size()[1]);
        let rows = mixed.f_transpose(1, 2)?.f_reshape([batch, queries, self.width])?;
        let (weight, bias) = self.outer;
        affine(&rows, pass.get(weight)?, pass.get_if(bias)?, self.precision)
    }

    fn check(&self, attended: &Attended<'_>) -> Result<(), NnError> {
        let Attended { query, key, value, padding } = *attended;
        let width = self.width;
        for x in [query, key, value] {
            if x.dim() != 3 || x.size()[2] != width || x.kind() != Kind::Float {
                return Err(wrong_input("attention", format!("f32 [batch, steps, {width}]"), x));
            }
        }
        let keys = key.size();
        let fits = query.size()[0] == keys[0]
            && value.size() == keys
            && padding.is_none_or(|padding| padding.size() == keys[..2]);
        match fits {
            true => Ok(()),
            false => Err(NnError::Shape(format!(
                "attention of queries {:?} to keys {keys:?}, values {:?}, padding {:?}: give one batch, a \
                 value for each key, padding of [batch, keys]",
                query.size(),
                value.size(),
                padding.map(Tensor::size)
            ))),
        }
    }

    /// Queries, keys and values of each head, `[batch, heads, steps, width / heads]`.
    fn projected(&self, pass: &Pass<'_>, attended: &Attended<'_>) -> Result<[Tensor; 3], NnError> {
        let Attended { query, key, value, .. } = *attended;
        let (weight, bias) = (pass.get(self.inner.0)?, pass.get_if(self.inner.1)?);
        let parts = if std::ptr::eq(query, key) && std::ptr::eq(key, value) {
            affine(query, weight, bias, self.precision)?.f_chunk(3, 2)?
        } else {
            let (weights, biases) = (weight.f_chunk(3, 0)?, bias.map(|bias| bias.f_chunk(3, 0)).transpose()?);
            let part = |(index, x): (usize, &Tensor)| {
                affine(x, &weights[index], biases.as_ref().map(|biases| &biases[index]), self.precision)
            };
            [query, key, value].into_iter().enumerate().map(part).collect::<Result<Vec<_>, _>>()?
        };
        let split = |x: &Tensor| -> Result<Tensor, NnError> {
            let (batch, steps) = (x.size()[0], x.size()[1]);
            Ok(x.f_reshape([batch, steps, self.heads, self.width / self.heads])?.f_transpose(1, 2)?)
        };
        Ok([split(&parts[0])?, split(&parts[1])?, split(&parts[2])?])
    }

    /// True where a query sees a key; `None` where [`Tensor::f_scaled_dot_product_attention`] needs none.
    fn mask(&self, attended: &Attended<'_>) -> Result<Option<Tensor>, NnError> {
        let Some(padding) = attended.padding else { return Ok(None) };
        let (batch, keys) = (padding.size()[0], padding.size()[1]);
        let seen = padding.f_eq(0)?.f_reshape([batch, 1, 1, keys])?;
        match self.causal {
            true => Ok(Some(seen.f_logical_and(&past(attended.query.size()[1], keys, &seen)?)?)),
            false => Ok(Some(seen)),
        }
    }

    /// The weighted means with dropout of the weights, whose mask comes from the pass's generator.
    fn by_operations(
        &self,
        pass: &mut Pass<'_>,
        [query, key, value]: [&Tensor; 3],
        mask: Option<&Tensor>,
    ) -> Result<Tensor, NnError> {
        let scale = 1.0 / ((self.width / self.heads) as f64).sqrt();
        let mut scores = query.f_mul_scalar(scale)?.f_matmul(&key.f_transpose(-2, -1)?)?;
        let past = match self.causal && mask.is_none() {
            true => Some(past(query.size()[2], key.size()[2], query)?),
            false => None,
        };
        if let Some(seen) = mask.or(past.as_ref()) {
            scores = scores.f_masked_fill(&seen.f_logical_not()?, f64::NEG_INFINITY)?;
        }
        let weights = scores.f_internal_safe_softmax(-1, None)?;
        Ok(dropout(pass, &weights, self.dropout)?.f_matmul(value)?)
    }
}

/// True where the key is not after the query, `[queries, keys]`, on the device of `like`.
fn past(queries: i64, keys: i64, like: &Tensor) -> Result<Tensor, NnError> {
    Ok(Tensor::f_ones([queries, keys], (Kind::Bool, like.device()))?.f_tril(0)?)
}

impl Module for MultiHeadAttention {
    /// Self-attention: from f32 `[batch, steps, width]` to the same shape.
    fn forward(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        self.attend(pass, &Attended { query: x, key: x, value: x, padding: None })
    }
}

impl Item for AttentionConfig {
    fn build(&self, site: &mut Site<'_>, shape: &[i64]) -> Result<Built, NnError> {
        let width = sequence_width(shape)?;
        let config = self.or(site);
        let attention = MultiHeadAttention::new(site.layout, site.prefix, width, &config)?;
        Ok(Built::new(attention, shape.to_vec()))
    }
}

/// The width of the vectors of a sequence, which is what a sample must be.
pub(super) fn sequence_width(shape: &[i64]) -> Result<i64, NnError> {
    match *shape {
        [_, width] => Ok(width),
        _ => Err(unfit("sequences or sets [steps, width]", shape)),
    }
}
