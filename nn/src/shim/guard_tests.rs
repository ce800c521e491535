//! The shim's functions with arguments that do not fit: an error each time, never a read or a write beside a tensor.

use tch::{Device, Kind, Tensor, kind::FLOAT_CPU};

use super::mlp::Networks;
use super::optim::{AdamNumbers, Arena, Decay, Part, RmspropNumbers, SgdNumbers};
use super::recurrent::Inputs;
use super::*;
use crate::Precision;

fn zeros(shape: &[i64]) -> Tensor {
    Tensor::zeros(shape, FLOAT_CPU)
}

fn numbers(shape: &[i64]) -> Tensor {
    (Tensor::arange(shape.iter().product::<i64>(), FLOAT_CPU) * 0.37).sin().reshape(shape)
}

fn frozen(value: &Tensor) -> Parameter<'_> {
    Parameter { value, gradient: None }
}

/// Tensors that are not the right one: of another shape, another type, without memory of its own.
fn unfit(right: &Tensor) -> Vec<Tensor> {
    let mut longer = right.size();
    longer[0] += 1;
    let mut shorter = right.size();
    shorter[0] -= 1;
    let mut without_memory = right.copy();
    let _ = without_memory.f_set_().unwrap();
    let kinds = [Kind::Double, Kind::BFloat16, Kind::Half, Kind::Int64];
    let shapes =
        [zeros(&longer), zeros(&shorter), right.unsqueeze(0), zeros(&[]), without_memory, Tensor::new()];
    shapes.into_iter().chain(kinds.map(|kind| right.to_kind(kind))).collect()
}

/// Runs with each of these tensors in turn replaced by one that does not fit.
fn each_unfit(right: &[Tensor], mut run: impl FnMut(&[Tensor]) -> Result<(), NnError>) {
    run(right).unwrap();
    for index in 0..right.len() {
        for (form, wrong) in unfit(&right[index]).into_iter().enumerate() {
            let mut tensors: Vec<_> = right.iter().map(Tensor::shallow_clone).collect();
            tensors[index] = wrong;
            assert!(run(&tensors).is_err(), "form {form} of tensor {index}");
        }
    }
}

#[test]
fn a_perceptrons_tensors_must_fit() {
    // x, two layers of weight, bias, scale, shift, and a mask.
    let shapes: [&[i64]; 10] = [&[5, 3], &[4, 3], &[4], &[4], &[4], &[5, 4], &[2, 4], &[2], &[2], &[2]];
    let right: Vec<_> = shapes.iter().map(|shape| numbers(shape)).collect();
    for activation in [3, 6] {
        each_unfit(&right, |t| {
            let layer = |weight, mask| {
                let [weight, bias, scale, shift] = [0, 1, 2, 3].map(|part: usize| frozen(&t[weight + part]));
                Ok(mlp::Layer { weight, bias, norm: Some((scale, shift)), mask })
            };
            let layers = [layer(1, Some(&t[5])), layer(6, None)];
            mlp::forward(&t[0], Networks::One, layers.into_iter(), (activation, 0), Precision::F32).map(drop)
        });
    }
}

#[test]
fn networks_side_by_side_must_have_one_shape() {
    let x = numbers(&[5, 3]);
    let run = |units: [i64; 2]| {
        let own = units.map(|units| (zeros(&[units, 3]), zeros(&[units])));
        let layers = own.iter().map(|(weight, bias)| {
            Ok(mlp::Layer { weight: frozen(weight), bias: frozen(bias), norm: None, mask: None })
        });
        mlp::forward(&x, Networks::Stacked(2), layers, (1, 1), Precision::F32).map(|y| y.size())
    };
    assert_eq!(run([4, 4]).unwrap(), [2, 5, 4]);
    for units in [[4, 5], [5, 4], [4, 0], [1, 64]] {
        assert!(run(units).is_err(), "{units:?}");
    }
}

#[test]
fn a_gradient_must_have_its_parameters_shape_and_type() {
    let (x, weight, bias) = (numbers(&[5, 3]), numbers(&[4, 3]), numbers(&[4]));
    let homes = [zeros(&[4, 3]), zeros(&[4])];
    each_unfit(&homes, |homes| {
        let [weight, bias] = [(&weight, &homes[0]), (&bias, &homes[1])]
            .map(|(value, gradient)| Parameter { value, gradient: Some(gradient) });
        let layer = mlp::Layer { weight, bias, norm: None, mask: None };
        mlp::forward(&x, Networks::One, [Ok(layer)].into_iter(), (0, 0), Precision::F32).map(drop)
    });
}

