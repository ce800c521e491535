//! Vectors for the places of a sequence.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::item::{Built, Item, Short, Site};
use super::{at_least, unfit, wrong_input};
use crate::{Init, Layout, Module, NnError, ParameterId, Pass};

/// Adds a learned vector to each step of a sequence, by its place (Vaswani et al. 2017, section 3.5). In a
/// list of layers: `"position_embedding"`, or `{ position_embedding = 128 }` for sequences of up to 128
/// steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PositionEmbeddingConfig {
    /// The most steps of a sequence; 0 takes as many as the list's samples have.
    pub steps: i64,
    /// Initialisation of the vectors. Default: normal with deviation 0.02, as in GPT-2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<Init>,
}

/// A learned vector for each place of a sequence.
///
/// Parameters: `weight` (`[steps, width]`).
#[derive(Clone, Debug)]
pub struct PositionEmbedding {
    steps: i64,
    width: i64,
    weight: ParameterId,
}

impl PositionEmbedding {
    /// Describes a layer for sequences of up to `steps` vectors of this width and adds its parameter, named
    /// `prefix` + `weight`, to the layout.
    ///
    /// # Errors
    /// [`NnError::Config`] for no steps or numbers, or a name that is taken.
    pub fn new(
        layout: &mut Layout,
        prefix: &str,
        [steps, width]: [i64; 2],
        init: Option<Init>,
    ) -> Result<Self, NnError> {
        at_least("steps", steps, 1)?;
        at_least("width", width, 1)?;
        let init = init.unwrap_or(Init::Normal { deviation: 0.02 });
        Ok(Self { steps, width, weight: layout.add(format!("{prefix}weight"), &[steps, width], init)? })
    }
}

impl Module for PositionEmbedding {
    /// From f32 `[batch, steps, width]` to the same shape.
    fn forward(&self, pass: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        match x.size()[..] {
            [_, steps, width] if steps <= self.steps && width == self.width && x.kind() == Kind::Float => {
                Ok(x.f_add(&pass.get(self.weight)?.f_narrow(0, 0, steps)?)?)
            }
            _ => {
                let takes = format!("f32 [batch, steps, {}] of at most {} steps", self.width, self.steps);
                Err(wrong_input("a position embedding", takes, x))
            }
        }
    }
}

impl Item for PositionEmbeddingConfig {
    fn from_short(short: Short) -> Option<Self> {
        match short {
            Short::Word => Some(Self::default()),
            short => short.whole().map(|steps| Self { steps, init: None }),
        }
    }

    fn to_short(&self) -> Option<Short> {
        match (self.init, self.steps) {
            (None, 0) => Some(Short::Word),
            (None, steps) => Some(Short::Whole(steps)),
            _ => None,
        }
    }

    fn build(&self, site: &mut Site<'_>, shape: &[i64]) -> Result<Built, NnError> {
        let [steps, width] = *shape else { return Err(unfit("sequences [steps, width]", shape)) };
        let most = if self.steps == 0 { steps } else { self.steps };
        if most < steps {
            return Err(NnError::Config(format!(
                "steps is {most}, and the sequences have {steps} steps: give at least as many"
            )));
        }
        let layer = PositionEmbedding::new(site.layout, site.prefix, [most, width], self.init)?;
        Ok(Built::new(layer, shape.to_vec()))
    }
}
