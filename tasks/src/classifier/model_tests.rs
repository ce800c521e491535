//! The classifier's losses and measures, held to PyTorch's, torchmetrics' and scikit-learn's.

use pavlov_common::SeededRng;
use pavlov_nn::{Layout, Parameters, Pass, StateDict};
use tch::{Device, Tensor};

use super::super::losses::mixed_cross_entropy;
use super::*;
use crate::networks::{NetConfig, layers};
use crate::recorded::{CUTS, Recorded, assert_near, names, passing, waves};

const CLASSES: usize = 5;

/// A classifier whose logits are its inputs.
fn passes_on(top_k: i64, label_smoothing: f64, mixup_alpha: f64) -> (Classifier, Parameters) {
    let input = Input::Numbers { names: names(CLASSES) };
    let net = NetConfig { layers: layers(r#""flatten""#).unwrap(), ..NetConfig::default() };
    let mut layout = Layout::new();
    let outputs = (CLASSES as i64, false);
    let network = net.build_with_head(&mut layout, &input, outputs, || unreachable!()).unwrap();
    let mut parameters = Parameters::new(&layout, &mut SeededRng::seeded(0), Device::Cpu).unwrap();
    let mut state = StateDict::new();
    for (name, tensor) in passing(CLASSES as i64) {
        state.put_tensor(name, &tensor).unwrap();
    }
    parameters.load_state(&state.view()).unwrap();
    let names = names(CLASSES);
    (Classifier { network, names, input, label_smoothing, mixup_alpha, top_k }, parameters)
}

fn batch(logits: &Tensor, classes: &[i64]) -> Tensors {
    Tensors {
        rows: classes.len() as i64,
        inputs: logits.shallow_clone(),
        classes: Tensor::from_slice(classes),
        targets: Tensor::from_slice::<f32>(&[]),
        indices: (0..classes.len()).collect(),
    }
}

/// The logits of a case: of two of them a class is never the likeliest.
fn logits(case: &str) -> Tensor {
    let logits = waves(&[8, CLASSES as i64], 1.1, 2.0, 0.0);
    match case {
        "never_predicted" => drop(logits.select(1, 2).fill_(-3.0)),
        "absent" => drop(logits.select(1, 4).fill_(-3.0)),
        _ => {}
    }
    logits
}

#[test]
fn measures_are_torchmetrics_and_scikit_learns_however_samples_are_cut_into_batches() {
    for case in ["whole", "never_predicted", "never_occurs", "absent"] {
        let (recorded, logits) = (Recorded::case(case), logits(case));
        let labels = recorded.integers("labels");
        for (sizes, top_k) in CUTS.into_iter().flat_map(|sizes| [(sizes, 2), (sizes, 3)]) {
            let (model, parameters) = passes_on(top_k, 0.1, 0.4);
            let (mut pass, mut sums, mut from) = (Pass::eval(&parameters), Sums::default(), 0);
            for &size in sizes {
                let rows = batch(&logits.narrow(0, from as i64, size as i64), &labels[from..from + size]);
                model.add(&mut pass, &rows, &mut sums).unwrap();
                from += size;
            }
            let counts: Vec<i64> =
                sums.confusion.counts.iter().flatten().map(|&count| count as i64).collect();
            assert_eq!(counts, recorded.integers("confusion"), "{case}");
            let metrics = model.measured(&mut pass, sums).unwrap().metrics;
            for key in ["loss", "accuracy", "precision", "recall", "f1"] {
                recorded.hold(key, metrics[key]);
            }
            recorded.hold(&format!("accuracy_top_{top_k}"), metrics["accuracy_top_k"]);
        }
    }
}

#[test]
fn the_loss_of_training_is_pytorchs_with_smoothed_labels() {
    let recorded = Recorded::case("cross_entropy");
    let rows = batch(&waves(&[8, 5], 1.7, 2.0, 0.0), &recorded.integers("own"));
    for (smoothing, expected) in [0.0, 0.1, 0.5].into_iter().zip(recorded.numbers("smoothed")) {
        let (model, parameters) = passes_on(1, smoothing, 0.0);
        let mut rng = SeededRng::seeded(0);
        let loss = model.loss(&mut Pass::eval(&parameters), &rows, &mut rng).unwrap();
        assert_near("label smoothing", loss.total.double_value(&[]), expected);
    }
}

#[test]
fn the_loss_of_mixed_samples_is_pytorchs_and_what_training_takes() {
    let recorded = Recorded::case("cross_entropy");
    let logits = waves(&[8, 5], 1.7, 2.0, 0.0);
    let (own, partners) = (recorded.integers("own"), recorded.integers("partners"));
    let labels = [&own, &partners].map(|labels| Tensor::from_slice(labels));
    for (smoothing, expected) in [0.0, 0.1].into_iter().zip(recorded.numbers("mixed")) {
        let loss = mixed_cross_entropy(&logits, [&labels[0], &labels[1]], 0.3, smoothing).unwrap();
        assert_near("mixup", loss.double_value(&[]), expected);

        let (model, parameters) = passes_on(1, smoothing, 0.4);
        let rows = batch(&logits, &own);
        let loss = model.loss(&mut Pass::eval(&parameters), &rows, &mut SeededRng::seeded(7)).unwrap();
        let Mixed { inputs, partners, share } =
            mixed(&logits, &labels[0], 0.4, &mut SeededRng::seeded(7)).unwrap();
        let expected = mixed_cross_entropy(&inputs, [&labels[0], &partners], share, smoothing).unwrap();
        assert_near("a mixed batch", loss.total.double_value(&[]), expected.double_value(&[]));
    }
}
