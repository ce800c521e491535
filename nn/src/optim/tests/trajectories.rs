//! Steps: the same numbers as PyTorch's, and the same bits whatever runs them.

use proptest::prelude::*;
use tch::{Kind, Tensor};

use super::*;
use crate::optim::{AdamConfig, RmspropConfig, SgdConfig};

#[test]
fn a_hundred_steps_of_each_are_pytorchs() {
    let fixtures = Fixtures::read();
    let (start, gradients) = (fixtures.tensor("start"), fixtures.tensor("gradients"));
    for case in &fixtures.cases {
        let theirs = fixtures.tensor(&case.name);
        // libtorch's operations round more often than our loops, and not everywhere alike.
        for (portable, tolerance) in [(false, 1e-6), (true, 3e-6)] {
            let mut parameters = network(&start);
            let mut optimizer = Optimizer::new(&case.config, &parameters).unwrap();
            for step in 0..STEPS {
                set_gradients(&parameters, &gradients.get(step));
                optimizer.step_by(&mut parameters, case.learning_rate(step), portable).unwrap();
                let what = format!("{} at step {step}, portable: {portable}", case.name);
                assert_within(tolerance, parameters.values(), &theirs.get(step), &what);
            }
        }
    }
}

#[test]
fn gradients_stay_as_they_are() {
    let fixtures = Fixtures::read();
    let gradients = fixtures.tensor("gradients").get(0);
    for case in &fixtures.cases {
        for portable in [false, true] {
            let mut parameters = network(&fixtures.tensor("start"));
            set_gradients(&parameters, &gradients);
            let mut optimizer = Optimizer::new(&case.config, &parameters).unwrap();
            optimizer.step_by(&mut parameters, 0.1, portable).unwrap();
            assert_eq!(bits(parameters.gradients().unwrap()), bits(&gradients), "{}", case.name);
        }
    }
}

/// The values of a network of `len` equal numbers with equal gradients, after a few steps.
fn equal_numbers(config: &OptimizerConfig, len: i64, value: f64, gradient: f64) -> Vec<u32> {
    let mut parameters = network(&Tensor::full([len], value, tch::kind::FLOAT_CPU));
    set_gradients(&parameters, &Tensor::full([len], gradient, tch::kind::FLOAT_CPU));
    let mut optimizer = Optimizer::new(config, &parameters).unwrap();
    for _ in 0..5 {
        optimizer.step(&mut parameters, 0.01).unwrap();
    }
    bits(parameters.values())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn every_place_in_the_arena_gets_the_same_bits(
        value in -2.0..2.0f64, gradient in -2.0..2.0f64, len in 2i64..200
    ) {
        for case in Fixtures::read().cases {
            let alone = equal_numbers(&case.config, 1, value, gradient)[0];
            for (index, bits) in equal_numbers(&case.config, len, value, gradient).into_iter().enumerate() {
                prop_assert_eq!(bits, alone, "{} at {} of {}", case.name, index, len);
            }
        }
    }
}

#[test]
fn no_parameters_are_no_trouble() {
    let mut parameters = network(&Tensor::zeros([0], tch::kind::FLOAT_CPU));
    for case in Fixtures::read().cases {
        Optimizer::new(&case.config, &parameters).unwrap().step(&mut parameters, 0.1).unwrap();
    }
}

#[test]
fn centred_rmsprop_survives_a_constant_gradient() {
    // The variance of a constant is 0; rounded, it is sometimes below.
    let config =
        OptimizerConfig::Rmsprop(RmspropConfig { alpha: 0.9, centered: true, ..RmspropConfig::default() });
    let gradients = Tensor::linspace(0.1, 7.3, 50, tch::kind::FLOAT_CPU);
    for portable in [false, true] {
        let mut parameters = network(&gradients);
        set_gradients(&parameters, &gradients);
        let mut optimizer = Optimizer::new(&config, &parameters).unwrap();
        for _ in 0..500 {
            optimizer.step_by(&mut parameters, 1e-9, portable).unwrap();
        }
        let values = Vec::<f32>::try_from(parameters.values()).unwrap();
        assert!(values.iter().all(|value| value.is_finite()), "{values:?}");
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn moments_that_die_out_stay_out_of_the_slow_denormal_numbers() {
    let config = OptimizerConfig::Adam(AdamConfig { beta1: 0.5, beta2: 0.5, ..AdamConfig::default() });
    let mut parameters = network(&Tensor::ones([40], tch::kind::FLOAT_CPU));
    let mut optimizer = Optimizer::new(&config, &parameters).unwrap();
    set_gradients(&parameters, &Tensor::ones([40], tch::kind::FLOAT_CPU));
    optimizer.step(&mut parameters, 0.1).unwrap();
    parameters.zero_gradients();
    for _ in 0..140 {
        optimizer.step(&mut parameters, 0.1).unwrap();
    }
    // Halved 140 times, 1 is denormal: 2^-140.
    for (name, moment) in optimizer.rule.moments() {
        let numbers = Vec::<f32>::try_from(moment).unwrap();
        assert!(
            numbers.iter().all(|number| !number.is_subnormal() && *number < 1e-30),
            "{name}: {numbers:?}"
        );
    }
}

#[test]
fn a_nan_stays_where_it_is() {
    let mut gradients = vec![1.0f32; 40];
    gradients[17] = f32::NAN;
    for case in Fixtures::read().cases {
        let mut parameters = network(&Tensor::ones([40], tch::kind::FLOAT_CPU));
        set_gradients(&parameters, &Tensor::from_slice(&gradients));
        Optimizer::new(&case.config, &parameters).unwrap().step(&mut parameters, 0.1).unwrap();
        let values = Vec::<f32>::try_from(parameters.values()).unwrap();
        let nans: Vec<_> = (0..40).filter(|&index| values[index].is_nan()).collect();
        assert_eq!(nans, [17], "{}", case.name);
    }
}

#[test]
fn autograd_notices_that_a_step_overwrote_what_it_saved() {
    let mut layout = Layout::new();
    let id = layout.add("w", &[4], Init::Constant { value: 2.0 }).unwrap();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(0);
    let mut parameters = Parameters::new(&layout, &mut rng, Device::Cpu).unwrap();
    let mut optimizer = Optimizer::new(&OptimizerConfig::Sgd(SgdConfig::default()), &parameters).unwrap();
    let loss = parameters.get(id).square().sum(Kind::Float);
    optimizer.step(&mut parameters, 0.1).unwrap();
    assert!(loss.f_backward().unwrap_err().to_string().contains("inplace"));
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut parameters = network(&Tensor::ones([4], tch::kind::FLOAT_CPU));
    let mut optimizer = Optimizer::new(&OptimizerConfig::default(), &parameters).unwrap();
    for learning_rate in [f64::NAN, -0.1, f64::INFINITY] {
        let error = optimizer.step(&mut parameters, learning_rate).unwrap_err().to_string();
        assert!(error.contains("learning rate"), "{error}");
    }
    let mut larger = network(&Tensor::ones([5], tch::kind::FLOAT_CPU));
    let error = optimizer.step(&mut larger, 0.1).unwrap_err().to_string();
    assert!(error.contains("a network of 4 numbers, this one has 5"), "{error}");
    let mut frozen = parameters.frozen_copy().unwrap();
    assert!(optimizer.step(&mut frozen, 0.1).unwrap_err().to_string().contains("frozen"));
    assert!(Optimizer::new(&OptimizerConfig::default(), &frozen).unwrap_err().to_string().contains("frozen"));
    assert_eq!(optimizer.steps(), 0);
    assert_eq!(bits(parameters.values()), [1f32.to_bits(); 4]);
}