#[test]
fn convolutions_must_fit_their_image() {
    // An image of 6 x 5 pixels and 2 channels, two layers.
    let right: Vec<_> =
        [&[3, 60][..], &[4, 2, 3, 3], &[4], &[3, 4, 2, 2], &[3]].iter().map(|shape| numbers(shape)).collect();
    let layers = |t: &[Tensor], (stride, padding, pool)| -> Result<Tensor, NnError> {
        let layer = |index| cnn::Layer {
            weight: frozen(&t[index]),
            bias: frozen(&t[index + 1]),
            stride,
            padding,
            pool,
        };
        cnn::forward(&t[0], (6, 5), true, &[layer(1), layer(3)], Precision::F32)
    };
    each_unfit(&right, |t| match layers(t, (1, 0, 1))?.size()[..] {
        [3, _] => Ok(()),
        _ => Err(NnError::Shape("of images any number fits".into())),
    });
    for walk in
        [(0, 0, 1), (-1, 0, 1), (1, -1, 1), (1, i64::MAX, 1), (1, 0, 0), (1, 0, 16), (2, 0, 3), (7, 0, 1)]
    {
        assert!(layers(&right, walk).is_err(), "{walk:?}");
    }
    let run = |x: &Tensor, kernel: [i64; 2], size| {
        let (weight, bias) = (zeros(&[4, 2, kernel[0], kernel[1]]), zeros(&[4]));
        let layer =
            cnn::Layer { weight: frozen(&weight), bias: frozen(&bias), stride: 2, padding: 0, pool: 1 };
        cnn::forward(x, size, false, &[layer], Precision::F32).map(|y| y.size())
    };
    // Smaller than the window by one, which a stride of 2 rounds away; oblong windows; sides that are none.
    assert_eq!(run(&zeros(&[1, 18]), [3, 3], (3, 3)).unwrap(), [1, 4]);
    assert!(run(&zeros(&[1, 12]), [3, 3], (2, 3)).is_err());
    assert!(run(&zeros(&[1, 12]), [3, 3], (3, 2)).is_err());
    assert!(run(&zeros(&[1, 18]), [3, 2], (3, 3)).is_err());
    assert!(run(&zeros(&[1, 0]), [3, 3], (0, 3)).is_err());
    assert!(run(&zeros(&[1, 18]), [3, 3], (-3, -3)).is_err());
    assert!(run(&zeros(&[1, 18]), [3, 3], (i64::MAX, i64::MAX)).is_err());
    assert_eq!(run(&zeros(&[0, 18]), [3, 3], (3, 3)).unwrap(), [0, 4]);
}

#[test]
fn a_memorys_tensors_must_fit() {
    for (cell, gates, width) in [(0, 4, 2), (1, 3, 1)] {
        let shapes: [&[i64]; 7] = [
            &[4, 3, 5],
            &[4, 3],
            &[3, 6 * width],
            &[6 * gates, 5],
            &[6 * gates, 6],
            &[6 * gates],
            &[6 * gates],
        ];
        let right: Vec<_> = shapes.iter().map(|shape| numbers(shape)).collect();
        let run = |t: &[Tensor], cell| {
            let parameters = [3, 4, 5, 6].map(|index| frozen(&t[index]));
            recurrent::forward(Inputs { x: &t[0], starts: &t[1], state: &t[2] }, cell, parameters).map(drop)
        };
        each_unfit(&right, |t| run(t, cell));
        assert!(run(&right, 1 - cell).is_err(), "the other cell's numbers");
    }
}

