//! The fused nodes keep autograd's contract: against PyTorch (scripts/record-gradient-penalty.py), against
//! the same networks by single operations, and against finite differences.

mod nets;
mod saved;

use std::ffi::c_int;
use std::path::Path;

use tch::{Kind, Tensor, kind::FLOAT_CPU};

use self::nets::{images, nets, parameters, perceptron};
use super::mlp::{self, Networks};
use super::{Parameter, check, pointer};
use crate::{
    Activation, Cell, Init, Layout, Mlp, MlpConfig, NnError, Parameters, Pass, Precision, Recurrent,
    Sequence, StateDict, weights,
};

const ALL: [(&str, Activation); 8] = [
    ("identity", Activation::Identity),
    ("relu", Activation::Relu),
    ("leaky_relu", Activation::LeakyRelu),
    ("elu", Activation::Elu),
    ("gelu", Activation::Gelu),
    ("silu", Activation::Silu),
    ("tanh", Activation::Tanh),
    ("sigmoid", Activation::Sigmoid),
];

fn distance(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a - b).abs().max().double_value(&[]) / b.abs().max().double_value(&[]).max(1.0)
}

fn weighted(y: &Tensor) -> Tensor {
    (y * Tensor::arange(y.numel() as i64, FLOAT_CPU).cos().reshape(y.size())).sum(Kind::Float)
}

/// `Tensor::backward` with PyTorch's flags, of which tch has none.
fn backward_with(loss: &Tensor, keep_graph: bool, create_graph: bool) -> Result<(), NnError> {
    // SAFETY: the loss lives through the call; the message is null or a string that is ours to free.
    unsafe {
        torch_sys::at_backward(pointer(loss), c_int::from(keep_graph), c_int::from(create_graph));
        check(torch_sys::get_and_reset_last_err())
    }
}

/// `autograd::grad` of the sum of `y`.
fn derive(y: &Tensor, by: &[&Tensor], create_graph: bool) -> Vec<Tensor> {
    Tensor::f_run_backward(&[y], by, create_graph, create_graph).unwrap()
}

fn fixture() -> StateDict<'static> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    weights::read(&folder.join("gradient-penalty.safetensors")).unwrap()
}

/// The loss of a critic with WGAN-GP's penalty, and its gradients, held to what PyTorch recorded.
fn check_penalty(name: &str, layout: &Layout, critic: impl Fn(&Parameters, &Tensor) -> Tensor) {
    let fixture = fixture();
    let recorded = fixture.view().part(name);
    let tensor = |key: &str| recorded.tensor(key).unwrap();
    let mut parameters = parameters(layout);
    assert!(parameters.load_matching(&recorded, &[]).unwrap().is_complete());
    let (real, mix) = (tensor("real"), tensor("mix"));
    let fake = tensor("fake").set_requires_grad(true);
    let between = &real * &mix + &fake * (1.0 - &mix);
    let slope = &derive(&critic(&parameters, &between), &[&between], true)[0];
    let untouched = parameters.gradients().unwrap().abs().max().double_value(&[]);
    assert_eq!(untouched, 0.0, "{name}: a gradient of the input alone leaves the weights' untouched");
    let norm = slope.square().sum_dim_intlist([-1i64].as_slice(), false, Kind::Float).sqrt();
    let penalty = (norm - 1.0).square().mean(Kind::Float);
    let difference =
        critic(&parameters, &fake).mean(Kind::Float) - critic(&parameters, &real).mean(Kind::Float);
    let loss = difference + &penalty * 10.0;
    loss.backward();

    assert!(distance(&penalty.detach(), &tensor("penalty")) < 1e-5, "{name}: penalty");
    assert!(distance(&loss.detach(), &tensor("loss")) < 1e-5, "{name}: loss");
    assert!(distance(&fake.grad(), &tensor("gradient.fake")) < 1e-5, "{name}: gradient of the fake inputs");
    let flat = parameters.gradients().unwrap();
    for spec in layout.specs() {
        let own = flat.narrow(0, spec.offset, spec.len()).reshape(&spec.shape);
        let far = distance(&own, &tensor(&format!("gradient.{}", spec.name)));
        assert!(far < 1e-5, "{name}: gradient of {}: {far}", spec.name);
    }
}

