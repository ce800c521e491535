//! A sequence through a recurrent layer: as one node of the autograd graph on the CPU (recurrent.cpp), by fused
//! kernels on a GPU (recurrent_gpu.cpp).

use std::ffi::{c_char, c_int};

use tch::{Device, Tensor};
use torch_sys::C_tensor;

use super::{Parameter, RawParameter, check, pointer};
use crate::NnError;

unsafe extern "C" {
    fn pavlov_recurrent_forward(
        y: *mut *mut C_tensor,
        states: *mut *mut C_tensor,
        x: *mut C_tensor,
        starts: *mut C_tensor,
        state: *mut C_tensor,
        cell: c_int,
        parameters: *const RawParameter,
    ) -> *mut c_char;
    fn pavlov_recurrent_steps(
        y: *mut *mut C_tensor,
        states: *mut *mut C_tensor,
        x: *mut C_tensor,
        starts: *mut C_tensor,
        state: *mut C_tensor,
        cell: c_int,
        parameters: *const RawParameter,
    ) -> *mut c_char;
    fn pavlov_recurrent_read(
        y: *mut *mut C_tensor,
        x: *mut C_tensor,
        cell: c_int,
        parameters: *const RawParameter,
    ) -> *mut c_char;
}

/// The inputs: f32 `[steps, batch, inputs]`, starts `[steps, batch]`, the state before `[batch, width]`.
/// The shapes and types are the caller's to check.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    pub x: &'a Tensor,
    pub starts: &'a Tensor,
    pub state: &'a Tensor,
}

/// The outputs and the states after each step, as one node on the CPU, step by step on a GPU. The parameters are `weight_ih`, `weight_hh`, `bias_ih` and
/// `bias_hh`; the cell is given by its code.
///
/// # Errors
/// [`NnError::Shim`] when libtorch fails, or has no such kernels.
pub fn forward(
    inputs: Inputs<'_>,
    cell: i32,
    parameters: [Parameter<'_>; 4],
) -> Result<(Tensor, Tensor), NnError> {
    let pass = match inputs.x.defined() && inputs.x.device() != Device::Cpu {
        false => pavlov_recurrent_forward,
        true => pavlov_recurrent_steps,
    };
    let parameters = parameters.map(Parameter::raw);
    let (mut y, mut states) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: the array holds four parameters, pointers to tensors that live through the call; what the graph
    // needs later C++ keeps by references of its own; `y` and `states` are tensors that are now ours.
    unsafe {
        check(pass(
            &mut y,
            &mut states,
            pointer(inputs.x),
            pointer(inputs.starts),
            pointer(inputs.state),
            cell as c_int,
            parameters.as_ptr(),
        ))?;
        Ok((Tensor::from_ptr(y), Tensor::from_ptr(states)))
    }
}

/// The outputs for whole sequences on a GPU that begin with an empty memory, f32 `[steps, batch, size]`.
///
/// # Errors
/// [`NnError::Shim`] when cuDNN fails, or is not there.
pub fn read_on_gpu(x: &Tensor, cell: i32, parameters: [Parameter<'_>; 4]) -> Result<Tensor, NnError> {
    let parameters = parameters.map(Parameter::raw);
    let mut y = std::ptr::null_mut();
    // SAFETY: as in `forward`; autograd keeps what it needs.
    unsafe {
        check(pavlov_recurrent_read(&mut y, pointer(x), cell as c_int, parameters.as_ptr()))?;
        Ok(Tensor::from_ptr(y))
    }
}
