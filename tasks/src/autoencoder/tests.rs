//! The losses and measures of autoencoders, held to PyTorch's.

use pavlov_data::{Batch, Input, Target};
use tch::Tensor;

use super::*;
use crate::Task;
use crate::recorded::{CUTS, Recorded, assert_near, flat, measured, names, task, told, waves};

/// An autoencoder of six numbers whose encoder and decoder are linear, and a batch for it. `looks` false: the
/// decoder gives the same for every code.
fn linear(options: &str, looks: bool) -> (Box<dyn Task>, Batch) {
    let config =
        format!("code = 3\nencoder.layers = [\"flatten\"]\ndecoder.layers = [{{ linear = 6 }}]\n{options}");
    let width = if options.contains("variational = true") { 6 } else { 3 };
    let weights: [(&str, Tensor); 4] = [
        ("code.weight", waves(&[6, 6], 1.9, 0.8, 0.0).narrow(0, 0, width)),
        ("code.bias", waves(&[6], 2.3, 0.5, 0.0).narrow(0, 0, width)),
        ("decoder.0.weight", waves(&[6, 3], 0.6, f64::from(u8::from(looks)), 0.0)),
        ("decoder.0.bias", waves(&[6], 2.9, 1.0, 0.0)),
    ];
    let input = Input::Numbers { names: names(6) };
    let batch = Batch {
        rows: 8,
        numbers: flat(&waves(&[8, 6], 0.7, 0.5, 0.5)),
        indices: (0..8).collect(),
        ..Batch::default()
    };
    (task::<AutoencoderConfig>(&config, input, Target::None, &weights), batch)
}

/// Holds metrics, by our names, to recorded numbers, by theirs.
fn hold(options: &str, pairs: &[(&str, &str)]) {
    let recorded = Recorded::case("autoencoder");
    let (mut task, batch) = linear(options, true);
    for sizes in CUTS {
        let metrics = measured(task.as_mut(), &batch, sizes);
        for (ours, theirs) in pairs {
            recorded.hold(theirs, metrics[*ours]);
        }
    }
}

#[test]
fn measures_are_pytorchs_however_samples_are_cut_into_batches() {
    hold("", &[("loss", "squared"), ("mean_squared_error", "squared")]);
    hold(
        "restoration = \"bernoulli\"",
        &[("loss", "bernoulli"), ("mean_squared_error", "bernoulli_squared")],
    );
    let parts = [
        ("restoration_nats", "restoration_nats"),
        ("divergence", "divergence"),
        ("elbo", "elbo"),
        ("loss", "loss_beta_3"),
    ];
    hold("restoration = \"bernoulli\"\nvariational = true\nbeta = 3.0", &parts);
    hold("variational = true", &[("restoration_nats", "squared_per_sample"), ("divergence", "divergence")]);
}

#[test]
fn the_loss_of_training_is_pytorchs() {
    let recorded = Recorded::case("autoencoder");
    let loss = |options: &str, looks: bool| {
        let (mut task, batch) = linear(options, looks);
        told(task.as_mut(), &batch)
    };
    recorded.hold("squared", loss("", true)["train/loss"]);
    recorded.hold("bernoulli", loss("restoration = \"bernoulli\"", true)["train/loss"]);
    recorded.hold("training_sparse", loss("sparsity = 0.2", true)["train/loss"]);
    let variational = loss("restoration = \"bernoulli\"\nvariational = true\nbeta = 3.0", false);
    recorded.hold("training_beta_3", variational["train/loss"]);
    recorded.hold("training_bernoulli", variational["train/restoration_error"]);
    assert_near("divergence", variational["train/divergence"], recorded.number("divergence"));
}
