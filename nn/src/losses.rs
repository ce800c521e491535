//! Losses that come with their gradient, so that no graph of operations has to be recorded for them.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::{NnError, shim};

/// The loss of an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Regression {
    /// `e^2 / 2` up to an error of 1, `|e| - 1/2` beyond: the gradient is the error clipped to [-1, 1].
    #[default]
    Huber,
    /// `e^2`
    Squared,
}

/// The results of a batch's regression.
#[derive(Debug)]
pub struct Regressed {
    /// The weighted mean loss, f32 `[]`.
    pub loss: Tensor,
    /// The loss's gradient with respect to the predictions, f32 `[batch, columns]`: what [`crate::backward`]
    /// takes.
    pub gradient: Tensor,
    /// Prediction minus target of each row, f32 `[batch]`.
    pub errors: Tensor,
}

/// The mean loss of one chosen column of each row against its target.
///
/// `predictions` is f32 `[batch, columns]`, `choices` i64 `[batch]` (or `[batch, 1]`), `targets` f32
/// `[batch]`; `weights`, f32 `[batch]`, multiplies each row's loss (importance weights, say).
///
/// # Errors
/// [`NnError::Shim`] when shapes do not fit or a choice is no column.
pub fn regress_columns(
    predictions: &Tensor,
    choices: &Tensor,
    targets: &Tensor,
    weights: Option<&Tensor>,
    regression: Regression,
) -> Result<Regressed, NnError> {
    let kind = regression as i32;
    let [loss, gradient, errors] =
        shim::regression::regress_columns(predictions, choices, targets, weights, kind, false)?;
    Ok(Regressed { loss, gradient, errors })
}

#[cfg(test)]
mod tests {
    use tch::{Kind, Reduction};

    use super::*;

    fn distance(a: &Tensor, b: &Tensor) -> f64 {
        (a - b).abs().max().double_value(&[])
    }

    /// Predictions whose errors lie on both sides of 1.
    fn example() -> (Tensor, Tensor, Tensor, Tensor) {
        let predictions =
            Tensor::from_slice(&[1.5f32, 0.0, 9.0, 0.0, 4.0, 9.0, -2.5, 1.0, 0.25]).reshape([3, 3]);
        let choices = Tensor::from_slice(&[0i64, 1, 0]);
        let targets = Tensor::from_slice(&[1f32, 1.0, 1.0]);
        let weights = Tensor::from_slice(&[1f32, 0.5, 2.0]);
        (predictions, choices, targets, weights)
    }

    #[test]
    fn both_ways_agree_with_autograd() {
        let (predictions, choices, targets, weights) = example();
        for (regression, weights) in [
            (Regression::Huber, None),
            (Regression::Huber, Some(&weights)),
            (Regression::Squared, None),
            (Regression::Squared, Some(&weights)),
        ] {
            let leaf = predictions.copy().set_requires_grad(true);
            let taken = leaf.gather(1, &choices.unsqueeze(1), false).squeeze_dim(1);
            let each = match regression {
                Regression::Huber => taken.smooth_l1_loss(&targets, Reduction::None, 1.0),
                Regression::Squared => taken.mse_loss(&targets, Reduction::None),
            };
            let loss = match weights {
                Some(weights) => each * weights,
                None => each,
            }
            .mean(Kind::Float);
            loss.backward();
            for portable in [false, true] {
                let [have, gradient, errors] = shim::regression::regress_columns(
                    &predictions,
                    &choices,
                    &targets,
                    weights,
                    regression as i32,
                    portable,
                )
                .unwrap();
                assert!(distance(&have, &loss.detach()) < 1e-6, "{regression:?}");
                assert!(distance(&gradient, &leaf.grad()) < 1e-6, "{regression:?}");
                assert!(distance(&errors, &Tensor::from_slice(&[0.5f32, 3.0, -3.5])) < 1e-6);
            }
        }
    }

    #[test]
    fn a_choice_that_is_no_column_is_an_error_and_nan_is_seen() {
        let (predictions, _, targets, _) = example();
        let run = |choices: &[i64], targets: &Tensor| {
            regress_columns(&predictions, &Tensor::from_slice(choices), targets, None, Regression::Huber)
        };
        for wrong in [&[0i64, 3, 0][..], &[0, -1, 0], &[0, 1]] {
            assert!(matches!(run(wrong, &targets), Err(NnError::Shim(_))), "{wrong:?}");
        }
        let nan = Tensor::from_slice(&[f32::NAN, 1.0, 1.0]);
        let outcome = run(&[0, 1, 2], &nan).unwrap();
        assert!(outcome.loss.double_value(&[]).is_nan());
        assert!(outcome.gradient.double_value(&[0, 0]).is_nan());
    }
}
