//! Tensors that a node keeps for its backward pass: changed in place, given other memory, asked for by two threads, and
//! inputs of every form.

use std::sync::Barrier;
use std::thread;

use tch::{Device, Kind, Tensor, kind::FLOAT_CPU};

use super::nets::{Net, nets, parameters};
use super::{distance, weighted};
use crate::{
    Cell, Init, Layout, Memory, NnError, Optimizer, OptimizerConfig, Parameters, Pass, Recurrent,
    RecurrentStack, RecurrentStackConfig, Sequence, backward, set_team_size,
};

fn is_memory(net: &Net) -> bool {
    ["lstm", "gru"].contains(&net.name.as_str())
}

type Update = fn(&mut Parameters);

/// Every way to change the numbers of a network.
fn updates() -> Vec<(&'static str, Update)> {
    vec![
        ("a step", |own| {
            let mut optimizer = Optimizer::new(&OptimizerConfig::default(), own).unwrap();
            optimizer.step(own, 0.0).unwrap();
        }),
        ("a Polyak update", |own| {
            let source = own.frozen_copy().unwrap();
            own.polyak_update(&source, 0.5).unwrap();
        }),
        ("a copy", |own| {
            let source = own.frozen_copy().unwrap();
            own.copy_from(&source).unwrap();
        }),
        ("values from another thread", |own| {
            let mut values = Vec::new();
            own.read_values(&mut values).unwrap();
            own.set_values(&values).unwrap();
        }),
        ("a loaded state", |own| {
            let state = own.state().unwrap();
            own.load_state(&state.view()).unwrap();
        }),
        ("a write through the flat tensor", |own| {
            let _guard = tch::no_grad_guard();
            let _ = own.values().shallow_clone().g_mul_scalar_(1.0);
        }),
    ]
}

#[test]
fn weights_that_are_updated_before_the_backward_pass_are_noticed() {
    for (what, update) in updates() {
        for mut net in nets() {
            let name = format!("{}, {what}", net.name);
            let x = net.input();
            for fused in [true, false] {
                let y = if fused { net.call(&x) } else { net.call_by_operations(&x) };
                let loss = weighted(&y);
                update(&mut net.parameters);
                let error = loss.f_backward().unwrap_err().to_string();
                let message = if fused { "weights were changed" } else { "modified by an inplace operation" };
                assert!(error.contains(message), "{name}: {error}");
                // Without the engine as well, and where the input's gradient alone is asked for.
                let y = net.call(&x.detach());
                let gradient = y.detach();
                let own = net.call(&x);
                update(&mut net.parameters);
                assert!(
                    backward(&y, &gradient).unwrap_err().to_string().contains("weights were changed"),
                    "{name}"
                );
                assert!(Tensor::f_run_backward(&[weighted(&own)], &[&x], false, false).is_err(), "{name}");
            }
            weighted(&net.call(&x)).f_backward().unwrap();
        }
    }
}

#[test]
fn a_view_sees_the_updates_of_its_network_and_a_copy_does_not() {
    for (what, update) in updates() {
        for mut net in nets() {
            let name = format!("{}, {what}", net.name);
            let x = net.input();
            let (view, copy) = (net.parameters.frozen_view().unwrap(), net.parameters.frozen_copy().unwrap());
            let [by_view, by_copy] = [&view, &copy].map(|own| weighted(&(net.forward)(own, &x).unwrap()));
            update(&mut net.parameters);
            assert!(by_view.f_backward().unwrap_err().to_string().contains("weights were changed"), "{name}");
            by_copy.f_backward().unwrap();
        }
    }
}