#[test]
fn an_arenas_tensors_must_fit() {
    const LEN: i64 = 40;
    let right: Vec<_> = (0..5).map(|_| zeros(&[LEN])).collect();
    let decay = Decay { l2: 0.1, decoupled: 0.1, l1: 0.1 };
    let adam = AdamNumbers { learning_rate: 0.1, beta1: 0.9, beta2: 0.9, eps: 1e-8, decay, step: 1 };
    let rmsprop = RmspropNumbers {
        learning_rate: 0.1,
        alpha: 0.9,
        eps: 1e-8,
        momentum: 0.9,
        decay,
        eps_inside_root: false,
    };
    let sgd = SgdNumbers {
        learning_rate: 0.1,
        momentum: 0.9,
        dampening: 0.0,
        decay,
        nesterov: false,
        first_step: true,
    };
    let steps = |t: &[Tensor], part: Part, portable: bool| {
        let arena = Arena { values: &t[0], gradients: &t[1], part, portable };
        [
            optim::adam_step(&adam, arena, &t[2], &t[3]),
            optim::rmsprop_step(&rmsprop, arena, &t[2], Some(&t[3]), Some(&t[4])),
            optim::sgd_step(&sgd, arena, Some(&t[2])),
        ]
    };
    let part = |from, count| Part { from, count };
    for portable in [false, true] {
        assert!(steps(&right, part(3, LEN - 3), portable).iter().all(Result::is_ok));
        for wrong in [
            part(0, LEN + 1),
            part(-1, 3),
            part(LEN, 1),
            part(LEN + 1, 0),
            part(3, -1),
            part(i64::MAX, i64::MAX),
        ] {
            assert!(steps(&right, wrong, portable).iter().all(Result::is_err), "{wrong:?}");
        }
        // A scalar or a row has as many numbers only where its length says so.
        for index in 0..3 {
            for (form, wrong) in unfit(&right[index]).into_iter().enumerate().filter(|(form, _)| *form != 2) {
                let mut tensors: Vec<_> = right.iter().map(Tensor::shallow_clone).collect();
                tensors[index] = wrong;
                let results = steps(&tensors, part(0, LEN), portable);
                assert!(results.iter().all(Result::is_err), "form {form} of tensor {index}");
            }
            // The same memory twice: the values', the gradients', or a moment's.
            let mut tensors: Vec<_> = right.iter().map(Tensor::shallow_clone).collect();
            tensors[index] = tensors[(index + 1) % 3].shallow_clone();
            assert!(steps(&tensors, part(0, LEN), portable).iter().all(Result::is_err), "shared {index}");
        }
    }
    for (form, wrong) in unfit(&right[0]).into_iter().enumerate().skip(4) {
        // One without memory has no numbers to clip.
        let results = [
            optim::clip_norm(&wrong, 1.0, false).map(drop),
            optim::clip_value(&wrong, 1.0, false),
            optim::zero(&wrong),
        ];
        assert_eq!(results.iter().all(Result::is_err), form != 4, "form {form}");
    }
    for wrong in [numbers(&[40]).expand([2, 40], false), numbers(&[4, 10]).tr()] {
        assert!(optim::zero(&wrong).is_err() && optim::clip_norm(&wrong, 1.0, false).is_err());
    }
}

#[test]
fn a_regressions_tensors_must_fit() {
    let right = [numbers(&[3, 4]), Tensor::from_slice(&[0i64, 3, 1]), numbers(&[3]), numbers(&[3])];
    let run =
        |t: &[Tensor], portable| regression::regress_columns(&t[0], &t[1], &t[2], Some(&t[3]), 0, portable);
    let expected = run(&right, false).unwrap();
    for portable in [false, true] {
        for index in 0..4 {
            let mut longer = right[index].size();
            longer[0] += 1;
            for wrong in
                [Tensor::zeros(&longer, (right[index].kind(), Device::Cpu)), Tensor::new(), zeros(&[0])]
            {
                let mut tensors: Vec<_> = right.iter().map(Tensor::shallow_clone).collect();
                tensors[index] = wrong;
                assert!(run(&tensors, portable).is_err(), "tensor {index}");
            }
        }
        for choice in [4, -1, i64::MIN, i64::MAX] {
            let choices = Tensor::from_slice(&[0, choice, 1]);
            let [x, _, targets, weights] = &right;
            assert!(
                regression::regress_columns(x, &choices, targets, Some(weights), 1, portable).is_err(),
                "{choice}"
            );
        }
        // Columns of numbers, and every second number of a longer row.
        let apart = |t: &Tensor| Tensor::stack(&[t, t], 1).reshape([-1]).slice(0, 0, None, 2);
        let forms: [fn(&Tensor) -> Tensor; 2] = [|t| t.unsqueeze(1), apart];
        for form in forms {
            let [choices, targets, weights] = [1, 2, 3].map(|index| form(&right[index]));
            let x = right[0].tr().contiguous().tr();
            let own =
                regression::regress_columns(&x, &choices, &targets, Some(&weights), 0, portable).unwrap();
            for (own, expected) in own.iter().zip(&expected) {
                assert!(own.allclose(expected, 1e-6, 1e-6, false));
            }
        }
    }
    assert!(
        regression::regress_columns(&zeros(&[0, 4]), &right[1].narrow(0, 0, 0), &zeros(&[0]), None, 0, false)
            .is_err()
    );
    assert!(
        regression::regress_columns(&zeros(&[1, 0]), &right[1].narrow(0, 0, 1), &zeros(&[1]), None, 0, false)
            .is_err()
    );
}

