//! The learning of networks, held to its formulas.

use pavlov_nn::layers::{Linear, LinearConfig};
use pavlov_nn::optim::SgdConfig;
use pavlov_nn::{Layout, Module, OptimizerConfig, Parameters, Schedule};
use tch::kind::FLOAT_CPU;
use tch::{Device, Kind, Tensor};

use pavlov_group::Group;

use super::*;
use crate::recorded::{Recorded, waves};

const RATE: f64 = 0.1;

fn config() -> LearningConfig {
    let optimizer = OptimizerConfig::Sgd(SgdConfig::default());
    LearningConfig { rate: Schedule::constant(RATE), optimizer, ..LearningConfig::default() }
}

/// A linear layer of three inputs, and how it learns.
fn learner(config: &LearningConfig) -> (Linear, Learner) {
    let mut layout = Layout::new();
    let linear = Linear::new(&mut layout, "only.", 3, &LinearConfig::new(2)).unwrap();
    (linear, Learner::new(&layout, config, "network", (1, Device::Cpu, &Group::alone())).unwrap())
}

fn update(linear: &Linear, learner: &mut Learner, progress: f64) {
    let x = Tensor::arange(12, FLOAT_CPU).reshape([4, 3]) * 0.1;
    learner
        .update(progress, 1, |pass| {
            let loss = linear.forward(pass, &x)?.square().mean(Kind::Float);
            Ok(loss.f_backward()?)
        })
        .unwrap();
}

fn array(parameters: &Parameters, name: &str) -> Vec<f32> {
    let state = parameters.state().unwrap();
    state.view().vec(name).unwrap()
}

#[test]
fn l1_adds_the_signs_of_weights_and_leaves_biases() {
    let ((linear, mut plain), (_, mut with)) =
        (learner(&config()), learner(&LearningConfig { l1: 0.03, ..config() }));
    let before = array(plain.parameters(), "only.weight");
    update(&linear, &mut plain, 0.0);
    update(&linear, &mut with, 0.0);
    let pairs =
        array(plain.parameters(), "only.weight").into_iter().zip(array(with.parameters(), "only.weight"));
    for ((plain, with), before) in pairs.zip(before) {
        let expected = plain - (RATE * 0.03) as f32 * before.signum();
        assert!((with - expected).abs() < 1e-6, "{with} {expected}");
    }
    assert_eq!(array(plain.parameters(), "only.bias"), array(with.parameters(), "only.bias"));
}

#[test]
fn the_moving_mean_follows_its_formula_and_is_what_is_used() {
    let (linear, mut learner) = learner(&LearningConfig { ema_decay: Some(0.8), ..config() });
    let mut mean = array(learner.parameters(), "only.weight");
    for _ in 0..5 {
        update(&linear, &mut learner, 0.0);
        let now = array(learner.parameters(), "only.weight");
        mean.iter_mut().zip(now).for_each(|(mean, now)| *mean = 0.8 * *mean + 0.2 * now);
    }
    let used = array(learner.best_parameters(), "only.weight");
    assert!(mean.iter().zip(&used).all(|(a, b)| (a - b).abs() < 1e-6), "{mean:?} {used:?}");
    assert_ne!(used, array(learner.parameters(), "only.weight"));
    let weights = learner.weights().unwrap();
    assert_eq!(weights.view().vec::<f32>("only.weight").unwrap(), used);
}

#[test]
fn what_is_frozen_thaws_at_its_time_and_stays_thawed_after_a_resume() {
    let config = LearningConfig { freeze: vec!["only.weight".into()], unfreeze_at: 0.5, ..config() };
    let (linear, mut own) = learner(&config);
    let first = array(own.parameters(), "only.weight");
    update(&linear, &mut own, 0.2);
    assert_eq!(array(own.parameters(), "only.weight"), first);
    update(&linear, &mut own, 0.5);
    assert_ne!(array(own.parameters(), "only.weight"), first);
    let (_, mut resumed) = learner(&config);
    resumed.load_state(&own.state().unwrap().view()).unwrap();
    for learner in [&mut own, &mut resumed] {
        update(&linear, learner, 0.6);
    }
    assert_eq!(own.parameters().values(), resumed.parameters().values());
    let (_, mut never) = learner(&LearningConfig { unfreeze_at: 1.0, ..config });
    update(&linear, &mut never, 0.99);
    assert_eq!(array(never.parameters(), "only.weight"), first);
}

