//! The numbers that `scripts/record-metrics.py` recorded, and tasks whose weights and data come from its formula.

use std::collections::VecDeque;

use pavlov_data::{Batch, Input, Target};
use pavlov_nn::optim::SgdConfig;
use pavlov_nn::{OptimizerConfig, Schedule, StateDict};
use tch::{Device, Kind, Tensor};

use crate::{Batches, LearningConfig, Metrics, Task, TaskConfig, TaskContext, TaskError};

/// The numbers of one case, by name.
pub(crate) struct Recorded(toml::Table);

impl Recorded {
    pub fn case(name: &str) -> Self {
        let mut all: toml::Table = toml::from_str(include_str!("../tests/recorded/metrics.toml")).unwrap();
        let Some(toml::Value::Table(case)) = all.remove(name) else { panic!("no case {name}") };
        Self(case)
    }

    pub fn number(&self, key: &str) -> f64 {
        self.0[key].as_float().unwrap()
    }

    pub fn numbers(&self, key: &str) -> Vec<f64> {
        self.0[key].as_array().unwrap().iter().map(|number| number.as_float().unwrap()).collect()
    }

    pub fn integers(&self, key: &str) -> Vec<i64> {
        self.0[key].as_array().unwrap().iter().map(|number| number.as_integer().unwrap()).collect()
    }

    /// Holds a number to the one that was recorded under this name.
    pub fn hold(&self, key: &str, ours: f64) {
        assert_near(key, ours, self.number(key));
    }

    /// Holds a tensor to the numbers that were recorded under this name.
    pub fn hold_all(&self, key: &str, ours: &Tensor) {
        let ours = Vec::<f64>::try_from(ours.to_kind(Kind::Double).flatten(0, -1)).unwrap();
        let theirs = self.numbers(key);
        assert_eq!(ours.len(), theirs.len(), "{key}");
        ours.into_iter().zip(theirs).for_each(|(ours, theirs)| assert_near(key, ours, theirs));
    }
}

/// Fails unless two numbers are the same but for the rounding of f32.
pub(crate) fn assert_near(what: &str, ours: f64, theirs: f64) {
    assert!((ours - theirs).abs() <= 2e-6 * theirs.abs().max(1.0), "{what}: {ours} and {theirs}");
}

/// `offset + scale * sin(step * (i + 1))` of the i-th number.
pub(crate) fn waves(shape: &[i64], step: f64, scale: f64, offset: f64) -> Tensor {
    let count = shape.iter().product::<i64>();
    let numbers: Vec<f32> =
        (1..=count).map(|place| (offset + scale * (step * place as f64).sin()) as f32).collect();
    Tensor::from_slice(&numbers).reshape(shape)
}

pub(crate) fn flat(tensor: &Tensor) -> Vec<f32> {
    Vec::<f32>::try_from(tensor.flatten(0, -1)).unwrap()
}

/// Names for so many columns or classes.
pub(crate) fn names(count: usize) -> Vec<String> {
    (0..count).map(|place| format!("n{place}")).collect()
}

/// The weights of a last layer that passes on what it is given.
pub(crate) fn passing(width: i64) -> Vec<(&'static str, Tensor)> {
    let options = (Kind::Float, Device::Cpu);
    vec![("head.weight", Tensor::eye(width, options)), ("head.bias", Tensor::zeros([width], options))]
}

/// A task with these weights. It learns at a rate of 0.
pub(crate) fn task<C: TaskConfig>(
    config: &str,
    input: Input,
    target: Target,
    weights: &[(&str, Tensor)],
) -> Box<dyn Task> {
    let config: C = toml::from_str(config).unwrap();
    config.validate().unwrap();
    let learning = LearningConfig {
        rate: Schedule::constant(0.0),
        optimizer: OptimizerConfig::Sgd(SgdConfig::default()),
        ..LearningConfig::default()
    };
    let context = TaskContext {
        input,
        target,
        is_normalized: false,
        learning,
        seed: 0,
        device: Device::Cpu,
        group: pavlov_group::Group::alone(),
    };
    let mut task = config.build(&context).unwrap();
    let mut state = StateDict::new();
    for (name, tensor) in weights {
        state.put_tensor(name, tensor).unwrap();
    }
    task.load_weights(&state.view()).unwrap();
    task
}

/// The same rows in batches of these sizes.
pub(crate) fn parts(batch: &Batch, sizes: &[usize]) -> Vec<Batch> {
    fn part<T: Clone>(all: &[T], rows: usize, from: usize, size: usize) -> Vec<T> {
        let width = all.len() / rows;
        all[from * width..(from + size) * width].to_vec()
    }
    let mut from = 0;
    sizes
        .iter()
        .map(|&size| {
            let (rows, begin) = (batch.rows, from);
            from += size;
            Batch {
                rows: size,
                numbers: part(&batch.numbers, rows, begin, size),
                tokens: part(&batch.tokens, rows, begin, size),
                classes: part(&batch.classes, rows, begin, size),
                targets: part(&batch.targets, rows, begin, size),
                indices: (begin..begin + size).collect(),
            }
        })
        .collect()
}

/// Ways to cut 8 samples into batches, none of which may change a measurement.
pub(crate) const CUTS: [&[usize]; 3] = [&[8], &[5, 3], &[1, 4, 3]];

struct InTurn(VecDeque<Batch>);

impl Batches for InTurn {
    fn next(&mut self) -> Result<Option<Batch>, TaskError> {
        Ok(self.0.pop_front())
    }
}

/// The metrics that a task measures on 8 samples in batches of these sizes.
pub(crate) fn measured(task: &mut dyn Task, batch: &Batch, sizes: &[usize]) -> Metrics {
    task.measure(&mut InTurn(parts(batch, sizes).into())).unwrap().metrics
}

/// The metrics that an update tells of its batch.
pub(crate) fn told(task: &mut dyn Task, batch: &Batch) -> Metrics {
    task.learn(&parts(batch, &[batch.rows]), 0.0).unwrap();
    task.take_metrics().unwrap()
}