#[test]
fn the_gradient_penalty_through_an_mlp_is_pytorchs_for_every_activation() {
    for (name, activation) in ALL {
        for layer_norm in [false, true] {
            let config =
                MlpConfig { hidden_sizes: vec![17, 8], activation, layer_norm, ..MlpConfig::default() };
            let mut layout = Layout::new();
            let net = Mlp::new(&mut layout, "", 5, 1, &config).unwrap();
            let name = if layer_norm { format!("norm_{name}") } else { name.into() };
            check_penalty(&name, &layout, |parameters, x| {
                net.forward(&mut Pass::eval(parameters), x).unwrap()
            });
        }
    }
}

#[test]
fn the_gradient_penalty_through_a_cnn_and_the_mlp_behind_it_is_pytorchs() {
    let mut layout = Layout::new();
    let cnn = images(&mut layout, "cnn.", true);
    let config = MlpConfig { hidden_sizes: vec![], ..MlpConfig::default() };
    let head = Mlp::new(&mut layout, "head.", cnn.outputs(), 1, &config).unwrap();
    check_penalty("cnn", &layout, |parameters, x| {
        let mut pass = Pass::eval(parameters);
        let features = cnn.forward(&mut pass, x).unwrap();
        head.forward(&mut pass, &features).unwrap()
    });
}

#[test]
fn the_gradient_penalty_through_a_recurrent_layer_is_pytorchs() {
    for (name, cell) in [("lstm", Cell::Lstm), ("gru", Cell::Gru)] {
        let mut layout = Layout::new();
        let memory = Recurrent::new(&mut layout, "memory.", cell, 4, 6, Init::Torch).unwrap();
        let config = MlpConfig { hidden_sizes: vec![], ..MlpConfig::default() };
        let head = Mlp::new(&mut layout, "head.", 6, 1, &config).unwrap();
        check_penalty(name, &layout, |parameters, x| {
            let mut pass = Pass::eval(parameters);
            let starts = Tensor::zeros([x.size()[0], x.size()[1]], FLOAT_CPU);
            let state = Tensor::zeros([x.size()[1], memory.state_width()], FLOAT_CPU);
            let sequence = Sequence { x, starts: &starts, state: &state };
            let outputs = memory.forward(&mut pass, &sequence).unwrap().outputs;
            let rows = head.forward(&mut pass, &outputs.reshape([-1, 6])).unwrap();
            rows.reshape([x.size()[0], x.size()[1], 1])
        });
    }
}

#[test]
fn the_gradient_of_the_input_alone_leaves_those_of_the_weights_untouched() {
    for net in nets() {
        let name = &net.name;
        let x = net.input();
        weighted(&net.call(&x)).backward();
        let (before, input_gradient) = (net.gradients(), x.grad());
        assert!(before.abs().max().double_value(&[]) > 1e-3, "{name}: gradients to leave untouched");
        for create_graph in [false, true] {
            let own = derive(&weighted(&net.call(&x)), &[&x], create_graph);
            assert!(distance(&own[0], &input_gradient) < 1e-5, "{name}");
            assert_eq!(own[0].requires_grad(), create_graph, "{name}");
        }
        assert_eq!(net.gradients(), before, "{name}");
    }
}

#[test]
fn gradients_of_weights_that_are_asked_for_are_those_that_accumulate() {
    for net in nets() {
        let name = &net.name;
        let x = net.input();
        weighted(&net.call(&x)).backward();
        let before = net.gradients();
        let leaves = net.leaves();
        let accumulated: Vec<_> = leaves.iter().map(|leaf| leaf.grad().copy()).collect();
        for create_graph in [false, true] {
            // All of them and the input, then each alone.
            let asked: Vec<_> = leaves.iter().copied().chain([&x]).collect();
            let own = derive(&weighted(&net.call(&x)), &asked, create_graph);
            for (one, other) in own.iter().zip(accumulated.iter().chain([&x.grad()])) {
                assert!(distance(one, other) < 1e-5, "{name}");
            }
            for (leaf, accumulated) in leaves.iter().zip(&accumulated) {
                let own = derive(&weighted(&net.call(&x)), &[leaf], create_graph);
                assert!(distance(&own[0], accumulated) < 1e-5, "{name}");
            }
        }
        assert_eq!(net.gradients(), before, "{name}: nothing accumulated");
    }
}

