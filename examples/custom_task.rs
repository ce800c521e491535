//! A task of your own on data of your own: which of two points is nearer to the origin, learned from pairs.
//!
//! ```text
//! cargo run --release --example custom_task
//! ```

use std::sync::Arc;

use anyhow::{Result, ensure};
use pavlov::common::{SeededRng, derive_seed};
use pavlov::data::{DataError, Dataset, DatasetSpec, Input, SampleMut, Target};
use pavlov::nn::layers::Sequential;
use pavlov::nn::{Layout, Module, Pass};
use pavlov::tasks::networks::{NetConfig, judge};
use pavlov::tasks::{
    Criterion, Loss, Measured, Metrics, Model, Supervised, Task, TaskConfig, TaskContext, TaskError,
    TaskSpec, Tensors,
};
use pavlov::{Fitted, Registries, fit};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// Points of a plane, drawn at random; two follow one another.
#[derive(Debug)]
struct Pairs {
    input: Input,
    target: Target,
}

impl Dataset for Pairs {
    fn input(&self) -> &Input {
        &self.input
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn len(&self) -> usize {
        4_000
    }

    fn class(&self, _: usize) -> Option<usize> {
        None
    }

    fn identity(&self, index: usize) -> u64 {
        index as u64
    }

    fn read(&self, index: usize, sample: SampleMut<'_>) -> Result<(), DataError> {
        let mut rng = SeededRng::seeded(derive_seed(0, "pairs", index as u64));
        sample.numbers.iter_mut().for_each(|number| *number = rng.uniform(-1.0, 1.0) as f32);
        Ok(())
    }
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct NearerConfig {
    net: NetConfig,
}

impl TaskConfig for NearerConfig {
    const NAME: &'static str = "nearer";
    const SUMMARY: &'static str = "Tells which of two points is nearer to the origin";

    fn validate(&self) -> Result<(), TaskError> {
        Ok(())
    }

    fn build(&self, context: &TaskContext) -> Result<Box<dyn Task>, TaskError> {
        let mut layout = Layout::new();
        let input = &context.input;
        let network = self.net.build_with_head(&mut layout, input, (1, false), || judge(input))?;
        Ok(Box::new(Supervised::new(Nearer { network }, &layout, context)?))
    }
}

/// The network gives the logit of the chance that the first point is the nearer one.
struct Nearer {
    network: Sequential,
}

fn first_is_nearer(pairs: &Tensor) -> Tensor {
    let squares = pairs.square().reshape([-1, 2, 2]).sum_dim_intlist([2i64].as_slice(), false, Kind::Float);
    squares.select(1, 0).lt_tensor(&squares.select(1, 1)).to_kind(Kind::Float)
}

impl Model for Nearer {
    type Sums = (f64, f64);

    const CRITERION: Criterion = Criterion { metric: "accuracy", highest_is_best: true };

    fn loss(&self, pass: &mut Pass<'_>, batch: &Tensors, _: &mut SeededRng) -> Result<Loss, TaskError> {
        let logits = self.network.forward(pass, &batch.inputs)?.squeeze_dim(1);
        let wanted = first_is_nearer(&batch.inputs);
        let weight: Option<Tensor> = None;
        let reduction = tch::Reduction::Mean;
        Ok(Loss::of(logits.binary_cross_entropy_with_logits(&wanted, weight.as_ref(), None, reduction)))
    }

    fn add(&self, pass: &mut Pass<'_>, batch: &Tensors, sums: &mut (f64, f64)) -> Result<(), TaskError> {
        let chosen = self.network.forward(pass, &batch.inputs)?.squeeze_dim(1).gt(0.0).to_kind(Kind::Float);
        sums.0 += chosen.eq_tensor(&first_is_nearer(&batch.inputs)).sum(Kind::Double).double_value(&[]);
        sums.1 += batch.rows as f64;
        Ok(())
    }

    fn measured(&self, _: &mut Pass<'_>, sums: (f64, f64)) -> Result<Measured, TaskError> {
        let metrics = Metrics::from([("accuracy".to_string(), sums.0 / sums.1.max(1.0))]);
        Ok(Measured { metrics, pictures: Vec::new() })
    }
}

fn main() -> Result<()> {
    let mut registries = Registries::bundled();
    registries.tasks.register(TaskSpec::of::<NearerConfig>())?;
    registries.datasets.register(DatasetSpec::new("pairs", |_| {
        let names = ["x1", "y1", "x2", "y2"].map(String::from).to_vec();
        Ok(Arc::new(Pairs { input: Input::Numbers { names }, target: Target::None }))
    }))?;

    // `pavlov::cli::main(&registries)` would give the program every command for them.
    let sets = ["epochs=15", "data.normalize=false", "learning.rate=lin_3e-3"];
    let (folder, _) = fit(&registries, "nearer", "pairs", &sets)?;
    let (_, count, measured) = Fitted::open(&folder, &registries, false)?.test()?;
    let accuracy = measured.metrics["accuracy"];
    println!("accuracy on {count} pairs: {accuracy:.3}");
    ensure!(accuracy > 0.95, "it has not learned distances");
    Ok(())
}
