//! Multi-layer perceptrons as one node of the autograd graph (mlp.cpp).

use std::ffi::{c_char, c_int};

use tch::Tensor;
use torch_sys::C_tensor;

use super::{check, pointer};
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
        weights: *const *mut C_tensor,
        biases: *const *mut C_tensor,
        weight_gradients: *const *mut C_tensor,
        bias_gradients: *const *mut C_tensor,
        activation: c_int,
        output_activation: c_int,
        bf16: bool,
    ) -> *mut c_char;
}

/// Whether this processor multiplies pairs of bf16 itself.
#[cfg(test)]
pub fn has_bf16() -> bool {
    // SAFETY: takes nothing.
    unsafe { pavlov_has_bf16() }
}

/// The most layers that the pass takes, of all networks together: their pointers stand on the stack.
pub const MAX_LAYERS: usize = 64;

/// One layer's tensors.
pub struct Layer<'a> {
    /// `[out, in]`
    pub weight: &'a Tensor,
    /// `[out]`
    pub bias: &'a Tensor,
    /// Where the gradients of weight and bias accumulate; `None` for a frozen network.
    pub gradients: Option<(&'a Tensor, &'a Tensor)>,
}

/// How many networks a pass is for.
#[derive(Clone, Copy, Debug)]
pub enum Networks {
    /// One, whose output is `[batch, out]`.
    One,
    /// So many of one shape, whose outputs are `[networks, batch, out]`.
    Stacked(usize),
}

/// The output for `x`, f32 `[batch, in]`. `layers` are those of the first network, then those of the second, and so on;
/// the activations are given by their code.
///
/// # Errors
/// [`NnError::Shim`] when shapes do not fit.
pub fn forward<'a>(
    x: &Tensor,
    networks: Networks,
    layers: impl Iterator<Item = Layer<'a>>,
    (activation, output_activation): (i32, i32),
    precision: Precision,
) -> Result<Tensor, NnError> {
    let mut weights = [std::ptr::null_mut(); MAX_LAYERS];
    let (mut biases, mut weight_gradients, mut bias_gradients) = (weights, weights, weights);
    let mut count = 0;
    let mut trainable = true;
    for layer in layers {
        if count == MAX_LAYERS {
            return Err(NnError::Shape(format!("networks of more than {MAX_LAYERS} layers in all")));
        }
        weights[count] = pointer(layer.weight);
        biases[count] = pointer(layer.bias);
        if let Some((weight, bias)) = layer.gradients {
            weight_gradients[count] = pointer(weight);
            bias_gradients[count] = pointer(bias);
        } else {
            trainable = false;
        }
        count += 1;
    }
    let or_null = |gradients: &[*mut C_tensor; MAX_LAYERS]| match trainable {
        true => gradients.as_ptr(),
        false => std::ptr::null(),
    };
    let (networks, stacked) = match networks {
        Networks::One => (1, false),
        Networks::Stacked(networks) => (networks, true),
    };
    if networks == 0 || count % networks != 0 {
        return Err(NnError::Shape(format!("{count} layers cannot be those of {networks} networks")));
    }
    let mut out = std::ptr::null_mut();
    // SAFETY: every array holds `count` pointers (as many for each network) to tensors that live through the call; what the graph needs later
    // C++ keeps by references of its own; `out` is a tensor that is now ours.
    unsafe {
        check(pavlov_mlp_forward(
            &mut out,
            pointer(x),
            networks as c_int,
            stacked,
            (count / networks) as c_int,
            weights.as_ptr(),
            biases.as_ptr(),
            or_null(&weight_gradients),
            or_null(&bias_gradients),
            activation,
            output_activation,
            precision == Precision::Bf16,
        ))?;
        Ok(Tensor::from_ptr(out))
    }
}
