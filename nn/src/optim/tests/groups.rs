//! Groups of parameters, and parameters that are frozen or unfrozen between steps.

use super::*;
use crate::ParameterId;
use crate::optim::AdamwConfig;

/// A network of flat parameters with these names and lengths, which hold `values` in order.
fn named(parts: &[(String, i64)], values: &Tensor) -> (Parameters, Vec<ParameterId>) {
    let mut layout = Layout::new();
    let zero = Init::Constant { value: 0.0 };
    let ids = parts.iter().map(|(name, len)| layout.add(name, &[*len], zero).unwrap()).collect();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(0);
    let mut parameters = Parameters::new(&layout, &mut rng, Device::Cpu).unwrap();
    parameters.set_values(&Vec::<f32>::try_from(values).unwrap()).unwrap();
    (parameters, ids)
}

fn parts(names: &[&str]) -> Vec<(String, i64)> {
    names.iter().map(|name| (name.to_string(), 3)).collect()
}

/// Gives each trainable parameter its part of `gradients`, which are in the order of adding.
fn set_parts(parameters: &Parameters, ids: &[ParameterId], parts: &[(String, i64)], gradients: &Tensor) {
    let mut from = 0;
    for (id, (_, len)) in ids.iter().zip(parts) {
        if let Some(gradient) = parameters.gradient(*id) {
            gradient.shallow_clone().copy_(&gradients.narrow(0, from, *len));
        }
        from += len;
    }
}

fn values(parameters: &Parameters) -> Tensor {
    let mut values = Vec::new();
    parameters.read_values(&mut values).unwrap();
    Tensor::from_slice(&values)
}

fn no_decay() -> OptimizerConfig {
    toml::from_str("kind = 'adamw'\n[[groups]]\nnames = ['*.bias']\nweight_decay = false").unwrap()
}

#[test]
fn a_hundred_steps_with_groups_and_a_layer_unfrozen_on_the_way_are_pytorchs() {
    let fixtures = Fixtures::read();
    let gradients = fixtures.tensor("gradients");
    for Grouped { case, parameters: parts, first_layer_frozen_for } in recorded().grouped {
        let theirs = fixtures.tensor(&case.name);
        for (portable, tolerance) in [(false, 1e-6), (true, 3e-6)] {
            let (mut parameters, ids) = named(&parts, &fixtures.tensor("start"));
            if first_layer_frozen_for > 0 {
                parameters.freeze(&["a.*"]).unwrap();
            }
            let mut optimizer = Optimizer::new(&case.config, &parameters).unwrap();
            for step in 0..STEPS {
                if step > 0 && step == first_layer_frozen_for {
                    parameters.unfreeze(&["a.*"]).unwrap();
                }
                set_parts(&parameters, &ids, &parts, &gradients.get(step));
                optimizer.step_by(&mut parameters, case.learning_rate(step), portable).unwrap();
                let what = format!("{} at step {step}, portable: {portable}", case.name);
                assert_within(tolerance, &values(&parameters), &theirs.get(step), &what);
            }
        }
    }
}

#[test]
fn a_state_saved_after_unfreezing_continues_bit_for_bit() {
    let fixtures = Fixtures::read();
    let gradients = fixtures.tensor("gradients");
    for Grouped { case, parameters: parts, .. } in recorded().grouped {
        let (mut whole, ids) = named(&parts, &fixtures.tensor("start"));
        whole.freeze(&["a.*"]).unwrap();
        let mut optimizer = Optimizer::new(&case.config, &whole).unwrap();
        let step = |parameters: &mut Parameters, optimizer: &mut Optimizer, step| {
            set_parts(parameters, &ids, &parts, &gradients.get(step));
            optimizer.step(parameters, 0.01).unwrap();
        };
        (0..5).for_each(|index| step(&mut whole, &mut optimizer, index));
        whole.unfreeze(&["a.*"]).unwrap();
        (5..8).for_each(|index| step(&mut whole, &mut optimizer, index));
        let (mut resumed, _) = named(&parts, &values(&whole));
        let mut other = Optimizer::new(&case.config, &resumed).unwrap();
        other.load_state(&optimizer.state().unwrap().view()).unwrap();
        (8..12).for_each(|index| step(&mut whole, &mut optimizer, index));
        (8..12).for_each(|index| step(&mut resumed, &mut other, index));
        assert_eq!(bits(resumed.values()), bits(whole.values()), "{}", case.name);
    }
}

#[test]
fn frozen_values_stay_bit_for_bit_under_weight_decay_and_clipping() {
    let parts = parts(&["a.weight", "a.bias", "b.weight"]);
    for case in Fixtures::read().cases {
        let (mut parameters, ids) = named(&parts, &Tensor::linspace(-1.0, 1.0, 9, tch::kind::FLOAT_CPU));
        parameters.freeze(&["a.bias"]).unwrap();
        let frozen = bits(parameters.get(ids[1]));
        let mut optimizer = Optimizer::new(&case.config, &parameters).unwrap();
        for _ in 0..3 {
            set_gradients(&parameters, &Tensor::ones([6], tch::kind::FLOAT_CPU));
            let norm = crate::optim::clip_gradient_norm(&mut parameters, 1.0).unwrap();
            assert!((norm.double_value(&[]) - 6f64.sqrt()).abs() < 1e-6);
            optimizer.step(&mut parameters, 0.1).unwrap();
        }
        assert_eq!(bits(parameters.get(ids[1])), frozen, "{}", case.name);
        assert_ne!(parameters.get(ids[0]).double_value(&[0]), -1.0, "{}", case.name);
    }
}

