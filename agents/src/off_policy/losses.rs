//! The mathematics of critics, as free functions of plain numbers and, under `tensors`, of tensors.
//!
//! Values of several critics are `[critics, rows]`, one critic after the other; a row has one number, or one
//! for each discrete action.

/// The smaller (or smallest) of the critics' values, number by number, into `smallest`. NaN comes through.
pub fn smallest(values: &[f32], critics: usize, smallest: &mut Vec<f32>) {
    let count = values.len() / critics.max(1);
    smallest.clear();
    smallest.extend_from_slice(&values[..count]);
    for critic in values[count..].chunks_exact(count.max(1)) {
        for (least, &value) in smallest.iter_mut().zip(critic) {
            if value < *least || value.is_nan() {
                *least = value;
            }
        }
    }
}

/// The target of an action value: `r + gamma V(s')` where the world goes on or was cut off, `r` where it
/// ended.
///
/// `targets` holds `V(s')` and becomes the target; `continues` is 1 or 0. All are `[batch]`.
pub fn td_targets(rewards: &[f32], continues: &[f32], discount: f64, targets: &mut [f32]) {
    for ((target, reward), continues) in targets.iter_mut().zip(rewards).zip(continues) {
        *target = reward + continues * discount as f32 * *target;
    }
}

/// Half the weighted mean squared error of each critic's values, summed over the critics, and its gradient
/// into `gradient`. Each row's mean absolute error, over the critics, goes into `errors`.
///
/// `values` and `gradient` are `[critics, batch, columns]`, `targets`, `weights` and `errors` are `[batch]`.
/// The column of each row that counts is the one that `choices` (`[batch]`) names; the first one where that
/// is empty.
pub fn regress(
    (values, columns): (&[f32], usize),
    choices: &[i64],
    (targets, weights): (&[f32], &[f32]),
    gradient: &mut [f32],
    errors: &mut Vec<f32>,
) -> f64 {
    let per_row = 1.0 / targets.len() as f32;
    let per_critic = (targets.len() * columns) as f32 / values.len() as f32;
    gradient.fill(0.0);
    errors.clear();
    errors.resize(targets.len(), 0.0);
    let mut sum = 0.0;
    let critics = values.chunks_exact(targets.len() * columns);
    for (values, gradient) in critics.zip(gradient.chunks_exact_mut(targets.len() * columns)) {
        for (row, target) in targets.iter().enumerate() {
            let at = row * columns + choices.get(row).map_or(0, |&choice| choice as usize);
            let error = values[at] - target;
            gradient[at] = weights[row] * error * per_row;
            errors[row] += error.abs() * per_critic;
            sum += f64::from(0.5 * weights[row] * error * error);
        }
    }
    sum * f64::from(per_row)
}

/// The gradient of minus the mean of the smallest value, into `gradient`: each row's falls to the critic that
/// gave it, of equals the first. Gives the mean. Both are `[critics, batch]`.
pub fn ascend_smallest(values: &[f32], critics: usize, gradient: &mut [f32]) -> f64 {
    let batch = values.len() / critics.max(1);
    let per_row = 1.0 / batch as f32;
    gradient.fill(0.0);
    let mut sum = 0.0;
    for row in 0..batch {
        let mut least = row;
        for at in (row..values.len()).step_by(batch).skip(1) {
            if values[at] < values[least] || values[at].is_nan() {
                least = at;
            }
        }
        gradient[least] = -per_row;
        sum += f64::from(values[least]);
    }
    sum * f64::from(per_row)
}

/// The same in operations that autograd records.
pub mod tensors {
    use tch::Tensor;

    use crate::core::AgentError;

    /// The smallest of the critics' values, f32 `[critics, batch, columns]`: f32 `[batch, columns]`. The
    /// gradient falls to the critic that gave the value. NaN comes through.
    ///
    /// # Errors
    /// [`AgentError::Nn`] when the shape does not fit.
    pub fn smallest(values: &Tensor) -> Result<Tensor, AgentError> {
        match values.size()[0] {
            1 => Ok(values.f_squeeze_dim(0)?),
            _ => Ok(values.f_min_dim(0, false)?.0),
        }
    }

