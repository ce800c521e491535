//! Initial values of parameters.
//!
//! The numbers are drawn from the caller's generator, never from libtorch's global one: two networks made in
//! two threads from two seeds do not depend on which came first.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::NnError;

/// The distribution from which a weight starts; for a layer, `fan_in` is how many numbers feed one unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// PyTorch's default for linear and convolutional layers: uniform within `1 / sqrt(fan_in)`, weights and
    /// biases.
    #[default]
    Torch,
    /// A (semi-)orthogonal matrix times a gain (Saxe et al. 2013); biases zero.
    Orthogonal {
        /// The factor; `W^T W = gain^2 I`.
        gain: f64,
    },
    /// Normal with deviation `sqrt(2 / fan_in)` (He et al. 2015, Kaiming); biases zero.
    KaimingNormal,
    /// Uniform within `sqrt(6 / fan_in)` (He et al. 2015, Kaiming); biases zero.
    KaimingUniform,
    /// Normal with deviation `sqrt(2 / (fan_in + fan_out))` (Glorot and Bengio 2010, Xavier); biases zero.
    XavierNormal,
    /// Uniform within `sqrt(6 / (fan_in + fan_out))` (Glorot and Bengio 2010, Xavier); biases zero.
    XavierUniform,
    /// The same number everywhere: biases, layer norm.
    Constant {
        /// The number.
        value: f64,
    },
    /// Normal with this deviation, whatever the fan: embeddings; biases zero.
    Normal {
        /// The standard deviation.
        deviation: f64,
    },
    /// Uniform within `bound`, biases too.
    Uniform {
        /// The largest absolute value.
        bound: f64,
    },
    /// The biases of a recurrent layer: uniform within `bound`, and raised by `keep` for the gate that keeps
    /// the state, the second of `gates` blocks in PyTorch's order of both cells.
    #[serde(skip)]
    Gates {
        /// The largest absolute value before the gate is raised.
        bound: f64,
        /// The number of gates.
        gates: usize,
        /// The number that is added to each bias of the gate.
        keep: f64,
    },
}

impl Init {
    /// The initial values of the bias of a layer whose weight starts so.
    pub fn bias(self, fan_in: i64) -> Self {
        match self {
            Self::Torch => Self::Uniform { bound: 1.0 / (fan_in as f64).sqrt() },
            Self::Uniform { bound } => Self::Uniform { bound },
            _ => Self::Constant { value: 0.0 },
        }
    }

    /// Numbers for a parameter of this shape (`[fan_out, fan_in, ...]`), an f32 tensor on the CPU.
    ///
    /// # Errors
    /// [`NnError::Config`] for a gain or bound that is not a finite number.
    pub fn sample(self, shape: &[i64], rng: &mut impl Rng) -> Result<Tensor, NnError> {
        let count = shape.iter().product::<i64>() as usize;
        let (fan_in, fan_out) = fans(shape);
        let mut uniform = |bound: f64| -> Vec<f32> {
            (0..count).map(|_| ((2.0 * rng.random::<f64>() - 1.0) * bound) as f32).collect()
        };
        let numbers = match self {
            Self::Torch => uniform(1.0 / fan_in.sqrt()),
            Self::KaimingUniform => uniform((6.0 / fan_in).sqrt()),
            Self::XavierUniform => uniform((6.0 / (fan_in + fan_out)).sqrt()),
            Self::Uniform { bound } => uniform(finite(bound, "bound")?),
            Self::Normal { deviation } => normal(count, finite(deviation, "deviation")?, rng),
            Self::KaimingNormal => normal(count, (2.0 / fan_in).sqrt(), rng),
            Self::XavierNormal => normal(count, (2.0 / (fan_in + fan_out)).sqrt(), rng),
            Self::Constant { value } => vec![finite(value, "value")? as f32; count],
            Self::Gates { bound, gates, keep } => {
                let (mut numbers, size) = (uniform(finite(bound, "bound")?), count / gates.max(1));
                let keep = finite(keep, "keep")? as f32;
                numbers.iter_mut().skip(size).take(size).for_each(|number| *number += keep);
                numbers
            }
            Self::Orthogonal { gain } => return orthogonal(shape, finite(gain, "gain")?, rng),
        };
        Ok(Tensor::f_from_slice(&numbers)?.f_reshape(shape)?)
    }
}

