//! Gradient clipping.

use super::*;
use crate::optim::{clip_gradient_norm, clip_gradient_value, gradient_norm};
use crate::shim::optim::{clip_norm, clip_value};

fn with_gradients(gradients: &Tensor) -> Parameters {
    let parameters = network(&gradients.zeros_like());
    set_gradients(&parameters, gradients);
    parameters
}

#[test]
fn clipping_is_pytorchs() {
    let fixtures = Fixtures::read();
    let gradients = fixtures.tensor("gradients").get(0);
    let norm = fixtures.tensor("clip_norm");
    for portable in [false, true] {
        for (name, largest) in [("clip_norm_small", 0.5), ("clip_norm_large", 100.0)] {
            let clipped = gradients.copy();
            let returned = clip_norm(&clipped, largest, portable).unwrap();
            assert_near(&clipped, &fixtures.tensor(name), name);
            assert_near(&returned.view([1]), &norm.view([1]), "the norm");
            assert!(returned.size().is_empty());
        }
        let clipped = gradients.copy();
        clip_value(&clipped, 0.25, portable).unwrap();
        assert_near(&clipped, &fixtures.tensor("clip_value"), "clip_value");
    }
}

#[test]
fn the_norm_of_many_gradients_is_exact_in_any_order() {
    // 2^14 ones and as many of a size at which f32 sums of squares would lose the ones.
    let ones = Tensor::ones([1 << 14], tch::kind::FLOAT_CPU);
    let gradients = Tensor::cat(&[&ones * 4096.0, ones], 0);
    let expected = ((1u64 << 14) as f64 * (4096.0f64.powi(2) + 1.0)).sqrt() as f32;
    for gradients in [gradients.copy(), gradients.flip([0])] {
        let parameters = with_gradients(&gradients);
        assert_eq!(f32::try_from(gradient_norm(&parameters).unwrap()).unwrap(), expected);
        assert_eq!(bits(parameters.gradients().unwrap()), bits(&gradients));
    }
}

#[test]
fn the_public_functions_clip_in_place() {
    let mut parameters = with_gradients(&Tensor::from_slice(&[3.0f32, -4.0]));
    let norm = clip_gradient_norm(&mut parameters, 1.0).unwrap();
    assert_eq!(norm.double_value(&[]), 5.0);
    assert_near(parameters.gradients().unwrap(), &Tensor::from_slice(&[0.6f32, -0.8]), "by norm");
    clip_gradient_value(&mut parameters, 0.7).unwrap();
    assert_near(parameters.gradients().unwrap(), &Tensor::from_slice(&[0.6f32, -0.7]), "by value");
}

#[test]
fn gradients_of_zero_and_of_nan() {
    for portable in [false, true] {
        let zeros = Tensor::zeros([20], tch::kind::FLOAT_CPU);
        assert_eq!(clip_norm(&zeros, 1.0, portable).unwrap().double_value(&[]), 0.0);
        assert_eq!(bits(&zeros), [0; 20]);

        let mut numbers = vec![5.0f32; 20];
        numbers[18] = f32::NAN;
        let by_norm = Tensor::from_slice(&numbers);
        assert!(clip_norm(&by_norm, 1.0, portable).unwrap().double_value(&[]).is_nan());
        assert!(Vec::<f32>::try_from(&by_norm).unwrap().iter().all(|number| number.is_nan()));

        let by_value = Tensor::from_slice(&numbers);
        clip_value(&by_value, 1.0, portable).unwrap();
        numbers.fill(1.0);
        numbers[18] = f32::NAN;
        assert_eq!(bits(&by_value), bits(&Tensor::from_slice(&numbers)));
    }
}

#[test]
fn bounds_that_make_no_sense_are_refused() {
    let gradients = Tensor::ones([3], tch::kind::FLOAT_CPU);
    let mut parameters = with_gradients(&gradients);
    for bound in [0.0, -1.0, f64::NAN] {
        assert!(clip_gradient_norm(&mut parameters, bound).unwrap_err().to_string().contains("above 0"));
        assert!(clip_gradient_value(&mut parameters, bound).unwrap_err().to_string().contains("above 0"));
    }
    assert_eq!(bits(parameters.gradients().unwrap()), bits(&gradients));
    let mut frozen = parameters.frozen_copy().unwrap();
    assert!(clip_gradient_norm(&mut frozen, 1.0).unwrap_err().to_string().contains("frozen"));
    assert!(clip_gradient_value(&mut frozen, 1.0).unwrap_err().to_string().contains("frozen"));
    assert!(gradient_norm(&frozen).unwrap_err().to_string().contains("frozen"));
}
