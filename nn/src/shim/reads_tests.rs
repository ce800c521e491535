use pavlov_common::SeededRng;
use tch::kind::FLOAT_CPU;
use tch::{Kind, Tensor};

use super::*;
use crate::layers::{Embedding, EmbeddingConfig};
use crate::shim::optim::{AdamNumbers, Arena, Decay, Part, RmspropNumbers, SgdNumbers};
use crate::shim::{optim, regression};
use crate::{Layout, Means, Module, OptimizerConfig, Parameters, StateDict, Trainable};

fn names(act: impl FnOnce()) -> Vec<String> {
    device_reads(act).unwrap().1
}

fn numbers(count: i64) -> Tensor {
    (Tensor::arange(count, FLOAT_CPU) * 0.37).sin()
}

/// An act whose result is of no interest.
fn of<'a, T>(act: impl Fn() -> T + 'a) -> Box<dyn Fn() + 'a> {
    Box::new(move || {
        let _ = act();
    })
}

#[test]
fn each_kind_of_read_counts_once() {
    let x = numbers(6);
    let scalar = x.get(3);
    let positive = x.gt(0.0);
    let repeats = Tensor::from_slice(&[1i64, 0, 2, 1, 1, 1]);
    let whole = Tensor::from_slice(&[1i64, 0, 2, 1]);
    let mean = || {
        let mut means = Means::default();
        means.add_scalar("train/loss", &x.get(1).into())?;
        means.add_scalar("train/loss", &x.get(2).into())?;
        means.take(&["train/loss"])
    };
    let cases = [
        ("double_value", "_local_scalar_dense", of(|| x.double_value(&[2]))),
        ("int64_value", "_local_scalar_dense", of(|| whole.int64_value(&[0]))),
        ("is_nonzero", "_local_scalar_dense", of(|| scalar.is_nonzero())),
        ("allclose", "_local_scalar_dense", of(|| x.allclose(&x, 1e-5, 1e-8, false))),
        ("a mean that is pending", "_local_scalar_dense", of(mean)),
        ("equal", "equal", of(|| x.equal(&x))),
        ("nonzero", "nonzero", of(|| x.nonzero())),
        ("argwhere", "nonzero", of(|| x.argwhere())),
        ("a mask as an index", "nonzero", of(|| x.index(&[Some(&positive)]))),
        ("masked_select", "masked_select", of(|| x.masked_select(&positive))),
        ("unique", "_unique2", of(|| x.internal_unique2(true, true, true))),
        ("unique_dim", "unique_dim", of(|| x.unique_dim(0, true, false, false))),
        ("unique_consecutive", "unique_consecutive", of(|| x.unique_consecutive(false, false, None))),
        ("bincount", "bincount", of(|| whole.bincount(None::<Tensor>, 0))),
        ("f32::try_from", "to", of(|| f32::try_from(&scalar))),
        ("a move", "to", of(|| x.to_device(Device::Cpu))),
        ("a move with a type", "to", of(|| x.to_device_(Device::Cpu, Kind::Double, false, true))),
        ("read_numbers", "to", of(|| read_numbers(&x, &mut [0f32; 6]))),
        ("put_tensor", "to", of(|| StateDict::new().put_tensor("x", &x))),
    ];
    for (what, name, act) in cases {
        assert_eq!(names(act), [name], "{what}");
    }
    // The sum of the repeats gives the size, and each is compared with 0.
    assert_eq!(names(|| drop(x.repeat_interleave_self_tensor(&repeats, 0, None))).len(), 2);
}

#[test]
fn what_reads_nothing_does_not_count() {
    let x = numbers(6).set_requires_grad(true);
    let positive = x.gt(0.0);
    let rows = Tensor::from_slice(&[0i64, 4]);
    let seen = names(|| {
        let masked = x.masked_fill(&positive, 0.0) + x.index_select(0, &rows).sum(Kind::Float);
        let chosen = x.where_self(&positive, &masked).to_kind(Kind::Double);
        let mut copy = chosen.detach().copy();
        copy.copy_(&chosen.detach());
        let _ = copy.to_device_(Device::Cpu, Kind::Float, true, true);
        (chosen.sum(Kind::Double) + copy.max()).backward();
    });
    assert_eq!(seen, [""; 0]);
}

#[test]
fn names_come_in_their_order_with_those_of_backward_passes() {
    let x = numbers(4);
    let (sum, seen) = device_reads(|| {
        let sum = x.sum(Kind::Float).double_value(&[]);
        let _ = on_the_cpu_alone(|| x.equal(&x));
        read_numbers(&x, &mut [0f32; 2]).unwrap();
        let _ = x.nonzero();
        sum
    })
    .unwrap();
    assert_eq!(sum, x.sum(Kind::Float).double_value(&[]));
    assert_eq!(seen, ["_local_scalar_dense", "to", "nonzero"]);

    // The gradient of a product looks for its zeros.
    let x = numbers(4).set_requires_grad(true);
    let product = x.prod(Kind::Float);
    assert!(!names(|| product.backward()).is_empty());
}

