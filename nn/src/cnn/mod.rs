//! Convolutional networks from an image to a row of features.

mod config;
mod network;

pub use config::{Architecture, CnnConfig, ConvLayer};
pub use network::{Cnn, Image};
