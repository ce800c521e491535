//! Vectors for tokens.

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::at_least;
use super::item::{Built, Item, Site};
use crate::shim::on_the_cpu_alone;
use crate::{Init, Layout, Module, NnError, ParameterId, Pass};

/// A vector for each token, as PyTorch's `nn.Embedding`. In a list of layers:
/// `{ embedding = { vocabulary = 10, width = 16 } }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingConfig {
    /// Number of tokens, which are `0..vocabulary`.
    pub vocabulary: i64,
    /// Length of a token's vector.
    pub width: i64,
    /// Initialisation of the vectors. Default: standard normal, as PyTorch's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<Init>,
}

impl EmbeddingConfig {
    /// A vocabulary and a width, all other fields at their defaults.
    pub const fn new(vocabulary: i64, width: i64) -> Self {
        Self { vocabulary, width, init: None }
    }
}

/// A vector for each token.
///
/// Parameters: `weight` (`[vocabulary, width]`).
#[derive(Clone, Debug)]
pub struct Embedding {
    vocabulary: i64,
    weight: ParameterId,
}

impl Embedding {
    /// Describes a layer and adds its parameter, named `prefix` + `weight`, to the layout.
    ///
    /// # Errors
    /// [`NnError::Config`] for no tokens or numbers, or a name that is taken.
    pub fn new(layout: &mut Layout, prefix: &str, config: &EmbeddingConfig) -> Result<Self, NnError> {
        let EmbeddingConfig { vocabulary, width, init } = *config;
        at_least("vocabulary", vocabulary, 1)?;
        at_least("width", width, 1)?;
        let init = init.unwrap_or(Init::Normal { deviation: 1.0 });
        Ok(Self { vocabulary, weight: layout.add(format!("{prefix}weight"), &[vocabulary, width], init)? })
    }

    /// Checks the tokens on the CPU. On a GPU the check would wait for the device; a wrong token there is
    /// libtorch's to report.
    fn check(&self, x: &Tensor, tokens: &Tensor) -> Result<(), NnError> {
        if x.device() != Device::Cpu || x.numel() == 0 {
            return Ok(());
        }
        on_the_cpu_alone(|| self.check_each(x, tokens))
    }

    fn check_each(&self, x: &Tensor, tokens: &Tensor) -> Result<(), NnError> {
        let (least, largest) = tokens.f_aminmax(None, false)?;
        let (least, largest) = (least.f_int64_value(&[])?, largest.f_int64_value(&[])?);
        if least < 0 || largest >= self.vocabulary {
            return Err(NnError::Shape(format!(
                "an embedding of {} tokens got tokens from {least} to {largest}: give a larger vocabulary, \
                 or tokens from 0 to {}",
                self.vocabulary,
                self.vocabulary - 1
            )));
        }
        let is_whole = x.kind() == Kind::Int64 || x.f_equal(&tokens.f_to_kind(x.kind())?)?;
        match is_whole {
            true => Ok(()),
            false => Err(NnError::Shape("an embedding takes tokens: whole numbers, these are not".into())),
        }
    }
}

impl Module for Embedding {
    /// From tokens (`[batch, ...]`, i64, or whole numbers of another type) to f32 `[batch, ..., width]`.
    fn forward(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        let tokens = x.f_to_kind(Kind::Int64)?;
        self.check(x, &tokens)?;
        Ok(Tensor::f_embedding(pass.get(self.weight)?, &tokens, -1, false, false)?)
    }
}

impl Item for EmbeddingConfig {
    fn build(&self, site: &mut Site<'_>, shape: &[i64]) -> Result<Built, NnError> {
        if !site.is_input {
            let message = "it takes tokens, and gets numbers that another layer computed: put it first";
            return Err(NnError::Config(message.into()));
        }
        let embedding = Embedding::new(site.layout, site.prefix, self)?;
        Ok(Built::new(embedding, [shape, &[self.width]].concat()))
    }
}
