//! A network and a training loop of your own on the network core: a classifier of two moons.
//!
//! ```text
//! cargo run --release --example custom_network
//! ```

use anyhow::Result;
use pavlov::common::SeededRng;
use pavlov::nn::{
    Activation, Layout, Mlp, MlpConfig, OptimizerConfig, Parameters, Pass, Schedule, Trainable, weights,
};
use tch::{Device, Kind, Tensor};

const UPDATES: usize = 400;

/// `[count, 2]` points on two interleaved half circles, and `[count]` labels.
fn two_moons(count: usize, rng: &mut SeededRng) -> (Tensor, Tensor) {
    let mut points = Vec::new();
    let mut labels = Vec::new();
    for index in 0..count {
        let (label, angle) = ((index % 2) as i64, rng.uniform(0.0, std::f64::consts::PI));
        let (x, y) =
            if label == 0 { (angle.cos(), angle.sin()) } else { (1.0 - angle.cos(), 0.5 - angle.sin()) };
        points.push((x + rng.uniform(-0.15, 0.15)) as f32);
        points.push((y + rng.uniform(-0.15, 0.15)) as f32);
        labels.push(label);
    }
    (Tensor::from_slice(&points).reshape([-1, 2]), Tensor::from_slice(&labels))
}

fn main() -> Result<()> {
    let mut rng = SeededRng::seeded(1);
    let (x, y) = two_moons(512, &mut rng);
    let (test_x, test_y) = two_moons(512, &mut rng);

    // A description of the network; its numbers live in one flat arena.
    let config = MlpConfig {
        hidden_sizes: vec![32, 32],
        activation: Activation::Silu,
        layer_norm: true,
        dropout: 0.1,
        ..MlpConfig::default()
    };
    let mut layout = Layout::new();
    let net = Mlp::new(&mut layout, "", 2, 2, &config)?;
    let parameters = Parameters::new(&layout, &mut rng, Device::Cpu)?;
    let mut trained = Trainable::new(parameters, &OptimizerConfig::default(), None, 7)?;
    let learning_rate = Schedule::linear(1e-2, 0.0);

    for update in 0..UPDATES {
        let loss = net.forward(&mut trained.pass(), &x)?.cross_entropy_for_logits(&y);
        trained.descend_loss(&loss, learning_rate.value(update as f64 / UPDATES as f64))?;
        if update % 100 == 0 {
            println!("update {update}: loss {:.3}", loss.double_value(&[]));
        }
    }

    let right =
        net.forward(&mut Pass::eval(trained.parameters()), &test_x)?.argmax(1, false).eq_tensor(&test_y);
    let accuracy = right.to_kind(Kind::Float).mean(Kind::Float).double_value(&[]);
    println!("accuracy on points it has not seen: {:.1} %", 100.0 * accuracy);
    anyhow::ensure!(accuracy > 0.95, "the network has not learned");

    // PyTorch loads this file into the nn.Sequential of the same layers.
    weights::write("moons.safetensors".as_ref(), &trained.parameters().state()?)?;
    Ok(())
}
