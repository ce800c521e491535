//! Regression of one chosen column of each row, with its gradient (regression.cpp).

use std::ffi::{c_char, c_int};

use tch::Tensor;
use torch_sys::C_tensor;

use super::{check, pointer};
use crate::NnError;

unsafe extern "C" {
    fn pavlov_regress_columns(
        loss: *mut *mut C_tensor,
        gradient: *mut *mut C_tensor,
        errors: *mut *mut C_tensor,
        predictions: *mut C_tensor,
        choices: *mut C_tensor,
        targets: *mut C_tensor,
        weights: *mut C_tensor,
        kind: c_int,
        portable: bool,
    ) -> *mut c_char;
}

/// Loss, gradient and errors; see [`crate::losses::regress_columns`]. `portable` asks for libtorch's own
/// operations in any case.
pub fn regress_columns(
    predictions: &Tensor,
    choices: &Tensor,
    targets: &Tensor,
    weights: Option<&Tensor>,
    kind: i32,
    portable: bool,
) -> Result<[Tensor; 3], NnError> {
    let mut out = [std::ptr::null_mut(); 3];
    let [loss, gradient, errors] = &mut out;
    // SAFETY: the tensors live through the call; where it succeeds the three results are tensors that are now
    // ours.
    unsafe {
        check(pavlov_regress_columns(
            loss,
            gradient,
            errors,
            pointer(predictions),
            pointer(choices),
            pointer(targets),
            weights.map_or(std::ptr::null_mut(), pointer),
            kind,
            portable,
        ))?;
        Ok(out.map(|tensor| Tensor::from_ptr(tensor)))
    }
}
