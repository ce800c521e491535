//! Fits a model of characters to a text and has it write.
//!
//! ```text
//! cargo run --release --example language_model [FILE]
//! ```

use anyhow::{Result, bail, ensure};
use pavlov::tasks::{SampleRequest, Samples};
use pavlov::{Fitted, Registries, fit};

fn main() -> Result<()> {
    let registries = Registries::bundled();
    // A generated text, or one of your own.
    let path = std::env::args().nth(1).map(|path| format!("data.path={path:?}"));
    let network = r#"net.layers=[{ embedding = { vocabulary = 256, width = 32 } }, { lstm = 96 }]"#;
    let mut sets = vec![network, "epochs=3", "data.options.length=48"];
    sets.extend(path.as_deref());
    let (folder, _) = fit(&registries, "language", "text", &sets)?;

    let mut fitted = Fitted::open(&folder, &registries, false)?;
    let (_, _, measured) = fitted.test()?;
    let bits = measured.metrics["bits_per_character"];
    println!("{bits:.2} bits a character on text that it has not read");

    let request = SampleRequest { count: 1, length: 200, temperature: 0.7, ..SampleRequest::default() };
    let Samples::Texts(texts) = fitted.task.samples(&request)? else { bail!("this is no text") };
    println!("{}", texts[0]);
    ensure!(bits < 3.0, "it has not learned to spell");
    Ok(())
}
