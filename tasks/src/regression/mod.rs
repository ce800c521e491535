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
    squared: f64,
    absolute: f64,
    targets: f64,
    targets_squared: f64,
    numbers: f64,
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
        let count = batch.targets.numel() as f64;
        let sum = |tensor: Tensor| -> Result<f64, TaskError> {
            Ok(tensor.f_sum(Kind::Double)?.f_double_value(&[])?)
        };
        sums.loss += self.of(&outputs, &batch.targets)?.f_double_value(&[])? * count;
        sums.squared += sum(errors.f_square()?)?;
        sums.absolute += sum(errors.f_abs()?)?;
        sums.targets += sum(targets.shallow_clone())?;
        sums.targets_squared += sum(targets.f_square()?)?;
        sums.numbers += count;
        Ok(())
    }

    fn measured(&self, _: &mut Pass<'_>, sums: Sums) -> Result<Measured, TaskError> {
        let count = sums.numbers.max(1.0);
        let spread = sums.targets_squared - sums.targets * sums.targets / count;
        let metrics = [
            ("loss", sums.loss / count),
            ("mean_squared_error", sums.squared / count),
            ("mean_absolute_error", sums.absolute / count),
            // The share of the targets' variance that the model explains.
            ("r2", 1.0 - sums.squared / spread.max(f64::MIN_POSITIVE)),
        ];
        let metrics = metrics.map(|(name, value)| (name.to_string(), value)).into();
        Ok(Measured { metrics, pictures: Vec::new() })
    }

    fn predict(&self, pass: &mut Pass<'_>, inputs: &Tensor) -> Result<Tensor, TaskError> {
        Ok(self.network.forward(pass, inputs)?)
    }
}
