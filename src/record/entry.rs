//! The entries of a run's log: rows of numbers, notes, and the position from which a resumed run continues.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One row of the log: values by tag, at a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Env steps over all environments, or updates so far.
    pub step: u64,
    /// Values by tag: `rollout/ep_rew_mean`, `train/loss`, ...
    pub values: BTreeMap<String, f64>,
}

/// The lengths of the files when a checkpoint was written. A resumed run continues from there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// The last step whose row is in the log.
    pub step: Option<u64>,
    /// The event file's name.
    pub events_file: String,
    /// Its length in bytes.
    pub events_bytes: u64,
}

/// An entry that is not a row of numbers.
#[derive(Clone, Debug)]
pub enum Note {
    /// Text for TensorBoard's text page, in Markdown.
    Text {
        /// The name of the text.
        tag: String,
        /// The text.
        text: String,
    },
    /// Hyper-parameters for TensorBoard's page of that name, and the tags of the metrics to compare runs by.
    HyperParameters {
        /// Names and values.
        values: BTreeMap<String, HyperParameter>,
        /// Tags of metrics.
        metrics: Vec<&'static str>,
    },
    /// A picture or a film for TensorBoard's page of images.
    Image {
        /// The name of the picture.
        tag: String,
        /// Env steps or updates so far.
        step: u64,
        /// Width and height in pixels.
        size: (usize, usize),
        /// A whole PNG or GIF file.
        encoded: Vec<u8>,
    },
}

/// A hyper-parameter's value.
#[derive(Clone, Debug, PartialEq)]
pub enum HyperParameter {
    /// A number.
    Number(f64),
    /// A word.
    Word(String),
    /// True or false.
    Flag(bool),
}
