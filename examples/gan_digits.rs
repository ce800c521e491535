//! Two networks learn from each other: one draws digits of a class that is asked for, one judges them.
//!
//! ```text
//! cargo run --release --example gan_digits
//! ```

use anyhow::{Result, bail, ensure};
use pavlov::fitting::png;
use pavlov::tasks::{SampleRequest, Samples};
use pavlov::{Fitted, Registries, fit};

fn main() -> Result<()> {
    let registries = Registries::bundled();
    // Networks of linear layers and pictures of 16 x 16, so that it takes seconds; the standard ones are
    // DCGAN's.
    let sets = [
        "conditional=true",
        "data.options.count=3000",
        "data.options.size=16",
        "data.batch_size=32",
        "epochs=15",
        r#"generator.layers=[{ linear = 128 }, "batch_norm", "relu", { linear = 256 }, "batch_norm", "relu", { linear = 256 }]"#,
        r#"discriminator.layers=["flatten", { linear = 128 }, "leaky_relu", { dropout = 0.3 }]"#,
    ];
    let (folder, outcome) = fit(&registries, "gan", "digits", &sets)?;

    let mut fitted = Fitted::open(&folder, &registries, false)?;
    let request = SampleRequest { count: 40, class: Some(3), ..SampleRequest::default() };
    let Samples::Pictures(pictures) = fitted.task.samples(&request)? else { bail!("these are no pictures") };
    let path = folder.path().join("threes.png");
    std::fs::write(&path, png(&pictures.sheet())?)?;
    println!("forty threes in {}", path.display());

    // The distance of its pictures from those of the data, by their projections.
    let (first, best) = (outcome.last_evaluation, outcome.best_evaluation);
    println!("sliced Wasserstein distance: last {first:?}, best {best:?}");
    ensure!(best.is_some_and(|distance| distance < 0.2), "its pictures are far from the data");
    Ok(())
}
