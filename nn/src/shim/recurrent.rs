//! A sequence through a recurrent layer as one node of the autograd graph (recurrent.cpp).

use std::ffi::{c_char, c_int};

use tch::Tensor;
use torch_sys::C_tensor;

use super::{check, pointer};
use crate::NnError;

unsafe extern "C" {
    fn pavlov_recurrent_forward(
        y: *mut *mut C_tensor,
        states: *mut *mut C_tensor,
        x: *mut C_tensor,
        starts: *mut C_tensor,
        state: *mut C_tensor,
        cell: c_int,
        parameters: *const *mut C_tensor,
        gradients: *const *mut C_tensor,
    ) -> *mut c_char;
}

/// What goes in: f32 `[steps, batch, inputs]`, starts `[steps, batch]`, the state before `[batch, width]`. The shapes and
/// types are the caller's to check.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    pub x: &'a Tensor,
    pub starts: &'a Tensor,
    pub state: &'a Tensor,
}

/// The outputs and the states after each step. Parameters and gradients are those of `weight_ih`, `weight_hh`, `bias_ih`,
/// `bias_hh`; the cell is given by its code.
///
/// # Errors
/// [`NnError::Shim`] when libtorch fails.
pub fn forward(
    inputs: Inputs<'_>,
    cell: i32,
    parameters: [&Tensor; 4],
    gradients: Option<[&Tensor; 4]>,
) -> Result<(Tensor, Tensor), NnError> {
    let parameters = parameters.map(pointer);
    let gradients = gradients.map(|gradients| gradients.map(pointer));
    let gradients = gradients.as_ref().map_or(std::ptr::null(), |gradients| gradients.as_ptr());
    let (mut y, mut states) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: both arrays hold four pointers to tensors that live through the call; what the graph needs later C++ keeps by
    // references of its own; `y` and `states` are tensors that are now ours.
    unsafe {
        check(pavlov_recurrent_forward(
            &mut y,
            &mut states,
            pointer(inputs.x),
            pointer(inputs.starts),
            pointer(inputs.state),
            cell as c_int,
            parameters.as_ptr(),
            gradients,
        ))?;
        Ok((Tensor::from_ptr(y), Tensor::from_ptr(states)))
    }
}
