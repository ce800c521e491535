//! Optimiser steps and gradient clipping over a flat arena (optim.cpp, optim_kernels.cpp).

use std::ffi::c_char;
use std::ptr::null_mut;

use tch::Tensor;
use torch_sys::C_tensor;

use super::{check, pointer};
use crate::NnError;

/// The decay of weights in a step.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Decay {
    /// Adds `l2 * value` to the gradient.
    pub l2: f64,
    /// Shrinks the value by `learning_rate * decoupled`.
    pub decoupled: f64,
    /// Adds `l1 * sign(value)` to the gradient.
    pub l1: f64,
}

/// The numbers of one step of Adam.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct AdamNumbers {
    /// The step size.
    pub learning_rate: f64,
    /// The share of the first moment that is kept.
    pub beta1: f64,
    /// The share of the second moment that is kept.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// The decay of weights.
    pub decay: Decay,
    /// The step's number; the first is 1.
    pub step: i64,
}

/// The numbers of one step of RMSprop.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct RmspropNumbers {
    /// The step size.
    pub learning_rate: f64,
    /// The share of the averages that is kept.
    pub alpha: f64,
    /// Added to the root of the average, or under it.
    pub eps: f64,
    /// The share of the momentum that is kept.
    pub momentum: f64,
    /// The decay of weights.
    pub decay: Decay,
    /// True if `eps` stands under the root.
    pub eps_inside_root: bool,
}

/// The numbers of one step of stochastic gradient descent.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SgdNumbers {
    /// The step size.
    pub learning_rate: f64,
    /// The share of the momentum that is kept.
    pub momentum: f64,
    /// The share of the gradient that is kept out of the momentum.
    pub dampening: f64,
    /// The decay of weights.
    pub decay: Decay,
    /// True if the step looks ahead (Nesterov).
    pub nesterov: bool,
    /// True if the momentum starts with this step.
    pub first_step: bool,
}

/// The part of an arena that a step goes over.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Where it starts.
    pub from: i64,
    /// The number of its numbers.
    pub count: i64,
}

/// The tensors that a step works on, and how. All are flat, of one length and on one device; values and
/// moments are written.
#[derive(Clone, Copy, Debug)]
pub struct Arena<'a> {
    /// The parameters' values.
    pub values: &'a Tensor,
    /// The parameters' gradients.
    pub gradients: &'a Tensor,
    /// The part of them that the step goes over.
    pub part: Part,
    /// True if libtorch's own operations are to be used on the CPU too.
    pub portable: bool,
}

unsafe extern "C" {
    fn pavlov_adam_step(
        numbers: *const AdamNumbers,
        values: *mut C_tensor,
        gradients: *mut C_tensor,
        part: Part,
        first: *mut C_tensor,
        second: *mut C_tensor,
        portable: bool,
    ) -> *mut c_char;
    fn pavlov_rmsprop_step(
        numbers: *const RmspropNumbers,
        values: *mut C_tensor,
        gradients: *mut C_tensor,
        part: Part,
        square: *mut C_tensor,
        average: *mut C_tensor,
        buffer: *mut C_tensor,
        portable: bool,
    ) -> *mut c_char;
    fn pavlov_sgd_step(
        numbers: *const SgdNumbers,
        values: *mut C_tensor,
        gradients: *mut C_tensor,
        part: Part,
        buffer: *mut C_tensor,
        portable: bool,
    ) -> *mut c_char;
    fn pavlov_clip_norm(
        out: *mut *mut C_tensor,
        gradients: *mut C_tensor,
        largest: f64,
        portable: bool,
    ) -> *mut c_char;
    fn pavlov_zero(flat: *mut C_tensor) -> *mut c_char;
    fn pavlov_clip_value(gradients: *mut C_tensor, largest: f64, portable: bool) -> *mut c_char;
}

fn pointer_or_null(tensor: Option<&Tensor>) -> *mut C_tensor {
    tensor.map_or(null_mut(), pointer)
}

/// One step of Adam; the moments start at zero.
///
/// # Errors
/// [`NnError::Shim`] when lengths, types or devices differ, or the part is none of the arena.
pub fn adam_step(
    numbers: &AdamNumbers,
    arena: Arena<'_>,
    first_moment: &Tensor,
    second_moment: &Tensor,
) -> Result<(), NnError> {
    let (values, gradients) = (pointer(arena.values), pointer(arena.gradients));
    let (first, second) = (pointer(first_moment), pointer(second_moment));
    // SAFETY: every pointer is valid for the call, which checks lengths, types and the part before it writes.
    unsafe { check(pavlov_adam_step(numbers, values, gradients, arena.part, first, second, arena.portable)) }
}

/// One step of RMSprop, centred if there is a `gradient_average`.
///
/// # Errors
/// [`NnError::Shim`] when lengths, types or devices differ, or the part is none of the arena.
pub fn rmsprop_step(
    numbers: &RmspropNumbers,
    arena: Arena<'_>,
    square_average: &Tensor,
    gradient_average: Option<&Tensor>,
    momentum: Option<&Tensor>,
) -> Result<(), NnError> {
    let (values, gradients) = (pointer(arena.values), pointer(arena.gradients));
    let square = pointer(square_average);
    let (average, buffer) = (pointer_or_null(gradient_average), pointer_or_null(momentum));
    // SAFETY: as in `adam_step`; C++ takes null for what is not there.
    unsafe {
        check(pavlov_rmsprop_step(
            numbers,
            values,
            gradients,
            arena.part,
            square,
            average,
            buffer,
            arena.portable,
        ))
    }
}

/// One step of stochastic gradient descent.
///
/// # Errors
/// [`NnError::Shim`] when lengths, types or devices differ, or the part is none of the arena.
pub fn sgd_step(numbers: &SgdNumbers, arena: Arena<'_>, momentum: Option<&Tensor>) -> Result<(), NnError> {
    let (values, gradients) = (pointer(arena.values), pointer(arena.gradients));
    // SAFETY: as in `rmsprop_step`.
    unsafe {
        check(pavlov_sgd_step(
            numbers,
            values,
            gradients,
            arena.part,
            pointer_or_null(momentum),
            arena.portable,
        ))
    }
}

/// Scales the gradients down to the norm `largest`, which may be infinite, and gives the norm that they had,
/// 0-dim f32 on their device.
///
/// # Errors
/// [`NnError::Shim`] when the gradients are not flat f32 numbers.
pub fn clip_norm(gradients: &Tensor, largest: f64, portable: bool) -> Result<Tensor, NnError> {
    let mut out = null_mut();
    // SAFETY: the pointer is valid for the call; `out` is written before it is read, with a tensor that is
    // now ours.
    unsafe {
        check(pavlov_clip_norm(&mut out, pointer(gradients), largest, portable))?;
        Ok(Tensor::from_ptr(out))
    }
}

/// Bounds every gradient to `[-largest, largest]`.
///
/// # Errors
/// [`NnError::Shim`] when the gradients are not flat f32 numbers.
pub fn clip_value(gradients: &Tensor, largest: f64, portable: bool) -> Result<(), NnError> {
    // SAFETY: the pointer is valid for the call.
    unsafe { check(pavlov_clip_value(pointer(gradients), largest, portable)) }
}

/// Sets every number of an arena to zero.
///
/// # Errors
/// [`NnError::Shim`] when they are not flat f32 numbers.
pub fn zero(flat: &Tensor) -> Result<(), NnError> {
    // SAFETY: the pointer is valid for the call.
    unsafe { check(pavlov_zero(pointer(flat))) }
}
