//! The rollout and the gradient step against what they stand for, written out one operation after the other.

use pavlov_common::SeededRng;
use pavlov_envs::{
    ACTION_MASK, ActionBatch, Autoreset, BoxSpace, Dtype, End, ObsBatch, Registry, Space, StepBatch,
    VectorOptions,
};
use pavlov_nn::{Activation, Distribution, OptimizerConfig, Parameters, Pass};
use tch::{Device, Kind, Tensor};

use super::*;
use crate::acting::Inference;
use crate::agent::AgentContext;
use crate::core::Experience;
use crate::networks::{NetConfig, NetworkRegistry};

pub(crate) fn context(observations: Space, actions: Space, num_envs: usize) -> AgentContext {
    AgentContext {
        observation_space: observations,
        action_space: actions,
        num_envs,
        total_env_steps: 1_000,
        seed: 5,
        device: Device::Cpu,
        networks: NetworkRegistry::new(),
        group: pavlov_group::Group::alone(),
    }
}

pub(crate) fn small_net() -> NetConfig {
    NetConfig { hidden_sizes: vec![8], ..NetConfig::default() }
}

pub(crate) fn explores(state_dependent: bool) -> ExplorationConfig {
    ExplorationConfig { log_deviation_start: -0.3, state_dependent, resample_steps: 0 }
}

pub(crate) fn made(net: &NetConfig, context: &AgentContext) -> (PolicySampler, Parameters) {
    sampler_of(net, &explores(false), context).unwrap()
}

pub(crate) fn every_kind_of_actions() -> Vec<Space> {
    vec![
        Space::Discrete(3),
        Space::MultiDiscrete(vec![2, 3]),
        Space::MultiBinary(2),
        Space::box_f32(-0.1, 0.1, &[2]).unwrap(),
    ]
}

/// A full rollout of made-up experience, in which episodes end in every way.
fn rollout(
    context: &AgentContext,
    sampler: &mut PolicySampler,
    parameters: &Parameters,
    steps: usize,
) -> Rollout {
    let mut rollout = sampler.rollout(steps, context.num_envs, 0, Device::Cpu).unwrap();
    play(&mut rollout, context, sampler, Inference::Own(parameters), steps);
    rollout
}

/// Fills a rollout with made-up experience.
pub(crate) fn play(
    rollout: &mut Rollout,
    context: &AgentContext,
    sampler: &mut PolicySampler,
    inference: Inference<'_>,
    steps: usize,
) {
    play_with_resets(rollout, context, sampler, inference, (steps, false));
}

/// The same; with `resets` an environment takes a step in which it is only reset after each termination.
/// Masks leave out one choice in turn.
pub(crate) fn play_with_resets(
    rollout: &mut Rollout,
    context: &AgentContext,
    sampler: &mut PolicySampler,
    inference: Inference<'_>,
    (steps, resets): (usize, bool),
) {
    let bits = sampler.encoder.mask_width();
    let mut rng = SeededRng::seeded(3);
    let mut observations = ObsBatch::new(&context.observation_space, context.num_envs);
    let mut actions = ActionBatch::new(&context.action_space, context.num_envs).unwrap();
    let mut step = StepBatch::new(&context.observation_space, context.num_envs);
    for time in 0..steps {
        sampler.act(rollout, inference, &observations, &mut rng, &mut actions).unwrap();
        let mut any = |row: &mut [f32]| row.iter_mut().for_each(|x| *x = rng.uniform(-1.0, 1.0) as f32);
        any(step.observations.floats_mut());
        any(step.final_observations.floats_mut());
        for env in 0..context.num_envs {
            step.rewards[env] = (time + env) as f64 * 0.1;
            step.resets[env] = resets && (time + env) % 5 == 3;
            let floats = step.observations.row(env).floats.len();
            let row = &mut step.observations.floats_mut()[env * floats..(env + 1) * floats];
            let choices = row[floats - bits..].iter_mut().enumerate();
            choices.for_each(|(choice, bit)| *bit = f32::from(u8::from(choice != (time + env) % bits)));
            step.ends[env] = [End::No, End::No, End::Terminated, End::No, End::Truncated][(time + env) % 5];
        }
        sampler.observe(rollout, Experience { observations: &observations, actions: &actions, step: &step });
        std::mem::swap(&mut observations, &mut step.observations);
    }
}

