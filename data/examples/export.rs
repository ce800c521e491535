//! Writes the pictures of a data set as NumPy arrays, split as a fit splits them: for comparisons with other
//! programs.
//!
//! ```text
//! cargo run --release -p pavlov-data --example export digits FOLDER [SEED]
//! ```
//!
//! `train.npy` and `test.npy` are f32 `[samples, numbers]`, before augmentation and normalisation.

use std::error::Error;
use std::fs;
use std::path::Path;

use pavlov_data::{Dataset, DatasetOptions, DatasetRegistry, SampleMut, SplitConfig, Splits};

fn write(path: &Path, dataset: &dyn Dataset, rows: &[usize]) -> Result<(), Box<dyn Error>> {
    let width = dataset.input().numbers();
    let (rows_count, mut numbers) = (rows.len(), vec![0.0; width]);
    let mut header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows_count}, {width}), }}");
    // The whole head is a multiple of 64 bytes, as the format asks for.
    header += &" ".repeat(63 - (10 + header.len()) % 64);
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.bytes());
    for &row in rows {
        let sample = SampleMut { numbers: &mut numbers, tokens: &mut [], targets: &mut [] };
        dataset.read(row, sample)?;
        numbers.iter().for_each(|number| file.extend(number.to_le_bytes()));
    }
    Ok(fs::write(path, file)?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, folder, ..] = arguments.as_slice() else {
        return Err("give the data set's name and a folder".into());
    };
    let seed = arguments.get(2).map_or(Ok(0), |seed| seed.parse())?;
    let dataset = DatasetRegistry::bundled().get(name)?.open(&DatasetOptions::default())?;
    let splits = Splits::of(&*dataset, &SplitConfig::default(), seed)?;
    fs::create_dir_all(folder)?;
    for (part, rows) in [("train", &splits.train), ("test", &splits.test)] {
        write(&Path::new(folder).join(format!("{part}.npy")), &*dataset, rows)?;
        println!("{} samples of {name} in {folder}/{part}.npy", rows.len());
    }
    Ok(())
}
