//! The leaky ReLU as a layer with a slope.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::fusion::Fusible;
use super::item::{Built, Item, Short, Site};
use crate::{Activation, Module, NnError, Pass, shim};

/// The slope of [`Activation::LeakyRelu`], PyTorch's default.
const SLOPE: f64 = 0.01;

/// A leaky ReLU, as PyTorch's `nn.LeakyReLU`. In a list of layers: `"leaky_relu"` for PyTorch's slope of
/// 0.01, or `{ leaky_relu = 0.2 }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LeakyReluConfig {
    /// The factor of numbers below zero, 0 or more.
    pub slope: f64,
}

impl Default for LeakyReluConfig {
    fn default() -> Self {
        Self { slope: SLOPE }
    }
}

/// `x` above zero, `slope x` below.
#[derive(Clone, Copy, Debug)]
pub struct LeakyRelu {
    slope: f64,
}

impl LeakyRelu {
    /// A leaky ReLU of this slope.
    ///
    /// # Errors
    /// [`NnError::Config`] for a slope below 0.
    pub fn new(slope: f64) -> Result<Self, NnError> {
        match (slope as f32).is_finite() && slope >= 0.0 {
            true => Ok(Self { slope }),
            false => Err(NnError::Config(format!("slope is {slope}: give 0 or more (0.2, say)"))),
        }
    }
}

impl Module for LeakyRelu {
    /// From f32 `[batch, ...]` to the same shape.
    fn forward(&self, _: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        shim::leaky_relu(x, self.slope)
    }

    /// Nodes know PyTorch's slope alone; with another one this layer is an operation of its own.
    fn fusible(&self) -> Option<Fusible> {
        (self.slope == SLOPE).then_some(Fusible::Activation(Activation::LeakyRelu))
    }
}

impl Item for LeakyReluConfig {
    fn from_short(short: Short) -> Option<Self> {
        match short {
            Short::Word => Some(Self::default()),
            number => number.real().map(|slope| Self { slope }),
        }
    }

    fn to_short(&self) -> Option<Short> {
        Some(if *self == Self::default() { Short::Word } else { Short::Real(self.slope) })
    }

    fn build(&self, _: &mut Site<'_>, shape: &[i64]) -> Result<Built, NnError> {
        Ok(Built::new(LeakyRelu::new(self.slope)?, shape.to_vec()))
    }
}
