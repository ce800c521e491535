//! The autoencoder as a model: its loss, its measures, its pictures.

use pavlov_common::SeededRng;
use pavlov_data::Input;
use pavlov_nn::layers::{Linear, Sequential};
use pavlov_nn::{Draw, Module, Parameters, Pass, random};
use rand::RngExt;
use tch::{Kind, Tensor};

use super::config::{AutoencoderConfig, Restoration};
use super::losses::{kl_from_standard_normal, restoration_error};
use crate::core::{
    Criterion, Loss, Measured, Model, Pictures, SampleRequest, Samples, TaskError, Tensors, first_filters,
    sheet,
};

/// Inputs that are shown beside what became of them.
const SHOWN: i64 = 16;
/// Steps of a walk along one number of the code, from -2.5 to 2.5.
const STEPS: i64 = 11;

#[derive(Debug)]
pub(super) struct Autoencoder {
    pub config: AutoencoderConfig,
    pub encoder: Sequential,
    pub code: Linear,
    pub decoder: Sequential,
    pub input: Input,
}

/// The sums of a measurement.
#[derive(Debug, Default)]
pub(super) struct Sums {
    error: f64,
    squared: f64,
    divergence: f64,
    samples: f64,
    numbers: f64,
    shown: Option<(Tensor, Tensor)>,
}

/// The code of a batch.
struct Code {
    mean: Tensor,
    /// The logarithm of the variance, of a variational autoencoder.
    log_variance: Option<Tensor>,
}

impl Autoencoder {
    fn encode(&self, pass: &mut Pass<'_>, inputs: &Tensor) -> Result<Code, TaskError> {
        let features = self.encoder.forward(pass, inputs)?.f_flatten(1, -1)?;
        let code = self.code.forward(pass, &features)?;
        if !self.config.variational {
            return Ok(Code { mean: code, log_variance: None });
        }
        let mean = code.f_narrow(1, 0, self.config.code)?;
        // Variances beyond exp(10) are no help to anyone, and their exponential would overflow.
        let log_variance = code.f_narrow(1, self.config.code, self.config.code)?.f_clamp(-20.0, 10.0)?;
        Ok(Code { mean, log_variance: Some(log_variance) })
    }

    /// Restored inputs in the shape of the inputs; logits where the restoration is Bernoulli's.
    fn decode(&self, pass: &mut Pass<'_>, code: &Tensor) -> Result<Tensor, TaskError> {
        let restored = self.decoder.forward(pass, code)?;
        let shape: Vec<i64> = self.input.shape().iter().map(|&side| side as i64).collect();
        Ok(restored.f_reshape([&[restored.size()[0]], shape.as_slice()].concat())?)
    }

    /// Restored inputs as numbers of the data.
    fn seen(&self, restored: &Tensor) -> Result<Tensor, TaskError> {
        Ok(match self.config.restoration {
            Restoration::Squared => restored.shallow_clone(),
            Restoration::Bernoulli => restored.f_sigmoid()?,
        })
    }

    fn is_image(&self) -> bool {
        matches!(self.input, Input::Image { channels: 1 | 3, .. })
    }

    /// Codes along which one number goes from -2.5 to 2.5, the others 0; a row for each of the first eight.
    fn traversal(&self, pass: &mut Pass<'_>) -> Result<Tensor, TaskError> {
        let options = (Kind::Float, pass.device());
        let walked = self.config.code.min(8);
        let codes = Tensor::f_zeros([walked, STEPS, self.config.code], options)?;
        let walk = Tensor::f_linspace(-2.5, 2.5, STEPS, options)?;
        for number in 0..walked {
            codes.f_select(0, number)?.f_select(1, number)?.f_copy_(&walk)?;
        }
        let decoded = self.decode(pass, &codes.f_view([-1, self.config.code])?)?;
        self.seen(&decoded)
    }

    fn drawn(&self, pass: &mut Pass<'_>, count: i64, seed: u64) -> Result<Tensor, TaskError> {
        let code = random(&[count, self.config.code], pass.device(), Draw::Normal, seed)?;
        let decoded = self.decode(pass, &code)?;
        self.seen(&decoded)
    }
}

impl Model for Autoencoder {
    type Sums = Sums;

