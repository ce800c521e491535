//! State-dependent noise, a memory and a stack of observations together, against plain arithmetic in f64 that
//! shares no code with them: what is seen, drawn and remembered at each step, and the gradient of an update.

use std::collections::HashMap;

use pavlov_common::SeededRng;
use pavlov_envs::wrappers::WrapperConfig;
use pavlov_envs::{ActionBatch, End, EnvFactory, EnvOptions, ObsBatch, Registry, StepBatch};
use pavlov_nn::{Parameters, Pass};
use tch::Device;

use super::tests::{context, small_net};
use super::{Evaluator, ExplorationConfig, Minibatch, RowGradients, sampler_of};
use crate::acting::Inference;
use crate::core::Experience;
use crate::networks::{NetConfig, RecurrentConfig};

const WORLD: &str = "PendulumNoVel-v1";
const FRAMES: usize = 3;
const UNITS: usize = 4;
const FEATURES: usize = 5;
/// More than an episode of the world, which has 200.
const STEPS: usize = 220;
const SEQUENCE: usize = 20;
const RESAMPLE: usize = 4;

/// The parameters by name.
type Weights = HashMap<String, Vec<f64>>;

fn weights_of(parameters: &Parameters) -> Weights {
    let (layout, mut values) = (parameters.layout(), Vec::new());
    parameters.read_values(&mut values).unwrap();
    let mut rest = values.as_slice();
    let mut split = |length: i64| {
        let (own, others) = rest.split_at(length as usize);
        rest = others;
        own.iter().map(|number| f64::from(*number)).collect()
    };
    layout.specs().iter().map(|spec| (spec.name.clone(), split(spec.len()))).collect()
}

