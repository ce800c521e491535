//! Recurrent policies: learning computes the numbers that acting computed.

use pavlov_envs::Space;
use pavlov_nn::{Pass, backward};
use tch::{Device, Kind, Tensor, kind::FLOAT_CPU};

use super::tests::{context, made, play, small_net};
use super::{Evaluator, Minibatch, RowGradients};
use crate::acting::Inference;
use crate::networks::{NetConfig, RecurrentConfig};

const NUM_ENVS: usize = 3;

fn nets() -> Vec<NetConfig> {
    let of = |recurrent, shared| NetConfig { recurrent, recurrent_size: 6, shared, ..small_net() };
    vec![
        of(RecurrentConfig::Lstm, false),
        of(RecurrentConfig::Gru, false),
        of(RecurrentConfig::Lstm, true),
        of(RecurrentConfig::Gru, true),
    ]
}

#[test]
fn learning_sees_what_acting_saw_across_the_ends_of_episodes_and_rollouts() {
    let context = context(Space::unbounded(&[4]), Space::Discrete(3), NUM_ENVS);
    for config in nets() {
        for length in [0, 5, 1] {
            let (mut sampler, parameters) = made(&config, &context);
            let mut rollout = sampler.rollout(20, NUM_ENVS, length, Device::Cpu).unwrap();
            // The second rollout begins with what the first one left.
            for _ in 0..2 {
                rollout.clear();
                play(&mut rollout, &context, &mut sampler, Inference::Own(&parameters), 20);
                sampler.finish(&mut rollout, &parameters, (0.9, 0.9)).unwrap();
            }
            let mut minibatch = Minibatch::default();
            let share = rollout.share_of(20);
            let mut rows = 0;
            for chosen in rollout.learnable().chunks(share) {
                rollout.gather(chosen, &mut minibatch).unwrap();
                let seen = Evaluator::default()
                    .evaluate(&sampler, &mut Pass::eval(&parameters), &minibatch)
                    .unwrap();
                rows += minibatch.len();
                for row in 0..minibatch.len() {
                    let (then, now) = (minibatch.log_probs[row], seen.log_probs[row]);
                    assert!((then - now).abs() < 1e-5, "{config:?} length {length} row {row}: {then} {now}");
                    let (then, now) = (minibatch.values[row], seen.values[row]);
                    assert!((then - now).abs() < 1e-5, "{config:?} length {length} row {row}: {then} {now}");
                }
            }
            assert_eq!(rows, 20 * NUM_ENVS);
        }
    }
}

#[test]
fn a_shared_trunk_gets_both_gradients() {
    let context = context(Space::unbounded(&[4]), Space::Discrete(3), NUM_ENVS);
    for config in nets() {
        let (mut sampler, mut parameters) = made(&config, &context);
        let mut rollout = sampler.rollout(10, NUM_ENVS, 0, Device::Cpu).unwrap();
        play(&mut rollout, &context, &mut sampler, Inference::Own(&parameters), 10);
        sampler.finish(&mut rollout, &parameters, (0.9, 0.9)).unwrap();
        let mut minibatch = Minibatch::default();
        rollout.gather(&rollout.learnable(), &mut minibatch).unwrap();
        let mut evaluator = Evaluator::default();
        let seen = evaluator.evaluate(&sampler, &mut Pass::eval(&parameters), &minibatch).unwrap();
        let numbers = |factor: f32| (0..minibatch.len()).map(|row| (row as f32 * factor).sin()).collect();
        let by = RowGradients { by_log_prob: numbers(0.7), by_value: numbers(1.3), by_entropy: 0.0 };
        parameters.zero_gradients();
        evaluator.backward(&sampler, &parameters, (&minibatch, &seen), &by).unwrap();
        let own = parameters.gradients().unwrap().copy();

        // The same by autograd, each network by itself.
        parameters.zero_gradients();
        let memory = minibatch.memory.as_ref().unwrap().on(Device::Cpu).unwrap();
        let (x, sequences) =
            (&minibatch.observations(Device::Cpu).unwrap(), (memory.0.sequences(), memory.1.sequences()));
        let logits = sampler.net.policy(&mut Pass::eval(&parameters), x, Some(sequences.0)).unwrap().outputs;
        let draws = Tensor::from_slice(&minibatch.draws).to_kind(Kind::Int64).reshape([-1, 1]);
        let log_probs = logits.log_softmax(1, Kind::Float).gather(1, &draws, false).squeeze_dim(1);
        (log_probs * Tensor::from_slice(&by.by_log_prob)).sum(Kind::Float).backward();
        let values = sampler.net.value(&mut Pass::eval(&parameters), x, Some(sequences.1)).unwrap().values;
        backward(&values, &Tensor::from_slice(&by.by_value).reshape([-1, 1])).unwrap();
        let distance = (own - parameters.gradients().unwrap()).abs().max().double_value(&[]);
        assert!(distance < 1e-4, "{config:?}: {distance}");
    }
}

#[test]
fn rows_in_whose_place_the_environment_was_reset_teach_nothing() {
    let context = context(Space::unbounded(&[4]), Space::Discrete(3), NUM_ENVS);
    let (mut sampler, mut parameters) = made(&nets()[0], &context);
    let mut rollout = sampler.rollout(4, NUM_ENVS, 0, Device::Cpu).unwrap();
    play(&mut rollout, &context, &mut sampler, Inference::Own(&parameters), 4);
    sampler.finish(&mut rollout, &parameters, (0.9, 0.9)).unwrap();
    let mut minibatch = Minibatch::default();
    rollout.gather(&rollout.learnable(), &mut minibatch).unwrap();
    minibatch.skipped.fill(true);
    minibatch.skipped[5] = false;
    assert_eq!(minibatch.learned(), 1);
    minibatch.normalize_advantages();
    assert!(minibatch.advantages.iter().enumerate().all(|(row, advantage)| row == 5 || *advantage == 0.0));
    minibatch.skipped.fill(true);
    let mut evaluator = Evaluator::default();
    let seen = evaluator.evaluate(&sampler, &mut Pass::eval(&parameters), &minibatch).unwrap();
    let by = RowGradients {
        by_log_prob: vec![1.0; minibatch.len()],
        by_value: vec![0.0; minibatch.len()],
        by_entropy: 1.0,
    };
    parameters.zero_gradients();
    evaluator.backward(&sampler, &parameters, (&minibatch, &seen), &by).unwrap();
    assert_eq!(parameters.gradients().unwrap().abs().max().double_value(&[]), 0.0);
}

#[test]
fn images_go_through_convolutions_and_other_entries_of_a_dict_past_them() {
    let image = Space::pixels(&[10, 10, 2]);
    let space = Space::Dict(vec![("camera".into(), image), ("speed".into(), Space::unbounded(&[3]))]);
    let context = context(space, Space::Discrete(3), 2);
    for shared in [false, true] {
        let config = NetConfig { shared, ..small_net() };
        let (sampler, parameters) = made(&config, &context);
        let name = if shared { "features.0.weight" } else { "policy_features.0.weight" };
        let weight = parameters.state().unwrap().view().tensor(name).unwrap();
        assert_eq!(weight.size(), [16, 2, 3, 3]);
        let x = Tensor::zeros([5, 203], FLOAT_CPU);
        let outputs = sampler.net.both(&mut Pass::eval(&parameters), &x, (None, None)).unwrap();
        assert_eq!((outputs.policy.outputs.size(), outputs.values.size()), (vec![5, 3], vec![5, 1]));
    }
}