#[test]
fn the_ratio_is_one_where_nothing_has_changed() {
    let each =
        every_kind_of_actions().into_iter().flat_map(|actions| [(actions.clone(), false), (actions, true)]);
    for (actions, state_dependent_exploration) in each {
        let context = context(Space::unbounded(&[3]), actions.clone(), 2);
        let (config, exploration) = (small_net(), explores(state_dependent_exploration));
        let (mut sampler, parameters) = sampler_of(&config, &exploration, &context).unwrap();
        let mut rollout = rollout(&context, &mut sampler, &parameters, 10);
        sampler.finish(&mut rollout, &parameters, (0.9, 0.8)).unwrap();
        let mut minibatch = Minibatch::default();
        rollout.gather(&rollout.shuffled(&mut SeededRng::seeded(1)), &mut minibatch).unwrap();
        let mut trained = ActorCriticLearner::new(parameters, &OptimizerConfig::default(), None, 0).unwrap();
        let evaluation = trained.evaluate_rows(&sampler, &minibatch).unwrap();
        for row in 0..minibatch.len() {
            let moved = evaluation.log_probs[row] - minibatch.log_probs[row];
            assert!(moved.abs() < 1e-5, "{actions}: the log-probability moved by {moved}");
            assert!((evaluation.values[row] - minibatch.values[row]).abs() < 1e-5, "{actions}");
        }
        if let Space::Box(_) = actions {
            // The draw is learned from, not the point that it was clipped to.
            assert!(minibatch.draws.iter().any(|draw| draw.abs() > 0.1));
        }
    }
}

#[test]
fn a_hand_derived_step_is_that_of_autograd() {
    for actions in every_kind_of_actions() {
        for (layer_norm, state_dependent_exploration) in [(false, false), (true, false), (false, true)] {
            let context = context(Space::unbounded(&[3]), actions.clone(), 2);
            let config = NetConfig { layer_norm, ..small_net() };
            let exploration = explores(state_dependent_exploration);
            let (mut sampler, parameters) = sampler_of(&config, &exploration, &context).unwrap();
            let mut rollout = rollout(&context, &mut sampler, &parameters, 8);
            sampler.finish(&mut rollout, &parameters, (0.9, 0.8)).unwrap();
            let mut minibatch = Minibatch::default();
            rollout.gather(&rollout.learnable(), &mut minibatch).unwrap();

            let count = minibatch.len();
            let by = RowGradients {
                by_log_prob: (0..count).map(|row| 0.1 * row as f32 - 0.4).collect(),
                by_entropy: 0.3,
                by_value: (0..count).map(|row| 0.5 - 0.2 * row as f32).collect(),
            };
            let mut evaluator = Evaluator::default();
            let evaluation = evaluator.evaluate(&sampler, &mut Pass::eval(&parameters), &minibatch).unwrap();
            evaluator.backward(&sampler, &parameters, (&minibatch, &evaluation), &by).unwrap();
            let by_hand = parameters.gradients().unwrap().copy();

            let (_, twin) = sampler_of(&config, &exploration, &context).unwrap();
            let inputs = &minibatch.observations(Device::Cpu).unwrap();
            let PolicyOutputs { mut outputs, features, .. } =
                sampler.net.policy(&mut Pass::eval(&twin), inputs, None).unwrap();
            if let Some(id) = sampler.net.log_deviation() {
                let deviation = match features {
                    Some(features) => {
                        let squares: Tensor = twin.get(id) * 2.0;
                        (features.square().matmul(&squares.exp()) + 1e-6).log() * 0.5
                    }
                    None => twin.get(id).unsqueeze(0).expand_as(&outputs),
                };
                outputs = Tensor::cat(&[outputs, deviation], 1);
            }
            let family = sampler.head.distribution();
            let draws = Tensor::from_slice(&minibatch.draws).reshape([count as i64, -1]);
            let log_probs = family.log_prob(&outputs, None, &draws).unwrap();
            let entropies = family.entropy(&outputs, None).unwrap();
            let values =
                sampler.net.value(&mut Pass::eval(&twin), inputs, None).unwrap().values.squeeze_dim(1);
            let loss = (log_probs * Tensor::from_slice(&by.by_log_prob)).sum(Kind::Float)
                + entropies.sum(Kind::Float) * f64::from(by.by_entropy)
                + (values * Tensor::from_slice(&by.by_value)).sum(Kind::Float);
            loss.backward();
            let distance = (by_hand - twin.gradients().unwrap()).abs().max().double_value(&[]);
            let what = format!("{actions}, layer norm {layer_norm}, noise {state_dependent_exploration}");
            assert!(distance < 1e-5, "{what}: {distance}");
        }
    }
}