fn affine(weight: &[f64], bias: &[f64], x: &[f64]) -> Vec<f64> {
    let rows = weight.chunks_exact(x.len()).zip(bias);
    rows.map(|(row, bias)| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + bias).collect()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// One step of an LSTM; `state` is the hidden numbers, then the cells.
fn lstm(weights: &Weights, x: &[f64], state: &mut [f64]) {
    let of = |name: &str| &weights[&format!("policy_memory.{name}_l0")];
    let (hidden, cells) = state.split_at_mut(UNITS);
    let from_input = affine(of("weight_ih"), of("bias_ih"), x);
    let from_state = affine(of("weight_hh"), of("bias_hh"), hidden);
    let gate = |gate: usize, unit: usize| from_input[gate * UNITS + unit] + from_state[gate * UNITS + unit];
    for unit in 0..UNITS {
        cells[unit] = sigmoid(gate(1, unit)) * cells[unit] + sigmoid(gate(0, unit)) * gate(2, unit).tanh();
        hidden[unit] = sigmoid(gate(3, unit)) * cells[unit].tanh();
    }
}

/// The features that the noise depends on, and the mean of the action.
fn head(weights: &Weights, hidden: &[f64]) -> (Vec<f64>, f64) {
    let mut features = affine(&weights["policy.0.weight"], &weights["policy.0.bias"], hidden);
    features.iter_mut().for_each(|feature| *feature = feature.tanh());
    let mean = affine(&weights["mean.0.weight"], &weights["mean.0.bias"], &features)[0];
    (features, mean)
}

/// The logarithm of the density of `draw`; the variance is that of all noise with these features.
fn log_density(weights: &Weights, features: &[f64], mean: f64, draw: f64) -> f64 {
    let logs = features.iter().zip(&weights["log_deviation"]);
    let variance = logs.map(|(h, log)| (h * log.exp()).powi(2)).sum::<f64>() + 1e-6;
    -0.5 * ((draw - mean).powi(2) / variance + variance.ln() + (2.0 * std::f64::consts::PI).ln())
}

/// A step as plain arithmetic knows it.
struct Known {
    stack: Vec<f64>,
    /// The memory before the step, forgotten if an episode begins with it.
    state: Vec<f64>,
    begins: bool,
    features: Vec<f64>,
    draw: f64,
}

fn close(have: f64, expected: f64, what: &str) {
    let distance = (have - expected).abs() / (1.0 + expected.abs());
    assert!(distance < 2e-5, "{what}: {have}, in plain arithmetic {expected}");
}

#[test]
fn noise_memory_and_stack_together_are_plain_arithmetic() {
    let registry = Registry::bundled();
    let stack = [WrapperConfig::FrameStack { frames: FRAMES, key: None }];
    let factory = EnvFactory::new(registry.spec(WORLD).unwrap(), EnvOptions::default(), &stack).unwrap();
    let (mut env, mut bare) = (factory.make().unwrap(), registry.make(WORLD).unwrap());
    let context = context(env.observation_space().clone(), env.action_space().clone(), 1);
    let config = NetConfig {
        recurrent: RecurrentConfig::Lstm,
        recurrent_size: UNITS as i64,
        hidden_sizes: vec![FEATURES as i64],
        ..small_net()
    };
    let exploration =
        ExplorationConfig { state_dependent: true, resample_steps: RESAMPLE, log_deviation_start: -0.5 };
    let (mut sampler, mut parameters) = sampler_of(&config, &exploration, &context).unwrap();
    let weights = weights_of(&parameters);

    let mut rollout = sampler.rollout(STEPS, 1, SEQUENCE, Device::Cpu).unwrap();
    let mut observations = ObsBatch::new(&context.observation_space, 1);
    let mut step = StepBatch::new(&context.observation_space, 1);
    let mut actions = ActionBatch::new(&context.action_space, 1).unwrap();
    let mut seen = ObsBatch::new(bare.observation_space(), 1);
    let width = seen.row(0).floats.len();
    env.reset(Some(3), observations.row_mut(0)).unwrap();
    bare.reset(Some(3), seen.row_mut(0)).unwrap();
    let frame = |seen: &ObsBatch| seen.row(0).floats.iter().map(|x| f64::from(*x)).collect::<Vec<_>>();
    let mut frames = frame(&seen).repeat(FRAMES);
    let (mut state, mut begins, mut matrix) = (vec![0.0; 2 * UNITS], true, Vec::new());
    let (mut known, mut rng, mut ends) = (Vec::new(), SeededRng::seeded(9), 0);
    for time in 0..STEPS {
        sampler
            .act(&mut rollout, Inference::Own(&parameters), &observations, &mut rng, &mut actions)
            .unwrap();
        let given: Vec<f64> = observations.row(0).floats.iter().map(|x| f64::from(*x)).collect();
        assert_eq!(given, frames, "the stack of step {time}");
        let new = sampler.noise.as_ref().unwrap().matrices.clone();
        assert_eq!(new == matrix, time % RESAMPLE != 0, "the noise of step {time}");
        matrix = new;
        let before = state.clone();
        lstm(&weights, &frames, &mut state);
        let (features, mean) = head(&weights, &state[..UNITS]);
        let noise: f64 = features.iter().zip(&matrix).map(|(h, e)| h * f64::from(*e)).sum();
        let action = env_action(&actions);
        close(f64::from(action), (mean + noise).clamp(-2.0, 2.0), "the action");
        known.push(Known { stack: frames.clone(), state: before, begins, features, draw: mean + noise });

        let given = env.step(actions.row(0), step.observations.row_mut(0)).unwrap();
        bare.step(actions.row(0), seen.row_mut(0)).unwrap();
        frames.drain(..width);
        frames.extend(frame(&seen));
        step.rewards[0] = given.reward;
        step.ends[0] = given.end;
        step.resets[0] = false;
        begins = given.end.is_over();
        if begins {
            assert_eq!(given.end, End::Truncated);
            ends += 1;
            step.final_observations = step.observations.clone();
            env.reset(None, step.observations.row_mut(0)).unwrap();
            bare.reset(None, seen.row_mut(0)).unwrap();
            (frames, state) = (frame(&seen).repeat(FRAMES), vec![0.0; 2 * UNITS]);
        }
        sampler.observe(
            &mut rollout,
            Experience { observations: &observations, actions: &actions, step: &step },
        );
        std::mem::swap(&mut observations, &mut step.observations);
    }
    assert_eq!(ends, 1);

    // Learning sees the same densities; their gradient is that of differences.
    sampler.finish(&mut rollout, &parameters, (0.9, 0.9)).unwrap();
    let mut minibatch = Minibatch::default();
    let firsts = rollout.learnable();
    rollout.gather(&firsts, &mut minibatch).unwrap();
    let rows = rollout.gathered_rows(&firsts);
    let mut evaluator = Evaluator::default();
    let now = evaluator.evaluate(&sampler, &mut Pass::eval(&parameters), &minibatch).unwrap();
    for (place, &row) in rows.iter().enumerate() {
        let step = &known[row];
        let mut state = step.state.clone();
        lstm(&weights, &step.stack, &mut state);
        let (features, mean) = head(&weights, &state[..UNITS]);
        let expected = log_density(&weights, &features, mean, step.draw);
        close(f64::from(minibatch.log_probs[place]), expected, "the density in acting");
        close(f64::from(now.log_probs[place]), expected, "the density in learning");
    }
    let by = |row: usize| (row as f64 * 0.7).sin();
    let loss = |weights: &Weights| {
        let mut sum = 0.0;
        let mut state = Vec::new();
        for (row, step) in known.iter().enumerate() {
            // No gradient reaches what was remembered when a sequence began.
            if row % SEQUENCE == 0 || step.begins {
                state = step.state.clone();
            }
            lstm(weights, &step.stack, &mut state);
            let (_, mean) = head(weights, &state[..UNITS]);
            // Features get none from the variance.
            sum += by(row) * log_density(weights, &step.features, mean, step.draw);
        }
        sum
    };
    let gradients = RowGradients {
        by_log_prob: rows.iter().map(|&row| by(row) as f32).collect(),
        by_value: vec![0.0; rows.len()],
        by_entropy: 0.0,
    };
    parameters.zero_gradients();
    evaluator.backward(&sampler, &parameters, (&minibatch, &now), &gradients).unwrap();
    for (id, spec) in parameters.layout().ids().zip(parameters.layout().specs()) {
        let gradient = parameters.gradient(id).unwrap().reshape([-1]);
        for index in 0..spec.len() {
            let have = gradient.double_value(&[index]);
            let moved = |by: f64| {
                let mut weights = weights.clone();
                weights.get_mut(&spec.name).unwrap()[index as usize] += by;
                loss(&weights)
            };
            let expected = (moved(1e-4) - moved(-1e-4)) / 2e-4;
            let distance = (have - expected).abs() / (1.0 + expected.abs());
            assert!(distance < 2e-3, "{}[{index}]: {have}, by differences {expected}", spec.name);
        }
    }
}

/// The only number of the only action.
fn env_action(actions: &ActionBatch) -> f32 {
    match actions.row(0) {
        pavlov_envs::Action::Box(numbers) => numbers[0],
        other => panic!("{other:?}"),
    }
}