#[test]
fn the_state_and_the_starts_of_a_memory_must_not_be_changed_in_place() {
    for cell in [Cell::Lstm, Cell::Gru] {
        let mut layout = Layout::new();
        let config = RecurrentStackConfig { layers: 2, ..RecurrentStackConfig::new(cell, 6) };
        let nets: [Box<dyn Memory>; 2] = [
            Box::new(Recurrent::new(&mut layout, "one.", cell, 4, 6, Init::Torch).unwrap()),
            Box::new(RecurrentStack::new(&mut layout, "stack.", 4, &config, Init::Torch).unwrap()),
        ];
        let parameters = parameters(&layout);
        for net in nets {
            let given = || {
                let numbers = |shape: &[i64]| Tensor::ones(shape, FLOAT_CPU) * 0.3;
                let x = numbers(&[5, 3, 4]).set_requires_grad(true);
                (x, Tensor::zeros([5, 3], FLOAT_CPU), numbers(&[3, net.state_width()]))
            };
            let run = |(x, starts, state): &(Tensor, Tensor, Tensor)| {
                net.forward(&mut Pass::eval(&parameters), &Sequence { x, starts, state }).unwrap().outputs
            };
            for create_graph in [false, true] {
                for changed in 0..3 {
                    let all = given();
                    let loss = run(&all).sum(Kind::Float);
                    let changed = [&all.0, &all.1, &all.2][changed];
                    let _ = changed.detach().fill_(0.25);
                    let result = Tensor::f_run_backward(&[&loss], &[&all.0], create_graph, create_graph);
                    // The input's own gradient does not read the input.
                    let reads = create_graph || !std::ptr::eq(changed, &all.0);
                    let error = result.err().map(|error| error.to_string()).unwrap_or_default();
                    assert_eq!(error.contains("changed in place"), reads, "{cell:?}: {error}");
                }
            }
            // A state that the caller keeps from step to step may be written once the pass is over, or as a copy.
            let (x, starts, state) = given();
            let own = (x, starts, state.copy());
            let loss = run(&own).sum(Kind::Float);
            let _ = state.shallow_clone().fill_(9.0);
            loss.f_backward().unwrap();
            let _ = own.2.shallow_clone().fill_(9.0);
        }
    }
}

#[test]
fn memory_that_is_taken_away_is_an_error_before_and_after_the_forward_pass() {
    type Damage = fn(&mut Tensor) -> Result<(), tch::TchError>;
    let damage: [(&str, Damage); 5] = [
        ("set_", |tensor| tensor.f_set_().map(drop)),
        ("set_ to less", |tensor| tensor.f_set_source_tensor_(&Tensor::ones([1], FLOAT_CPU)).map(drop)),
        ("set_ to less of the same shape", |tensor| {
            let (less, size) = (Tensor::ones([1], FLOAT_CPU), tensor.size());
            tensor.f_set_source_tensor_storage_offset_(&less, 0, &size, vec![0i64; size.len()]).map(drop)
        }),
        ("resize_", |tensor| tensor.f_resize_([1]).map(drop)),
        ("set_data", |tensor| {
            tensor.set_data(&Tensor::ones([2, 2], FLOAT_CPU));
            Ok(())
        }),
    ];
    let count = nets().len();
    for (what, damage) in damage {
        for index in 0..count {
            let places = nets()[index].parameters.layout().specs().len();
            for place in 0..places {
                for of_gradient in [false, true] {
                    let net = nets().swap_remove(index);
                    let name = format!("{}, {what} of {place}, {of_gradient}", net.name);
                    let x = net.input();
                    let (through, alone) = (weighted(&net.call(&x)), net.call(&x.detach()));
                    let id = net.parameters.layout().ids().nth(place).unwrap();
                    let own = match of_gradient {
                        false => net.parameters.get(id),
                        true => net.parameters.gradient(id).unwrap(),
                    };
                    let _guard = tch::no_grad_guard();
                    if damage(&mut own.shallow_clone()).is_err() {
                        continue;
                    }
                    drop(_guard);
                    assert!(through.f_backward().is_err(), "{name}");
                    assert!(backward(&alone, &alone.detach()).is_err(), "{name}");
                    // Weights that are one number again and again are as good as others.
                    let fits = what.ends_with("same shape");
                    assert!(fits || (net.forward)(&net.parameters, &x).is_err(), "{name}");
                }
            }
        }
    }
}