#[test]
fn minibatches_take_each_row_once() {
    let context = context(Space::unbounded(&[3]), Space::Discrete(2), 4);
    let (mut sampler, parameters) = made(&small_net(), &context);
    let rollout = rollout(&context, &mut sampler, &parameters, 7);
    let mut rng = SeededRng::seeded(9);
    let (first, second) = (rollout.shuffled(&mut rng), rollout.shuffled(&mut rng));
    assert_ne!(first, second);
    for mut rows in [first, second] {
        rows.sort_unstable();
        assert_eq!(rows, (0..28).collect::<Vec<_>>());
    }
}

#[test]
fn weights_start_orthogonal_and_the_policy_almost_uniform() {
    let context = context(Space::unbounded(&[16]), Space::Discrete(4), 1);
    let (config, exploration) = (NetConfig::default(), ExplorationConfig::default());
    let (mut sampler, parameters) = sampler_of(&config, &exploration, &context).unwrap();
    let state = parameters.state().unwrap();
    for (name, gain) in [
        ("policy.0.weight", 2.0),
        ("policy.2.weight", 2.0),
        ("policy.4.weight", 1e-4),
        ("value.0.weight", 2.0),
        ("value.4.weight", 1.0),
    ] {
        let weight = state.view().tensor(name).unwrap();
        let tall = weight.size()[0] >= weight.size()[1];
        let gram = if tall { weight.tr().matmul(&weight) } else { weight.matmul(&weight.tr()) };
        let identity = Tensor::eye(gram.size()[0], (Kind::Float, Device::Cpu)) * gain;
        assert!((gram - identity).abs().max().double_value(&[]) < 1e-5, "{name}");
    }
    for name in ["policy.0.bias", "policy.4.bias", "value.4.bias"] {
        assert_eq!(state.view().tensor(name).unwrap().abs().max().double_value(&[]), 0.0, "{name}");
    }
    let rollout = rollout(&context, &mut sampler, &parameters, 50);
    let mut minibatch = Minibatch::default();
    rollout.gather(&rollout.learnable(), &mut minibatch).unwrap();
    let evaluation =
        Evaluator::default().evaluate(&sampler, &mut Pass::eval(&parameters), &minibatch).unwrap();
    assert!(evaluation.entropies.iter().all(|entropy| (entropy / 4f32.ln() - 1.0).abs() < 0.01));
    assert_eq!(config.activation, Activation::Tanh);
}

