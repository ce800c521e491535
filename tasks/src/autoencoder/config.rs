//! The configuration of autoencoders.

use pavlov_data::Input;
use pavlov_nn::Layout;
use pavlov_nn::layers::{Layers, Linear};
use serde::{Deserialize, Serialize};

use super::model::Autoencoder;
use crate::core::{Supervised, Task, TaskConfig, TaskContext, TaskError};
use crate::networks::{NetConfig, check_width, layers, quarter, shape_of};

/// The standard networks of an autoencoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Linear layers of `hidden_sizes`, and the same in reverse.
    #[default]
    Dense,
    /// Convolutions that halve the sides twice, and transposed ones.
    Convolutional,
}

/// The error of a restored input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restoration {
    /// The squared difference.
    #[default]
    Squared,
    /// The cross entropy of numbers between 0 and 1, as chances of a pixel.
    Bernoulli,
}

/// The configuration of autoencoders.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AutoencoderConfig {
    /// The standard networks.
    pub form: Form,
    /// The sizes of the dense encoder's layers, the decoder's in reverse.
    pub hidden_sizes: Vec<i64>,
    /// Numbers of a code.
    pub code: i64,
    /// The encoder, before the linear layer that gives the code.
    pub encoder: NetConfig,
    /// The decoder, which begins with the code.
    pub decoder: NetConfig,
    /// The error of a restored input.
    pub restoration: Restoration,
    /// The deviation of the noise that is added to an input before it is encoded.
    pub noise: f64,
    /// The factor of the code's mean absolute value in the loss.
    pub sparsity: f64,
    /// Codes are drawn from a distribution that stays near the standard normal one.
    pub variational: bool,
    /// The factor of the divergence from the standard normal distribution.
    pub beta: f64,
}

impl Default for AutoencoderConfig {
    fn default() -> Self {
        Self {
            form: Form::Dense,
            hidden_sizes: vec![256, 128],
            code: 16,
            encoder: NetConfig::default(),
            decoder: NetConfig::default(),
            restoration: Restoration::Squared,
            noise: 0.0,
            sparsity: 0.0,
            variational: false,
            beta: 1.0,
        }
    }
}

impl TaskConfig for AutoencoderConfig {
    const NAME: &'static str = "autoencoder";
    const SUMMARY: &'static str = "Autoencoders: dense or convolutional, denoising, sparse, variational";

    fn validate(&self) -> Result<(), TaskError> {
        let wrong = |what: String| Err(TaskError::Config(what));
        check_width("code is", self.code)?;
        self.hidden_sizes.iter().try_for_each(|size| check_width("hidden_sizes has a size of", *size))?;
        for (name, value) in [("noise", self.noise), ("sparsity", self.sparsity), ("beta", self.beta)] {
            if !(value >= 0.0 && value.is_finite()) {
                return wrong(format!("{name} is {value}: give 0 or more"));
            }
        }
        Ok(())
    }

    fn build(&self, context: &TaskContext) -> Result<Box<dyn Task>, TaskError> {
        if matches!(context.input, Input::Tokens { .. }) {
            return Err(TaskError::Unsupported(
                "an autoencoder restores numbers, and the data is tokens: `language` learns texts".into(),
            ));
        }
        if self.restoration == Restoration::Bernoulli && context.is_normalized {
            return Err(TaskError::Config(
                "restoration = \"bernoulli\" is for numbers from 0 to 1, and the data is normalised: set \
                 data.normalize to false"
                    .into(),
            ));
        }
        let mut layout = Layout::new();
        let shape = shape_of(&context.input);
        let (encoder, features) = self
            .encoder
            .build(&mut layout, ("encoder", "encoder."), &shape, || self.standard_encoder(&shape))?;
        let features = features.iter().product();
        let width = if self.variational { 2 * self.code } else { self.code };
        let code = Linear::new(&mut layout, "code.", features, &self.encoder.linear(width))?;
        let standard = || self.standard_decoder(&shape);
        let (decoder, restored) =
            self.decoder.build(&mut layout, ("decoder", "decoder."), &[self.code], standard)?;
        let numbers = |shape: &[i64]| shape.iter().product::<i64>();
        if numbers(&restored) != numbers(&shape) {
            return Err(TaskError::Config(format!(
                "decoder.layers: the decoder gives samples of shape {restored:?}, and the data has {shape:?}: let \
                 it give as many numbers"
            )));
        }
        let model =
            Autoencoder { config: self.clone(), encoder, code, decoder, input: context.input.clone() };
        Ok(Box::new(Supervised::new(model, &layout, context)?))
    }
}

impl AutoencoderConfig {
    fn standard_encoder(&self, shape: &[i64]) -> Result<Layers, TaskError> {
        match self.form {
            Form::Dense => {
                let hidden = self.hidden_sizes.iter();
                let hidden: String =
                    hidden.map(|size| format!(r#", {{ linear = {size} }}, "relu""#)).collect();
                layers(&format!(r#""flatten"{hidden}"#))
            }
            Form::Convolutional => {
                quarter(shape)?;
                layers(
                    r#"{ conv2d = { filters = 32, kernel = 4, stride = 2, padding = 1 } }, "relu",
                       { conv2d = { filters = 64, kernel = 4, stride = 2, padding = 1 } }, "relu", "flatten""#,
                )
            }
        }
    }

    fn standard_decoder(&self, shape: &[i64]) -> Result<Layers, TaskError> {
        match self.form {
            Form::Dense => {
                let hidden = self.hidden_sizes.iter().rev();
                let hidden: String =
                    hidden.map(|size| format!(r#"{{ linear = {size} }}, "relu", "#)).collect();
                layers(&format!("{hidden} {{ linear = {} }}", shape.iter().product::<i64>()))
            }
            Form::Convolutional => {
                let [channels, height, width] = quarter(shape)?;
                layers(&format!(
                    r#"{{ linear = {} }}, "relu", {{ reshape = [64, {height}, {width}] }},
                       {{ conv_transpose2d = {{ filters = 32, kernel = 4, stride = 2, padding = 1 }} }}, "relu",
                       {{ conv_transpose2d = {{ filters = {channels}, kernel = 4, stride = 2, padding = 1 }} }}"#,
                    64 * height * width
                ))
            }
        }
    }
}
