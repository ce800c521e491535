//! Recurrent layers one after the other against PyTorch's, and against a single layer.

use std::path::Path;

use pavlov_common::SeededRng;
use tch::{Device, Kind, kind::FLOAT_CPU};

use super::*;
use crate::{Parameters, weights};

fn stack(config: &RecurrentStackConfig) -> (RecurrentStack, Parameters) {
    let mut layout = Layout::new();
    let stack = RecurrentStack::new(&mut layout, "", 3, config, Init::Torch).unwrap();
    (stack, Parameters::new(&layout, &mut SeededRng::seeded(3), Device::Cpu).unwrap())
}

fn numbers(shape: &[i64]) -> Tensor {
    (Tensor::arange(shape.iter().product::<i64>(), FLOAT_CPU) * 0.37).sin().reshape(shape)
}

fn distance(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

fn both_cells() -> [RecurrentStackConfig; 4] {
    let both = |config| [config, RecurrentStackConfig { bidirectional: true, ..config }];
    let cells = [Cell::Lstm, Cell::Gru]
        .map(|cell| both(RecurrentStackConfig { layers: 2, ..RecurrentStackConfig::new(cell, 4) }));
    let [[a, b], [c, d]] = cells;
    [a, b, c, d]
}

#[test]
fn stacks_are_pytorchs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/layers.safetensors");
    let record = weights::read(&path).unwrap();
    for (name, cell, layers, bidirectional) in [
        ("lstm", Cell::Lstm, 2, false),
        ("gru", Cell::Gru, 3, false),
        ("lstm_both", Cell::Lstm, 2, true),
        ("gru_both", Cell::Gru, 1, true),
    ] {
        let config = RecurrentStackConfig { layers, bidirectional, ..RecurrentStackConfig::new(cell, 4) };
        let (stack, mut parameters) = stack(&config);
        let own = record.view().part(name);
        parameters.load_state(&own.part("state")).unwrap();
        let x = own.tensor("input").unwrap().set_requires_grad(true);
        let (h, c) = (own.tensor("h").unwrap(), own.tensor("c").unwrap());
        let parts = (0..h.size()[0]).flat_map(|part| match cell {
            Cell::Lstm => vec![h.select(0, part), c.select(0, part)],
            Cell::Gru => vec![h.select(0, part)],
        });
        let state = Tensor::cat(&parts.collect::<Vec<_>>(), 1);
        let starts = Tensor::zeros([5, 2], FLOAT_CPU);
        let sequence = Sequence { x: &x, starts: &starts, state: &state };
        let answer = stack.forward(&mut Pass::eval(&parameters), &sequence).unwrap();
        let recorded = own.part("eval");
        assert!(distance(&answer.outputs.detach(), &recorded.tensor("output").unwrap()) < 1e-6, "{name}");
        let cotangent =
            Tensor::arange(answer.outputs.numel() as i64, FLOAT_CPU).cos().reshape(answer.outputs.size());
        (&answer.outputs * cotangent).sum(Kind::Float).backward();
        assert!(distance(&x.grad(), &recorded.tensor("input_gradient").unwrap()) < 1e-5, "{name}");
        for spec in parameters.layout().specs() {
            let gradient = parameters.gradients().unwrap().narrow(0, spec.offset, spec.len());
            let expected = recorded.tensor(&format!("gradient.{}", spec.name)).unwrap().reshape([-1]);
            assert!(distance(&gradient, &expected) < 1e-5, "{name} {}", spec.name);
        }
        // PyTorch's last state of a backward direction is that after the sequence's first step.
        let width = stack.state_width() / h.size()[0];
        for part in 0..h.size()[0] {
            let at = if bidirectional && part % 2 == 1 { 0 } else { 4 };
            let last = answer.states.select(0, at).narrow(1, part * width, 4);
            assert!(distance(&last, &own.tensor("last_h").unwrap().select(0, part)) < 1e-6, "{name} {part}");
        }
    }
}

