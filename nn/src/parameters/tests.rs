//! The arena: roles, views, states.

use pavlov_common::SeededRng;
use tch::{Device, Kind, Tensor};

use super::*;
use crate::{Init, Optimizer, OptimizerConfig, optim::AdamwConfig};

fn parameters(layout: &Layout) -> Parameters {
    Parameters::new(layout, &mut SeededRng::seeded(1), Device::Cpu).unwrap()
}

/// A layer with a buffer between two parameters, and a counter.
fn normalised() -> (Layout, [ParameterId; 4]) {
    let mut layout = Layout::new();
    let ids = [
        layout.add("0.weight", &[2, 3], Init::Torch).unwrap(),
        layout.add_buffer("1.running_var", &[2], Init::Constant { value: 1.0 }).unwrap(),
        layout.add_counter("1.num_batches_tracked").unwrap(),
        layout.add("1.weight", &[2], Init::Constant { value: 1.0 }).unwrap(),
    ];
    (layout, ids)
}

fn set(parameters: &Parameters, id: ParameterId, value: f64) {
    let _guard = tch::no_grad_guard();
    let _ = parameters.get(id).shallow_clone().fill_(value);
}

#[test]
fn a_buffer_is_written_through_its_view_and_has_no_gradient() {
    let (layout, [weight, variance, count, scale]) = normalised();
    let parameters = parameters(&layout);
    assert_eq!((layout.len(), layout.trainable_len(), parameters.len()), (11, 8, 11));
    set(&parameters, variance, 0.25);
    set(&parameters, count, 3.0);
    let flat = Vec::<f32>::try_from(parameters.values()).unwrap();
    assert_eq!(flat[6..], [1.0, 1.0, 0.25, 0.25, 3.0]);
    assert_eq!(parameters.gradients().unwrap().size(), [8]);
    assert!(parameters.gradient(variance).is_none() && parameters.gradient(count).is_none());
    assert_eq!(parameters.gradient(weight).unwrap().size(), [2, 3]);
    assert_eq!(parameters.gradient(scale).unwrap().size(), [2]);
    assert!(!parameters.get(variance).requires_grad());
}

#[test]
fn a_buffer_written_between_forward_and_backward_pass_is_no_error() {
    let (layout, [weight, variance, _, _]) = normalised();
    let parameters = parameters(&layout);
    let x = Tensor::ones([4, 3], tch::kind::FLOAT_CPU).set_requires_grad(true);
    let y = x.linear(parameters.get(weight), None::<&Tensor>);
    set(&parameters, variance, 9.0);
    y.sum(Kind::Float).f_backward().unwrap();
    assert_eq!(parameters.gradient(weight).unwrap(), &Tensor::full([2, 3], 4.0, tch::kind::FLOAT_CPU));
}

#[test]
fn a_counter_is_an_i64_in_a_state() {
    let (layout, [_, _, count, _]) = normalised();
    let (mut one, other) = (parameters(&layout), parameters(&layout));
    set(&other, count, 12345.0);
    let state = other.state().unwrap();
    assert_eq!(state.view().vec::<i64>("1.num_batches_tracked").unwrap(), [12345]);
    assert!(state.arrays["1.num_batches_tracked"].shape.is_empty());
    one.load_state(&state.view()).unwrap();
    assert_eq!(one.values(), other.values());
}

#[test]
fn an_optimisers_step_leaves_buffers_bit_for_bit() {
    let (layout, [_, variance, count, scale]) = normalised();
    let mut parameters = parameters(&layout);
    set(&parameters, variance, 0.3);
    set(&parameters, count, 7.0);
    let before = parameters.values().copy();
    let config = AdamwConfig { weight_decay_decoupled: 0.5, ..AdamwConfig::default() };
    let mut optimizer = Optimizer::new(&OptimizerConfig::Adamw(config), &parameters).unwrap();
    optimizer.step(&mut parameters, 0.1).unwrap();
    let after = parameters.values();
    assert_eq!(after.narrow(0, 8, 3), before.narrow(0, 8, 3));
    assert_eq!(parameters.get(scale).double_value(&[0]), f64::from(0.95f32));
}

#[test]
fn a_polyak_update_mixes_parameters_and_copies_buffers() {
    let (layout, [weight, variance, count, _]) = normalised();
    let (mut target, online) = (parameters(&layout), parameters(&layout));
    set(&online, variance, 3.0);
    set(&online, count, 10.0);
    set(&online, weight, 1.0);
    set(&target, weight, 0.0);
    target.polyak_update(&online, 0.25).unwrap();
    let numbers = |id| target.get(id).mean(Kind::Float).double_value(&[]);
    assert_eq!([weight, variance, count].map(numbers), [0.25, 3.0, 10.0]);
}
