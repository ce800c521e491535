//! The mathematics of batches, in operations that autograd records.

use std::f64::consts::{E, PI};

use rand::Rng;
use tch::{Device, Kind, Tensor};

use super::Distribution;
use crate::NnError;

impl Distribution {
    /// Draws one row for each row of `parameters` (f32 `[batch, parameters]`): f32 `[batch, width]`, without
    /// gradient. `masks` is f32 `[batch, parameters]`, 1 for each choice that there is.
    ///
    /// # Errors
    /// [`NnError::Shape`] when the shapes do not fit, [`NnError::Config`] when the parameters are not
    /// numbers.
    pub fn sample(
        &self,
        parameters: &Tensor,
        masks: Option<&Tensor>,
        rng: &mut impl Rng,
    ) -> Result<Tensor, NnError> {
        self.each_row(parameters, masks, |row, mask, draw| self.sample_row(row, mask, rng, draw))
    }

    /// The likeliest draw for each row of `parameters`: f32 `[batch, width]`, without gradient.
    ///
    /// # Errors
    /// As [`Distribution::sample`].
    pub fn mode(&self, parameters: &Tensor, masks: Option<&Tensor>) -> Result<Tensor, NnError> {
        self.each_row(parameters, masks, |row, mask, draw| self.mode_row(row, mask, draw))
    }

    fn each_row(
        &self,
        parameters: &Tensor,
        masks: Option<&Tensor>,
        mut write: impl FnMut(&[f32], Option<&[f32]>, &mut [f32]) -> bool,
    ) -> Result<Tensor, NnError> {
        self.check(parameters, "parameters", self.parameters())?;
        let rows = to_host(parameters)?;
        let masks = match masks {
            Some(masks) => {
                self.check(masks, "masks", self.parameters())?;
                Some(to_host(masks)?)
            }
            None => None,
        };
        let (count, width) = (self.parameters(), self.width());
        let mut draws = vec![0.0; rows.len() / count.max(1) * width];
        for (index, (row, draw)) in rows.chunks_exact(count).zip(draws.chunks_exact_mut(width)).enumerate() {
            let mask = masks.as_ref().map(|masks| &masks[index * count..(index + 1) * count]);
            if !write(row, mask, draw) {
                return Err(NnError::Config(format!("a distribution with the parameters {row:?}")));
            }
        }
        Ok(Tensor::f_from_slice(&draws)?.f_reshape([-1, width as i64])?.f_to_device(parameters.device())?)
    }

    fn check(&self, tensor: &Tensor, what: &str, columns: usize) -> Result<(), NnError> {
        if tensor.dim() == 2 && tensor.size()[1] == columns as i64 {
            return Ok(());
        }
        Err(NnError::Shape(format!(
            "{self:?} takes {what} [batch, {columns}], these are {:?}",
            tensor.size()
        )))
    }

    /// The logarithm of the draws' probabilities (or densities): f32 `[batch]`. `draws` is f32 `[batch,
    /// width]`.
    ///
    /// # Errors
    /// [`NnError::Shape`] when the shapes do not fit.
    pub fn log_prob(
        &self,
        parameters: &Tensor,
        masks: Option<&Tensor>,
        draws: &Tensor,
    ) -> Result<Tensor, NnError> {
        self.check(parameters, "parameters", self.parameters())?;
        self.check(draws, "draws", self.width())?;
        Ok(match self {
            Self::Categorical(_) | Self::MultiCategorical(_) => {
                let choices = draws.f_to_kind(Kind::Int64)?;
                let parts = self.log_probs(parameters, masks)?;
                let taken = parts
                    .iter()
                    .enumerate()
                    .map(|(i, part)| part.f_gather(1, &choices.f_narrow(1, i as i64, 1)?, false))
                    .collect::<Result<Vec<_>, _>>()?;
                sum(&Tensor::f_cat(&taken, 1)?)?
            }
            Self::Bernoulli(_) => sum(&draws.f_mul(parameters)?.f_sub(&parameters.f_softplus()?)?)?,
            Self::Gaussian(n) => {
                let (mean, log_deviation) = halves(parameters, *n)?;
                let z = draws.f_sub(&mean)?.f_mul(&log_deviation.f_neg()?.f_exp()?)?;
                let each = z.f_square()?.f_mul_scalar(-0.5)?.f_sub(&log_deviation)?;
                sum(&each.f_sub_scalar(0.5 * (2.0 * PI).ln())?)?
            }
        })
    }

