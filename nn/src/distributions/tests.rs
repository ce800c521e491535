//! Against PyTorch and SciPy (scripts/record-distributions.py), against autograd, and by counting.

use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::Deserialize;
use tch::{Kind, Tensor};

use super::{Distribution, squashed};

#[derive(Deserialize)]
struct Fixture {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    parameters: Vec<Vec<f64>>,
    draws: Vec<Vec<f64>>,
    log_prob: Vec<f64>,
    entropy: Option<Vec<f64>>,
    other: Option<Vec<Vec<f64>>>,
    kl: Option<Vec<f64>>,
    mode: Option<Vec<Vec<f64>>>,
    masks: Option<Vec<Vec<f64>>>,
}

fn cases() -> Vec<Case> {
    let text = include_str!("../../tests/fixtures/distributions.json");
    serde_json::from_str::<Fixture>(text).unwrap().cases
}

fn distribution(name: &str) -> Option<Distribution> {
    let mut words = name.split(' ');
    let kind = words.next().unwrap();
    let counts: Vec<usize> = words.map(|word| word.parse().unwrap()).collect();
    Some(match kind {
        "categorical" => Distribution::Categorical(counts[0]),
        "multi_categorical" => Distribution::MultiCategorical(counts),
        "bernoulli" => Distribution::Bernoulli(counts[0]),
        "gaussian" => Distribution::Gaussian(counts[0]),
        _ => return None,
    })
}

fn tensor(rows: &[Vec<f64>]) -> Tensor {
    let flat: Vec<f32> = rows.iter().flatten().map(|&x| x as f32).collect();
    Tensor::from_slice(&flat).reshape([rows.len() as i64, -1])
}

fn floats(row: &[f64]) -> Vec<f32> {
    row.iter().map(|&x| x as f32).collect()
}

fn close(have: &Tensor, want: &[f64]) -> bool {
    (have.to_kind(Kind::Double) - Tensor::from_slice(want)).abs().max().double_value(&[]) < 2e-5
}

#[test]
fn both_forms_say_what_pytorch_and_scipy_say() {
    for case in cases() {
        let Some(family) = distribution(&case.name) else { continue };
        let (parameters, draws) = (tensor(&case.parameters), tensor(&case.draws));
        let masks = case.masks.as_deref().map(tensor);
        let (masks, entropy) = (masks.as_ref(), case.entropy.as_ref().unwrap());
        assert!(
            close(&family.log_prob(&parameters, masks, &draws).unwrap(), &case.log_prob),
            "{}",
            case.name
        );
        assert!(close(&family.entropy(&parameters, masks).unwrap(), entropy), "{}", case.name);
        let other = tensor(case.other.as_ref().unwrap());
        let kl = family.kl(&parameters, &other, masks).unwrap();
        assert!(close(&kl, case.kl.as_ref().unwrap()), "{}", case.name);
        assert_eq!(
            family.mode(&parameters, masks).unwrap(),
            tensor(case.mode.as_ref().unwrap()),
            "{}",
            case.name
        );

        for (row, draw) in case.draws.iter().enumerate() {
            let mask = case.masks.as_ref().map(|masks| floats(&masks[row]));
            let (log_prob, of_row) =
                family.evaluate_row(&floats(&case.parameters[row]), mask.as_deref(), &floats(draw));
            assert!((f64::from(log_prob) - case.log_prob[row]).abs() < 2e-5, "{} {row}", case.name);
            assert!((f64::from(of_row) - entropy[row]).abs() < 2e-5, "{} {row}", case.name);
        }
    }
}

#[test]
fn the_squashed_gaussian_has_the_exact_jacobian() {
    let case = cases().into_iter().find(|case| case.name.starts_with("squashed")).unwrap();
    let (parameters, u) = (tensor(&case.parameters), tensor(&case.draws));
    assert!(close(&squashed::log_prob(&parameters, &u).unwrap(), &case.log_prob));
    // Far out, where 1 - tanh^2 has no digits left in f32, the slope is 4 exp(-2 |u|).
    for u in [-30f32, 20.0] {
        let expected = 4f32.ln() - 2.0 * u.abs();
        assert!((squashed::log_slope(u) - expected).abs() < 1e-4, "{u}");
    }
    // The density of the squashed draw integrates to one.
    let (mean, log_deviation) = (0.4f32, 0.3f32);
    let steps = 200_000;
    let total: f64 = (0..steps)
        .map(|i| {
            let a = (i as f64 + 0.5) / f64::from(steps) * 2.0 - 1.0;
            let u = a.atanh() as f32;
            let (log_prob, _) = Distribution::Gaussian(1).evaluate_row(&[mean, log_deviation], None, &[u]);
            f64::from(log_prob - squashed::log_slope(u)).exp() * 2.0 / f64::from(steps)
        })
        .sum();
    assert!((total - 1.0).abs() < 1e-3, "{total}");
}

