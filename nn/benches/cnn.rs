//! Milliseconds of convolutional passes: `cargo bench -p pavlov-nn --bench cnn [-- THREADS [ROUNDS]]`.
//!
//! For each case the smallest and the median time of a pass, by libtorch's own convolutions (with one thread,
//! and with as many as asked for), by those in bf16, and by `Cnn::forward`, which takes whichever path is for
//! the case.

use std::time::Instant;

use pavlov_common::SeededRng;
use pavlov_nn::{Cnn, CnnConfig, Image, Init, Layout, NnError, Parameters, Pass, Precision, set_team_size};
use rand::SeedableRng;
use tch::{Tensor, kind::FLOAT_CPU};

struct Case {
    name: &'static str,
    config: &'static str,
    image: Image,
    batch: i64,
    backward: bool,
}

const SMALL: Image = Image { height: 10, width: 10, channels: 4, channels_first: false };
const ATARI: Image = Image { height: 84, width: 84, channels: 4, channels_first: true };
const ATARI_LAST: Image = Image { channels_first: false, ..ATARI };

const CASES: [Case; 7] = [
    Case { name: "minatar 2048 both passes", config: "minatar", image: SMALL, batch: 2048, backward: true },
    Case { name: "minatar 64 forward", config: "minatar", image: SMALL, batch: 64, backward: false },
    Case { name: "nature 256 both passes", config: "nature", image: ATARI, batch: 256, backward: true },
    Case {
        name: "nature 256 both, HWC rows",
        config: "nature",
        image: ATARI_LAST,
        batch: 256,
        backward: true,
    },
    Case { name: "nature 32 both passes", config: "nature", image: ATARI, batch: 32, backward: true },
    Case { name: "nature 8 forward", config: "nature", image: ATARI, batch: 8, backward: false },
    Case { name: "impala 32 both passes", config: "impala", image: ATARI, batch: 32, backward: true },
];

fn pass(
    case: &Case,
    by_operations: bool,
    cnn: &Cnn,
    parameters: &Parameters,
    x: &Tensor,
) -> Result<(), NnError> {
    let forward = || match by_operations {
        true => cnn.forward_by_operations(parameters, x),
        false => cnn.forward(&mut Pass::train(parameters, &mut SeededRng::seeded(1)), x),
    };
    if case.backward {
        let y = forward()?;
        return pavlov_nn::backward(&y, &y.detach());
    }
    tch::no_grad(|| forward().map(drop))
}

fn times(rounds: usize, mut run: impl FnMut() -> Result<(), NnError>) -> Result<String, NnError> {
    run()?;
    run()?;
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let start = Instant::now();
        run()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(format!("{:8.2} {:8.2}", times[0], times[rounds / 2]))
}

fn main() -> Result<(), NnError> {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<usize>().ok());
    let (threads, rounds) = (numbers.next().unwrap_or(1), numbers.next().unwrap_or(20));
    println!("{:28}{:>20}{:>20}{:>20}{:>20}", "", "operations x1", "operations", "bf16", "Cnn::forward");
    for case in &CASES {
        let mut layout = Layout::new();
        let config: CnnConfig =
            serde_json::from_value(case.config.into()).map_err(|error| NnError::Config(error.to_string()))?;
        let cnn = Cnn::new(&mut layout, "", case.image, &config, Init::Torch)?;
        let half = cnn.clone().with_precision(Precision::Bf16);
        let mut rng = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(1);
        let parameters = Parameters::new(&layout, &mut rng, tch::Device::Cpu)?;
        let x = Tensor::f_rand([case.batch, case.image.len()], FLOAT_CPU)?;
        let rounds = if case.batch <= 64 && !case.backward { 10 * rounds } else { rounds };
        tch::set_num_threads(1);
        let alone = times(rounds, || pass(case, true, &cnn, &parameters, &x))?;
        tch::set_num_threads(threads as i32);
        let shared = times(rounds, || pass(case, true, &cnn, &parameters, &x))?;
        let bf16 = times(rounds, || pass(case, true, &half, &parameters, &x))?;
        tch::set_num_threads(1);
        set_team_size(threads as u32);
        let own = times(rounds, || pass(case, false, &cnn, &parameters, &x))?;
        println!("{:28}{alone:>20}{shared:>20}{bf16:>20}{own:>20}", case.name);
    }
    Ok(())
}