#[test]
fn of_two_threads_that_derive_one_output_one_is_refused() {
    for by_engine in [false, true] {
        for net in nets() {
            let name = &net.name;
            let x = net.input().detach();
            let gradient = net.call(&x).detach().ones_like();
            backward(&net.call(&x), &gradient).unwrap();
            let once = net.gradients();
            for round in 0..30 {
                let y = net.call(&x);
                let barrier = Barrier::new(2);
                let results: Vec<Result<(), String>> = thread::scope(|scope| {
                    let threads = [(); 2].map(|()| {
                        let (y, gradient, barrier) = (y.shallow_clone(), gradient.shallow_clone(), &barrier);
                        scope.spawn(move || {
                            barrier.wait();
                            match by_engine {
                                false => backward(&y, &gradient).map_err(|error| error.to_string()),
                                true => y.sum(Kind::Float).f_backward().map_err(|error| error.to_string()),
                            }
                        })
                    });
                    threads.map(|thread| thread.join().unwrap()).into()
                });
                let errors: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
                assert_eq!(errors.len(), 1, "{name}, round {round}: {results:?}");
                assert!(errors[0].contains("ran before"), "{name}: {results:?}");
                assert!(
                    distance(&net.gradients(), &(&once * f64::from(round + 2))) < 1e-4,
                    "{name}, round {round}"
                );
            }
        }
    }
}

#[test]
fn threads_that_derive_outputs_of_their_own_add_up() {
    set_team_size(2);
    for mut net in nets() {
        let x = net.input().detach();
        let gradient = net.call(&x).detach().ones_like();
        backward(&net.call(&x), &gradient).unwrap();
        let once = net.gradients();
        net.parameters.zero_gradients();
        const THREADS: usize = 4;
        const ROUNDS: usize = 25;
        let outputs: Vec<Vec<Tensor>> =
            (0..THREADS).map(|_| (0..ROUNDS).map(|_| net.call(&x)).collect()).collect();
        thread::scope(|scope| {
            for (index, outputs) in outputs.into_iter().enumerate() {
                let gradient = gradient.shallow_clone();
                scope.spawn(move || {
                    for y in outputs {
                        match index % 2 {
                            0 => backward(&y, &gradient).unwrap(),
                            _ => y.sum(Kind::Float).f_backward().unwrap(),
                        }
                    }
                });
            }
        });
        let all = &once * (THREADS * ROUNDS) as f64;
        assert!(distance(&net.gradients(), &all) < 1e-4, "{}", net.name);
    }
    set_team_size(1);
}

#[test]
fn inputs_of_every_form_give_what_single_operations_give() {
    for mut net in nets() {
        let name = net.name.clone();
        // Along the rows, or along the batch of a sequence.
        let rows = usize::from(is_memory(&net));
        type Form = fn(&Tensor, i64) -> Tensor;
        let forms: [(&str, Form); 6] = [
            ("none", |x, rows| x.narrow(rows, 0, 0)),
            ("one", |x, rows| x.narrow(rows, 1, 1)),
            ("every second", |x, rows| x.slice(rows, 0, None, 2)),
            ("the same again", |x, rows| {
                let mut sizes = x.size();
                sizes[rows as usize] = 3;
                x.narrow(rows, 0, 1).expand(sizes, false)
            }),
            ("turned", |x, _| x.transpose(0, -1).contiguous().transpose(0, -1)),
            ("a part of wider ones", |x, _| {
                Tensor::cat(&[x, x, x], -1).narrow(-1, x.size()[x.dim() - 1], x.size()[x.dim() - 1])
            }),
        ];
        for (form, make) in forms {
            // The state of a memory is that of three sequences.
            if is_memory(&net) && matches!(form, "none" | "one" | "every second") {
                continue;
            }
            let mut run = |fused: bool| {
                net.parameters.zero_gradients();
                let leaf = net.input();
                let x = make(&leaf, rows as i64);
                let y = if fused { net.call(&x) } else { net.call_by_operations(&x) };
                weighted(&y).backward();
                (y.detach(), leaf.grad(), net.gradients())
            };
            let ((y, by_x, by_weights), plain) = (run(true), run(false));
            assert_eq!(y.size(), plain.0.size(), "{name}, {form}");
            if y.numel() > 0 {
                assert!(distance(&y, &plain.0) < 1e-5, "{name}, {form}");
            }
            assert!(distance(&by_x, &plain.1) < 1e-5, "{name}, {form}: input");
            assert!(distance(&by_weights, &plain.2) < 1e-5, "{name}, {form}: weights");
        }
    }
}