#[test]
fn hand_derived_gradients_are_those_of_autograd() {
    for case in cases() {
        let Some(family) = distribution(&case.name) else { continue };
        let parameters = tensor(&case.parameters).set_requires_grad(true);
        let draws = tensor(&case.draws);
        let masks = case.masks.as_deref().map(tensor);
        let (by_log_prob, by_entropy) = (0.7f32, -0.3f32);
        let loss = family.log_prob(&parameters, masks.as_ref(), &draws).unwrap() * f64::from(by_log_prob)
            + family.entropy(&parameters, masks.as_ref()).unwrap() * f64::from(by_entropy);
        loss.sum(Kind::Float).backward();
        let expected = parameters.grad();
        for (row, draw) in case.draws.iter().enumerate() {
            let mask = case.masks.as_ref().map(|masks| floats(&masks[row]));
            let mut out = vec![9.0; family.parameters()];
            let numbers = floats(&case.parameters[row]);
            let changes = (by_log_prob, by_entropy);
            family.gradient_row((&numbers, mask.as_deref()), &floats(draw), changes, &mut out);
            let distance =
                (Tensor::from_slice(&out) - expected.get(row as i64)).abs().max().double_value(&[]);
            assert!(distance < 2e-5, "{} {row}: {out:?}", case.name);
        }
    }
}

#[test]
fn what_is_masked_has_probability_zero_and_breaks_nothing() {
    let family = Distribution::Categorical(3);
    let (row, mask) = ([4.0, -1.0, 9.0], [0.0, 1.0, 0.0]);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut draw = [7.0];
    for _ in 0..100 {
        assert!(family.sample_row(&row, Some(&mask), &mut rng, &mut draw));
        assert_eq!(draw, [1.0]);
    }
    assert_eq!(family.evaluate_row(&row, Some(&mask), &[1.0]), (0.0, 0.0));
    assert_eq!(family.evaluate_row(&row, Some(&mask), &[0.0]).0, f32::NEG_INFINITY);
    let mut gradient = [9.0; 3];
    family.gradient_row((&row, Some(&mask)), &[1.0], (1.0, 1.0), &mut gradient);
    assert_eq!(gradient, [0.0; 3]);

    let logits = Tensor::from_slice(&row).reshape([1, 3]).set_requires_grad(true);
    let masks = Tensor::from_slice(&mask).reshape([1, 3]);
    let entropy = family.entropy(&logits, Some(&masks)).unwrap();
    assert_eq!(entropy.double_value(&[0]), 0.0);
    let choice = Tensor::from_slice(&[1f32]).reshape([1, 1]);
    (entropy + family.log_prob(&logits, Some(&masks), &choice).unwrap()).sum(Kind::Float).backward();
    assert_eq!(Vec::<f32>::try_from(logits.grad().reshape([-1])).unwrap(), [0.0; 3]);
}

#[test]
fn draws_come_as_often_as_their_probability_says() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(2);
    let family = Distribution::MultiCategorical(vec![2, 3]);
    let row = [0.0, 1.0, 0.5, -0.5, 1.5];
    let mut counts = [0f64; 5];
    let mut draw = [0.0; 2];
    const DRAWS: usize = 40_000;
    for _ in 0..DRAWS {
        assert!(family.sample_row(&row, None, &mut rng, &mut draw));
        counts[draw[0] as usize] += 1.0;
        counts[2 + draw[1] as usize] += 1.0;
    }
    for (start, count) in [(0, 2), (2, 3)] {
        let sum: f64 = row[start..start + count].iter().map(|&x| f64::from(x).exp()).sum();
        for i in start..start + count {
            let p = f64::from(row[i]).exp() / sum;
            let deviation = (p * (1.0 - p) / DRAWS as f64).sqrt();
            assert!((counts[i] / DRAWS as f64 - p).abs() < 4.0 * deviation, "choice {i}");
        }
    }
    let (mut sum, mut squares) = (0.0, 0.0);
    for _ in 0..DRAWS {
        let mut draw = [0.0];
        assert!(Distribution::Gaussian(1).sample_row(&[3.0, 2f32.ln()], None, &mut rng, &mut draw));
        sum += f64::from(draw[0]);
        squares += f64::from(draw[0] - 3.0).powi(2);
    }
    assert!((sum / DRAWS as f64 - 3.0).abs() < 0.05);
    assert!((squares / DRAWS as f64 - 4.0).abs() < 0.15);
}

#[test]
fn parameters_that_are_no_numbers_are_seen() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(3);
    for family in [
        Distribution::Categorical(2),
        Distribution::MultiCategorical(vec![1, 1]),
        Distribution::Bernoulli(2),
        Distribution::Gaussian(1),
    ] {
        let mut draw = vec![0.0; family.width()];
        assert!(!family.sample_row(&[f32::NAN, 0.0], None, &mut rng, &mut draw), "{family:?}");
        assert!(!family.mode_row(&[f32::NAN, 0.0], None, &mut draw), "{family:?}");
        let batch = Tensor::from_slice(&[f32::NAN, 0.0]).reshape([1, 2]);
        assert!(family.sample(&batch, None, &mut rng).is_err());
        assert!(family.mode(&batch.narrow(1, 0, 1), None).is_err(), "a row too short");
    }
}
