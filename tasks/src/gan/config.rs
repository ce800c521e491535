//! The configuration of GANs.

use pavlov_data::{Input, Target};
use serde::{Deserialize, Serialize};

use super::networks::Networks;
use super::task::Gan;
use crate::core::{Task, TaskConfig, TaskContext, TaskError};
use crate::networks::{NetConfig, check_width};

/// The game that the two networks play.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Adversary {
    /// The discriminator gives the chance that a picture is real; the generator raises it.
    #[default]
    Standard,
    /// The discriminator gives a score whose slope is held near 1; its mean difference estimates the
    /// Wasserstein distance.
    Wasserstein,
}

/// The configuration of GANs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GanConfig {
    /// The game.
    pub adversary: Adversary,
    /// Numbers of noise that a picture is made from.
    pub noise: i64,
    /// Make pictures of given classes.
    pub conditional: bool,
    /// Steps of the discriminator for each of the generator.
    pub discriminator_steps: usize,
    /// The weight of the gradient penalty; `wasserstein` alone.
    pub gradient_penalty: f64,
    /// What a real picture is to be taken for, at most 1: below 1 keeps the discriminator from certainty;
    /// `standard` alone.
    pub real_label: f64,
    /// The factor of the learning rate for the discriminator.
    pub discriminator_rate: f64,
    /// The generator: from noise, and the class as a one-hot code behind it, to as many numbers as a picture
    /// has.
    pub generator: NetConfig,
    /// The discriminator: from a picture, and a channel for each class behind its own, to features.
    pub discriminator: NetConfig,
}

impl Default for GanConfig {
    fn default() -> Self {
        Self {
            adversary: Adversary::Standard,
            noise: 64,
            conditional: false,
            discriminator_steps: 1,
            gradient_penalty: 10.0,
            real_label: 0.9,
            discriminator_rate: 1.0,
            generator: NetConfig::default(),
            discriminator: NetConfig::default(),
        }
    }
}

/// The most updates of the discriminator for one of the generator.
const MOST_STEPS: usize = 10_000;

impl TaskConfig for GanConfig {
    const NAME: &'static str = "gan";
    const SUMMARY: &'static str = "Generative adversarial networks: DCGAN, WGAN-GP, conditional";

    fn validate(&self) -> Result<(), TaskError> {
        let wrong = |what: String| Err(TaskError::Config(what));
        check_width("noise is", self.noise)?;
        if !(1..=MOST_STEPS).contains(&self.discriminator_steps) {
            let steps = self.discriminator_steps;
            return wrong(format!(
                "discriminator_steps is {steps}: give at least 1 and at most {MOST_STEPS}"
            ));
        }
        if !(self.gradient_penalty >= 0.0 && self.gradient_penalty.is_finite()) {
            return wrong(format!("gradient_penalty is {}: give 0 or more", self.gradient_penalty));
        }
        if !(self.real_label > 0.5 && self.real_label <= 1.0) {
            return wrong(format!("real_label is {}: give more than 0.5 and at most 1", self.real_label));
        }
        if !(self.discriminator_rate > 0.0 && self.discriminator_rate.is_finite()) {
            return wrong(format!("discriminator_rate is {}: give more than 0", self.discriminator_rate));
        }
        Ok(())
    }

    fn build(&self, context: &TaskContext) -> Result<Box<dyn Task>, TaskError> {
        let Input::Image { channels, height, width } = context.input else {
            return Err(TaskError::Unsupported("a GAN makes pictures, and the data has none".into()));
        };
        if context.is_normalized {
            return Err(TaskError::Config(
                "a GAN makes pictures from 0 to 1, and the data is normalised: set data.normalize to false"
                    .into(),
            ));
        }
        let classes = match (&context.target, self.conditional) {
            (_, false) => 0,
            (Target::Class { names }, true) => names.len() as i64,
            (_, true) => {
                return Err(TaskError::Unsupported(
                    "conditional: the data has no classes to ask for; set it to false".into(),
                ));
            }
        };
        let image = [channels, height, width].map(|side| side as i64);
        let (networks, layouts) = Networks::new(self, image, classes)?;
        Ok(Box::new(Gan::new(self.clone(), networks, layouts, context)?))
    }
}
