//! The time of a log-mel spectrogram of a second of sound: `cargo bench -p pavlov-data --bench log_mel`.

use std::time::Instant;

use pavlov_common::SeededRng;
use pavlov_data::{DataError, Input, LogMel, LogMelConfig, Transform};

const PASSES: u32 = 2_000;

fn main() -> Result<(), DataError> {
    for rate in [8_000, 16_000] {
        let samples = rate as usize;
        let mel = LogMel::new(&Input::Sound { samples, rate }, &LogMelConfig::default())?;
        let sound: Vec<f32> = (0..samples).map(|at| (at as f32 * 0.3).sin()).collect();
        let mut out = vec![0.0; mel.output().numbers()];
        let mut rng = SeededRng::seeded(0);
        let begin = Instant::now();
        (0..PASSES).for_each(|_| mel.apply(&sound, &mut out, &mut rng));
        println!("{rate} per second: {:?} for a second of sound", begin.elapsed() / PASSES);
    }
    Ok(())
}
