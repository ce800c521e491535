//! The arena: roles, views, states.

use pavlov_common::SeededRng;
use proptest::prelude::*;
use tch::{Device, Kind, Tensor};

use super::*;
use crate::optim::AdamwConfig;
use crate::{Init, Optimizer, OptimizerConfig, StateDict};

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

#[test]
fn frozen_parameters_stand_behind_the_trainable_ones_and_keep_their_values() {
    let (layout, [weight, variance, count, scale]) = normalised();
    let mut parameters = parameters(&layout);
    set(&parameters, variance, 0.25);
    let before = parameters.state().unwrap();
    parameters.freeze(&["0.*"]).unwrap();
    assert_eq!(parameters.state().unwrap(), before);
    assert_eq!((parameters.layout().trainable_len(), parameters.layout().parameters_len()), (2, 8));
    assert_eq!(parameters.gradients().unwrap().size(), [2]);
    assert!(parameters.gradient(weight).is_none() && !parameters.get(weight).requires_grad());
    let y = parameters.get(weight).sum(Kind::Float) * parameters.get(scale).sum(Kind::Float);
    y.backward();
    assert_ne!(parameters.gradients().unwrap().double_value(&[0]), 0.0);
    parameters.zero_gradients();
    assert_eq!(parameters.gradient(scale).unwrap().double_value(&[0]), 0.0);
    set(&parameters, weight, 5.0);
    set(&parameters, count, 2.0);
    parameters.unfreeze(&["*.weight"]).unwrap();
    assert_eq!(parameters.get(weight).double_value(&[1, 2]), 5.0);
    assert_eq!(parameters.get(count).double_value(&[]), 2.0);
    assert_eq!(parameters.gradient(weight).unwrap().size(), [2, 3]);
}

#[test]
fn copies_work_with_parameters_that_were_frozen_since() {
    let (layout, [weight, variance, ..]) = normalised();
    let mut online = parameters(&layout);
    let (mut copied, mut mixed, mut published) =
        (online.frozen_copy().unwrap(), online.frozen_copy().unwrap(), online.frozen_copy().unwrap());
    online.freeze(&["0.weight"]).unwrap();
    set(&online, weight, 3.0);
    set(&online, variance, 0.5);
    copied.copy_from(&online).unwrap();
    mixed.polyak_update(&online, 1.0).unwrap();
    let mut values = Vec::new();
    online.read_values(&mut values).unwrap();
    published.set_values(&values).unwrap();
    let state = online.state().unwrap();
    for copy in [copied, mixed, published, online.frozen_copy().unwrap(), online.frozen_view().unwrap()] {
        assert_eq!(copy.state().unwrap(), state);
        assert!(!copy.is_trainable() && copy.gradients().is_none());
    }
    let mut other = Layout::new();
    other.add("0.weight", &[11], Init::Torch).unwrap();
    let mut other = parameters(&other);
    assert!(matches!(other.copy_from(&online), Err(NnError::Shape(_))));
    assert!(matches!(other.polyak_update(&online, 0.5), Err(NnError::Shape(_))));
}

#[test]
fn a_view_that_is_alive_forbids_freezing_and_sees_all_else() {
    let (layout, [weight, variance, ..]) = normalised();
    let mut parameters = parameters(&layout);
    let view = parameters.frozen_view().unwrap();
    set(&parameters, weight, 4.0);
    set(&parameters, variance, 4.0);
    assert_eq!(view.values(), parameters.values());
    let error = parameters.freeze(&["0.weight"]).unwrap_err().to_string();
    assert!(error.contains("drop the view"), "{error}");
    // A tensor that is so already needs no other memory.
    parameters.unfreeze(&["0.weight"]).unwrap();
    drop(view);
    parameters.freeze(&["0.weight"]).unwrap();
}

#[test]
fn a_pattern_that_names_no_parameter_is_an_error_that_names_the_nearest() {
    let (mut layout, _) = normalised();
    for (pattern, complaint) in [
        ("0.wieght", "`0.wieght` (did you mean `0.weight`?)"),
        ("1.running_var", "no parameter is named `1.running_var`"),
        ("features.*", "no parameter is named `features.*`"),
    ] {
        let before = layout.clone();
        let error = layout.freeze(&["1.weight", pattern]).unwrap_err().to_string();
        assert!(error.contains(complaint), "{error}");
        assert_eq!(layout, before);
    }
    layout.freeze(&["*"]).unwrap();
    assert_eq!((layout.trainable_len(), layout.parameters_len(), layout.len()), (0, 8, 11));
}

