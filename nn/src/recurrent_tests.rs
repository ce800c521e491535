//! Sequences by hand-derived passes against the same by operations, and those against PyTorch's own layers.

use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use tch::{Device, Kind, Tensor, kind::FLOAT_CPU};

use super::*;
use crate::{backward, set_team_size};

const INPUTS: i64 = 5;

fn layer(cell: Cell, size: i64) -> (Recurrent, Parameters) {
    let mut layout = Layout::new();
    let layer = Recurrent::new(&mut layout, "memory.", cell, INPUTS, size, Init::Torch).unwrap();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
    (layer, Parameters::new(&layout, &mut rng, Device::Cpu).unwrap())
}

struct Asked {
    x: Tensor,
    starts: Tensor,
    state: Tensor,
}

/// Sequences with a start here and there.
fn asked(layer: &Recurrent, steps: i64, batch: i64) -> Asked {
    let numbers = |count: i64, factor: f64| (Tensor::arange(count, FLOAT_CPU) * factor).sin();
    let starts = Tensor::arange(steps * batch, FLOAT_CPU).remainder(7.0).eq(3.0).to_kind(Kind::Float);
    Asked {
        x: numbers(steps * batch * INPUTS, 0.37).reshape([steps, batch, INPUTS]),
        starts: starts.reshape([steps, batch]),
        state: numbers(batch * layer.state_width(), 0.83).reshape([batch, layer.state_width()]),
    }
}

impl Asked {
    fn sequence(&self) -> Sequence<'_> {
        Sequence { x: &self.x, starts: &self.starts, state: &self.state }
    }
}

/// Outputs, states, the gradients of parameters and input.
fn passes(layer: &Recurrent, parameters: &mut Parameters, asked: &Asked, fused: bool) -> [Tensor; 4] {
    parameters.zero_gradients();
    let x = asked.x.copy().set_requires_grad(true);
    let sequence = Sequence { x: &x, ..asked.sequence() };
    let answer = match fused {
        true => layer.forward(&mut Pass::eval(parameters), &sequence).unwrap(),
        false => layer.forward_by_operations(parameters, &sequence).unwrap(),
    };
    let weights =
        Tensor::arange(answer.outputs.numel() as i64, FLOAT_CPU).cos().reshape(answer.outputs.size());
    (&answer.outputs * weights).sum(Kind::Float).backward();
    [answer.outputs.detach(), answer.states, parameters.gradients().unwrap().copy(), x.grad()]
}