    const CRITERION: Criterion = Criterion { metric: "loss", highest_is_best: false };
    const PARTS: &'static [&'static str] = &["train/restoration_error", "train/divergence"];

    fn loss(&self, pass: &mut Pass<'_>, batch: &Tensors, rng: &mut SeededRng) -> Result<Loss, TaskError> {
        let inputs = &batch.inputs;
        let mut normal = |shape: &[i64]| random(shape, inputs.device(), Draw::Normal, rng.random());
        let seen = match self.config.noise {
            0.0 => inputs.shallow_clone(),
            noise => inputs.f_add(&normal(&inputs.size())?.f_mul_scalar(noise)?)?,
        };
        let Code { mean, log_variance } = self.encode(pass, &seen)?;
        let numbers = (inputs.numel() as i64 / batch.rows.max(1)) as f64;
        let (code, divergence) = match &log_variance {
            None => (mean.shallow_clone(), None),
            Some(log_variance) => {
                let deviation = log_variance.f_mul_scalar(0.5)?.f_exp()?;
                let drawn = mean.f_add(&deviation.f_mul(&normal(&mean.size())?)?)?;
                (drawn, Some(kl_from_standard_normal(&mean, log_variance)?.f_mean(Kind::Float)?))
            }
        };
        let restored = self.decode(pass, &code)?;
        let error = restoration_error(&restored, inputs, self.config.restoration)?.f_mean(Kind::Float)?;
        let mut parts = vec![("train/restoration_error", error.f_div_scalar(numbers)?)];
        let mut total = match divergence {
            // The bound in nats of a sample; of a plain autoencoder the mean error of a number.
            Some(divergence) => {
                let total = error.f_add(&divergence.f_mul_scalar(self.config.beta)?)?;
                parts.push(("train/divergence", divergence));
                total
            }
            None => error.f_div_scalar(numbers)?,
        };
        if self.config.sparsity > 0.0 {
            let penalty = code.f_abs()?.f_mean(Kind::Float)?.f_mul_scalar(self.config.sparsity)?;
            total = total.f_add(&penalty)?;
        }
        Ok(Loss { total, parts })
    }

    fn add(&self, pass: &mut Pass<'_>, batch: &Tensors, sums: &mut Sums) -> Result<(), TaskError> {
        let inputs = &batch.inputs;
        let Code { mean, log_variance } = self.encode(pass, inputs)?;
        let restored = self.decode(pass, &mean)?;
        let sum = |tensor: Tensor| -> Result<f64, TaskError> {
            Ok(tensor.f_sum(Kind::Double)?.f_double_value(&[])?)
        };
        sums.error += sum(restoration_error(&restored, inputs, self.config.restoration)?)?;
        let seen = self.seen(&restored)?;
        sums.squared += sum(seen.f_sub(inputs)?.f_square()?)?;
        if let Some(log_variance) = &log_variance {
            sums.divergence += sum(kl_from_standard_normal(&mean, log_variance)?)?;
        }
        sums.samples += batch.rows as f64;
        sums.numbers += inputs.numel() as f64;
        if sums.shown.is_none() && self.is_image() {
            let count = batch.rows.min(SHOWN);
            sums.shown = Some((inputs.f_narrow(0, 0, count)?, seen.f_narrow(0, 0, count)?));
        }
        Ok(())
    }

    fn measured(&self, pass: &mut Pass<'_>, sums: Sums) -> Result<Measured, TaskError> {
        let (samples, numbers) = (sums.samples.max(1.0), sums.numbers.max(1.0));
        let mut metrics = vec![("mean_squared_error", sums.squared / numbers)];
        if self.config.variational {
            let (error, divergence) = (sums.error / samples, sums.divergence / samples);
            metrics.push(("loss", error + self.config.beta * divergence));
            metrics.push(("elbo", -(error + divergence)));
            metrics.push(("restoration_nats", error));
            metrics.push(("divergence", divergence));
        } else {
            metrics.push(("loss", sums.error / numbers));
        }
        let mut pictures = Vec::new();
        if let Some((inputs, restored)) = sums.shown {
            let pairs = Tensor::f_cat(&[&inputs, &restored], 0)?;
            pictures.push(("restored".to_string(), sheet(&pairs, inputs.size()[0] as usize)?));
            if self.config.variational {
                pictures.push(("samples".to_string(), sheet(&self.drawn(pass, 64, 0)?, 8)?));
                pictures.push(("traversal".to_string(), sheet(&self.traversal(pass)?, STEPS as usize)?));
            }
        }
        let filters = first_filters(pass.parameters(), "encoder.", &self.input)?;
        pictures.extend(filters.map(|sheet| ("filters".to_string(), sheet)));
        let metrics = metrics.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
        Ok(Measured { metrics, pictures })
    }

    fn predict(&self, pass: &mut Pass<'_>, inputs: &Tensor) -> Result<Tensor, TaskError> {
        let code = self.encode(pass, inputs)?.mean;
        let restored = self.decode(pass, &code)?;
        self.seen(&restored)
    }

    fn samples(&self, parameters: &Parameters, request: &SampleRequest) -> Result<Samples, TaskError> {
        if !self.config.variational {
            return Err(TaskError::Unsupported(
                "a plain autoencoder has no distribution of codes to draw from: fit one with --set \
                 variational=true"
                    .into(),
            ));
        }
        if request.class.is_some() {
            let message =
                "an autoencoder does not know classes: leave the class out, or fit a conditional GAN";
            return Err(TaskError::Unsupported(message.into()));
        }
        if !self.is_image() {
            return Err(TaskError::Unsupported("the samples are no pictures: they cannot be drawn".into()));
        }
        let images = self.drawn(&mut Pass::eval(parameters), request.count as i64, request.seed)?;
        Ok(Samples::Pictures(Pictures::of(&images, (request.count as f64).sqrt().ceil() as usize)?))
    }
}
