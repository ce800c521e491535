//! Regression: numbers that belong to an input, by the mean squared or absolute error.

use pavlov_common::SeededRng;
use pavlov_data::Target;
use pavlov_nn::layers::Sequential;
use pavlov_nn::{Layout, Module, Pass};
use serde::{Deserialize, Serialize};
use tch::{Kind, Reduction, Tensor};

use crate::core::{
    Criterion, Loss, Measured, Model, Supervised, Task, TaskConfig, TaskContext, TaskError, Tensors,
};
use crate::networks::{NetConfig, judge};

/// The loss of an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorLoss {
    /// `e^2`
    #[default]
    Squared,
    /// `|e|`
    Absolute,
    /// `e^2 / 2` up to an error of 1, `|e| - 1/2` beyond.
    Huber,
}

/// The configuration of regression.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegressionConfig {
    /// The network.
    pub net: NetConfig,
    /// The loss.
    pub loss: ErrorLoss,
}

impl TaskConfig for RegressionConfig {
    const NAME: &'static str = "regression";
    const SUMMARY: &'static str = "Regression of numbers, by the squared, absolute or Huber error";

    fn validate(&self) -> Result<(), TaskError> {
        Ok(())
    }

    fn build(&self, context: &TaskContext) -> Result<Box<dyn Task>, TaskError> {
        let Target::Numbers { names } = &context.target else {
            return Err(TaskError::Unsupported(
                "regression learns numbers, and the data's targets are none: `classifier` learns classes"
                    .into(),
            ));
        };
        let mut layout = Layout::new();
        let (input, width) = (&context.input, names.len() as i64);
        let network = self.net.build_with_head(&mut layout, input, (width, false), || judge(input))?;
        Ok(Box::new(Supervised::new(Regression { network, loss: self.loss }, &layout, context)?))
    }
}

#[derive(Debug)]
struct Regression {
    network: Sequential,
    loss: ErrorLoss,
}

/// The sums of a measurement.
#[derive(Debug, Default)]
struct Sums {
    loss: f64,
    absolute: f64,
    rows: f64,
    columns: Vec<Column>,
}

/// The sums of one column.
#[derive(Clone, Copy, Debug)]
struct Column {
    /// The first target. Targets are counted from it: the squares of large ones that hardly vary would hide
    /// what varies.
    origin: f64,
    targets: f64,
    targets_squared: f64,
    errors_squared: f64,
}

impl Column {
    /// The share of the targets' variance that the model explains. Where nothing varies it is 1 without an
    /// error, else 0, as scikit-learn has it.
    fn r2(&self, rows: f64) -> f64 {
        let spread = self.targets_squared - self.targets * self.targets / rows;
        match spread > 0.0 {
            true => 1.0 - self.errors_squared / spread,
            false => f64::from(u8::from(self.errors_squared == 0.0)),
        }
    }
}

impl Regression {
    fn of(&self, outputs: &Tensor, targets: &Tensor) -> Result<Tensor, TaskError> {
        Ok(match self.loss {
            ErrorLoss::Squared => outputs.f_mse_loss(targets, Reduction::Mean)?,
            ErrorLoss::Absolute => outputs.f_l1_loss(targets, Reduction::Mean)?,
            ErrorLoss::Huber => outputs.f_smooth_l1_loss(targets, Reduction::Mean, 1.0)?,
        })
    }
}

impl Model for Regression {
    type Sums = Sums;

    const CRITERION: Criterion = Criterion { metric: "loss", highest_is_best: false };

    fn loss(&self, pass: &mut Pass<'_>, batch: &Tensors, _: &mut SeededRng) -> Result<Loss, TaskError> {
        let outputs = self.network.forward(pass, &batch.inputs)?;
        Ok(Loss::of(self.of(&outputs, &batch.targets)?))
    }

    fn add(&self, pass: &mut Pass<'_>, batch: &Tensors, sums: &mut Sums) -> Result<(), TaskError> {
        let outputs = self.network.forward(pass, &batch.inputs)?;
        let targets = batch.targets.f_to_kind(Kind::Double)?;
        let errors = outputs.f_to_kind(Kind::Double)?.f_sub(&targets)?;
        let of_columns = |tensor: Tensor| -> Result<Vec<f64>, TaskError> {
            Ok(Vec::try_from(tensor.f_sum_dim_intlist([0i64].as_slice(), false, Kind::Double)?)?)
        };
        if sums.columns.is_empty() {
            let first = Vec::<f64>::try_from(targets.f_select(0, 0)?)?.into_iter();
            let empty = |origin| Column { origin, targets: 0.0, targets_squared: 0.0, errors_squared: 0.0 };
            sums.columns = first.map(empty).collect();
        }
        let origins: Vec<_> = sums.columns.iter().map(|column| column.origin).collect();
        let targets = targets.f_sub(&Tensor::f_from_slice(&origins)?.f_to(targets.device())?)?;
        let numbers = batch.targets.numel() as f64;
        sums.loss += self.of(&outputs, &batch.targets)?.f_double_value(&[])? * numbers;
        sums.absolute += errors.f_abs()?.f_sum(Kind::Double)?.f_double_value(&[])?;
        sums.rows += batch.rows as f64;
        let new = of_columns(targets.f_square()?)?.into_iter().zip(of_columns(errors.f_square()?)?);
        for ((column, target), (target_squared, error_squared)) in
            sums.columns.iter_mut().zip(of_columns(targets)?).zip(new)
        {
            column.targets += target;
            column.targets_squared += target_squared;
            column.errors_squared += error_squared;
        }
        Ok(())
    }

    fn measured(&self, _: &mut Pass<'_>, sums: Sums) -> Result<Measured, TaskError> {
        let columns = sums.columns.len().max(1) as f64;
        let count = sums.rows.max(1.0) * columns;
        let of_columns = |of: &dyn Fn(&Column) -> f64| sums.columns.iter().map(of).sum::<f64>();
        let metrics = [
            ("loss", sums.loss / count),
            ("mean_squared_error", of_columns(&|column| column.errors_squared) / count),
            ("mean_absolute_error", sums.absolute / count),
            ("r2", of_columns(&|column| column.r2(sums.rows)) / columns),
        ];
        let metrics = metrics.map(|(name, value)| (name.to_string(), value)).into();
        Ok(Measured { metrics, pictures: Vec::new() })
    }

    fn predict(&self, pass: &mut Pass<'_>, inputs: &Tensor) -> Result<Tensor, TaskError> {
        Ok(self.network.forward(pass, inputs)?)
    }
}

#[cfg(test)]
mod tests;