    /// [`td_targets`](super::td_targets) of next values, each f32 `[batch]`.
    ///
    /// # Errors
    /// [`AgentError::Nn`] when the shapes do not fit.
    pub fn td_targets(
        rewards: &Tensor,
        continues: &Tensor,
        discount: f64,
        next_values: &Tensor,
    ) -> Result<Tensor, AgentError> {
        Ok(rewards.f_addcmul(&continues.f_mul_scalar(discount)?, next_values)?)
    }

    /// [`regress`](super::regress) of values, f32 `[critics, batch, columns]`: the loss, f32 `[]`, recorded
    /// by autograd, and each row's mean absolute error over the critics, f32 `[batch]`. `choices` is i64
    /// `[batch, 1]`; without it the first column of each row counts.
    ///
    /// # Errors
    /// [`AgentError::Nn`] when the shapes do not fit.
    pub fn regress(
        values: &Tensor,
        choices: Option<&Tensor>,
        (targets, weights): (&Tensor, &Tensor),
    ) -> Result<(Tensor, Tensor), AgentError> {
        let (critics, batch) = (values.size()[0], values.size()[1]);
        let chosen = match choices {
            Some(choices) => {
                let choices = choices.f_unsqueeze(0)?.f_expand([critics, batch, 1], false)?;
                values.f_gather(2, &choices, false)?
            }
            None => values.f_narrow(2, 0, 1)?,
        };
        let errors = chosen.f_squeeze_dim(2)?.f_sub(targets)?;
        let weighted = errors.f_square()?.f_mul(weights)?.f_sum(None)?;
        let rows = errors.f_detach()?.f_abs()?.f_mean_dim(Some(&[0i64][..]), false, None)?;
        Ok((weighted.f_mul_scalar(0.5 / batch as f64)?, rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncation_bootstraps_and_termination_does_not() {
        let mut targets = [10.0, 10.0, 4.0];
        // The second ended; an episode that was ended and cut off at once counts as ended, and comes here as
        // 0 too.
        td_targets(&[1.0, 1.0, -2.0], &[1.0, 0.0, 1.0], 0.9, &mut targets);
        for (target, expected) in targets.iter().zip([10.0, 1.0, 1.6]) {
            assert!((target - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn the_smaller_of_two_counts_and_nan_is_seen() {
        let mut least = vec![9.0; 7];
        smallest(&[1.0, 5.0, 2.0, 4.0], 2, &mut least);
        assert_eq!(least, [1.0, 4.0]);
        smallest(&[1.0, 5.0], 1, &mut least);
        assert_eq!(least, [1.0, 5.0]);
        smallest(&[f32::NAN, 5.0, 2.0, f32::NAN, 1.0, 1.0], 3, &mut least);
        assert!(least.iter().all(|value| value.is_nan()));
    }

    #[test]
    fn a_regression_by_hand() {
        // Two critics, two rows: errors 1, -2 and 0, 4.
        let mut gradient = [9.0; 4];
        let mut errors = Vec::new();
        let all = (&[1.0, 3.0][..], &[1.0, 1.0][..]);
        let loss = regress((&[2.0, 1.0, 1.0, 7.0], 1), &[], all, &mut gradient, &mut errors);
        assert_eq!(gradient, [0.5, -1.0, 0.0, 2.0]);
        assert_eq!(loss, (1.0 + 4.0) / 4.0 + 16.0 / 4.0);
        assert_eq!(errors, [0.5, 3.0]);
        // One critic of two discrete actions, of which the second row weighs half.
        let mut gradient = [9.0; 4];
        let weighted = (&[1.0, 3.0][..], &[1.0, 0.5][..]);
        let loss = regress((&[2.0, 9.0, 9.0, 7.0], 2), &[0, 1], weighted, &mut gradient, &mut errors);
        assert_eq!(gradient, [0.5, 0.0, 0.0, 1.0]);
        assert_eq!(loss, (1.0 + 8.0) / 4.0);
        assert_eq!(errors, [1.0, 4.0]);
    }

    #[test]
    fn the_gradient_goes_to_the_critic_that_gave_the_value() {
        let mut gradient = [9.0; 4];
        let mean = ascend_smallest(&[1.0, 5.0, 2.0, 4.0], 2, &mut gradient);
        assert_eq!((mean, gradient), (2.5, [-0.5, 0.0, 0.0, -0.5]));
        assert!(ascend_smallest(&[1.0, f32::NAN], 2, &mut [0.0; 2]).is_nan());
    }
}
