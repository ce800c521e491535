//! Classification: which of several classes an input belongs to, by the cross entropy of their probabilities.
//!
//! `classifier` judges pictures, rows of numbers and sequences of tokens; `speech` is the same for spoken
//! words, with a network that reads spectrograms in time. Label smoothing is that of Szegedy et al. (2016),
//! mixup that of Zhang et al. (2018).

mod config;
mod losses;
mod measures;
mod model;

pub use config::{ClassifierConfig, SpeechConfig};
pub use losses::{cross_entropy, mixed};
pub use measures::{ClassScores, Confusion};
