//! Pooling of a whole dimension: of the members of a set, of the steps of a sequence.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::item::{Built, Item, Short, Site};
use super::{at_dimension, is_no};
use crate::{Module, NnError, Pass};

/// The mean over a dimension. In a list of layers: `{ mean = 0 }`, or `{ mean = { dimension = 0, keep = true
/// } }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mean {
    /// The dimension, counted from 0 without the batch; negative numbers count from the end.
    pub dimension: i64,
    /// Keep the dimension, with size 1.
    #[serde(default, skip_serializing_if = "is_no")]
    pub keep: bool,
}

/// The largest number over a dimension. In a list of layers: `{ max = 0 }`, or `{ max = { dimension = 0, keep
/// = true } }`. Equal largest numbers share the gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Max {
    /// The dimension, counted from 0 without the batch; negative numbers count from the end.
    pub dimension: i64,
    /// Keep the dimension, with size 1.
    #[serde(default, skip_serializing_if = "is_no")]
    pub keep: bool,
}

macro_rules! reductions {
    ($($layer:ident, $reduce:expr;)*) => {$(
        impl $layer {
            /// Over this dimension, which does not stay.
            pub const fn over(dimension: i64) -> Self {
                Self { dimension, keep: false }
            }
        }

        impl Module for $layer {
            /// From f32 `[batch, ...]` to f32 of one dimension less, or the same number if the dimension
            /// stays.
            fn forward(&self, _: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
                let size = x.size();
                let place = at_dimension("the dimension", self.dimension, size.get(1..).unwrap_or(&[]))?;
                Ok($reduce(x, place as i64 + 1, self.keep)?)
            }
        }

        impl Item for $layer {
            fn from_short(short: Short) -> Option<Self> {
                short.whole().map(Self::over)
            }

            fn to_short(&self) -> Option<Short> {
                (!self.keep).then_some(Short::Whole(self.dimension))
            }

            fn build(&self, _: &mut Site<'_>, shape: &[i64]) -> Result<Built, NnError> {
                let place = at_dimension("the dimension", self.dimension, shape)?;
                let kept: &[i64] = if self.keep { &[1] } else { &[] };
                Ok(Built::new(*self, [&shape[..place], kept, &shape[place + 1..]].concat()))
            }
        }
    )*};
}

reductions! {
    Mean, |x: &Tensor, place: i64, keep| x.f_mean_dim([place].as_slice(), keep, None);
    Max, |x: &Tensor, place: i64, keep| x.f_amax([place], keep);
}