#[test]
fn a_count_is_of_its_own_thread_and_ends_with_its_closure() {
    let elsewhere = || std::thread::spawn(|| numbers(3).double_value(&[1])).join().map(drop).unwrap();
    assert_eq!(names(elsewhere), [""; 0]);
    let broken = std::panic::catch_unwind(|| device_reads(|| panic!("in the middle")).map(drop));
    assert!(broken.is_err());
    let broken = std::panic::catch_unwind(|| on_the_cpu_alone(|| panic!("in the middle")));
    assert!(broken.is_err());
    let _ = numbers(3).double_value(&[0]);
    let inner = std::cell::RefCell::new(Vec::new());
    let outer = names(|| {
        *inner.borrow_mut() = names(|| drop(numbers(3).nonzero()));
        let _ = numbers(3).double_value(&[2]);
    });
    assert_eq!(
        (inner.into_inner(), outer),
        (vec!["nonzero".into()], vec!["_local_scalar_dense".to_string()])
    );
}

#[test]
fn numbers_that_do_not_fit_are_an_error() {
    assert!(read_numbers(&numbers(3), &mut [0f32; 4]).is_err());
    assert!(read_numbers(&numbers(3), &mut [0f64; 3]).is_err());
    let mut two = [0f32; 2];
    read_numbers(&numbers(3), &mut two).unwrap();
    assert_eq!(two, [0.0, 0.37f32.sin()]);
}

#[test]
fn the_steps_that_a_gpu_makes_read_nothing() {
    let (values, gradients, moments) = (numbers(9), numbers(9) * 0.3, [(); 3].map(|()| numbers(9).square()));
    let arena =
        Arena { values: &values, gradients: &gradients, part: Part { from: 2, count: 5 }, portable: true };
    let decay = Decay { l2: 0.1, decoupled: 0.2, l1: 0.3 };
    let learning_rate = 0.1;
    let adam = AdamNumbers { learning_rate, beta1: 0.9, beta2: 0.99, eps: 1e-8, decay, step: 3 };
    let rmsprop =
        RmspropNumbers { learning_rate, alpha: 0.9, eps: 1e-8, momentum: 0.9, decay, eps_inside_root: false };
    let sgd =
        SgdNumbers { learning_rate, momentum: 0.9, dampening: 0.0, decay, nesterov: true, first_step: false };
    let [first, second, third] = &moments;
    // The CPU's form of the fused step reads the number of steps from its tensor, CUDA's does not.
    let seen = names(|| optim::adam_step(&adam, arena, first, second).unwrap());
    assert_eq!(seen, ["_local_scalar_dense"]);
    let seen = names(|| {
        optim::rmsprop_step(&rmsprop, arena, first, Some(second), Some(third)).unwrap();
        optim::sgd_step(&sgd, arena, Some(first)).unwrap();
        drop(optim::clip_norm(&gradients, 0.1, true).unwrap());
        optim::clip_value(&gradients, 0.05, true).unwrap();
        let choices = Tensor::from_slice(&[0i64, 2, 1]);
        let (predictions, three) = (numbers(9).reshape([3, 3]), numbers(3));
        for kind in [0, 1] {
            drop(
                regression::regress_columns(&predictions, &choices, &three, Some(&three), kind, true)
                    .unwrap(),
            );
        }
    });
    assert_eq!(seen, [""; 0]);
}

#[test]
fn checks_that_the_cpu_alone_makes_do_not_count() {
    let mut layout = Layout::new();
    let embedding = Embedding::new(&mut layout, "", &EmbeddingConfig::new(5, 2)).unwrap();
    let parameters = Parameters::new(&layout, &mut SeededRng::seeded(1), Device::Cpu).unwrap();
    let mut trainable = Trainable::new(parameters, &OptimizerConfig::default(), Some(0.5), 1).unwrap();
    let tokens = Tensor::from_slice(&[0f32, 4.0, 2.0]);
    let seen = names(|| {
        let y = embedding.forward(&mut trainable.pass(), &tokens).unwrap();
        trainable.descend_loss(&y.square().mean(Kind::Float), 0.1).unwrap();
    });
    assert_eq!(seen, [""; 0]);
    let norm = names(|| assert!(trainable.take_gradient_norm().unwrap().is_some()));
    assert_eq!(norm, ["_local_scalar_dense"]);
    let published = names(|| trainable.parameters().read_values(&mut Vec::new()).unwrap());
    assert_eq!(published, ["to"]);
}
