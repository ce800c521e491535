//! The progress of a fit.

use serde::Serialize;

use crate::run::{Status, shown};

/// The progress of a fit at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FitStatus {
    /// Updates so far.
    pub updates: u64,
    /// Updates in all.
    pub total_updates: u64,
    /// The epoch that is under way, counted from 1.
    pub epoch: u64,
    /// Epochs in all.
    pub total_epochs: u64,
    /// Samples per second since this process began.
    pub samples_per_second: f64,
    /// The mean loss of the latest row of the log.
    pub loss: Option<f64>,
    /// The name of the metric by which weights are compared.
    pub metric: String,
    /// The last validation's.
    pub validation: Option<f64>,
    /// The best validation's.
    pub best: Option<f64>,
}

impl Status for FitStatus {
    fn done(&self) -> u64 {
        self.updates
    }

    fn total(&self) -> u64 {
        self.total_updates
    }

    fn unit(&self) -> &'static str {
        "updates"
    }

    fn text(&self) -> String {
        format!(
            "epoch {}/{}  loss {}  {} {} (best {})  {:.0} samples/s",
            self.epoch,
            self.total_epochs,
            shown(self.loss, 4),
            self.metric,
            shown(self.validation, 4),
            shown(self.best, 4),
            self.samples_per_second
        )
    }

    fn json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}