/// The observation is the number of steps so far; the first value of the network is replaced by knowing it.
#[test]
fn what_follows_a_truncation_is_the_final_observation() {
    let context = context(Space::unbounded(&[3]), Space::Discrete(2), 1);
    let (mut sampler, parameters) = made(&small_net(), &context);
    let mut rollout = rollout(&context, &mut sampler, &parameters, 5);
    sampler.finish(&mut rollout, &parameters, (1.0, 0.0)).unwrap();
    // With lambda 0 the return is the reward and the next value: steps 2 ends, step 4 is cut off.
    let returns = rollout.returns();
    let rewards = [0.0, 0.1, 0.2, 0.3, 0.4];
    for (step, follows) in [(0, 1), (1, 2), (3, 4)] {
        assert!((returns[step] - rewards[step] - rollout.values()[follows]).abs() < 1e-6, "step {step}");
    }
    assert!((returns[2] - 0.2).abs() < 1e-6, "a termination is followed by nothing");
    // The last final observation that `rollout` made up is still known to its generator's twin: the state
    // holds it.
    let state = rollout.state().unwrap();
    let last = state.view().tensor("final_numbers").unwrap().get(0).unsqueeze(0);
    let value =
        sampler.net.value(&mut Pass::eval(&parameters), &last, None).unwrap().values.double_value(&[0, 0]);
    assert!((f64::from(returns[4]) - 0.4 - value).abs() < 1e-6, "a truncation by its final observation");
}

#[test]
fn both_autoreset_modes_give_the_same_transitions() {
    let registry = Registry::bundled();
    let spec = registry.spec("Probe/TimeLimit-v0").unwrap();
    let transitions = |autoreset| {
        let options = VectorOptions::new(2).autoreset(autoreset);
        let mut envs = spec.make_vector(&Default::default(), &options).unwrap();
        let context = context(envs.observation_space().clone(), envs.action_space().clone(), 2);
        let (mut sampler, parameters) = made(&small_net(), &context);
        let mut rollout = sampler.rollout(44, 2, 0, Device::Cpu).unwrap();
        let mut observations = ObsBatch::new(envs.observation_space(), 2);
        let mut actions = ActionBatch::new(envs.action_space(), 2).unwrap();
        let mut step = StepBatch::new(envs.observation_space(), 2);
        envs.reset(Some(1), &mut observations).unwrap();
        let mut rng = SeededRng::seeded(1);
        while !rollout.is_full() {
            sampler
                .act(&mut rollout, Inference::Own(&parameters), &observations, &mut rng, &mut actions)
                .unwrap();
            envs.step(&actions, &mut step).unwrap();
            sampler.observe(
                &mut rollout,
                Experience { observations: &observations, actions: &actions, step: &step },
            );
            std::mem::swap(&mut observations, &mut step.observations);
        }
        sampler.finish(&mut rollout, &parameters, (0.9, 1.0)).unwrap();
        let mut minibatch = Minibatch::default();
        rollout.gather(&rollout.learnable(), &mut minibatch).unwrap();
        minibatch
    };
    let (same, next) = (transitions(Autoreset::SameStep), transitions(Autoreset::NextStep));
    assert_eq!(same.len(), 88, "every row is a transition");
    assert_eq!(next.len(), 80, "one row in eleven is a reset");
    // Both see nothing but whole episodes of 10 steps: the same returns.
    assert_eq!(same.returns[..80], next.returns[..80]);
}

