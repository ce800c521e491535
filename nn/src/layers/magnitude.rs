//! Magnitudes of complex numbers, as a Fourier transform by convolution gives them.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::item::{Built, Item, Short, Site};
use super::{unfit, wrong_input};
use crate::{Module, NnError, Pass};

/// The magnitude `sqrt(re^2 + im^2)` of complex numbers whose real parts are the first half of the channels
/// and whose imaginary parts are the second half. In a list of layers: `"magnitude"`.
///
/// After a [`Conv1d`](super::Conv1d) whose filters are windowed cosines, then sines, it gives a spectrogram.
/// The gradient at 0 is 0, so that digital silence has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Magnitude {}

impl Magnitude {
    fn output(shape: &[i64]) -> Result<Vec<i64>, NnError> {
        match shape {
            [channels, rest @ ..] if channels % 2 == 0 => Ok([&[channels / 2], rest].concat()),
            _ => Err(unfit("samples [channels, ...] with an even number of channels", shape)),
        }
    }
}

impl Module for Magnitude {
    /// From f32 `[batch, channels, ...]` to f32 `[batch, channels / 2, ...]`.
    fn forward(&self, _: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        let size = x.size();
        let [batch, shape @ ..] = size.as_slice() else {
            return Err(wrong_input("a magnitude", "f32 [batch, channels, ...]".into(), x));
        };
        let output = Self::output(shape)?;
        let parts = x.f_reshape([&[*batch, 2], output.as_slice()].concat())?;
        // The norm's gradient is 0 where the norm is; that of a square root would be NaN.
        Ok(parts.f_norm_scalaropt_dim(2, [1i64].as_slice(), false)?)
    }
}

impl Item for Magnitude {
    fn from_short(short: Short) -> Option<Self> {
        short.word().map(|()| Self {})
    }

    fn to_short(&self) -> Option<Short> {
        Some(Short::Word)
    }

    fn build(&self, _: &mut Site<'_>, shape: &[i64]) -> Result<Built, NnError> {
        Ok(Built::new(*self, Self::output(shape)?))
    }
}
