//! Tests of saving and restoring.

use super::*;
use crate::optim::{AdamConfig, RmspropConfig, SgdConfig};

/// An optimiser that has made a few steps, with its parameters.
fn trained(config: &OptimizerConfig, len: i64) -> (Parameters, Optimizer) {
    let values = Tensor::linspace(-1.0, 1.0, len, tch::kind::FLOAT_CPU);
    let mut parameters = network(&values);
    set_gradients(&parameters, &values);
    let mut optimizer = Optimizer::new(config, &parameters).unwrap();
    for _ in 0..3 {
        optimizer.step(&mut parameters, 0.01).unwrap();
    }
    (parameters, optimizer)
}

fn moments(optimizer: &Optimizer) -> Vec<Vec<u32>> {
    optimizer.rule.moments().into_iter().map(|(_, moment)| bits(moment)).collect()
}

#[test]
fn saved_in_the_middle_and_continued_is_the_same_bit_for_bit() {
    let fixtures = Fixtures::read();
    let (start, gradients) = (fixtures.tensor("start"), fixtures.tensor("gradients"));
    for case in &fixtures.cases {
        let mut parameters = network(&start);
        let mut optimizer = Optimizer::new(&case.config, &parameters).unwrap();
        let mut resumed = None;
        for step in 0..STEPS {
            if step == 37 {
                let mut copy = network(parameters.values());
                let mut other = Optimizer::new(&case.config, &copy).unwrap();
                // The copy's own moments must not matter.
                set_gradients(&copy, &gradients.get(99));
                other.step(&mut copy, 0.5).unwrap();
                copy.copy_from(&parameters).unwrap();
                other.load_state(&optimizer.state().unwrap().view()).unwrap();
                assert_eq!(other.steps(), 37);
                resumed = Some((copy, other));
            }
            let pairs = [Some((&mut parameters, &mut optimizer)), resumed.as_mut().map(|(p, o)| (p, o))];
            for (parameters, optimizer) in pairs.into_iter().flatten() {
                set_gradients(parameters, &gradients.get(step));
                optimizer.step(parameters, case.learning_rate(step)).unwrap();
            }
        }
        let (copy, other) = resumed.unwrap();
        assert_eq!(bits(copy.values()), bits(parameters.values()), "{}", case.name);
        assert_eq!(moments(&other), moments(&optimizer), "{}", case.name);
    }
}

#[test]
fn a_state_that_does_not_fit_is_refused_and_changes_nothing() {
    let rmsprop = OptimizerConfig::Rmsprop(RmspropConfig { momentum: 0.9, ..RmspropConfig::default() });
    let centred = RmspropConfig { centered: true, ..RmspropConfig::default() };
    let (_, mut optimizer) = trained(&rmsprop, 6);
    let before = moments(&optimizer);
    let foreign = [
        (OptimizerConfig::Adam(AdamConfig::default()), 6, "saved by adam, the configuration says rmsprop"),
        (OptimizerConfig::Sgd(SgdConfig { momentum: 0.9, ..SgdConfig::default() }), 6, "saved by sgd"),
        (OptimizerConfig::Rmsprop(centred), 6, "gradient_average"),
        (rmsprop, 7, "a network of another shape"),
    ];
    for (config, len, complaint) in foreign {
        let (_, other) = trained(&config, len);
        let error = optimizer.load_state(&other.state().unwrap().view()).unwrap_err().to_string();
        assert!(error.contains(complaint), "{error}");
    }
    assert_eq!(moments(&optimizer), before);
    assert_eq!(optimizer.steps(), 3);
}

#[test]
fn a_state_with_something_missing_is_refused_and_changes_nothing() {
    let config = OptimizerConfig::Adam(AdamConfig::default());
    let (_, saved) = trained(&config, 6);
    let parameters = network(&Tensor::ones([6], tch::kind::FLOAT_CPU));
    let mut optimizer = Optimizer::new(&config, &parameters).unwrap();
    for name in ["kind", "moments", "steps", "parameters", "first_moment", "second_moment"] {
        let mut state = saved.state().unwrap();
        state.values.remove(name);
        state.arrays.remove(name);
        let error = optimizer.load_state(&state.view()).unwrap_err().to_string();
        assert!(error.contains(&format!("`{name}` is missing")), "{error}");
    }
    let mut state = saved.state().unwrap();
    state.put_slice("second_moment", &[6], &[1i64; 6]);
    assert!(optimizer.load_state(&state.view()).unwrap_err().to_string().contains("needs Float"));
    assert_eq!(moments(&optimizer), [[0; 6]; 2]);
    assert_eq!(optimizer.steps(), 0);
}