fn fans(shape: &[i64]) -> (f64, f64) {
    let receptive = shape.iter().skip(2).product::<i64>() as f64;
    let fan_out = shape.first().copied().unwrap_or(1) as f64 * receptive;
    let fan_in = shape.get(1).copied().unwrap_or(1) as f64 * receptive;
    (fan_in.max(1.0), fan_out.max(1.0))
}

fn finite(number: f64, name: &str) -> Result<f64, NnError> {
    if number.is_finite() {
        return Ok(number);
    }
    Err(NnError::Config(format!("the initialisation's {name} is {number}: give a finite number")))
}

fn normal(count: usize, deviation: f64, rng: &mut impl Rng) -> Vec<f32> {
    (0..count).map(|_| (rng.sample::<f64, _>(StandardNormal) * deviation) as f32).collect()
}

/// A matrix of orthonormal rows or columns, whichever are fewer, drawn uniformly: the Q of a normal matrix,
/// its columns' signs fixed by R's diagonal.
fn orthogonal(shape: &[i64], gain: f64, rng: &mut impl Rng) -> Result<Tensor, NnError> {
    let rows = shape.first().copied().unwrap_or(1);
    let columns = shape.iter().skip(1).product::<i64>().max(1);
    let numbers: Vec<f64> = (0..rows * columns).map(|_| rng.sample::<f64, _>(StandardNormal)).collect();
    let tall = Tensor::f_from_slice(&numbers)?.f_reshape([rows.max(columns), rows.min(columns)])?;
    let (q, r) = Tensor::f_linalg_qr(&tall, "reduced")?;
    let q = q.f_mul(&r.f_diagonal(0, 0, 1)?.f_sign()?)?;
    let q = if rows < columns { q.f_tr()? } else { q };
    Ok(q.f_mul_scalar(gain)?.f_reshape(shape)?.f_to_kind(Kind::Float)?.f_contiguous()?)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

    #[test]
    fn orthogonal_rows_or_columns_are_orthonormal_times_the_gain() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        for shape in [[64, 4], [4, 64], [32, 32]] {
            let weight = Init::Orthogonal { gain: 2f64.sqrt() }.sample(&shape, &mut rng).unwrap();
            let gram =
                if shape[0] >= shape[1] { weight.tr().matmul(&weight) } else { weight.matmul(&weight.tr()) };
            let identity = Tensor::eye(gram.size()[0], (Kind::Float, tch::Device::Cpu)) * 2.0;
            assert!((gram - identity).abs().max().double_value(&[]) < 1e-5);
        }
    }

    #[test]
    fn spreads_are_as_the_papers_say() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(2);
        let deviation = |init: Init, rng: &mut Xoshiro256PlusPlus| {
            init.sample(&[300, 200], rng).unwrap().std(false).double_value(&[])
        };
        let close = |a: f64, b: f64| (a / b - 1.0).abs() < 0.02;
        assert!(close(deviation(Init::KaimingNormal, &mut rng), (2.0f64 / 200.0).sqrt()));
        assert!(close(deviation(Init::KaimingUniform, &mut rng), (2.0f64 / 200.0).sqrt()));
        assert!(close(deviation(Init::XavierNormal, &mut rng), (2.0f64 / 500.0).sqrt()));
        assert!(close(deviation(Init::XavierUniform, &mut rng), (2.0f64 / 500.0).sqrt()));
        assert!(close(deviation(Init::Torch, &mut rng), 1.0 / (3.0f64 * 200.0).sqrt()));
    }

    #[test]
    fn a_gain_of_nan_is_refused() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(3);
        assert!(Init::Orthogonal { gain: f64::NAN }.sample(&[2, 2], &mut rng).is_err());
    }
}
