//! Autoencoders: a short code from which the input is restored.
//!
//! Plain, denoising (Vincent et al. 2008), sparse (an absolute penalty on the code) and variational ones
//! (Kingma and Welling 2014), with dense or convolutional networks. The variational one maximises the
//! evidence lower bound `E[ln p(x | z)] - beta KL(q(z | x) || N(0, 1))`; `beta` other than 1 is Higgins et
//! al.'s (2017).

mod config;
mod losses;
mod model;

pub use config::{AutoencoderConfig, Form, Restoration};
pub use losses::{kl_from_standard_normal, restoration_error};

#[cfg(test)]
mod tests;