#[test]
fn a_second_derivative_reaches_weights_input_and_the_incoming_gradient() {
    for mut net in nets() {
        let mut run = |fused: bool| {
            net.parameters.zero_gradients();
            let x = net.input();
            let inner = (&x * 1.0).tanh();
            let y = if fused { net.call(&inner) } else { net.call_by_operations(&inner) };
            // The gradient that comes in depends on the output.
            let first = derive(&y.square().sum(Kind::Float), &[&inner], true);
            let loss = weighted(&first[0].square()) + weighted(&y);
            loss.backward();
            (loss.detach(), x.grad(), net.gradients())
        };
        let (fused, plain) = (run(true), run(false));
        assert!(plain.2.abs().max().double_value(&[]) > 1e-3, "{}: gradients to compare", net.name);
        assert!(distance(&fused.0, &plain.0) < 1e-5, "{}", net.name);
        assert!(distance(&fused.1, &plain.1) < 1e-5, "{}: input", net.name);
        assert!(distance(&fused.2, &plain.2) < 1e-5, "{}: weights", net.name);
    }
}

#[test]
fn a_second_derivative_is_the_difference_of_first_ones() {
    for net in nets().into_iter().filter(|net| !net.name.starts_with("cnn")) {
        let direction = (Tensor::arange(net.input().numel() as i64, FLOAT_CPU) * 0.7).cos();
        let direction = direction.reshape(&net.shape);
        let slope = |x: &Tensor, create_graph| derive(&weighted(&net.call(x)), &[x], create_graph).remove(0);
        let x = net.input();
        let curvature = derive(&(slope(&x, true) * &direction).sum(Kind::Float), &[&x], false).remove(0);
        // The five-point rule: norms bend too much for three.
        let step = 1e-2;
        let at = |steps: f64| {
            let there = x.detach() + &direction * (steps * step);
            slope(&there.set_requires_grad(true), false)
        };
        let difference = (at(1.0) - at(-1.0)) * (2.0 / 3.0 / step) - (at(2.0) - at(-2.0)) / (12.0 * step);
        assert!(difference.abs().max().double_value(&[]) > 1e-2, "{}: a curvature to compare", net.name);
        assert!(distance(&curvature, &difference) < 2e-3, "{}", net.name);
    }
}

#[test]
fn backward_twice_accumulates_twice_if_the_graph_is_kept_and_is_an_error_otherwise() {
    for net in nets() {
        let name = &net.name;
        let x = net.input();
        weighted(&net.call(&x)).backward();
        let (once, input_once) = (net.gradients(), x.grad().copy());
        let loss = weighted(&net.call(&x));
        backward_with(&loss, true, false).unwrap();
        backward_with(&loss, false, false).unwrap();
        assert!(distance(&net.gradients(), &(&once * 3.0)) < 1e-6, "{name}");
        assert!(distance(&x.grad(), &(&input_once * 3.0)) < 1e-6, "{name}");
        // The sum's own tensors are freed as well: the node's message comes from a graph that ends in it.
        let y = net.call(&x);
        derive(&y, &[&x], false);
        let error = Tensor::f_run_backward(&[&y], &[&x], false, false).unwrap_err().to_string();
        assert!(error.contains("keep_graph"), "{name}: {error}");
    }
}

#[test]
fn backward_with_create_graph_is_an_error_that_says_what_to_do() {
    for net in nets() {
        let x = net.input();
        let error = backward_with(&weighted(&net.call(&x)), true, true).unwrap_err().to_string();
        assert!(error.contains("run_backward"), "{}: {error}", net.name);
        // Single operations leave it to the node that all parameters come from.
        let by_operations = weighted(&net.call_by_operations(&x));
        let error = backward_with(&by_operations, true, true).unwrap_err().to_string();
        assert!(error.contains("run_backward"), "{}: {error}", net.name);
        assert_eq!(net.gradients().abs().max().double_value(&[]), 0.0, "{}", net.name);
    }
}

#[test]
fn a_frozen_network_derives_its_input_once_and_twice() {
    for net in nets() {
        let name = &net.name;
        let x = net.input();
        let frozen = net.parameters.frozen_view().unwrap();
        let call = || (net.forward)(&frozen, &x).unwrap();
        backward_with(&weighted(&call()), false, true).unwrap();
        assert!(x.grad().requires_grad(), "{name}: nothing accumulates in an arena");
        let expected = derive(&weighted(&net.call_by_operations(&x)), &[&x], true).remove(0);
        assert!(distance(&x.grad().detach(), &expected) < 1e-5, "{name}");
        let own = derive(&weighted(&call()), &[&x], true).remove(0);
        let twice = |first: &Tensor| derive(&first.square().sum(Kind::Float), &[&x], false).remove(0);
        assert!(distance(&twice(&own), &twice(&expected)) < 1e-5, "{name}");
        assert_eq!(net.gradients().abs().max().double_value(&[]), 0.0, "{name}");
    }
}