#[test]
fn the_rate_falls_on_a_plateau_alone() {
    let plateau = PlateauConfig { factor: 0.5, patience: 2 };
    let (linear, mut learner) = learner(&LearningConfig { plateau, ..config() });
    let mut rates = Vec::new();
    for value in [1.0, 0.9, 0.95, f64::NAN, 0.91, 0.8, 0.9, 0.9, 0.9] {
        learner.validated(value, Criterion { metric: "loss", highest_is_best: false });
        update(&linear, &mut learner, 0.0);
        rates.push(learner.rate());
    }
    // It falls with the third validation in a row that is no better than the best.
    let expected = [0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.025];
    assert!(rates.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{rates:?}");
}

#[test]
fn a_name_that_no_network_has_is_refused_and_others_go_where_they_belong() {
    let layouts: Vec<Layout> = ["a.", "b."]
        .iter()
        .map(|prefix| {
            let mut layout = Layout::new();
            Linear::new(&mut layout, prefix, 2, &LinearConfig::new(2)).unwrap();
            layout
        })
        .collect();
    let all = [&layouts[0], &layouts[1]];
    let config = LearningConfig { freeze: vec!["a.weight".into()], ..config() };
    assert_eq!(config.for_network(all[0], &all).unwrap().freeze, ["a.weight"]);
    assert!(config.for_network(all[1], &all).unwrap().freeze.is_empty());
    let wrong = LearningConfig { freeze: vec!["c.weight".into()], ..config };
    let error = wrong.for_network(all[0], &all).unwrap_err().to_string();
    assert!(error.contains("learning.freeze") && error.contains("c.weight"), "{error}");
}

#[test]
fn settings_that_make_no_sense_are_named() {
    for (config, word) in [
        (LearningConfig { l1: -1.0, ..config() }, "learning.l1"),
        (LearningConfig { gradient_clip_norm: Some(0.0), ..config() }, "learning.gradient_clip_norm"),
        (LearningConfig { ema_decay: Some(1.0), ..config() }, "learning.ema_decay"),
        (LearningConfig { unfreeze_at: 2.0, ..config() }, "learning.unfreeze_at"),
        (LearningConfig { rate: Schedule::constant(f64::NAN), ..config() }, "learning.rate"),
        (
            LearningConfig { plateau: PlateauConfig { factor: 0.0, patience: 1 }, ..config() },
            "learning.plateau.factor",
        ),
    ] {
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}

/// Three updates with each kind of decay, held to PyTorch's numbers (scripts/record-metrics.py).
#[test]
fn decays_are_pytorchs() {
    let (adamw, sgd) = ("kind = \"adamw\"\nweight_decay_decoupled = 0.3", "kind = \"sgd\"");
    let l2 = format!("{sgd}\nweight_decay_l2 = 0.3");
    for (case, optimizer, l1) in [("decoupled", adamw, 0.0), ("l2", &l2, 0.0), ("l1", sgd, 0.3)] {
        let optimizer = toml::from_str(optimizer).unwrap();
        let (linear, mut learner) = learner(&LearningConfig { optimizer, l1, ..config() });
        let mut weights = StateDict::new();
        weights.put_tensor("only.weight", &waves(&[2, 3], 1.9, 1.0, 0.0)).unwrap();
        weights.put_tensor("only.bias", &waves(&[2], 2.9, 1.0, 0.0)).unwrap();
        learner.load_weights(&weights.view()).unwrap();
        for _ in 0..3 {
            learner
                .update(0.0, 1, |pass| {
                    let outputs = linear.forward(pass, &waves(&[4, 3], 0.7, 1.0, 0.0))?;
                    Ok(outputs.square().mean(Kind::Float).f_backward()?)
                })
                .unwrap();
        }
        let recorded = Recorded::case(&format!("decay_{case}"));
        for name in ["weight", "bias"] {
            let ours = Tensor::from_slice(&array(learner.parameters(), &format!("only.{name}")));
            recorded.hold_all(name, &ours);
        }
    }
}
