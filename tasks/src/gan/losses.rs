//! The penalty of a critic's slope, and a distance of two sets of samples.

use pavlov_nn::{Draw, random};
use tch::{Device, Kind, Tensor};

use crate::core::TaskError;

/// Directions in which samples are compared.
const DIRECTIONS: i64 = 128;

/// `mean((|slope| - 1)^2)` of a score's slopes at points between real and made pictures: f32 `[]`, recorded
/// by autograd (Gulrajani et al. 2017).
///
/// # Errors
/// [`TaskError`] when the score fails.
pub fn gradient_penalty(
    real: &Tensor,
    made: &Tensor,
    mix: &Tensor,
    score: impl FnOnce(&Tensor) -> Result<Tensor, TaskError>,
) -> Result<Tensor, TaskError> {
    let between = made.f_add(&real.f_sub(made)?.f_mul(mix)?)?.f_detach()?.f_set_requires_grad(true)?;
    let scores = score(&between)?.f_sum(Kind::Float)?;
    let slopes = Tensor::f_run_backward(&[scores], &[&between], true, true)?;
    let [slope] = slopes.as_slice() else {
        return Err(TaskError::State("a score has one slope at each point".into()));
    };
    let squares = slope.f_flatten(1, -1)?.f_square()?;
    // The root's derivative at 0 is infinite.
    let norm =
        squares.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Float)?.f_add_scalar(1e-12)?.f_sqrt()?;
    Ok(norm.f_sub_scalar(1.0)?.f_square()?.f_mean(Kind::Float)?)
}

/// The sliced Wasserstein distance (Rabin et al. 2012) of two sets of equally many samples, f32 `[samples,
/// ...]`: the mean distance of their sorted projections on directions drawn from `seed`.
///
/// # Errors
/// [`TaskError::Nn`] when the shapes do not fit.
pub fn sliced_wasserstein(one: &Tensor, other: &Tensor, seed: u64) -> Result<f64, TaskError> {
    let flat =
        |samples: &Tensor| -> Result<Tensor, TaskError> { Ok(samples.f_flatten(1, -1)?.f_to(Device::Cpu)?) };
    let (one, other) = (flat(one)?, flat(other)?);
    sliced_by(&one, &other, &random(&[one.size()[1], DIRECTIONS], Device::Cpu, Draw::Normal, seed)?)
}

/// The same of rows of numbers, f32 `[samples, numbers]`, along these directions, `[numbers, directions]`, of
/// any length.
pub(super) fn sliced_by(one: &Tensor, other: &Tensor, directions: &Tensor) -> Result<f64, TaskError> {
    let length = directions.f_square()?.f_sum_dim_intlist([0i64].as_slice(), true, Kind::Float)?.f_sqrt()?;
    let directions = directions.f_div(&length)?;
    let sorted = |samples: &Tensor| -> Result<Tensor, TaskError> {
        Ok(samples.f_matmul(&directions)?.f_sort(0, false)?.0)
    };
    Ok(sorted(one)?.f_sub(&sorted(other)?)?.f_abs()?.f_mean(Kind::Double)?.f_double_value(&[])?)
}

#[cfg(test)]
mod tests {
    use tch::kind::FLOAT_CPU;

    use super::*;

    #[test]
    fn the_penalty_of_a_linear_score_is_that_of_its_slope() {
        // A score of slope (3, 4) has |slope| = 5 everywhere, and the penalty is 16.
        let weight = Tensor::from_slice(&[3f32, 4.0]).set_requires_grad(true);
        let (real, made) = (Tensor::ones([5, 2], FLOAT_CPU), Tensor::zeros([5, 2], FLOAT_CPU));
        let mix = Tensor::full([5, 1], 0.3, FLOAT_CPU);
        let penalty = gradient_penalty(&real, &made, &mix, |x| Ok(x.matmul(&weight))).unwrap();
        assert!((penalty.double_value(&[]) - 16.0).abs() < 1e-4);
        // d/dw (|w| - 1)^2 = 2 (|w| - 1) w / |w|
        penalty.backward();
        let gradient = weight.grad();
        assert!((gradient.double_value(&[0]) - 2.0 * 4.0 * 0.6).abs() < 1e-4, "{gradient}");
    }

    #[test]
    fn the_distance_grows_with_a_shift_and_is_none_of_a_set_to_itself() {
        let samples = random(&[500, 10], Device::Cpu, Draw::Normal, 1).unwrap();
        assert_eq!(sliced_wasserstein(&samples, &samples, 2).unwrap(), 0.0);
        let shifts = [0.1, 1.0].map(|shift| sliced_wasserstein(&samples, &(&samples + shift), 2).unwrap());
        assert!(shifts[0] > 0.01 && shifts[1] > 5.0 * shifts[0], "{shifts:?}");
    }
}