#[test]
fn rows_that_lie_in_one_another_are_not_written_and_writes_are_counted() {
    let bytes = Tensor::ones([700, 256], (Kind::Uint8, Device::Cpu));
    assert!(divide_bytes(&bytes, 1.0, &zeros(&[1, 256]).expand([700, 256], false)).is_err());
    assert!(divide_bytes(&bytes, 1.0, &zeros(&[700, 256]).set_requires_grad(true)).is_err());
    assert!(divide_bytes(&Tensor::new(), 1.0, &zeros(&[0])).is_err());
    assert!(divide_bytes(&bytes.narrow(0, 0, 1).expand([700, 256], false), 1.0, &zeros(&[700, 256])).is_ok());

    let (out, weight) = (zeros(&[700, 256]), zeros(&[256, 1]).set_requires_grad(true));
    let loss = out.matmul(&weight).sum(Kind::Float);
    divide_bytes(&bytes, 1.0, &out).unwrap();
    assert!(loss.f_backward().unwrap_err().to_string().contains("modified by an inplace operation"));
}

#[test]
fn a_generators_state_that_leads_beyond_its_numbers_is_refused() {
    let saved = generator_state(Device::Cpu).unwrap();
    set_generator_state(Device::Cpu, &saved).unwrap();
    let mut bytes = Vec::<u8>::try_from(&saved).unwrap();
    // `left` of 624 numbers, beginning behind the last.
    bytes[8..12].copy_from_slice(&600i32.to_ne_bytes());
    bytes[16..24].copy_from_slice(&624u64.to_ne_bytes());
    for wrong in [Tensor::from_slice(&bytes), saved.narrow(0, 0, 100), zeros(&[5056]), Tensor::new()] {
        assert!(set_generator_state(Device::Cpu, &wrong).is_err());
    }
    assert_eq!(generator_state(Device::Cpu).unwrap().size(), saved.size());
    for device in [Device::Cuda(300), Device::Cuda(usize::MAX)] {
        assert!(generator_state(device).is_err() && random(&[2], device, Draw::Normal, 1).is_err());
    }
    for p in [-0.1, 1.1, f64::NAN] {
        assert!(random(&[2], Device::Cpu, Draw::Bernoulli(p), 1).is_err());
    }
    assert!(random(&[-1], Device::Cpu, Draw::Normal, 1).is_err());
    assert!(random(&[1 << 40, 1 << 40], Device::Cpu, Draw::Normal, 1).is_err());
}

#[test]
fn the_gradient_of_an_output_must_fit_it() {
    let (x, weight, bias) = (numbers(&[5, 3]), numbers(&[4, 3]), numbers(&[4]));
    let homes = [zeros(&[4, 3]), zeros(&[4])];
    let values = [weight.detach(), bias.detach()];
    set_gradients(values.iter().zip(&homes)).unwrap();
    let output = || {
        let [weight, bias] =
            [0, 1].map(|index| Parameter { value: &values[index], gradient: Some(&homes[index]) });
        let layer = mlp::Layer { weight, bias, norm: None, mask: None };
        mlp::forward(&x, Networks::One, [Ok(layer)].into_iter(), (3, 1), Precision::F32).unwrap()
    };
    each_unfit(&[numbers(&[5, 4])], |gradient| backward(&output(), &gradient[0]));
    assert!(backward(&Tensor::new(), &numbers(&[5, 4])).is_err());
    assert!(backward(&numbers(&[5, 4]), &numbers(&[5, 4])).is_err(), "nothing was recorded");
    backward(&output(), &numbers(&[1, 4]).expand([5, 4], false)).unwrap();
}

#[test]
fn an_ensemble_of_more_networks_than_a_job_has_parts_is_whole() {
    set_team_size(2);
    let x = numbers(&[5, 3]);
    let own: Vec<_> = (0..150).map(|index| (numbers(&[4, 3]) + f64::from(index), numbers(&[4]))).collect();
    let layers = || {
        own.iter().map(|(weight, bias)| {
            Ok(mlp::Layer { weight: frozen(weight), bias: frozen(bias), norm: None, mask: None })
        })
    };
    let all = mlp::forward(&x, Networks::Stacked(150), layers(), (0, 0), Precision::F32).unwrap();
    for (index, layer) in layers().enumerate() {
        let one = mlp::forward(&x, Networks::One, [layer].into_iter(), (0, 0), Precision::F32).unwrap();
        assert_eq!(all.get(index as i64), one, "network {index}");
    }
    set_team_size(1);
}
