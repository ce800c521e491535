//! The type of number that costly layers compute in.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::NnError;

/// The type of number in which costly layers multiply. Parameters, gradients, inputs and outputs are f32 in
/// any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// Eight bits of exponent as in f32, eight of significand: about three decimal digits. Faster where the
    /// processor or the GPU multiplies such numbers itself (AVX512-BF16, AMX, tensor cores), slower
    /// elsewhere.
    Bf16,
}

impl Precision {
    /// The tensor in this type, recorded by autograd; the tensor itself if it is of this type already.
    ///
    /// # Errors
    /// [`NnError::Torch`] when memory runs out.
    pub fn cast(self, tensor: &Tensor) -> Result<Tensor, NnError> {
        Ok(match self {
            Self::F32 => tensor.f_to_kind(Kind::Float)?,
            Self::Bf16 => tensor.f_to_kind(Kind::BFloat16)?,
        })
    }
}
