//! Lists of layers with their fused runs beside the same layers one by one, and beside the `Mlp` of the same
//! layers: `cargo bench -p pavlov-nn --bench layers`.
//!
//! Times are the least of many repetitions in turn, in microseconds, on one thread: forward without a graph,
//! then forward and backward.

use std::time::Instant;

use pavlov_common::SeededRng;
use pavlov_nn::layers::{Defaults, Layers, Sequential, build};
use pavlov_nn::{Activation, Layout, Mlp, MlpConfig, Module, NnError, Parameters, Pass};
use tch::{Device, Kind, Tensor, kind::FLOAT_CPU};

/// A name, the layers, the shape of one sample, the hidden layers of the same `Mlp`, the batches.
type Case = (&'static str, &'static str, &'static [i64], &'static [i64], &'static [i64]);

const CASES: [Case; 5] = [
    (
        "64-64",
        r#"[{ linear = 64 }, "tanh", { linear = 64 }, "tanh", { linear = 4 }]"#,
        &[8],
        &[64, 64],
        &[1, 64, 256],
    ),
    (
        "256-256",
        r#"[{ linear = 256 }, "tanh", { linear = 256 }, "tanh", { linear = 4 }]"#,
        &[8],
        &[256, 256],
        &[1, 64, 256],
    ),
    (
        "Nature",
        r#"[{ conv2d = { filters = 32, kernel = 8, stride = 4 } }, "relu",
            { conv2d = { filters = 64, kernel = 4, stride = 2 } }, "relu", { conv2d = { filters = 64, kernel = 3 } },
            "relu", "flatten", { linear = 512 }, "relu"]"#,
        &[4, 84, 84],
        &[],
        &[1, 32],
    ),
    (
        "MinAtar",
        r#"[{ conv2d = { filters = 16, kernel = 3 } }, "relu", "flatten", { linear = 128 }, "relu"]"#,
        &[4, 10, 10],
        &[],
        &[1, 32],
    ),
    (
        "transformer",
        r#"[{ transformer = { layers = 2, heads = 4, feedforward = 128, dropout = 0.0 } }, { mean = 0 }]"#,
        &[16, 64],
        &[],
        &[1, 32],
    ),
];

type Forward<'n> = Box<dyn Fn(&mut Pass<'_>, &Tensor) -> Result<Tensor, NnError> + 'n>;

/// One network with its numbers.
struct Network<'n> {
    parameters: Parameters,
    forward: Forward<'n>,
}

impl Network<'_> {
    /// Seconds for a forward pass, and for one with its way back.
    fn times(&self, x: &Tensor) -> Result<[f64; 2], NnError> {
        let begin = Instant::now();
        {
            let _guard = tch::no_grad_guard();
            drop((self.forward)(&mut Pass::eval(&self.parameters), x)?);
        }
        let forward = begin.elapsed();
        let begin = Instant::now();
        let y = (self.forward)(&mut Pass::eval(&self.parameters), x)?;
        y.f_sum(Kind::Float)?.f_backward()?;
        Ok([forward.as_secs_f64(), begin.elapsed().as_secs_f64()])
    }
}

fn parameters(layout: &Layout) -> Result<Parameters, NnError> {
    Parameters::new(layout, &mut SeededRng::seeded(1), Device::Cpu)
}

fn listed(text: &str, shape: &[i64]) -> Result<(Sequential, Parameters), Box<dyn std::error::Error>> {
    #[derive(serde::Deserialize)]
    struct File {
        layers: Layers,
    }
    let file: File = toml::from_str(&format!("layers = {text}"))?;
    let mut layout = Layout::new();
    let (network, _) = build(&mut layout, "", shape, &file.layers, Defaults::default())?;
    Ok((network, parameters(&layout)?))
}

fn measure(case: &Case, batch: i64) -> Result<(), Box<dyn std::error::Error>> {
    let (name, text, shape, hidden, _) = *case;
    let (sequential, numbers) = listed(text, shape)?;
    let (_, others) = listed(text, shape)?;
    let mut networks = vec![
        Network { parameters: numbers, forward: Box::new(|pass, x| sequential.forward(pass, x)) },
        Network {
            parameters: others,
            forward: Box::new(|pass, x| sequential.forward_by_operations(pass, x)),
        },
    ];
    if !hidden.is_empty() {
        let config =
            MlpConfig { hidden_sizes: hidden.to_vec(), activation: Activation::Tanh, ..MlpConfig::default() };
        let mut layout = Layout::new();
        let mlp = Mlp::new(&mut layout, "", shape[0], 4, &config)?;
        let forward = Box::new(move |pass: &mut Pass<'_>, x: &Tensor| mlp.forward(pass, x));
        networks.push(Network { parameters: parameters(&layout)?, forward });
    }
    let x = Tensor::f_ones([&[batch], shape].concat(), FLOAT_CPU)?;
    let mut best = vec![[f64::MAX; 2]; networks.len()];
    let begin = Instant::now();
    for round in 0.. {
        for (best, network) in best.iter_mut().zip(&networks) {
            let times = network.times(&x)?;
            *best = [best[0].min(times[0]), best[1].min(times[1])];
        }
        if round > 20 && begin.elapsed().as_secs_f64() > 1.0 {
            break;
        }
    }
    let each = ["fused", "one by one", "Mlp"].iter().zip(&best);
    let columns: Vec<_> = each
        .map(|(what, [forward, both])| format!("{what} {:8.1} {:8.1}", forward * 1e6, both * 1e6))
        .collect();
    println!("{name:12} batch {batch:3}   {}", columns.join("   "));
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tch::set_num_threads(1);
    for case in &CASES {
        for &batch in case.4 {
            measure(case, batch)?;
        }
    }
    Ok(())
}
