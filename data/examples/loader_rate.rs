//! The rate at which a loader makes batches of the drawn digits: `cargo run --release -p pavlov-data
//! --example loader_rate [threads]`.

use std::time::Instant;

use pavlov_data::{
    DatasetOptions, DatasetRegistry, Loader, LoaderConfig, Pipeline, SplitConfig, Splits, Statistics,
    TransformConfig,
};

const BATCHES: u64 = 2000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let threads = std::env::args().nth(1).map_or(Ok(1), |threads| threads.parse())?;
    let begin = Instant::now();
    let digits = DatasetRegistry::bundled().get("digits")?.open(&DatasetOptions::default())?;
    println!("{} digits drawn in {:.3} s", digits.len(), begin.elapsed().as_secs_f64());

    let splits = Splits::of(&*digits, &SplitConfig::default(), 0)?;
    let plain = Pipeline::new(digits.input(), &[])?;
    let begin = Instant::now();
    let normalize = Statistics::of(&*digits, &splits.train, &plain)?.transform();
    println!("statistics in {:.3} s: {normalize:?}", begin.elapsed().as_secs_f64());

    let [shift, rotate] = [TransformConfig::Shift { pixels: 2 }, TransformConfig::Rotate { degrees: 10.0 }];
    let augmented = vec![shift, rotate, normalize.clone()];
    let pipelines = [("as they are", vec![]), ("normalised", vec![normalize]), ("augmented", augmented)];
    for (name, transforms) in pipelines {
        let pipeline = Pipeline::new(digits.input(), &transforms)?;
        let config = LoaderConfig { threads, ..LoaderConfig::default() };
        let mut loader = Loader::new(digits.clone(), splits.train.clone(), pipeline, config, 0)?;
        let begin = Instant::now();
        let mut images = 0;
        for _ in 0..BATCHES {
            let batch = loader.next_batch()?;
            images += batch.rows;
            loader.give_back(batch);
        }
        println!(
            "{name}: {:.0} images/s with {threads} threads",
            images as f64 / begin.elapsed().as_secs_f64()
        );
    }
    Ok(())
}
