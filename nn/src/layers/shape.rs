//! Layers that only arrange numbers anew.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::item::{Built, Item, Short, Site};
use super::{at_dimension, unfit};
use crate::{Module, NnError, Pass};

/// Makes one dimension of several. In a list of layers: `"flatten"`, or `{ flatten = { first = 1 } }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Flatten {
    /// The first of the dimensions, counted from 0 without the batch; negative numbers count from the end.
    pub first: i64,
    /// The last of the dimensions, likewise.
    pub last: i64,
}

impl Default for Flatten {
    fn default() -> Self {
        Self { first: 0, last: -1 }
    }
}

impl Flatten {
    fn output(&self, shape: &[i64]) -> Result<Vec<i64>, NnError> {
        // A sample of one number is a row of one.
        let shape = if shape.is_empty() { &[1] } else { shape };
        let first = at_dimension("first", self.first, shape)?;
        let last = at_dimension("last", self.last, shape)?;
        if first > last {
            return Err(NnError::Config(format!("first is {first} and last is {last}: first comes first")));
        }
        Ok([&shape[..first], &[shape[first..=last].iter().product()], &shape[last + 1..]].concat())
    }
}

impl Module for Flatten {
    /// From `[batch, ...]` of any type to `[batch, ...]` of the same numbers in the same order.
    fn forward(&self, _: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        reshaped(x, |shape| self.output(shape))
    }
}

impl Item for Flatten {
    fn from_short(short: Short) -> Option<Self> {
        short.word().map(|()| Self::default())
    }

    fn to_short(&self) -> Option<Short> {
        (*self == Self::default()).then_some(Short::Word)
    }

    fn keeps_numbers(&self) -> bool {
        true
    }

    fn build(&self, _: &mut Site<'_>, shape: &[i64]) -> Result<Built, NnError> {
        Ok(Built::new(*self, self.output(shape)?))
    }
}

/// Gives each sample this shape; one size may be -1: what is left. In a list of layers: `{ reshape = [16, 5,
/// 5] }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reshape(pub Vec<i64>);

impl Reshape {
    fn output(&self, shape: &[i64]) -> Result<Vec<i64>, NnError> {
        let wanted = &self.0;
        let count: i64 = shape.iter().product();
        let sizes = wanted.iter().filter(|&&size| size != -1);
        let known = sizes.fold(1i64, |product, &size| product.saturating_mul(size));
        let free = wanted.iter().filter(|&&size| size == -1).count();
        let fits = match free {
            0 => known == count,
            1 => known > 0 && count % known == 0,
            _ => false,
        };
        if !fits || wanted.iter().any(|&size| size < 1 && size != -1) {
            return Err(NnError::Config(format!(
                "samples of shape {shape:?} have no shape {wanted:?}: give sizes whose product is {count} \
                 (at most one may be -1, for what is left)"
            )));
        }
        Ok(wanted.iter().map(|&size| if size == -1 { count / known } else { size }).collect())
    }
}

impl Module for Reshape {
    /// From `[batch, ...]` of any type to `[batch, shape ...]` of the same numbers in the same order.
    fn forward(&self, _: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        reshaped(x, |shape| self.output(shape))
    }
}

impl Item for Reshape {
    fn keeps_numbers(&self) -> bool {
        true
    }

    fn build(&self, _: &mut Site<'_>, shape: &[i64]) -> Result<Built, NnError> {
        let output = self.output(shape)?;
        Ok(Built::new(self.clone(), output))
    }
}

/// Adds a dimension of size 1 at this place, counted from 0 without the batch; -1 is after the last. In a
/// list of layers: `{ unsqueeze = 0 }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Unsqueeze(pub i64);

impl Unsqueeze {
    fn output(&self, shape: &[i64]) -> Result<Vec<i64>, NnError> {
        let places = vec![1; shape.len() + 1];
        let at = at_dimension("the dimension", self.0, &places)?;
        Ok([&shape[..at], &[1], &shape[at..]].concat())
    }
}

impl Module for Unsqueeze {
    /// From `[batch, ...]` of any type to the same with one dimension more.
    fn forward(&self, _: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        reshaped(x, |shape| self.output(shape))
    }
}

impl Item for Unsqueeze {
    fn from_short(short: Short) -> Option<Self> {
        short.whole().map(Self)
    }

    fn to_short(&self) -> Option<Short> {
        Some(Short::Whole(self.0))
    }

    fn keeps_numbers(&self) -> bool {
        true
    }

    fn build(&self, _: &mut Site<'_>, shape: &[i64]) -> Result<Built, NnError> {
        Ok(Built::new(*self, self.output(shape)?))
    }
}

/// Exchanges two dimensions, counted from 0 without the batch: sequences `[steps, width]` become `[width,
/// steps]`, as convolutions take them. In a list of layers: `{ transpose = [0, 1] }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Transpose(pub [i64; 2]);

impl Transpose {
    fn places(&self, shape: &[i64]) -> Result<[usize; 2], NnError> {
        let [one, other] = self.0;
        Ok([at_dimension("the first", one, shape)?, at_dimension("the second", other, shape)?])
    }
}

impl Module for Transpose {
    /// From `[batch, ...]` of any type to the same with two dimensions exchanged.
    fn forward(&self, _: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        let size = x.size();
        let [one, other] = self.places(size.get(1..).unwrap_or(&[]))?;
        Ok(x.f_transpose(one as i64 + 1, other as i64 + 1)?)
    }
}

impl Item for Transpose {
    fn keeps_numbers(&self) -> bool {
        true
    }

    fn build(&self, _: &mut Site<'_>, shape: &[i64]) -> Result<Built, NnError> {
        let [one, other] = self.places(shape)?;
        let mut output = shape.to_vec();
        output.swap(one, other);
        Ok(Built::new(*self, output))
    }
}

/// The same numbers, each sample in the shape that `output` makes of its shape.
fn reshaped(x: &Tensor, output: impl Fn(&[i64]) -> Result<Vec<i64>, NnError>) -> Result<Tensor, NnError> {
    let size = x.size();
    let [batch, shape @ ..] = size.as_slice() else { return Err(unfit("a batch", &size)) };
    Ok(x.f_reshape([&[*batch], output(shape)?.as_slice()].concat())?)
}
