//! The classifier as a model: its loss and its measures.

use pavlov_common::SeededRng;
use pavlov_data::Input;
use pavlov_nn::layers::Sequential;
use pavlov_nn::{Module, Pass};
use tch::{Kind, Reduction, Tensor};

use super::losses::{Mixed, cross_entropy, mixed, mixed_cross_entropy};
use super::measures::Confusion;
use crate::core::{Criterion, Loss, Measured, Model, TaskError, Tensors, confusion, first_filters, sheet};

/// Misclassified pictures that are kept to be shown.
const SHOWN: usize = 32;

#[derive(Debug)]
pub(super) struct Classifier {
    pub network: Sequential,
    pub names: Vec<String>,
    pub input: Input,
    pub label_smoothing: f64,
    pub mixup_alpha: f64,
    pub top_k: i64,
}

/// The sums of a measurement.
#[derive(Debug, Default)]
pub(super) struct Sums {
    confusion: Confusion,
    loss: f64,
    among_k: f64,
    samples: f64,
    mistaken: Vec<Tensor>,
}

impl Model for Classifier {
    type Sums = Sums;

    const CRITERION: Criterion = Criterion { metric: "accuracy", highest_is_best: true };
    const PARTS: &'static [&'static str] = &["train/accuracy"];

    fn loss(&self, pass: &mut Pass<'_>, batch: &Tensors, rng: &mut SeededRng) -> Result<Loss, TaskError> {
        let Tensors { inputs, classes, .. } = batch;
        if self.mixup_alpha > 0.0 {
            let Mixed { inputs, partners, share } = mixed(inputs, classes, self.mixup_alpha, rng)?;
            let logits = self.network.forward(pass, &inputs)?;
            let classes = [classes, &partners];
            return Ok(Loss::of(mixed_cross_entropy(&logits, classes, share, self.label_smoothing)?));
        }
        let logits = self.network.forward(pass, inputs)?;
        let total = cross_entropy(&logits, classes, self.label_smoothing)?;
        let right = logits.f_detach()?.f_argmax(1, false)?.f_eq_tensor(classes)?;
        Ok(Loss { total, parts: vec![("train/accuracy", right.f_mean(Kind::Float)?)] })
    }

    fn add(&self, pass: &mut Pass<'_>, batch: &Tensors, sums: &mut Sums) -> Result<(), TaskError> {
        let Tensors { inputs, classes, rows, .. } = batch;
        let logits = self.network.forward(pass, inputs)?;
        let loss = logits.f_cross_entropy_loss::<Tensor>(classes, None, Reduction::Sum, -100, 0.0)?;
        sums.loss += loss.f_double_value(&[])?;
        sums.samples += *rows as f64;
        let (_, likeliest) = logits.f_topk(self.top_k, 1, true, true)?;
        let among = likeliest.f_eq_tensor(&classes.f_unsqueeze(1)?)?;
        sums.among_k += among.f_sum(Kind::Float)?.f_double_value(&[])?;
        let taken = likeliest.f_select(1, 0)?;
        if sums.confusion.counts.is_empty() {
            sums.confusion = Confusion::new(self.names.len());
        }
        let classes = Vec::<i64>::try_from(classes)?;
        let taken = Vec::<i64>::try_from(taken)?;
        for (row, (&class, &taken)) in classes.iter().zip(&taken).enumerate() {
            sums.confusion.add(class as usize, taken as usize);
            if class != taken && sums.mistaken.len() < SHOWN && matches!(self.input, Input::Image { .. }) {
                sums.mistaken.push(inputs.f_select(0, row as i64)?);
            }
        }
        Ok(())
    }

    fn measured(&self, pass: &mut Pass<'_>, sums: Sums) -> Result<Measured, TaskError> {
        let samples = sums.samples.max(1.0);
        let scores = sums.confusion.mean_scores();
        let mut metrics = vec![
            ("loss", sums.loss / samples),
            ("accuracy", sums.confusion.accuracy()),
            ("precision", scores.precision),
            ("recall", scores.recall),
            ("f1", scores.f1),
        ];
        if self.top_k > 1 && self.top_k < self.names.len() as i64 {
            metrics.push(("accuracy_top_k", sums.among_k / samples));
        }
        let mut pictures = Vec::new();
        if self.names.len() <= 32 && !sums.confusion.counts.is_empty() {
            pictures.push(("confusion".to_string(), confusion(&sums.confusion.counts, &self.names)));
        }
        if !sums.mistaken.is_empty() {
            let images = Tensor::f_stack(&sums.mistaken, 0)?;
            pictures.push(("mistaken".to_string(), sheet(&unit_range(&images)?, 8)?));
        }
        let filters = first_filters(pass.parameters(), "net.", &self.input)?;
        pictures.extend(filters.map(|sheet| ("filters".to_string(), sheet)));
        let metrics = metrics.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
        Ok(Measured { metrics, pictures })
    }

    fn predict(&self, pass: &mut Pass<'_>, inputs: &Tensor) -> Result<Tensor, TaskError> {
        Ok(self.network.forward(pass, inputs)?.f_softmax(1, Kind::Float)?)
    }
}

/// Images stretched to the range from 0 to 1, whatever their normalisation was.
fn unit_range(images: &Tensor) -> Result<Tensor, TaskError> {
    let (least, largest) = (images.f_min()?, images.f_max()?);
    let range = largest.f_sub(&least)?.f_clamp_min(1e-6)?;
    Ok(images.f_sub(&least)?.f_div(&range)?)
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
