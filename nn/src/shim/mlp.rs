//! Multi-layer perceptrons as one node of the autograd graph (mlp.cpp).

use std::ffi::{c_char, c_int};

use tch::Tensor;
use torch_sys::C_tensor;

use super::{Parameter, RawParameter, check, pointer};
use crate::{NnError, Precision};

unsafe extern "C" {
    #[cfg(test)]
    fn pavlov_has_bf16() -> bool;
    fn pavlov_mlp_forward(
        out: *mut *mut C_tensor,
        x: *mut C_tensor,
        networks: c_int,
        stacked: bool,
        count: c_int,
        layers: *const RawLayer,
        activation: c_int,
        output_activation: c_int,
        bf16: bool,
    ) -> *mut c_char;
}

/// True if this processor multiplies pairs of bf16 itself.
#[cfg(test)]
pub fn has_bf16() -> bool {
    // SAFETY: takes nothing.
    unsafe { pavlov_has_bf16() }
}

/// The epsilon of the node's layer norms, PyTorch's default (dense.h has the same).
pub const NORM_EPS: f64 = 1e-5;

/// One layer: linear, layer norm if it has one, activation, dropout if it has a mask.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// `[out, in]`
    pub weight: Parameter<'a>,
    /// `[out]`
    pub bias: Parameter<'a>,
    /// Scale and shift of a layer norm over the units, whose epsilon is 1e-5: `[out]` each.
    pub norm: Option<(Parameter<'a>, Parameter<'a>)>,
    /// By which the output is multiplied, f32 `[batch, out]`. The last layer has none.
    pub mask: Option<&'a Tensor>,
}

impl Layer<'_> {
    fn raw(self) -> RawLayer {
        let (scale, shift) = match self.norm {
            Some((scale, shift)) => (scale.raw(), shift.raw()),
            None => (RawParameter::NULL, RawParameter::NULL),
        };
        let mask = self.mask.map_or(std::ptr::null_mut(), pointer);
        RawLayer { weight: self.weight.raw(), bias: self.bias.raw(), scale, shift, mask }
    }
}

/// The same, as mlp.cpp has it.
#[repr(C)]
struct RawLayer {
    weight: RawParameter,
    bias: RawParameter,
    scale: RawParameter,
    shift: RawParameter,
    mask: *mut C_tensor,
}

/// The number of networks that a pass is for.
#[derive(Clone, Copy, Debug)]
pub enum Networks {
    /// One, whose output is `[batch, out]`.
    One,
    /// So many of one shape, whose outputs are `[networks, batch, out]`.
    Stacked(usize),
}

/// The output for `x`, f32 `[batch, in]`. `layers` are those of the first network, then those of the second,
/// and so on; the activations are given by their code.
///
/// # Errors
/// That of a layer; [`NnError::Shim`] when shapes do not fit.
pub fn forward<'a>(
    x: &Tensor,
    networks: Networks,
    layers: impl Iterator<Item = Result<Layer<'a>, NnError>>,
    (activation, output_activation): (i32, i32),
    precision: Precision,
) -> Result<Tensor, NnError> {
    let layers: Vec<RawLayer> = layers.map(|layer| Ok(layer?.raw())).collect::<Result<_, NnError>>()?;
    let (networks, stacked) = match networks {
        Networks::One => (1, false),
        Networks::Stacked(networks) => (networks, true),
    };
    if networks == 0 || layers.is_empty() || !layers.len().is_multiple_of(networks) {
        let count = layers.len();
        return Err(NnError::Shape(format!("{count} layers cannot be those of {networks} networks")));
    }
    let mut out = std::ptr::null_mut();
    // SAFETY: `layers` holds as many for each network, of pointers to tensors that live through the call;
    // what the graph needs later C++ keeps by references of its own; `out` is a tensor that is now ours.
    unsafe {
        check(pavlov_mlp_forward(
            &mut out,
            pointer(x),
            networks as c_int,
            stacked,
            (layers.len() / networks) as c_int,
            layers.as_ptr(),
            activation,
            output_activation,
            precision == Precision::Bf16,
        ))?;
        Ok(Tensor::from_ptr(out))
    }
}
