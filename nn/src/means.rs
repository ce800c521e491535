//! Numbers to log, and their means.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use crate::NnError;

/// A number to log: known already, or still being computed on a device.
#[derive(Debug)]
pub enum Scalar {
    /// A number in ordinary memory.
    Known(f64),
    /// A tensor of one number, f32 or f64 `[]`. Reading it waits for the device.
    Pending(Tensor),
}

impl Scalar {
    /// The number. Waits for the device if it is still being computed.
    ///
    /// # Errors
    /// [`NnError::Torch`] when libtorch fails.
    pub fn value(&self) -> Result<f64, NnError> {
        match self {
            Self::Known(number) => Ok(*number),
            Self::Pending(tensor) => Ok(tensor.f_double_value(&[])?),
        }
    }

    /// The tensor of a number that is still being computed.
    ///
    /// # Errors
    /// [`NnError::State`] when the number is known: losses on tensors are made of tensors alone.
    pub fn tensor(&self) -> Result<&Tensor, NnError> {
        match self {
            Self::Pending(tensor) => Ok(tensor),
            Self::Known(number) => {
                let message =
                    format!("{number} is in ordinary memory where a loss on tensors needs a tensor");
                Err(NnError::State(message))
            }
        }
    }
}

impl From<f64> for Scalar {
    fn from(number: f64) -> Self {
        Self::Known(number)
    }
}

impl From<Tensor> for Scalar {
    fn from(tensor: Tensor) -> Self {
        Self::Pending(tensor)
    }
}

/// Sums of named numbers since the last log. Numbers of a device are summed there, in f64, and are read when
/// they are logged or saved, so that no update waits for them.
#[derive(Debug, Default)]
pub struct Means(BTreeMap<String, Sum>);

#[derive(Debug)]
struct Sum {
    total: Scalar,
    count: u64,
}

/// The sum and the count under each tag, as they are saved: a resumed run logs what the uninterrupted one
/// would have.
pub type SavedMeans = BTreeMap<String, (f64, u64)>;

impl Means {
    /// Adds one number that is known.
    pub fn add(&mut self, tag: &'static str, number: f64) {
        match self.0.get_mut(tag) {
            Some(Sum { total: Scalar::Known(total), count }) => {
                *total += number;
                *count += 1;
            }
            Some(Sum { total: Scalar::Pending(total), count }) => {
                let _guard = tch::no_grad_guard();
                *total += number;
                *count += 1;
            }
            None => drop(self.0.insert(tag.into(), Sum { total: Scalar::Known(number), count: 1 })),
        }
    }

    /// Adds one number, wherever it is.
    ///
    /// # Errors
    /// [`NnError::Torch`] when the tensor is not of one number.
    pub fn add_scalar(&mut self, tag: &'static str, number: &Scalar) -> Result<(), NnError> {
        let tensor = match number {
            Scalar::Known(number) => {
                self.add(tag, *number);
                return Ok(());
            }
            Scalar::Pending(tensor) => tensor.f_detach()?.f_to_kind(Kind::Double)?.f_view([0; 0])?,
        };
        let sum = self.0.entry(tag.into()).or_insert(Sum { total: Scalar::Known(0.0), count: 0 });
        sum.total = Scalar::Pending(match &sum.total {
            Scalar::Known(total) => tensor.f_add_scalar(*total)?,
            Scalar::Pending(total) => tensor.f_add(total)?,
        });
        sum.count += 1;
        Ok(())
    }

    /// Adds a loss. One that is still being computed is checked when its mean is logged.
    ///
    /// # Errors
    /// [`NnError::Diverged`] for a loss that is known not to be finite; [`NnError::Torch`] when the tensor
    /// is not of one number.
    pub fn add_loss(&mut self, tag: &'static str, loss: &Scalar) -> Result<(), NnError> {
        match loss {
            Scalar::Known(number) if !number.is_finite() => {
                Err(NnError::Diverged(format!("the loss is {number}")))
            }
            loss => self.add_scalar(tag, loss),
        }
    }

    /// The mean of each of these tags that numbers were added to, which are forgotten.
    ///
    /// # Errors
    /// [`NnError::Torch`] when libtorch fails.
    pub fn take(&mut self, tags: &[&'static str]) -> Result<Vec<(&'static str, f64)>, NnError> {
        let mut means = Vec::new();
        for tag in tags {
            if let Some(sum) = self.0.remove(*tag) {
                means.push((*tag, sum.total.value()? / sum.count as f64));
            }
        }
        Ok(means)
    }

    /// The sums as they are saved.
    ///
    /// # Errors
    /// [`NnError::Torch`] when libtorch fails.
    pub fn saved(&self) -> Result<SavedMeans, NnError> {
        self.0.iter().map(|(tag, sum)| Ok((tag.clone(), (sum.total.value()?, sum.count)))).collect()
    }

    /// Sums that were saved. They go on where the numbers come from.
    pub fn from_saved(saved: SavedMeans) -> Self {
        let sum = |(total, count)| Sum { total: Scalar::Known(total), count };
        Self(saved.into_iter().map(|(tag, saved)| (tag, sum(saved))).collect())
    }
}

/// Refuses means of losses that are no numbers: what was summed on a device is seen only now.
///
/// # Errors
/// [`NnError::Diverged`] naming the tag.
pub fn check_losses(means: &[(&'static str, f64)], losses: &[&str]) -> Result<(), NnError> {
    match means.iter().find(|(tag, mean)| losses.contains(tag) && !mean.is_finite()) {
        Some((tag, mean)) => Err(NnError::Diverged(format!("the mean of {tag} is {mean}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_on_a_device_are_those_of_ordinary_memory_across_a_resume() {
        let numbers = [0.1f32, 0.7, -1.3, 2.9, 1e-3];
        let (mut known, mut pending) = (Means::default(), Means::default());
        for (index, number) in numbers.into_iter().enumerate() {
            known.add("train/loss", f64::from(number));
            pending.add_scalar("train/loss", &Tensor::from(number).into()).unwrap();
            if index == 2 {
                pending = Means::from_saved(pending.saved().unwrap());
            }
        }
        assert_eq!(known.saved().unwrap(), pending.saved().unwrap());
        assert_eq!(known.take(&["train/loss"]).unwrap(), pending.take(&["train/loss"]).unwrap());
        assert!(pending.take(&["train/loss"]).unwrap().is_empty());
    }

    #[test]
    fn a_loss_that_is_no_number_is_found_when_it_is_logged() {
        let mut means = Means::default();
        means.add_scalar("train/loss", &Tensor::from(f32::NAN).into()).unwrap();
        means.add("train/explained_variance", f64::NAN);
        let taken = means.take(&["train/explained_variance", "train/loss"]).unwrap();
        let message = check_losses(&taken, &["train/loss"]).unwrap_err().to_string();
        assert!(message.contains("train/loss"), "{message}");
        check_losses(&taken[..1], &["train/loss"]).unwrap();
    }
}
