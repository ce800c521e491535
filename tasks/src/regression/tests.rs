//! The losses and measures of regression, held to PyTorch's, torchmetrics' and scikit-learn's.

use pavlov_data::{Batch, Input};
use tch::Kind;

use super::*;
use crate::recorded::{CUTS, Recorded, assert_near, flat, measured, names, passing, task, told, waves};

fn config(loss: &str) -> String {
    format!("net.layers = [\"flatten\"]\nloss = \"{loss}\"")
}

/// A task whose outputs are its inputs, and a batch for it.
fn passes_on(loss: &str, outputs: &Tensor, targets: &Tensor) -> (Box<dyn Task>, Batch) {
    let (rows, columns) = outputs.size2().unwrap();
    let (input, target) = (
        Input::Numbers { names: names(columns as usize) },
        Target::Numbers { names: names(columns as usize) },
    );
    let task = task::<RegressionConfig>(&config(loss), input, target, &passing(columns));
    let batch = Batch {
        rows: rows as usize,
        numbers: flat(outputs),
        targets: flat(targets),
        indices: (0..rows as usize).collect(),
        ..Batch::default()
    };
    (task, batch)
}

#[test]
fn measures_are_torchmetrics_and_scikit_learns_however_samples_are_cut_into_batches() {
    for columns in [1, 2] {
        let recorded = Recorded::case(&format!("regression_{columns}"));
        let apart = Tensor::arange(columns, (Kind::Float, tch::Device::Cpu)) * 3.0;
        let outputs = waves(&[8, columns], 0.9, 2.0, 0.0) + &apart;
        let targets = waves(&[8, columns], 1.1, 1.5, 0.0) + &apart;
        for (loss, key) in
            [("squared", "mean_squared_error"), ("absolute", "mean_absolute_error"), ("huber", "huber")]
        {
            let (mut task, batch) = passes_on(loss, &outputs, &targets);
            for sizes in CUTS {
                let metrics = measured(task.as_mut(), &batch, sizes);
                assert_near(loss, metrics["loss"], recorded.number(key));
                for key in ["mean_squared_error", "mean_absolute_error", "r2"] {
                    recorded.hold(key, metrics[key]);
                }
            }
            assert_near("train/loss", told(task.as_mut(), &batch)["train/loss"], recorded.number(key));
        }
    }
}

/// As scikit-learn has it: 1 for exact outputs, 0 for others.
#[test]
fn targets_that_do_not_vary_have_nothing_to_explain() {
    let targets = Tensor::full([8, 1], 0.1, (Kind::Float, tch::Device::Cpu));
    for (error, expected) in [(0.0, 1.0), (0.5, 0.0)] {
        let (mut task, batch) = passes_on("squared", &(&targets + error), &targets);
        let r2 = CUTS.map(|sizes| measured(task.as_mut(), &batch, sizes)["r2"]);
        assert_eq!(r2, [expected; 3]);
    }
}

#[test]
fn targets_far_from_0_keep_their_variance() {
    let outputs = waves(&[8, 1], 0.9, 2.0, 0.0);
    let targets = waves(&[8, 1], 1.1, 1.5, 0.0);
    // Whole halves and a shift by a power of two lose nothing in f32.
    let (outputs, targets) = ((outputs * 2.0).round() / 2.0, (targets * 2.0).round() / 2.0);
    let [near, far] = [0.0, f64::from(1 << 22)].map(|shift| {
        let (mut task, batch) = passes_on("squared", &(&outputs + shift), &(&targets + shift));
        measured(task.as_mut(), &batch, &[5, 3])["r2"]
    });
    assert!((near - far).abs() < 1e-12, "{near} {far}");
}
