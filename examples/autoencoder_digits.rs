//! Fits a variational autoencoder to drawn digits and draws new ones from its codes.
//!
//! ```text
//! cargo run --release --example autoencoder_digits
//! ```

use anyhow::{Result, bail, ensure};
use pavlov::fitting::png;
use pavlov::tasks::{SampleRequest, Samples};
use pavlov::{Fitted, Registries, fit};

fn main() -> Result<()> {
    let registries = Registries::bundled();
    let sets = ["variational=true", "restoration=bernoulli", "data.options.count=4000", "epochs=12"];
    let (folder, _) = fit(&registries, "autoencoder", "digits", &sets)?;

    // The lower bound of the data's log-probability, in nats a picture.
    let mut fitted = Fitted::open(&folder, &registries, false)?;
    let (_, _, measured) = fitted.test()?;
    let (bound, divergence) = (measured.metrics["elbo"], measured.metrics["divergence"]);
    println!("lower bound {bound:.1} nats, of which {:.1} for the code", -divergence);

    // New digits, from codes that are drawn at random.
    let request = SampleRequest { count: 64, ..SampleRequest::default() };
    let Samples::Pictures(pictures) = fitted.task.samples(&request)? else { bail!("these are no pictures") };
    let path = folder.path().join("samples.png");
    std::fs::write(&path, png(&pictures.sheet())?)?;
    println!("64 new digits in {}", path.display());
    ensure!(bound > -275.0, "it has not learned to restore digits");
    Ok(())
}
