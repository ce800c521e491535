//! The progress of a fit.

use serde::Serialize;

use crate::run::{Part, Status, shown};

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
    /// Batches of this epoch so far.
    pub batches: u64,
    /// Batches of this epoch in all; the last epoch may be cut short.
    pub total_batches: u64,
    /// Updates per second since this process began.
    pub updates_per_second: f64,
    /// Batches per second since this process began.
    pub batches_per_second: f64,
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

impl FitStatus {
    /// The place in the epochs after so many batches of so many.
    pub(super) fn in_epoch(done: u64, total: u64, per_epoch: u64) -> Self {
        let total_epochs = total.div_ceil(per_epoch);
        // The end of the fit is the end of its last epoch.
        let before = (done / per_epoch).min(total_epochs.saturating_sub(1));
        Self {
            epoch: before + 1,
            total_epochs,
            batches: done - before * per_epoch,
            total_batches: per_epoch.min(total - before * per_epoch),
            ..Self::default()
        }
    }
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

    fn per_second(&self) -> f64 {
        self.updates_per_second
    }

    fn part(&self) -> Option<Part> {
        Some(Part {
            name: format!("epoch {}/{}", self.epoch, self.total_epochs),
            unit: "batches",
            done: self.batches,
            total: self.total_batches,
            per_second: self.batches_per_second,
        })
    }

    fn text(&self) -> String {
        format!(
            "loss {}  {:.0} samples/s  {} {} (best {})",
            shown(self.loss, 4),
            self.samples_per_second,
            self.metric,
            shown(self.validation, 4),
            shown(self.best, 4),
        )
    }

    fn json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_ends_where_the_next_begins_and_the_last_where_the_fit_does() {
        for (done, place) in
            [(0, (1, 0, 10)), (9, (1, 9, 10)), (10, (2, 0, 10)), (23, (3, 3, 5)), (25, (3, 5, 5))]
        {
            let FitStatus { epoch, total_epochs, batches, total_batches, .. } =
                FitStatus::in_epoch(done, 25, 10);
            assert_eq!((epoch, batches, total_batches), place, "after {done}");
            assert_eq!(total_epochs, 3);
        }
        assert_eq!(FitStatus::in_epoch(20, 20, 10).batches, 10);
    }
}
