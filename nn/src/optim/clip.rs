//! Clipping of gradients. Nothing here waits for the device: a norm stays there until its caller reads it.

use tch::Tensor;

use super::gradients_of;
use crate::shim::optim::{clip_norm, clip_value};
use crate::{NnError, Parameters};

/// Scales all gradients down together where their norm is above `max_norm`, as PyTorch's `clip_grad_norm_`
/// does: by `max_norm / (norm + 1e-6)`, but by no more than 1 (Pascanu et al. 2013).
///
/// Gives the norm before clipping, 0-dim f32 on the parameters' device. On the CPU the squares are summed in
/// f64 and always in the same order. A gradient of NaN makes all gradients NaN.
///
/// # Errors
/// [`NnError::Config`] when `max_norm` is not above 0 or the parameters are frozen.
pub fn clip_gradient_norm(parameters: &mut Parameters, max_norm: f64) -> Result<Tensor, NnError> {
    check_bound("the largest gradient norm", max_norm)?;
    clip_norm(gradients_of(parameters)?, max_norm, false)
}

/// The norm of all gradients together, 0-dim f32 on the parameters' device.
///
/// # Errors
/// [`NnError::Config`] when the parameters are frozen.
pub fn gradient_norm(parameters: &Parameters) -> Result<Tensor, NnError> {
    clip_norm(gradients_of(parameters)?, f64::INFINITY, false)
}

/// Bounds every gradient to `[-max_value, max_value]`, as PyTorch's `clip_grad_value_` does. NaN stays NaN.
///
/// # Errors
/// [`NnError::Config`] when `max_value` is not above 0 or the parameters are frozen.
pub fn clip_gradient_value(parameters: &mut Parameters, max_value: f64) -> Result<(), NnError> {
    check_bound("the largest gradient", max_value)?;
    clip_value(gradients_of(parameters)?, max_value, false)
}

fn check_bound(what: &str, bound: f64) -> Result<(), NnError> {
    match bound > 0.0 {
        true => Ok(()),
        false => Err(NnError::Config(format!("{what} is {bound}: give a number above 0"))),
    }
}