#[test]
fn a_masked_choice_is_never_drawn_and_gets_no_gradient() {
    let observations =
        Space::Dict(vec![("x".into(), Space::unbounded(&[1])), (ACTION_MASK.into(), Space::MultiBinary(3))]);
    let context = context(observations.clone(), Space::Discrete(3), 1);
    let (mut sampler, parameters) = made(&small_net(), &context);
    let mut rollout = sampler.rollout(60, 1, 0, Device::Cpu).unwrap();
    let (mut seen, mut step) = (ObsBatch::new(&observations, 1), StepBatch::new(&observations, 1));
    seen.floats_mut().copy_from_slice(&[0.5, 1.0, 0.0, 1.0]);
    step.observations = seen.clone();
    let mut actions = ActionBatch::Discrete(vec![0]);
    let mut rng = SeededRng::seeded(1);
    let mut drawn = [0; 3];
    while !rollout.is_full() {
        sampler.act(&mut rollout, Inference::Own(&parameters), &seen, &mut rng, &mut actions).unwrap();
        let ActionBatch::Discrete(choices) = &actions else { panic!() };
        drawn[choices[0] as usize] += 1;
        sampler.observe(&mut rollout, Experience { observations: &seen, actions: &actions, step: &step });
    }
    assert!(drawn[0] > 10 && drawn[1] == 0 && drawn[2] > 10, "{drawn:?}");
    let mut minibatch = Minibatch::default();
    rollout.gather(&rollout.learnable(), &mut minibatch).unwrap();
    assert!(minibatch.masks.chunks(3).all(|mask| mask == [1.0, 0.0, 1.0]));
    let evaluation =
        Evaluator::default().evaluate(&sampler, &mut Pass::eval(&parameters), &minibatch).unwrap();
    assert!(evaluation.entropies.iter().all(|entropy| (entropy - 2f32.ln()).abs() < 0.01));

    let wrong = Space::Dict(vec![(ACTION_MASK.into(), Space::MultiBinary(2))]);
    let error = ActionHead::new(&Space::Discrete(3), &crate::networks::Encoder::new(&wrong)).unwrap_err();
    assert!(error.to_string().contains("one bit for each"), "{error}");
    let masked_box = ActionHead::new(&Space::unbounded(&[2]), &crate::networks::Encoder::new(&wrong));
    assert!(masked_box.is_err());
    assert_eq!(sampler.head.distribution(), &Distribution::Categorical(3));
}

#[test]
fn images_are_kept_as_bytes_and_learned_from_as_the_numbers_that_they_are_encoded_to() {
    let camera = BoxSpace::new(vec![0.0; 100], vec![255.0; 100], &[5, 5, 4], Dtype::U8).unwrap();
    let space =
        Space::Dict(vec![("camera".into(), Space::Box(camera)), ("speed".into(), Space::unbounded(&[3]))]);
    let context = context(space.clone(), Space::Discrete(3), 2);
    let (mut sampler, parameters) = made(&small_net(), &context);
    let mut rollout = sampler.rollout(6, 2, 0, Device::Cpu).unwrap();
    let (mut seen, mut step) = (ObsBatch::new(&space, 2), StepBatch::new(&space, 2));
    let mut actions = ActionBatch::new(&context.action_space, 2).unwrap();
    let (mut rng, width) = (SeededRng::seeded(1), sampler.encoder.width());
    let mut expected = vec![0.0; 12 * width];
    for time in 0..6 {
        for env in 0..2 {
            let row = &mut expected[(2 * time + env) * width..][..width];
            sampler.encoder.encode(seen.row(env), row);
        }
        sampler.act(&mut rollout, Inference::Own(&parameters), &seen, &mut rng, &mut actions).unwrap();
        step.observations.bytes_mut().fill_with(|| rng.uniform(0.0, 256.0) as u8);
        step.observations.floats_mut().fill_with(|| rng.uniform(-1.0, 1.0) as f32);
        step.final_observations.bytes_mut().fill(time as u8);
        step.ends.fill(if time % 2 == 1 { End::Truncated } else { End::No });
        sampler.observe(&mut rollout, Experience { observations: &seen, actions: &actions, step: &step });
        std::mem::swap(&mut seen, &mut step.observations);
    }
    let mut twin = sampler.rollout(6, 2, 0, Device::Cpu).unwrap();
    twin.load_state(&rollout.state().unwrap().view()).unwrap();
    let gathered = [&mut rollout, &mut twin].map(|rollout| {
        sampler.finish(rollout, &parameters, (0.9, 0.8)).unwrap();
        let mut minibatch = Minibatch::default();
        rollout.gather(&rollout.learnable(), &mut minibatch).unwrap();
        let observations = minibatch.observations(Device::Cpu).unwrap().reshape([-1]);
        assert_eq!(Vec::<f32>::try_from(observations).unwrap(), expected);
        minibatch
    });
    assert_eq!(gathered[0].returns, gathered[1].returns);
    let state = rollout.state().unwrap();
    let bytes: Vec<u8> = state.view().vec("bytes").unwrap();
    assert_eq!(bytes.len(), 14 * 100);
    assert_eq!(state.view().vec::<u8>("final_bytes").unwrap().len(), 6 * 100);
}
