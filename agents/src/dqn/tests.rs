//! The learner against the textbook: one operation after the other, recorded by autograd.

use pavlov_common::SeededRng;
use pavlov_envs::{ActionBatch, End, ObsBatch, Space, StepBatch};
use pavlov_nn::losses::Regression;
use pavlov_nn::{Layout, Mlp, Optimizer, Parameters, Pass};
use tch::{Device, Kind, Reduction, Tensor};

use super::{DqnConfig, DqnLearner, EpsilonGreedy, QNetwork};
use crate::core::Experience;
use crate::networks::{Encoder, NetConfig, NetworkContext, NetworkRegistry};
use crate::replay::{Batch, Replay, ReplayConfig, Transitions};

const BATCH: usize = 64;
const LEARNING_RATE: f64 = 1e-3;

/// A replay of transitions that look like a world's: some end, some are cut off.
fn replay(rng: &mut SeededRng) -> (Replay, Encoder, Space) {
    let (space, actions) = (Space::unbounded(&[4]), Space::Discrete(3));
    let mut replay = Replay::new((1_000, ReplayConfig::default()), 0.99, &space, &actions).unwrap();
    let mut observations = ObsBatch::new(&space, 1);
    let mut step = StepBatch::new(&space, 1);
    for time in 0..500 {
        let mut fill = |row: &mut [f32]| row.iter_mut().for_each(|x| *x = rng.uniform(-1.0, 1.0) as f32);
        fill(observations.row_mut(0).floats);
        fill(step.observations.row_mut(0).floats);
        fill(step.final_observations.row_mut(0).floats);
        step.rewards[0] = rng.uniform(-2.0, 2.0);
        step.ends[0] = [End::No, End::No, End::Terminated, End::No, End::Truncated][time % 5];
        let choice = ActionBatch::Discrete(vec![(time % 3) as i64]);
        replay.insert(Experience { observations: &observations, actions: &choice, step: &step });
    }
    (replay, Encoder::new(&space), actions)
}

/// One update of the textbook on rows `start..start + BATCH`; gives the loss.
fn textbook(
    config: &DqnConfig,
    net: &Mlp,
    (online, target): (&mut Parameters, &Parameters),
    optimizer: &mut Optimizer,
    all: &Transitions,
    start: i64,
) -> f64 {
    let rows = |tensor: &Tensor| tensor.narrow(0, start, BATCH as i64);
    let ask = |parameters: &Parameters, x: &Tensor| {
        net.forward_by_operations(&mut Pass::eval(parameters), &rows(x)).unwrap()
    };
    let targets = tch::no_grad(|| {
        let target_q = ask(target, &all.next_observations);
        let next = if config.double {
            let best = ask(online, &all.next_observations).argmax(1, true);
            target_q.gather(1, &best, false).squeeze_dim(1)
        } else {
            target_q.max_dim(1, false).0
        };
        rows(&all.rewards) + config.discount * rows(&all.continues) * next
    });
    let taken = ask(online, &all.observations).gather(1, &rows(&all.choices), false).squeeze_dim(1);
    let loss = match config.loss {
        Regression::Huber => taken.smooth_l1_loss(&targets, Reduction::Mean, 1.0),
        Regression::Squared => taken.mse_loss(&targets, Reduction::Mean),
    };
    online.zero_gradients();
    loss.backward();
    if let Some(largest) = config.gradient_clip_norm {
        let gradients = online.gradients().unwrap().shallow_clone();
        let norm = gradients.norm().double_value(&[]);
        let _ = gradients.detach().g_mul_scalar_(f64::min(1.0, largest / (norm + 1e-6)));
    }
    optimizer.step(online, LEARNING_RATE).unwrap();
    loss.double_value(&[])
}

fn compare(config: DqnConfig) {
    let mut rng = SeededRng::seeded(4);
    let (mut replay, encoder, actions) = replay(&mut rng);
    let mut layout = Layout::new();
    let net = Mlp::new(&mut layout, "", 4, 3, &config.net.mlp(&config.net.hidden_sizes, 1.0)).unwrap();
    let weights = || Parameters::new(&layout, &mut SeededRng::seeded(9), Device::Cpu).unwrap();
    let networks = NetworkRegistry::new();
    let mut own = Layout::new();
    let mut context = NetworkContext { layout: &mut own, encoder: &encoder, networks: &networks };
    let own = QNetwork::new(&mut context, 3, &config).unwrap();
    let explorer = EpsilonGreedy::new(config.clone(), own, encoder.clone(), 1_000).unwrap();
    let mut learner = DqnLearner::new(config.clone(), explorer, weights(), 0).unwrap();
    let mut online = weights();
    let mut target = online.frozen_copy().unwrap();
    let mut optimizer = Optimizer::new(&config.optimizer, &online).unwrap();

    let mut batch = Batch::new(3 * BATCH, &encoder, &actions).unwrap();
    for round in 0..8 {
        // The last batch of a training may hold fewer minibatches.
        let minibatches = if round % 4 == 3 { 1 } else { 3 };
        replay.sample(&mut rng, 0.0, minibatches * BATCH, &mut batch).unwrap();
        let all = batch.transitions(Device::Cpu).unwrap();
        let mut losses = 0.0;
        for minibatch in 0..minibatches {
            let start = (minibatch * BATCH) as i64;
            losses += textbook(&config, &net, (&mut online, &target), &mut optimizer, &all, start);
        }
        learner.descend(&batch, LEARNING_RATE).unwrap();
        let (loss, _) = learner.take_means().unwrap().unwrap();
        assert!((loss - losses / minibatches as f64).abs() < 1e-4, "round {round}: {loss}");
        if round % 3 == 2 {
            learner.update_target(1).unwrap();
            target.copy_from(&online).unwrap();
        }
    }
    let distance = (learner.online.parameters().values() - online.values()).abs().max().double_value(&[]);
    assert!(distance < 1e-4, "after 18 updates the weights differ by {distance}");
    let moved = (weights().values() - online.values()).abs().mean(Kind::Float).double_value(&[]);
    assert!(moved > 1e-3, "the weights moved");
}

#[test]
fn a_learner_makes_the_updates_of_the_textbook() {
    let net = |sizes: &[i64]| NetConfig { hidden_sizes: sizes.to_vec(), ..NetConfig::relu(64) };
    let base = DqnConfig { batch_size: BATCH, ..Default::default() };
    // Narrow enough to be one thread's work, and wide enough to be shared.
    for hidden in [&[32, 32][..], &[256, 256]] {
        for double in [false, true] {
            compare(DqnConfig { double, net: net(hidden), ..base.clone() });
        }
    }
    let squared = DqnConfig { loss: Regression::Squared, gradient_clip_norm: Some(0.5), ..base.clone() };
    compare(DqnConfig { net: net(&[32]), ..squared });
    compare(DqnConfig { gradient_clip_norm: None, net: net(&[]), ..base });
}