fn distance(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

#[test]
fn the_passes_by_hand_are_those_by_operations() {
    for cell in [Cell::Lstm, Cell::Gru] {
        for (steps, batch, size) in [(1, 1, 3), (6, 3, 16), (12, 9, 70), (4, 40, 64)] {
            let (layer, mut parameters) = layer(cell, size);
            let asked = asked(&layer, steps, batch);
            let by_hand = passes(&layer, &mut parameters, &asked, true);
            let by_operations = passes(&layer, &mut parameters, &asked, false);
            for (part, (one, other)) in by_hand.iter().zip(&by_operations).enumerate() {
                let distance = distance(one, other) / other.abs().max().double_value(&[]).max(1.0);
                assert!(distance < 1e-5, "{cell:?} {steps} {batch} {size}, part {part}: {distance}");
            }
        }
    }
}

#[test]
fn without_starts_it_is_pytorchs_layer() {
    let (steps, batch, size) = (5, 3, 8);
    for cell in [Cell::Lstm, Cell::Gru] {
        let (layer, parameters) = layer(cell, size);
        let asked = Asked { starts: Tensor::zeros([steps, batch], FLOAT_CPU), ..asked(&layer, steps, batch) };
        let weights = [layer.weight_ih, layer.weight_hh, layer.bias_ih, layer.bias_hh]
            .map(|id| parameters.get(id).shallow_clone());
        let h = asked.state.narrow(1, 0, size).unsqueeze(0);
        let expected = match cell {
            Cell::Lstm => {
                let c = asked.state.narrow(1, size, size).contiguous().unsqueeze(0);
                Tensor::lstm(&asked.x, &[h.contiguous(), c], &weights, true, 1, 0.0, false, false, false).0
            }
            Cell::Gru => {
                Tensor::gru(&asked.x, &h.contiguous(), &weights, true, 1, 0.0, false, false, false).0
            }
        };
        let answer = layer.forward(&mut Pass::eval(&parameters), &asked.sequence()).unwrap();
        assert!(distance(&answer.outputs.detach(), &expected.detach()) < 1e-6, "{cell:?}");
    }
}

#[test]
fn step_by_step_is_the_whole_sequence() {
    let (steps, batch) = (12, 3);
    for cell in [Cell::Lstm, Cell::Gru] {
        let (layer, parameters) = layer(cell, 16);
        let asked = asked(&layer, steps, batch);
        let _guard = tch::no_grad_guard();
        let whole = layer.forward(&mut Pass::eval(&parameters), &asked.sequence()).unwrap();
        let mut state = asked.state.copy();
        for step in 0..steps {
            let (x, starts) = (asked.x.narrow(0, step, 1), asked.starts.narrow(0, step, 1));
            let one = Sequence { x: &x, starts: &starts, state: &state };
            let answer = layer.forward(&mut Pass::eval(&parameters), &one).unwrap();
            assert!(distance(&answer.outputs.select(0, 0), &whole.outputs.select(0, step)) < 1e-6);
            state = answer.states.select(0, 0);
        }
        assert!(distance(&state, &whole.states.select(0, steps - 1)) < 1e-6);
    }
}

#[test]
fn nothing_reaches_over_the_start_of_an_episode() {
    for cell in [Cell::Lstm, Cell::Gru] {
        let (layer, mut parameters) = layer(cell, 16);
        let mut asked = asked(&layer, 6, 2);
        asked.starts = Tensor::zeros([6, 2], FLOAT_CPU);
        let _ = asked.starts.narrow(0, 3, 1).fill_(1.0);
        let before = layer.forward(&mut Pass::eval(&parameters), &asked.sequence()).unwrap().outputs.detach();
        // The second half is that of sequences which begin there.
        let (x, starts) = (asked.x.narrow(0, 3, 3), asked.starts.narrow(0, 3, 3));
        let half = Sequence { x: &x, starts: &starts, state: &asked.state };
        let alone = layer.forward(&mut Pass::eval(&parameters), &half).unwrap().outputs.detach();
        assert!(distance(&before.narrow(0, 3, 3), &alone) < 1e-6);
        // The output there says nothing about the inputs before it.
        let x = asked.x.copy().set_requires_grad(true);
        parameters.zero_gradients();
        let answer =
            layer.forward(&mut Pass::eval(&parameters), &Sequence { x: &x, ..asked.sequence() }).unwrap();
        answer.outputs.narrow(0, 3, 3).sum(Kind::Float).backward();
        assert_eq!(x.grad().narrow(0, 0, 3).abs().max().double_value(&[]), 0.0);
        assert!(x.grad().narrow(0, 3, 3).abs().max().double_value(&[]) > 0.0);
    }
}

#[test]
fn any_team_gives_the_same_numbers() {
    for cell in [Cell::Lstm, Cell::Gru] {
        let (layer, mut parameters) = layer(cell, 64);
        let asked = asked(&layer, 16, 9);
        let alone = passes(&layer, &mut parameters, &asked, true);
        for threads in [2, 3, 1] {
            set_team_size(threads);
            for _ in 0..20 {
                assert_eq!(passes(&layer, &mut parameters, &asked, true), alone, "{threads} threads");
            }
        }
    }
}

#[test]
fn frozen_weights_pass_a_gradient_to_the_input_and_keep_none() {
    let (layer, parameters) = layer(Cell::Lstm, 8);
    let frozen = parameters.frozen_copy().unwrap();
    let asked = asked(&layer, 3, 2);
    let x = asked.x.copy().set_requires_grad(true);
    let answer = layer.forward(&mut Pass::eval(&frozen), &Sequence { x: &x, ..asked.sequence() }).unwrap();
    let ones = Tensor::ones_like(&answer.outputs);
    backward(&answer.outputs, &ones).unwrap();
    assert!(x.grad().abs().max().double_value(&[]) > 0.0);
    assert_eq!(parameters.gradients().unwrap().abs().max().double_value(&[]), 0.0);
}

#[test]
fn what_does_not_fit_is_an_error() {
    let (layer, parameters) = layer(Cell::Gru, 8);
    let asked = asked(&layer, 3, 2);
    let wrong = Tensor::zeros([2, 16], FLOAT_CPU);
    let message = layer
        .forward(&mut Pass::eval(&parameters), &Sequence { state: &wrong, ..asked.sequence() })
        .unwrap_err()
        .to_string();
    assert!(message.contains("[batch, 8]"), "{message}");
    assert!(Recurrent::new(&mut Layout::new(), "", Cell::Gru, 3, 0, Init::Torch).is_err());
}