#[test]
fn a_strict_load_names_all_that_does_not_fit_and_changes_nothing() {
    let mut layout = Layout::new();
    for index in 0..10 {
        layout.add(format!("{index}.weight"), &[2], Init::Torch).unwrap();
    }
    let mut parameters = parameters(&layout);
    let before = parameters.values().copy();
    let mut state = StateDict::new();
    state.put_slice("0.weight", &[2], &[1.0f32, 1.0]);
    state.put_slice("1.weight", &[1, 2], &[1.0f32, 1.0]);
    state.put_slice("module.2.weight", &[2], &[1.0f32, 1.0]);
    let mut whole = StateDict::new();
    whole.nest("agent", state);
    let error = parameters.load_state(&whole.view().part("agent")).unwrap_err().to_string();
    for part in [
        "8 missing: `2.weight`, `3.weight`, `4.weight`, `5.weight`, `6.weight` and 3 more",
        "1 of another shape: `1.weight` is [1, 2] and should be [2]",
        "1 that the network does not have: `module.2.weight`",
        "(in `agent`)",
    ] {
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(parameters.values(), &before);
    let mut more = parameters.state().unwrap();
    more.put_slice("10.weight", &[2], &[1.0f32, 1.0]);
    let error = parameters.load_state(&more.view()).unwrap_err().to_string();
    assert!(error.contains("1 that the network does not have: `10.weight`"), "{error}");
    let mut unusable = parameters.state().unwrap();
    unusable.put_slice("9.weight", &[2], &[1u32, 1]);
    assert!(parameters.load_state(&unusable.view()).is_err());
    assert_eq!(parameters.values(), &before);
}

#[test]
fn a_network_that_no_memory_holds_is_refused_by_name_before_any_is_taken() {
    let mut layout = Layout::new();
    layout.add("small", &[4], Init::Torch).unwrap();
    for shape in [vec![1 << 16, 1 << 16], vec![i64::MAX, 2], vec![-1], vec![1 << 32]] {
        let error = layout.add("large", &shape, Init::Torch).unwrap_err().to_string();
        assert!(error.contains("`large`") && error.contains("smaller"), "{error}");
    }
    assert_eq!((layout.len(), layout.specs().len()), (4, 1));
}

#[test]
fn a_partial_load_takes_what_fits_and_reports_the_rest() {
    let (layout, [weight, variance, count, scale]) = normalised();
    let mut parameters = parameters(&layout);
    set(&parameters, scale, 7.0);
    let mut file = StateDict::new();
    file.put_slice("module.conv.weight", &[2, 3], &[2.0f64; 6]);
    file.put_slice("module.1.running_var", &[2], &[0.5f32; 2]);
    file.put_slice("module.1.num_batches_tracked", &[], &[9i64]);
    file.put_slice("module.1.weight", &[3], &[1.0f32; 3]);
    file.put_slice("fc.bias", &[1], &[1.0f32]);
    let renames = [Rename::new("module.conv.", "0."), Rename::new("module.", "")];
    let report = parameters.load_matching(&file.view(), &renames).unwrap();
    assert_eq!(report.matched, ["0.weight", "1.running_var", "1.num_batches_tracked"]);
    assert_eq!(report.unexpected, ["fc.bias"]);
    assert!(report.missing.is_empty() && !report.is_complete());
    assert_eq!(
        report.to_string(),
        "3 of 4 arrays loaded; 1 of another shape: `1.weight` is [3] and should be [2]; 1 that the network does \
         not have: `fc.bias`"
    );
    let numbers = |id| parameters.get(id).mean(Kind::Float).double_value(&[]);
    assert_eq!([weight, variance, count, scale].map(numbers), [2.0, 0.5, 9.0, 7.0]);
    let both = [Rename::new("module.1.weight", "a"), Rename::new("fc.bias", "a")];
    let error = parameters.load_matching(&file.view(), &both).unwrap_err().to_string();
    assert!(error.contains("both come to `a`"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_is_added_and_frozen_views_are_disjoint_cover_the_arena_and_states_are_kept(
        kinds in prop::collection::vec((0..4usize, 0..4i64, 1..4i64), 0..12),
        frozen in prop::collection::vec(any::<bool>(), 12),
    ) {
        let mut layout = Layout::new();
        let mut ids = Vec::new();
        for (index, &(kind, rows, columns)) in kinds.iter().enumerate() {
            let (name, shape) = (index.to_string(), [rows, columns]);
            ids.push(match kind {
                0 => layout.add_buffer(name, &shape, Init::Torch).unwrap(),
                1 => layout.add_counter(name).unwrap(),
                _ => layout.add(name, &shape, Init::Torch).unwrap(),
            });
        }
        let fresh = parameters(&layout);
        let mut parameters = parameters(&layout);
        let freeze: Vec<_> = (0..kinds.len()).filter(|&index| frozen[index] && kinds[index].0 > 1).collect();
        parameters.freeze(&freeze.iter().map(usize::to_string).collect::<Vec<_>>()).unwrap();
        prop_assert_eq!(fresh.state().unwrap(), parameters.state().unwrap());

        // Each view is filled with a number of its own: a number that is lost or found twice shows.
        for (index, id) in ids.iter().enumerate() {
            set(&parameters, *id, index as f64 + 1.0);
        }
        let mut flat = Vec::<f32>::try_from(parameters.values()).unwrap();
        let role = |number: f32| parameters.layout().specs()[number as usize - 1].role;
        let count = |wanted| flat.iter().filter(|&&number| role(number) == wanted).count() as i64;
        prop_assert_eq!(count(Role::Trainable), parameters.layout().trainable_len());
        prop_assert!(flat.iter().map(|&number| role(number) as u8).is_sorted());
        flat.sort_by(f32::total_cmp);
        let lens = parameters.layout().specs().iter().map(|spec| spec.len() as usize);
        let wanted: Vec<f32> =
            lens.enumerate().flat_map(|(index, len)| vec![index as f32 + 1.0; len]).collect();
        prop_assert_eq!(&flat, &wanted);
        let mut published = Vec::new();
        parameters.read_values(&mut published).unwrap();
        prop_assert_eq!(&published, &wanted);

        let mut other = fresh;
        other.load_state(&parameters.state().unwrap().view()).unwrap();
        prop_assert_eq!(other.state().unwrap(), parameters.state().unwrap());
        parameters.set_values(&published).unwrap();
        prop_assert_eq!(other.state().unwrap(), parameters.state().unwrap());
    }
}