#[test]
fn step_by_step_is_the_whole_sequence() {
    for config in both_cells().iter().filter(|config| !config.bidirectional) {
        let (stack, parameters) = stack(config);
        let (x, mut state) = (numbers(&[7, 2, 3]), numbers(&[2, stack.state_width()]));
        let starts =
            Tensor::arange(14, FLOAT_CPU).remainder(5.0).eq(3.0).to_kind(Kind::Float).reshape([7, 2]);
        let whole = Sequence { x: &x, starts: &starts, state: &state };
        let whole = stack.forward(&mut Pass::eval(&parameters), &whole).unwrap();
        for step in 0..7 {
            let (x, starts) = (x.narrow(0, step, 1), starts.narrow(0, step, 1));
            let one = Sequence { x: &x, starts: &starts, state: &state };
            let answer = stack.forward(&mut Pass::eval(&parameters), &one).unwrap();
            assert!(distance(&answer.outputs.select(0, 0), &whole.outputs.select(0, step)) < 1e-6);
            state = answer.states.select(0, 0);
        }
        assert!(distance(&state, &whole.states.select(0, 6)) < 1e-6);
    }
}

#[test]
fn no_episode_of_a_sequence_knows_of_another() {
    for config in both_cells() {
        let (stack, parameters) = stack(&config);
        let (x, state) = (numbers(&[6, 1, 3]), Tensor::zeros([1, stack.state_width()], FLOAT_CPU));
        let starts = Tensor::from_slice(&[0f32, 0.0, 0.0, 1.0, 0.0, 0.0]).reshape([6, 1]);
        let run = |x: &Tensor, starts: &Tensor| {
            let sequence = Sequence { x, starts, state: &state };
            stack.forward(&mut Pass::eval(&parameters), &sequence).unwrap().outputs
        };
        let whole = run(&x, &starts);
        for half in [0, 3] {
            let alone = run(&x.narrow(0, half, 3), &Tensor::zeros([3, 1], FLOAT_CPU));
            assert!(distance(&whole.narrow(0, half, 3), &alone) < 1e-6, "{config:?} {half}");
        }
    }
}

#[test]
fn dropout_acts_between_layers_in_training_only() {
    let config = RecurrentStackConfig { dropout: 0.5, layers: 2, ..RecurrentStackConfig::new(Cell::Gru, 4) };
    let (stack, parameters) = stack(&config);
    let (x, state) = (numbers(&[3, 2, 3]), numbers(&[2, 8]));
    let starts = Tensor::zeros([3, 2], FLOAT_CPU);
    let sequence = Sequence { x: &x, starts: &starts, state: &state };
    let run = |pass: &mut Pass<'_>| stack.forward(pass, &sequence).unwrap();
    let used = run(&mut Pass::eval(&parameters));
    let trained = run(&mut Pass::train(&parameters, &mut SeededRng::seeded(1)));
    assert_eq!(trained.outputs, run(&mut Pass::train(&parameters, &mut SeededRng::seeded(1))).outputs);
    assert_ne!(trained.outputs, used.outputs);
    // The first layer comes before any dropout.
    assert_eq!(trained.states.narrow(2, 0, 4), used.states.narrow(2, 0, 4));
}

#[test]
fn what_makes_no_sense_is_an_error() {
    let new = |config| {
        RecurrentStack::new(&mut Layout::new(), "", 3, &config, Init::Torch).unwrap_err().to_string()
    };
    let config = RecurrentStackConfig::new(Cell::Lstm, 4);
    assert!(new(RecurrentStackConfig { layers: 0, ..config }).contains("layers is 0"));
    assert!(new(RecurrentStackConfig { dropout: 1.0, ..config }).contains("less than 1"));
    assert!(new(RecurrentStackConfig { size: 0, ..config }).contains("at least 1"));
    let (stack, parameters) = stack(&config);
    let (x, starts, state) = (numbers(&[3, 2, 3]), numbers(&[3, 2]), numbers(&[2, 4]));
    let sequence = Sequence { x: &x, starts: &starts, state: &state };
    let message = stack.forward(&mut Pass::eval(&parameters), &sequence).unwrap_err().to_string();
    assert!(message.contains("[batch, 8]"), "{message}");
}
