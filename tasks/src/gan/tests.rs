//! The losses and the distance of GANs, held to PyTorch's and SciPy's.

use pavlov_common::SeededRng;
use pavlov_data::{Batch, Input, Target};
use pavlov_nn::{Layout, Module, Parameters, Pass, StateDict};
use tch::kind::FLOAT_CPU;
use tch::{Device, Kind, Tensor};

use super::losses::sliced_by;
use super::*;
use crate::networks::{NetConfig, layers};
use crate::recorded::{Recorded, assert_near, flat, task, told, waves};
use crate::{Metrics, TaskError};

/// The metrics of an update of a linear discriminator and a generator that makes one picture from any noise.
fn update(adversary: &str) -> Metrics {
    let config = format!(
        "adversary = \"{adversary}\"\nnoise = 2\ngenerator.layers = [{{ linear = 16 }}]\n\
         discriminator.layers = [\"flatten\"]"
    );
    let weights = [
        ("generator.net.0.weight", Tensor::zeros([16, 2], FLOAT_CPU)),
        ("generator.net.0.bias", waves(&[16], 2.9, 1.0, 0.0)),
        ("discriminator.score.weight", waves(&[1, 16], 1.9, 0.5, 0.0)),
        ("discriminator.score.bias", Tensor::full([1], 0.25, FLOAT_CPU)),
    ];
    let input = Input::Image { channels: 1, height: 4, width: 4 };
    let batch = Batch {
        rows: 8,
        numbers: flat(&waves(&[8, 16], 0.7, 0.5, 0.5)),
        indices: (0..8).collect(),
        ..Batch::default()
    };
    told(task::<GanConfig>(&config, input, Target::None, &weights).as_mut(), &batch)
}

#[test]
fn the_standard_game_has_pytorchs_losses_with_a_smoothed_label_of_real_pictures() {
    let (recorded, told) = (Recorded::case("gan"), update("standard"));
    recorded.hold("discriminator", told["train/discriminator_loss"]);
    recorded.hold("generator", told["train/generator_loss"]);
    recorded.hold("score_real", told["train/score_real"]);
    recorded.hold("score_made", told["train/score_made"]);
}

#[test]
fn wassersteins_game_has_pytorchs_losses() {
    let (recorded, told) = (Recorded::case("gan"), update("wasserstein"));
    recorded.hold("critic", told["train/discriminator_loss"]);
    recorded.hold("penalty", told["train/gradient_penalty"]);
    assert_near("generator", told["train/generator_loss"], -recorded.number("score_made"));
}

#[test]
fn the_penalty_of_a_critic_that_is_not_linear_and_its_gradient_are_pytorchs() {
    let recorded = Recorded::case("gradient_penalty");
    let net = NetConfig {
        layers: layers(r#"{ linear = 7 }, "tanh", { linear = 1 }"#).unwrap(),
        ..NetConfig::default()
    };
    let mut layout = Layout::new();
    let (critic, _) = net.build(&mut layout, ("net", "net."), &[4], || unreachable!()).unwrap();
    let mut parameters = Parameters::new(&layout, &mut SeededRng::seeded(0), Device::Cpu).unwrap();
    let mut state = StateDict::new();
    for (name, tensor) in [
        ("net.0.weight", waves(&[7, 4], 1.9, 0.6, 0.0)),
        ("net.0.bias", Tensor::zeros([7], FLOAT_CPU)),
        ("net.2.weight", waves(&[1, 7], 0.8, 0.9, 0.0)),
        ("net.2.bias", Tensor::zeros([1], FLOAT_CPU)),
    ] {
        state.put_tensor(name, &tensor).unwrap();
    }
    parameters.load_state(&state.view()).unwrap();
    let (real, made) = (waves(&[8, 4], 0.7, 1.0, 0.0), waves(&[8, 4], 1.1, 1.0, 0.0));
    let mix = waves(&[8, 1], 2.3, 0.5, 0.5);
    let mut rng = SeededRng::seeded(0);
    let mut pass = Pass::train(&parameters, &mut rng);
    let penalty = gradient_penalty(&real, &made, &mix, |between| {
        Ok::<_, TaskError>(critic.forward(&mut pass, between)?)
    })
    .unwrap();
    recorded.hold("penalty", penalty.double_value(&[]));
    penalty.backward();
    for (id, spec) in layout.ids().zip(layout.specs()) {
        match spec.name.as_str() {
            "net.0.weight" => recorded.hold_all("first", parameters.gradient(id).unwrap()),
            "net.2.weight" => recorded.hold_all("second", parameters.gradient(id).unwrap()),
            _ => {}
        }
    }
}

#[test]
fn the_sliced_distance_is_scipys() {
    let recorded = Recorded::case("sliced_wasserstein");
    let line = (waves(&[50, 1], 0.7, 1.0, 0.0), waves(&[50, 1], 1.1, 1.4, 0.2));
    // On a line every direction gives the same.
    recorded.hold("line", sliced_wasserstein(&line.0, &line.1, 1).unwrap());
    let (one, other) = (waves(&[50, 3], 0.7, 1.0, 0.0), waves(&[50, 3], 1.1, 1.4, 0.2));
    let directions = waves(&[3, 20], 2.3, 1.0, 0.0);
    recorded.hold("directions", sliced_by(&one, &other, &directions).unwrap());
    let order = Tensor::randperm(50, (Kind::Int64, Device::Cpu));
    recorded.hold("directions", sliced_by(&one, &other.index_select(0, &order), &directions).unwrap());
}
