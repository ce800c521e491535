//! The Gaussian whose draws are pressed through tanh into (-1, 1), as soft actor-critic has it (Haarnoja et
//! al. 2018).
//!
//! Draws are held before the squashing: `a = tanh(u)` cannot be inverted near 1 without losing all digits.
//! Its mode is taken as the tanh of the mean. Its entropy has no closed form; minus the log-probability of a
//! draw estimates it. The divergence of two of them is that of the Gaussians, since both are pressed through
//! the same function.

use tch::Tensor;

use super::rows::softplus;
use super::tensors::sum;
use super::{Distribution, tensors};
use crate::NnError;

/// The logarithm of how much tanh stretches at `u`: `ln(1 - tanh(u)^2)`, in a form that is exact far from
/// zero.
pub fn log_slope(u: f32) -> f32 {
    2.0 * (std::f32::consts::LN_2 - u - softplus(-2.0 * u))
}

/// The log-density of `tanh(u)`: f32 `[batch]`, recorded by autograd.
///
/// `parameters` is f32 `[batch, 2 n]` (means, then logarithms of deviations), `u` f32 `[batch, n]`.
///
/// # Errors
/// [`NnError::Shape`] when the shapes do not fit.
pub fn log_prob(parameters: &Tensor, u: &Tensor) -> Result<Tensor, NnError> {
    let n = u.size().last().copied().unwrap_or(0) as usize;
    let before = Distribution::Gaussian(n).log_prob(parameters, None, u)?;
    let stretch = u.f_mul_scalar(-2.0)?.f_softplus()?.f_add(u)?.f_neg()?;
    let log_slope = stretch.f_add_scalar(std::f64::consts::LN_2)?.f_mul_scalar(2.0)?;
    Ok(before.f_sub(&sum(&log_slope)?)?)
}

/// The draw before the squashing that `noise` (standard normal, f32 `[batch, n]`) stands for, `mean +
/// deviation noise`: f32 `[batch, n]`, recorded by autograd, so that a gradient with respect to it reaches
/// the parameters.
///
/// # Errors
/// [`NnError::Shape`] when the shapes do not fit.
pub fn reparameterized(parameters: &Tensor, noise: &Tensor) -> Result<Tensor, NnError> {
    let n = noise.size().last().copied().unwrap_or(0) as usize;
    let (mean, log_deviation) = tensors::halves(parameters, n)?;
    Ok(mean.f_addcmul(&log_deviation.f_exp()?, noise)?)
}