#[test]
fn freezing_keeps_the_moments_of_the_others() {
    let parts = parts(&["a.weight", "a.bias", "b.weight"]);
    let gradients = Tensor::linspace(0.5, 2.0, 9, tch::kind::FLOAT_CPU);
    let start = Tensor::ones([9], tch::kind::FLOAT_CPU);
    let ((mut one, ids), (mut other, _)) = (named(&parts, &start), named(&parts, &start));
    let mut optimizers = [&one, &other].map(|each| Optimizer::new(&no_decay(), each).unwrap());
    for step in 0..6 {
        if step == 3 {
            other.freeze(&["a.weight"]).unwrap();
        }
        for (parameters, optimizer) in [&mut one, &mut other].into_iter().zip(&mut optimizers) {
            set_parts(parameters, &ids, &parts, &gradients);
            optimizer.step(parameters, 0.01).unwrap();
        }
    }
    for id in &ids[1..] {
        assert_eq!(bits(one.get(*id)), bits(other.get(*id)));
    }
    assert_ne!(bits(one.get(ids[0])), bits(other.get(ids[0])));
    assert_eq!(optimizers[1].runs.len(), 2);
}

#[test]
fn without_groups_a_step_is_one_run_and_groups_make_as_few_as_they_can() {
    let parts = parts(&["a.weight", "a.bias", "b.weight", "norm.weight", "norm.bias", "c.weight"]);
    let (parameters, _) = named(&parts, &Tensor::zeros([18], tch::kind::FLOAT_CPU));
    let runs = |text: &str| {
        let config: OptimizerConfig = toml::from_str(&format!("kind = 'adamw'\n{text}")).unwrap();
        let runs = Optimizer::new(&config, &parameters).unwrap().runs;
        runs.into_iter()
            .map(|run| (run.from, run.len, run.pace.learning_rate_factor, run.pace.decays))
            .collect::<Vec<_>>()
    };
    assert_eq!(runs(""), [(0, 18, 1.0, true)]);
    assert_eq!(
        runs("groups = [{ names = ['*.bias', 'norm.*'], weight_decay = false }]"),
        [(0, 3, 1.0, true), (3, 3, 1.0, false), (6, 3, 1.0, true), (9, 6, 1.0, false), (15, 3, 1.0, true)]
    );
    // Factors multiply: 0.5 * 2 is the optimiser's own rate again.
    let two = "groups = [{ names = ['a.*'], learning_rate_factor = 0.5 }, { names = ['*.weight', 'norm.*'], \
               learning_rate_factor = 2.0 }]";
    assert_eq!(runs(two), [(0, 3, 1.0, true), (3, 3, 0.5, true), (6, 12, 2.0, true)]);
}

#[test]
fn groups_that_make_no_sense_are_refused() {
    let (parameters, _) = named(&parts(&["a.weight", "a.bias"]), &Tensor::zeros([6], tch::kind::FLOAT_CPU));
    for (group, complaint) in [
        ("names = []", "groups[0] has no names"),
        ("names = ['*'], learning_rate_factor = -1.0", "groups[0] has learning_rate_factor = -1"),
        ("names = ['*'], learning_rate_factor = nan", "groups[0] has learning_rate_factor = NaN"),
        ("names = ['*']", "groups[0] changes nothing"),
        ("names = ['a.wieght'], weight_decay = false", "named `a.wieght` (did you mean `a.weight`?)"),
    ] {
        let text = format!("kind = 'sgd'\ngroups = [{{ {group} }}]");
        let config: OptimizerConfig = toml::from_str(&text).unwrap();
        let error = Optimizer::new(&config, &parameters).unwrap_err().to_string();
        assert!(error.contains(complaint), "{error}");
        Optimizer::new(&config.without_groups(), &parameters).unwrap();
    }
    let unknown = "kind = 'sgd'\ngroups = [{ names = ['*'], decay = false }]";
    let error = toml::from_str::<OptimizerConfig>(unknown).unwrap_err().to_string();
    assert!(error.contains("unknown field `decay`"), "{error}");
}

#[test]
fn a_network_that_is_frozen_whole_has_no_optimiser() {
    let (mut parameters, _) = named(&parts(&["a", "b"]), &Tensor::zeros([6], tch::kind::FLOAT_CPU));
    let mut optimizer = Optimizer::new(&OptimizerConfig::default(), &parameters).unwrap();
    parameters.freeze(&["*"]).unwrap();
    for error in [
        Optimizer::new(&OptimizerConfig::default(), &parameters).unwrap_err(),
        optimizer.step(&mut parameters, 0.1).unwrap_err(),
    ] {
        assert!(error.to_string().contains("every parameter is frozen"), "{error}");
    }
    parameters.unfreeze(&["b"]).unwrap();
    optimizer.step(&mut parameters, 0.1).unwrap();
}

#[test]
fn a_state_of_other_trainable_parameters_is_refused() {
    let parts = parts(&["a", "b", "c"]);
    let saved = |frozen: &str| {
        let (mut parameters, _) = named(&parts, &Tensor::zeros([9], tch::kind::FLOAT_CPU));
        parameters.freeze(&[frozen]).unwrap();
        Optimizer::new(&OptimizerConfig::Adamw(AdamwConfig::default()), &parameters).unwrap()
    };
    let (one, mut other) = (saved("a"), saved("b"));
    let error = other.load_state(&one.state().unwrap().view()).unwrap_err().to_string();
    assert!(error.contains("freeze what was frozen"), "{error}");
    other.load_state(&saved("b").state().unwrap().view()).unwrap();
}
