//! Larger images.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::item::{Built, Item, Short, Site};
use super::pair::Pair;
use super::{at_least, is_no, unfit, wrong_input};
use crate::{Module, NnError, Pass};

/// Interpolation of the new pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpsampleMode {
    /// The nearest pixel.
    #[default]
    Nearest,
    /// A weighted mean of the four pixels around.
    Bilinear,
}

/// Enlarges images, as PyTorch's `nn.Upsample` with a whole `scale_factor`. In a list of layers: `{ upsample
/// = 2 }`, or `{ upsample = { scale = 2, mode = "bilinear" } }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upsample {
    /// Factor by which each side grows.
    pub scale: Pair,
    /// Interpolation of the new pixels.
    #[serde(default, skip_serializing_if = "is_nearest")]
    pub mode: UpsampleMode,
    /// Place the corner pixels of the output on those of the input, as PyTorch's `align_corners`; bilinear
    /// mode only.
    #[serde(default, skip_serializing_if = "is_no")]
    pub align_corners: bool,
}

// serde asks by reference.
fn is_nearest(mode: &UpsampleMode) -> bool {
    *mode == UpsampleMode::Nearest
}

impl Upsample {
    /// Enlarges both sides by this factor, by the nearest pixels.
    pub const fn new(scale: i64) -> Self {
        Self { scale: Pair::both(scale), mode: UpsampleMode::Nearest, align_corners: false }
    }

    fn output(&self, shape: &[i64]) -> Result<Vec<i64>, NnError> {
        let [down, across] = self.scale.sizes();
        at_least("scale", down, 1)?;
        at_least("scale", across, 1)?;
        if self.align_corners && self.mode == UpsampleMode::Nearest {
            let message = "align_corners is for mode = \"bilinear\": leave it out, or choose that mode";
            return Err(NnError::Config(message.into()));
        }
        match *shape {
            [channels, height, width] => Ok(vec![channels, height * down, width * across]),
            _ => Err(unfit("images [channels, height, width]", shape)),
        }
    }
}

impl Module for Upsample {
    /// From f32 `[batch, channels, height, width]` to f32 `[batch, channels, height * scale, width * scale]`.
    fn forward(&self, _: &mut Pass<'_>, x: &Tensor) -> Result<Tensor, NnError> {
        if x.dim() != 4 {
            return Err(wrong_input("an upsampling layer", "f32 [batch, channels, height, width]".into(), x));
        }
        let output = self.output(&x.size()[1..])?;
        let size = &output[1..];
        Ok(match self.mode {
            UpsampleMode::Nearest => x.f_upsample_nearest2d(size, None, None)?,
            UpsampleMode::Bilinear => x.f_upsample_bilinear2d(size, self.align_corners, None, None)?,
        })
    }
}

impl Item for Upsample {
    fn from_short(short: Short) -> Option<Self> {
        short.whole().map(Self::new)
    }

    fn to_short(&self) -> Option<Short> {
        let scale = self.scale.height;
        (*self == Self::new(scale)).then_some(Short::Whole(scale))
    }

    fn build(&self, _: &mut Site<'_>, shape: &[i64]) -> Result<Built, NnError> {
        Ok(Built::new(*self, self.output(shape)?))
    }
}
