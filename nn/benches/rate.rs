//! The share of the machine's rate of multiplying matrices that the passes of small networks reach: `cargo
//! bench -p pavlov-nn --bench rate [-- THREADS [ROUNDS [NAME]]]`, where NAME is a part of a case's name. On a
//! processor with AVX-512, `PAVLOV_NO_AVX512=1 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2` before
//! it measures what one without has.
//!
//! The machine's rate is that of libtorch's product of 512 x 512 matrices on one thread, times the threads. A
//! pass is forward and backward with the optimiser's step; what counts of it are the multiplications and
//! additions of its products, so that activations, copies and Adam count as time lost.

use std::time::Instant;

use pavlov_common::SeededRng;
use pavlov_nn::{
    Activation, Ensemble, Layout, Mlp, MlpConfig, NnError, Optimizer, OptimizerConfig, Parameters, Pass,
    set_team_size,
};
use rand::SeedableRng;
use tch::{Kind, Tensor, kind::FLOAT_CPU};

struct Case {
    name: &'static str,
    inputs: i64,
    hidden: i64,
    outputs: i64,
    /// Networks of this shape side by side.
    networks: usize,
    batch: i64,
    activation: Activation,
}

const CASES: [Case; 4] = [
    Case {
        name: "PPO's two of 64-64, batch 256",
        inputs: 4,
        hidden: 64,
        outputs: 2,
        networks: 2,
        batch: 256,
        activation: Activation::Tanh,
    },
    Case {
        name: "PPO's two of 64-64, batch 64",
        inputs: 4,
        hidden: 64,
        outputs: 2,
        networks: 2,
        batch: 64,
        activation: Activation::Tanh,
    },
    Case {
        name: "DQN's 256-256, batch 64",
        inputs: 4,
        hidden: 256,
        outputs: 2,
        networks: 1,
        batch: 64,
        activation: Activation::Relu,
    },
    Case {
        name: "SAC's critics of 256-256, batch 256",
        inputs: 4,
        hidden: 256,
        outputs: 1,
        networks: 2,
        batch: 256,
        activation: Activation::Relu,
    },
];

impl Case {
    /// Multiplications and additions of one pass: each layer's product once forward, and backward once for
    /// its weights and once for its input, which the first layer does not need.
    fn operations(&self) -> f64 {
        let (inputs, hidden, outputs) = (self.inputs as f64, self.hidden as f64, self.outputs as f64);
        let products = 2.0 * inputs * hidden + 3.0 * (hidden * hidden + hidden * outputs);
        2.0 * products * self.batch as f64 * self.networks as f64
    }

    fn pass(&self, threads: u32, rounds: usize) -> Result<f64, NnError> {
        set_team_size(threads);
        let mut layout = Layout::new();
        let config = MlpConfig {
            hidden_sizes: vec![self.hidden; 2],
            activation: self.activation,
            ..MlpConfig::default()
        };
        let nets = Ensemble::new(&mut layout, "", self.networks, self.inputs, self.outputs, &config)?;
        let mut rng = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(1);
        let mut parameters = Parameters::new(&layout, &mut rng, tch::Device::Cpu)?;
        let mut adam = Optimizer::new(&OptimizerConfig::default(), &parameters)?;
        let x = Tensor::f_rand([self.batch, self.inputs], FLOAT_CPU)?;
        let gradient = Tensor::f_rand([self.networks as i64, self.batch, self.outputs], FLOAT_CPU)?;
        median(rounds, || {
            parameters.zero_gradients();
            pavlov_nn::backward(
                &nets.forward(&mut Pass::train(&parameters, &mut SeededRng::seeded(1)), &x)?,
                &gradient,
            )?;
            adam.step(&mut parameters, 1e-4)
        })
    }
}

/// Seconds of the median round.
fn median(rounds: usize, mut run: impl FnMut() -> Result<(), NnError>) -> Result<f64, NnError> {
    for _ in 0..rounds / 10 + 2 {
        run()?;
    }
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let start = Instant::now();
        run()?;
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(times[rounds / 2])
}

/// Operations per second of one thread.
fn machine(kind: Kind) -> Result<f64, NnError> {
    const SIDE: i64 = 512;
    let matrix = || Tensor::f_rand([SIDE, SIDE], FLOAT_CPU)?.f_to_kind(kind);
    let (a, b) = (matrix()?, matrix()?);
    let seconds = median(50, || Ok(a.f_mm(&b).map(drop)?))?;
    Ok(2.0 * (SIDE as f64).powi(3) / seconds)
}

/// Seconds of the fastest forward and backward pass of a 256-256 network with layer norm, batch 64, as one
/// node and by single operations. The two take turns, so that both meet the same moods of the machine.
fn layer_norm(rounds: usize) -> Result<(f64, f64), NnError> {
    set_team_size(1);
    let mut layout = Layout::new();
    let config = MlpConfig { hidden_sizes: vec![256; 2], layer_norm: true, ..MlpConfig::default() };
    let net = Mlp::new(&mut layout, "", 4, 2, &config)?;
    let mut rng = SeededRng::seeded(1);
    let parameters = Parameters::new(&layout, &mut rng, tch::Device::Cpu)?;
    let x = Tensor::f_rand([64, 4], FLOAT_CPU)?;
    let gradient = Tensor::f_rand([64, 2], FLOAT_CPU)?;
    let mut fastest = [f64::INFINITY; 2];
    for _ in 0..rounds {
        for (fused, fastest) in [true, false].into_iter().zip(&mut fastest) {
            let start = Instant::now();
            let mut pass = Pass::train(&parameters, &mut rng);
            let y = match fused {
                true => net.forward(&mut pass, &x)?,
                false => net.forward_by_operations(&mut pass, &x)?,
            };
            pavlov_nn::backward(&y, &gradient)?;
            *fastest = fastest.min(start.elapsed().as_secs_f64());
        }
    }
    Ok((fastest[0], fastest[1]))
}

fn main() -> Result<(), NnError> {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<usize>().ok());
    let (threads, rounds) = (numbers.next().unwrap_or(1) as u32, numbers.next().unwrap_or(500));
    let name = std::env::args().nth(3).unwrap_or_default();
    tch::set_num_threads(1);
    let (f32, bf16) = (machine(Kind::Float)?, machine(Kind::BFloat16)?);
    println!(
        "one thread, products of 512 x 512: {:.0} GFLOP/s in f32, {:.0} in libtorch's bf16\n",
        f32 / 1e9,
        bf16 / 1e9
    );
    println!(
        "{:38}{:>8}{:>14}{:>12}{:>12}",
        "forward, backward and Adam", "threads", "microseconds", "GFLOP/s", "share"
    );
    for case in CASES.iter().filter(|case| case.name.contains(&name)) {
        for threads in 1..=threads {
            let seconds = case.pass(threads, rounds)?;
            let rate = case.operations() / seconds;
            let share = 100.0 * rate / (f32 * f64::from(threads));
            println!("{:38}{threads:>8}{:>14.1}{:>12.1}{share:>11.0}%", case.name, seconds * 1e6, rate / 1e9);
        }
    }
    if !name.is_empty() {
        return Ok(());
    }
    let (fused, plain) = layer_norm(2 * rounds)?;
    let (ratio, fused, plain) = (plain / fused, fused * 1e6, plain * 1e6);
    println!("\n256-256 with layer norm, batch 64, forward and backward, one thread:");
    println!("{fused:.0} microseconds; by single operations {plain:.0}, {ratio:.2} times as many");
    Ok(())
}