    /// The entropy of each row's distribution in nats: f32 `[batch]`.
    ///
    /// # Errors
    /// [`NnError::Shape`] when the shapes do not fit.
    pub fn entropy(&self, parameters: &Tensor, masks: Option<&Tensor>) -> Result<Tensor, NnError> {
        self.check(parameters, "parameters", self.parameters())?;
        Ok(match self {
            Self::Categorical(_) | Self::MultiCategorical(_) => {
                let parts = self.log_probs(parameters, masks)?;
                let each = parts.iter().map(expected_surprise).collect::<Result<Vec<_>, _>>()?;
                sum(&Tensor::f_stack(&each, 1)?)?
            }
            Self::Bernoulli(_) => {
                let each = parameters.f_softplus()?.f_sub(&parameters.f_mul(&parameters.f_sigmoid()?)?)?;
                sum(&each)?
            }
            Self::Gaussian(n) => {
                let (_, log_deviation) = halves(parameters, *n)?;
                sum(&log_deviation.f_add_scalar(0.5 * (2.0 * PI * E).ln())?)?
            }
        })
    }

    /// The divergence of `other` from this distribution, `KL(self || other)` in nats: f32 `[batch]`. Both
    /// have the same masks.
    ///
    /// # Errors
    /// [`NnError::Shape`] when the shapes do not fit.
    pub fn kl(&self, own: &Tensor, other: &Tensor, masks: Option<&Tensor>) -> Result<Tensor, NnError> {
        self.check(own, "parameters", self.parameters())?;
        self.check(other, "parameters", self.parameters())?;
        Ok(match self {
            Self::Categorical(_) | Self::MultiCategorical(_) => {
                let pairs = self.log_probs(own, masks)?.into_iter().zip(self.log_probs(other, masks)?);
                let each = pairs
                    .map(|(own, other)| {
                        let p = own.f_exp()?;
                        let gap = own.f_sub(&other)?.f_nan_to_num(0.0, None, None)?;
                        sum(&p.f_mul(&gap)?)
                    })
                    .collect::<Result<Vec<_>, NnError>>()?;
                sum(&Tensor::f_stack(&each, 1)?)?
            }
            Self::Bernoulli(_) => {
                let gap = other.f_softplus()?.f_sub(&own.f_softplus()?)?;
                sum(&gap.f_add(&own.f_sigmoid()?.f_mul(&own.f_sub(other)?)?)?)?
            }
            Self::Gaussian(n) => {
                let ((mean, log), (other_mean, other_log)) = (halves(own, *n)?, halves(other, *n)?);
                let precision = other_log.f_mul_scalar(-2.0)?.f_exp()?;
                let spread = log.f_mul_scalar(2.0)?.f_exp()?.f_add(&mean.f_sub(&other_mean)?.f_square()?)?;
                let each = spread.f_mul(&precision)?.f_mul_scalar(0.5)?.f_add(&other_log.f_sub(&log)?)?;
                sum(&each.f_sub_scalar(0.5)?)?
            }
        })
    }

    /// The log-probabilities of each categorical part. A choice that is masked has minus infinity, and no
    /// gradient.
    fn log_probs(&self, parameters: &Tensor, masks: Option<&Tensor>) -> Result<Vec<Tensor>, NnError> {
        let logits = match masks {
            Some(masks) => {
                self.check(masks, "masks", self.parameters())?;
                parameters.f_masked_fill(&masks.f_eq(0.0)?, f64::NEG_INFINITY)?
            }
            None => parameters.shallow_clone(),
        };
        let counts: Vec<i64> = self.counts().iter().map(|&count| count as i64).collect();
        let parts = logits.f_split_with_sizes(counts, 1)?;
        parts.iter().map(|part| Ok(part.f_log_softmax(1, None)?)).collect()
    }
}

/// `-sum p log p`, where a probability of 0 adds nothing and passes no gradient.
fn expected_surprise(log_p: &Tensor) -> Result<Tensor, NnError> {
    let finite = log_p.f_masked_fill(&log_p.f_eq(f64::NEG_INFINITY)?, 0.0)?;
    Ok(sum(&log_p.f_exp()?.f_mul(&finite)?)?.f_neg()?)
}

pub(super) fn sum(tensor: &Tensor) -> Result<Tensor, NnError> {
    Ok(tensor.f_sum_dim_intlist(Some(&[1i64][..]), false, None)?)
}

/// Means and logarithms of deviations.
pub(super) fn halves(parameters: &Tensor, n: usize) -> Result<(Tensor, Tensor), NnError> {
    Ok((parameters.f_narrow(1, 0, n as i64)?, parameters.f_narrow(1, n as i64, n as i64)?))
}

fn to_host(tensor: &Tensor) -> Result<Vec<f32>, NnError> {
    let flat = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?.f_reshape([-1])?;
    Ok(Vec::<f32>::try_from(&flat)?)
}
