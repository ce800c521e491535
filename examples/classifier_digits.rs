//! Fits a classifier to drawn digits and measures it on those that were kept for testing.
//!
//! ```text
//! cargo run --release --example classifier_digits
//! ```

use anyhow::{Result, ensure};
use pavlov::{Fitted, Registries, fit};

fn main() -> Result<()> {
    let registries = Registries::bundled();

    // Any key that `pavlov fit classifier digits --print-config` prints; the network is a list of layers.
    let layers = r#"[{ conv2d = { filters = 16, kernel = 5, stride = 2 } }, "relu", "flatten", { linear = 64 }, "relu"]"#;
    let sets =
        [&format!("net.layers={layers}"), "data.options.count=4000", "epochs=6", "label_smoothing=0.05"];
    let (folder, outcome) = fit(&registries, "classifier", "digits", &sets)?;
    println!("{} updates in {:.1} s", outcome.updates, outcome.seconds);

    // The weights with the best validation, and the samples that neither training nor validation saw.
    let mut fitted = Fitted::open(&folder, &registries, false)?;
    let (part, count, measured) = fitted.test()?;
    let accuracy = measured.metrics["accuracy"];
    println!("accuracy on {count} {part} samples: {accuracy:.4}");
    println!("watch it: tensorboard --logdir {}", folder.path().display());
    ensure!(accuracy > 0.93, "it has not learned the digits");
    Ok(())
}
