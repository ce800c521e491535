//! Activation functions by name.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::layers::Fusible;
use crate::{Module, NnError, Pass};

/// An activation function, applied to each number by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x`
    Identity,
    /// `max(x, 0)`
    #[default]
    Relu,
    /// `x` above zero, `0.01 x` below
    LeakyRelu,
    /// `x` above zero, `exp(x) - 1` below (Clevert et al. 2015)
    Elu,
    /// `x Phi(x)`, exact (Hendrycks and Gimpel 2016)
    Gelu,
    /// `x sigmoid(x)`, also known as swish
    Silu,
    /// hyperbolic tangent
    Tanh,
    /// `1 / (1 + exp(-x))`
    Sigmoid,
}

impl Activation {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Identity,
        Self::Relu,
        Self::LeakyRelu,
        Self::Elu,
        Self::Gelu,
        Self::Silu,
        Self::Tanh,
        Self::Sigmoid,
    ];

    /// The name in a file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Relu => "relu",
            Self::LeakyRelu => "leaky_relu",
            Self::Elu => "elu",
            Self::Gelu => "gelu",
            Self::Silu => "silu",
            Self::Tanh => "tanh",
            Self::Sigmoid => "sigmoid",
        }
    }

    /// Applies the function, recorded by autograd.
    ///
    /// # Errors
    /// [`NnError::Torch`] for a type of number that it is not defined on.
    pub fn apply(self, x: &Tensor) -> Result<Tensor, NnError> {
        Ok(match self {
            Self::Identity => x.shallow_clone(),
            Self::Relu => x.f_relu()?,
            Self::LeakyRelu => x.f_leaky_relu()?,
            Self::Elu => x.f_elu()?,
            Self::Gelu => x.f_gelu("none")?,
            Self::Silu => x.f_silu()?,
            Self::Tanh => x.f_tanh()?,
            Self::Sigmoid => x.f_sigmoid()?,
        })
    }

    /// The gain that keeps a signal's variance through a layer followed by this activation, as PyTorch's
    /// `calculate_gain` has it; 1 for the smooth relatives of relu, for which it has none.
    pub fn gain(self) -> f64 {
        match self {
            Self::Relu => 2f64.sqrt(),
            Self::LeakyRelu => (2.0 / (1.0 + 0.01f64.powi(2))).sqrt(),
            Self::Tanh => 5.0 / 3.0,
            Self::Identity | Self::Elu | Self::Gelu | Self::Silu | Self::Sigmoid => 1.0,
        }
    }

    /// The number that the C++ shim knows the function by.
    pub(crate) fn code(self) -> i32 {
        match self {
            Self::Identity => 0,
            Self::Relu => 1,
            Self::LeakyRelu => 2,
            Self::Elu => 3,
            Self::Gelu => 4,
            Self::Silu => 5,
            Self::Tanh => 6,
            Self::Sigmoid => 7,
        }
    }
}

impl Module for Activation {
    /// From f32 `[batch, ...]` to the same shape.
    fn forward(&self, _: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        self.apply(x)
    }

    fn fusible(&self) -> Option<Fusible> {
        Some(Fusible::Activation(*self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_a_file() {
        for activation in Activation::ALL {
            assert_eq!(serde_json::to_value(activation).unwrap(), activation.name());
        }
    }
}
