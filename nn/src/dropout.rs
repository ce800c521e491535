//! Dropout (Srivastava et al. 2014).

use rand::RngExt;
use tch::Tensor;

use crate::shim::{Draw, random};
use crate::{NnError, Pass};

/// In training silences each number with chance `share` and divides the others by `1 - share`; else gives `x` back. The
/// mask is drawn from the pass's generator, on the device where `x` lives.
pub(crate) fn dropout(pass: &mut Pass<'_>, x: &Tensor, share: f64) -> Result<Tensor, NnError> {
    if share == 0.0 || !pass.is_training() {
        return Ok(x.shallow_clone());
    }
    let Some(rng) = pass.rng() else { return Ok(x.shallow_clone()) };
    let mask = random(&x.size(), x.device(), Draw::Bernoulli(1.0 - share), rng.random())?;
    Ok(x.f_mul(&mask.f_div_scalar(1.0 - share)?)?)
}