#[test]
fn inputs_of_another_type_or_shape_are_errors() {
    for net in nets() {
        let x = net.input().detach();
        let longer = Tensor::cat(&[&x, &x], -1);
        let wrong =
            [Kind::Double, Kind::BFloat16, Kind::Half, Kind::Int64, Kind::Uint8].map(|kind| x.to_kind(kind));
        let shapes =
            [longer, x.unsqueeze(0), x.select(0, 0), Tensor::zeros([0], FLOAT_CPU), x.narrow(-1, 0, 0)];
        for wrong in wrong.into_iter().chain(shapes) {
            let result = (net.forward)(&net.parameters, &wrong);
            assert!(matches!(result, Err(NnError::Shape(_))), "{}: {wrong:?} gave {result:?}", net.name);
        }
    }
}

#[test]
fn sequences_of_no_steps_or_no_rows_are_empty_or_an_error() {
    for cell in [Cell::Lstm, Cell::Gru] {
        let mut layout = Layout::new();
        let net = Recurrent::new(&mut layout, "one.", cell, 4, 6, Init::Torch).unwrap();
        let config =
            RecurrentStackConfig { layers: 2, bidirectional: true, ..RecurrentStackConfig::new(cell, 6) };
        let stack = RecurrentStack::new(&mut layout, "stack.", 4, &config, Init::Torch).unwrap();
        let parameters = parameters(&layout);
        for (steps, batch) in [(0, 3), (3, 0), (0, 0)] {
            let x = Tensor::zeros([steps, batch, 4], FLOAT_CPU).set_requires_grad(true);
            let starts = Tensor::zeros([steps, batch], FLOAT_CPU);
            let run = |net: &dyn Memory| {
                let state = Tensor::zeros([batch, net.state_width()], FLOAT_CPU);
                net.forward(&mut Pass::eval(&parameters), &Sequence { x: &x, starts: &starts, state: &state })
            };
            let read = run(&net).unwrap();
            assert_eq!(read.outputs.size(), [steps, batch, 6]);
            assert_eq!(read.states.size(), [steps, batch, net.state_width()]);
            read.outputs.sum(Kind::Float).backward();
            assert_eq!(x.grad().size(), x.size());
            assert_eq!(parameters.gradients().unwrap().abs().max().double_value(&[]), 0.0);
            match steps {
                0 => assert!(matches!(run(&stack), Err(NnError::Shape(_)))),
                _ => assert_eq!(run(&stack).unwrap().outputs.size(), [steps, batch, 12]),
            }
        }
        // Starts and states of another length, and of another type.
        let sizes: [(&[i64], &[i64]); 5] =
            [(&[5, 2], &[3, 1]), (&[5], &[3, 1]), (&[4, 3], &[3, 1]), (&[5, 3], &[2, 1]), (&[5, 3], &[3])];
        let x = Tensor::zeros([5, 3, 4], FLOAT_CPU);
        for net in [&net as &dyn Memory, &stack] {
            for (starts, state) in sizes {
                let state: Vec<_> = state
                    .iter()
                    .enumerate()
                    .map(|(at, &size)| if at == 1 { net.state_width() } else { size })
                    .collect();
                let (starts, state) = (Tensor::zeros(starts, FLOAT_CPU), Tensor::zeros(&state, FLOAT_CPU));
                let result = net.forward(
                    &mut Pass::eval(&parameters),
                    &Sequence { x: &x, starts: &starts, state: &state },
                );
                assert!(matches!(result, Err(NnError::Shape(_))));
            }
            for kind in [Kind::Double, Kind::Bool, Kind::Int64] {
                let starts = Tensor::zeros([5, 3], (kind, Device::Cpu));
                let state = Tensor::zeros([3, net.state_width()], FLOAT_CPU);
                assert!(
                    net.forward(
                        &mut Pass::eval(&parameters),
                        &Sequence { x: &x, starts: &starts, state: &state }
                    )
                    .is_err()
                );
                let (starts, state) = (Tensor::zeros([5, 3], FLOAT_CPU), state.to_kind(kind));
                assert!(
                    net.forward(
                        &mut Pass::eval(&parameters),
                        &Sequence { x: &x, starts: &starts, state: &state }
                    )
                    .is_err()
                );
            }
        }
    }
}
