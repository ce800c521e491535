//! A leaky ReLU of any slope: tch has that of slope 0.01 alone.

use std::ffi::c_char;

use tch::Tensor;
use torch_sys::C_tensor;

use super::{check, pointer};
use crate::NnError;

unsafe extern "C" {
    fn pavlov_leaky_relu(input: *mut C_tensor, slope: f64, out: *mut *mut C_tensor) -> *mut c_char;
}

/// `x` where it is above zero, `slope x` elsewhere, recorded by autograd.
///
/// # Errors
/// [`NnError::Shim`] for a type of number that it is not defined on.
pub fn leaky_relu(x: &Tensor, slope: f64) -> Result<Tensor, NnError> {
    let mut out = std::ptr::null_mut();
    // SAFETY: `x` lives through the call; `out` is written before it is read, with a tensor that is now ours.
    unsafe {
        check(pavlov_leaky_relu(pointer(x), slope, &mut out))?;
        Ok(Tensor::from_ptr(out))
    }
}
