//! Generative adversarial networks: a generator makes pictures from noise, a discriminator tells them from
//! real ones, and each learns from the other (Goodfellow et al. 2014).
//!
//! The standard networks are DCGAN's (Radford et al. 2016). The loss is the non-saturating one, or
//! Wasserstein's with a gradient penalty (Gulrajani et al. 2017). A conditional GAN (Mirza and Osindero 2014)
//! makes pictures of the class that it is asked for. Each of the two networks has parameters, an optimiser
//! and counts of its own; an update is a step of the discriminator; the generator makes one after every
//! `discriminator_steps` of them.

mod config;
mod losses;
mod networks;
mod task;

pub use config::{Adversary, GanConfig};
pub use losses::{gradient_penalty, sliced_wasserstein};

#[cfg(test)]
mod tests;