/// Some parameters of an MLP frozen, some trained.
#[test]
fn parameters_may_be_frozen_one_by_one() {
    let net = perceptron("", &MlpConfig { hidden_sizes: vec![9, 8], ..MlpConfig::default() });
    let leaves = net.leaves();
    weighted(&net.call(&net.input())).backward();
    let all: Vec<_> = leaves.iter().map(|leaf| leaf.grad().copy()).collect();
    for mask in 0..1 << leaves.len() {
        for wants_input in [false, true] {
            let frozen: Vec<_> = leaves.iter().map(|leaf| leaf.detach()).collect();
            let homes: Vec<_> = leaves.iter().map(|leaf| leaf.zeros_like()).collect();
            let parameter = |index: usize| match mask >> index & 1 {
                1 => Parameter { value: leaves[index], gradient: Some(&homes[index]) },
                _ => Parameter { value: &frozen[index], gradient: None },
            };
            let layers = (0..3).map(|layer| {
                let (weight, bias) = (parameter(2 * layer), parameter(2 * layer + 1));
                Ok(mlp::Layer { weight, bias, norm: None, mask: None })
            });
            let codes = (Activation::Relu.code(), Activation::Identity.code());
            let x = net.input().detach().set_requires_grad(wants_input);
            let y = mlp::forward(&x, Networks::One, layers, codes, Precision::F32).unwrap();
            assert_eq!(y.requires_grad(), mask != 0 || wants_input);
            if !y.requires_grad() {
                continue;
            }
            weighted(&y).backward();
            for (index, (home, whole)) in homes.iter().zip(&all).enumerate() {
                let expected = if mask >> index & 1 == 1 { whole.copy() } else { whole.zeros_like() };
                assert!(distance(home, &expected) < 1e-6, "parameter {index} with mask {mask:b}");
            }
        }
    }
}

#[test]
fn leaves_that_several_nodes_share_get_the_sum() {
    for mut net in nets() {
        let mut run = |fused: bool| {
            net.parameters.zero_gradients();
            let x = net.input();
            let call = |x: &Tensor| if fused { net.call(x) } else { net.call_by_operations(x) };
            // The input in two nodes, the weights in two nodes and in an operation of their own.
            let decay: Tensor = net.leaves().iter().map(|leaf| leaf.square().sum(Kind::Float)).sum();
            (weighted(&call(&x)) + weighted(&call(&(&x * 0.5)).square()) + decay * 0.1).backward();
            (x.grad(), net.gradients())
        };
        let (fused, plain) = (run(true), run(false));
        assert!(distance(&fused.0, &plain.0) < 1e-5, "{}: input", net.name);
        assert!(distance(&fused.1, &plain.1) < 1e-5, "{}: weights", net.name);
    }
}

#[test]
fn what_the_backward_pass_reads_must_not_be_changed_in_place() {
    for net in nets() {
        let name = &net.name;
        let x = net.input().detach();
        let loss = weighted(&net.call(&x));
        let _ = x.shallow_clone().fill_(0.0);
        let error = loss.f_backward().unwrap_err().to_string();
        assert!(error.contains("input was changed"), "{name}: {error}");

        // Recurrent layers and silu do not read their outputs again.
        let reads_output = ["lstm", "gru", "silu"].iter().all(|kind| !name.contains(kind));
        let mut y = net.call(&net.input());
        let _ = y.g_mul_scalar_(2.0);
        let result = weighted(&y).f_backward().map_err(|error| error.to_string());
        match reads_output {
            true => {
                assert!(result.as_ref().unwrap_err().contains("output was changed"), "{name}: {result:?}")
            }
            false => assert!(result.is_ok(), "{name}: {result:?}"),
        }
    }
}

#[test]
fn bf16_derives_twice_by_its_own_operations() {
    let config = |precision| MlpConfig { hidden_sizes: vec![32, 32], precision, ..MlpConfig::default() };
    let run = |precision| {
        let net = perceptron("", &config(precision));
        let x = net.input();
        let slope = derive(&weighted(&net.call(&x)), &[&x], true).remove(0);
        slope.square().sum(Kind::Float).backward();
        net.gradients()
    };
    let (whole, rounded) = (run(Precision::F32), run(Precision::Bf16));
    let far = (&rounded - &whole).norm().double_value(&[]) / whole.norm().double_value(&[]);
    assert!(far > 0.0 && far < 0.05, "{far}");
}
