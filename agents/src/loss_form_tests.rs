//! The two forms of each loss give the same gradients, weights and metrics. Plain gradient descent is the
//! optimiser, so that a difference of gradients is a difference of weights of its own size.

use pavlov_common::SeededRng;
use pavlov_envs::{ACTION_MASK, Action, ActionBatch, End, ObsBatch, ObsRef, Space, StepBatch};
use pavlov_nn::{OptimizerConfig, Parameters, Schedule, StateDict};
use tch::Device;

use crate::a2c::{A2c, A2cConfig};
use crate::acting::Inference;
use crate::agent::{Agent, AgentContext};
use crate::core::{Experience, LossForm, Metrics};
use crate::impala::{Impala, ImpalaConfig};
use crate::networks::{NetConfig, RecurrentConfig};
use crate::off_policy::{NoiseConfig, OffPolicyLearner, UnitBox};
use crate::on_policy::tests::{context, every_kind_of_actions, explores, play_with_resets, small_net};
use crate::on_policy::{
    ActorCriticLearner, Minibatch, PolicySampler, Rollout, RolloutAlgorithm, RowGradients, sampler_of,
};
use crate::ppo::{Ppo, PpoConfig, ValueClipRule, losses};
use crate::reinforce::{Reinforce, ReinforceConfig};
use crate::replay::{Batch, Replay, ReplayConfig, Step};
use crate::sac::{Sac, SacConfig};
use crate::td3::{Td3Config, Td3Learner};

const FORMS: [LossForm; 2] = [LossForm::Rows, LossForm::Tensors];

pub(crate) fn descent() -> OptimizerConfig {
    OptimizerConfig::Sgd(Default::default())
}

fn numbers(parameters: &Parameters) -> Vec<f32> {
    Vec::<f32>::try_from(parameters.values()).unwrap()
}

/// Observations with a mask of three choices.
pub(crate) fn masked() -> Space {
    let mask = (ACTION_MASK.to_string(), Space::MultiBinary(3));
    Space::Dict(vec![("x".into(), Space::unbounded(&[3])), mask])
}

fn assert_same(what: &str, rows: (Vec<f32>, Metrics), tensors: (Vec<f32>, Metrics), start: &[f32]) {
    let largest = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let moved = largest(&rows.0, start);
    assert!(moved > 1e-3, "{what}: the weights moved by {moved} only");
    let distance = largest(&rows.0, &tensors.0);
    assert!(distance < 1e-5, "{what}: the weights differ by {distance} after they moved by {moved}");
    assert_eq!(rows.1.keys().collect::<Vec<_>>(), tensors.1.keys().collect::<Vec<_>>(), "{what}");
    for (tag, number) in &rows.1 {
        let other = tensors.1[tag];
        let same =
            (number - other).abs() < 1e-4 * number.abs().max(1.0) || (number.is_nan() && other.is_nan());
        assert!(same, "{what}, {tag}: {number} {other}");
    }
}

/// The case of an agent that learns from rollouts.
pub(crate) struct Case {
    pub what: String,
    pub context: AgentContext,
    pub net: NetConfig,
    state_dependent: bool,
    pub resets: bool,
}

impl Case {
    pub fn new(what: &str, observations: Space, actions: Space) -> Self {
        let context = context(observations, actions, 2);
        Self { what: what.into(), context, net: small_net(), state_dependent: false, resets: false }
    }

    pub fn made(&self, form: LossForm) -> (PolicySampler, ActorCriticLearner) {
        let (sampler, parameters) =
            sampler_of(&self.net, &explores(self.state_dependent), &self.context).unwrap();
        let trained = ActorCriticLearner::new(parameters, &descent(), Some(10.0), 0).unwrap();
        (sampler, trained.with_loss_form(form))
    }

    fn rollout(&self, sampler: &PolicySampler) -> Rollout {
        sampler.rollout(10, 2, self.net.sequence_length, Device::Cpu).unwrap()
    }

    fn play(&self, rollout: &mut Rollout, sampler: &mut PolicySampler, parameters: &Parameters) {
        rollout.clear();
        play_with_resets(rollout, &self.context, sampler, Inference::Own(parameters), (10, self.resets));
    }
}

/// Every distribution, with and without masks, state-dependent exploration, memories and rows that are
/// skipped.
pub(crate) fn cases() -> Vec<Case> {
    let plain = || Space::unbounded(&[3]);
    let mut cases: Vec<Case> = every_kind_of_actions()
        .into_iter()
        .map(|actions| Case::new(&actions.to_string(), plain(), actions))
        .collect();
    cases.push(Case::new("masked choices", masked(), Space::Discrete(3)));
    let actions = Space::box_f32(-0.1, 0.1, &[2]).unwrap();
    cases.push(Case { state_dependent: true, ..Case::new("state-dependent noise", plain(), actions) });
    for (recurrent, shared) in [(RecurrentConfig::Lstm, false), (RecurrentConfig::Gru, true)] {
        let net = NetConfig { recurrent, recurrent_size: 6, shared, sequence_length: 5, ..small_net() };
        let case = Case::new(&format!("{recurrent:?}, shared {shared}"), plain(), Space::Discrete(3));
        cases.push(Case { net, resets: true, ..case });
    }
    cases
}

/// The weights and metrics after some updates on rollouts, and the weights before.
fn learned(
    case: &Case,
    form: LossForm,
    algorithm: &mut dyn RolloutAlgorithm,
) -> ((Vec<f32>, Metrics), Vec<f32>) {
    let (mut sampler, mut trained) = case.made(form);
    let start = numbers(trained.parameters());
    let mut rollout = case.rollout(&sampler);
    let mut rng = SeededRng::seeded(4);
    for _ in 0..3 {
        case.play(&mut rollout, &mut sampler, trained.parameters());
        algorithm.update(&mut trained, (&sampler, &mut rollout), &mut rng, 0.0).unwrap();
    }
    let metrics = trained.take_metrics(&sampler, algorithm.tags()).unwrap();
    ((numbers(trained.parameters()), metrics), start)
}

fn compare(case: &Case, name: &str, mut make: impl FnMut() -> Box<dyn RolloutAlgorithm>) {
    let [(rows, start), (tensors, _)] = FORMS.map(|form| learned(case, form, &mut *make()));
    assert_same(&format!("{name}, {}", case.what), rows, tensors, &start);
}

fn ppo_config() -> PpoConfig {
    PpoConfig {
        learning_rate: Schedule::constant(0.02),
        entropy_coefficient: Schedule::constant(0.05),
        minibatch_size: 7,
        epochs: 3,
        ..PpoConfig::default()
    }
}

#[test]
fn ppo_learns_the_same_in_both_forms_with_every_distribution_and_memory() {
    for case in cases() {
        compare(&case, "ppo", || Box::new(Ppo::new(ppo_config())));
        let clipped = PpoConfig {
            value_clip_range: Some(0.05),
            normalize_advantages: false,
            target_kl: Some(0.5),
            ..ppo_config()
        };
        compare(&case, "ppo with clipped values", || Box::new(Ppo::new(clipped.clone())));
    }
}

#[test]
fn ppos_gradients_are_the_same_far_outside_of_the_clipping_ranges() {
    for case in cases() {
        for value_clip in [None, Some((0.2, ValueClipRule::Larger)), Some((0.2, ValueClipRule::Clipped))] {
            let settings = losses::Settings {
                clip_range: 0.2,
                value_clip,
                value_coefficient: 0.7,
                entropy_coefficient: 0.1,
            };
            let [rows, tensors] = FORMS.map(|form| {
                let (mut sampler, mut trained) = case.made(form);
                let mut rollout = case.rollout(&sampler);
                case.play(&mut rollout, &mut sampler, trained.parameters());
                sampler.finish(&mut rollout, trained.parameters(), (0.9, 0.8)).unwrap();
                let (mut minibatch, mut by) = (Minibatch::default(), RowGradients::default());
                rollout.gather(&rollout.learnable(), &mut minibatch).unwrap();
                minibatch.normalize_advantages();
                for row in 0..minibatch.len() {
                    minibatch.log_probs[row] += 0.7 * (row as f32).sin();
                    minibatch.values[row] += 0.7 * (row as f32).cos();
                }
                let start = numbers(trained.parameters());
                let evaluation = trained.evaluate(&sampler, &minibatch).unwrap();
                let losses = losses::differentiate(&minibatch, &evaluation, settings, &mut by).unwrap();
                losses.record(&mut trained.means).unwrap();
                let seen = (&minibatch, &evaluation);
                trained.descend(&sampler, seen, (&losses.total, &by), 1.0).unwrap();
                let tags = &["train/loss", "train/clip_fraction", "train/approx_kl", "train/value_loss"];
                let metrics = trained.take_metrics(&sampler, tags).unwrap();
                assert!(metrics["train/clip_fraction"] > 0.3);
                ((numbers(trained.parameters()), metrics), start)
            });
            assert_same(&format!("{}, {value_clip:?}", case.what), rows.0, tensors.0, &rows.1);
        }
    }
}

#[test]
fn a2c_and_impala_learn_the_same_in_both_forms() {
    for case in cases() {
        let config = A2cConfig {
            learning_rate: Schedule::constant(0.05),
            entropy_coefficient: Schedule::constant(0.05),
            normalize_advantages: true,
            ..A2cConfig::default()
        };
        compare(&case, "a2c", || Box::new(A2c::new(config.clone())));
        for normalize_advantages in [false, true] {
            let config = ImpalaConfig {
                learning_rate: Schedule::constant(0.05),
                epochs: 3,
                gae_lambda: 0.9,
                importance_clip: 1.02,
                normalize_advantages,
                entropy_coefficient: Schedule::constant(0.05),
                ..ImpalaConfig::default()
            };
            compare(&case, "impala", || Box::new(Impala::new(config.clone())));
        }
    }
}

#[test]
fn reinforce_learns_the_same_in_both_forms() {
    for baseline in [true, false] {
        let context = context(Space::unbounded(&[3]), Space::Discrete(3), 2);
        let config = ReinforceConfig {
            learning_rate: Schedule::constant(0.05),
            episodes_per_update: 2,
            entropy_coefficient: Schedule::constant(0.05),
            baseline,
            net: small_net(),
            optimizer: descent(),
            ..ReinforceConfig::default()
        };
        let weights = |agent: &Reinforce| -> Vec<f32> {
            let weights = agent.weights().unwrap();
            let names = ["policy.0.weight", "policy.2.weight", "value.0.weight", "value.2.bias"];
            names.iter().flat_map(|name| weights.view().vec::<f32>(name).unwrap()).collect()
        };
        let [rows, tensors] = FORMS.map(|form| {
            let mut agent = Reinforce::new(config.clone(), &context).unwrap().with_loss_form(form);
            let start = weights(&agent);
            let mut observations = ObsBatch::new(&context.observation_space, 2);
            let mut actions = ActionBatch::new(&context.action_space, 2).unwrap();
            let mut step = StepBatch::new(&context.observation_space, 2);
            let mut rng = SeededRng::seeded(2);
            for time in 0..60 {
                agent.act(&observations, &mut actions).unwrap();
                step.observations.floats_mut().fill_with(|| rng.uniform(-1.0, 1.0) as f32);
                step.rewards.fill_with(|| rng.uniform(-1.0, 1.0));
                step.ends.fill([End::No, End::No, End::Terminated, End::No, End::Truncated][time % 5]);
                let experience = Experience { observations: &observations, actions: &actions, step: &step };
                agent.observe(experience).unwrap();
                agent.learn().unwrap();
                std::mem::swap(&mut observations, &mut step.observations);
            }
            ((weights(&agent), agent.take_metrics().unwrap()), start)
        });
        assert_same(&format!("reinforce, baseline {baseline}"), rows.0, tensors.0, &rows.1);
    }
}

/// Random transitions of such spaces, drawn by priority.
fn transitions(observations: &Space, actions: &Space, learner: &dyn OffPolicyLearner) -> Batch {
    let config = ReplayConfig { priority_exponent: Some(0.6), ..ReplayConfig::default() };
    transitions_of(config, (observations, actions), learner)
}

/// Sixteen random transitions of such spaces from a replay of this configuration.
pub(crate) fn transitions_of(
    config: ReplayConfig,
    (observations, actions): (&Space, &Space),
    learner: &dyn OffPolicyLearner,
) -> Batch {
    let (rows, mut rng) = (64, SeededRng::seeded(8));
    let replay = Replay::new((rows, config), 0.9, observations, actions).unwrap();
    let mut replay = replay.with_encoder(learner.encoder().clone());
    let bits = learner.encoder().mask_width();
    let seen = |time: usize, rng: &mut SeededRng| -> Vec<f32> {
        let mask = (0..bits).map(|choice| f32::from(u8::from(choice != time % 3)));
        (0..3).map(|_| rng.uniform(-1.0, 1.0) as f32).chain(mask).collect()
    };
    for time in 0..rows {
        let (floats, next) = (seen(time, &mut rng), seen(time + 1, &mut rng));
        let point = [rng.uniform(-1.0, 1.0) as f32, rng.uniform(-1.0, 1.0) as f32];
        let action = match actions {
            Space::Discrete(_) => Action::Discrete((time as i64 + 1) % 3),
            _ => Action::Box(&point),
        };
        let end = [End::No, End::No, End::Terminated, End::Truncated][time % 4];
        let observation = ObsRef { floats: &floats, bytes: &[] };
        let next = ObsRef { floats: &next, bytes: &[] };
        replay.push(
            0,
            Step { observation, action, reward: rng.uniform(-1.0, 1.0) as f32, end, next, extras: &[] },
        );
    }
    let mut batch = Batch::new(16, learner.encoder(), actions).unwrap();
    replay.sample(&mut rng, 0.0, 16, &mut batch).unwrap();
    batch
}

/// All weights of a learner that is a state, in one row.
fn weights_of(state: &StateDict<'_>) -> Vec<f32> {
    let flat = |name: &&String| name.contains("weight") || name.contains("bias");
    state.arrays.keys().filter(flat).flat_map(|name| state.view().vec::<f32>(name).unwrap()).collect()
}

fn compare_off_policy(
    what: &str,
    (observations, actions): (&Space, &Space),
    mut make: impl FnMut(LossForm) -> Box<dyn OffPolicyLearner>,
) {
    let [rows, tensors] = FORMS.map(|form| {
        let mut learner = make(form);
        let batch = transitions(observations, actions, &*learner);
        let start = weights_of(&learner.state().unwrap());
        for _ in 0..6 {
            learner.update(&batch, 0.0).unwrap();
        }
        let errors = learner.errors().to_vec();
        let metrics = learner.take_metrics(0.0).unwrap();
        (((weights_of(&learner.state().unwrap()), metrics), start), errors)
    });
    assert_eq!(rows.1.len(), 16);
    let close = rows.1.iter().zip(&tensors.1).all(|(a, b)| (a - b).abs() < 1e-5);
    assert!(close && tensors.1.len() == 16, "{what}: errors {:?} {:?}", rows.1, tensors.1);
    assert_same(what, rows.0.0, tensors.0.0, &rows.0.1);
}

#[test]
fn sac_learns_the_same_in_both_forms() {
    let config = SacConfig {
        learning_rate: Schedule::constant(0.05),
        batch_size: 16,
        replay: ReplayConfig { priority_exponent: Some(0.6), ..ReplayConfig::default() },
        net: NetConfig { hidden_sizes: vec![8], ..NetConfig::relu(8) },
        optimizer: descent(),
        ..SacConfig::default()
    };
    let (plain, unit) = (Space::unbounded(&[3]), Space::box_f32(-1.0, 1.0, &[2]).unwrap());
    let own = context(plain.clone(), unit.clone(), 1);
    let bounds = || UnitBox::new("sac", &unit).unwrap();
    compare_off_policy("sac", (&plain, &unit), |form| {
        Box::new(Sac::continuous(config.clone(), bounds(), &own, form).unwrap())
    });
    for observations in [plain, masked()] {
        let own = context(observations.clone(), Space::Discrete(3), 1);
        compare_off_policy("discrete sac", (&observations, &Space::Discrete(3)), |form| {
            Box::new(Sac::discrete(config.clone(), 3, &own, form).unwrap())
        });
    }
}

#[test]
fn td3_and_ddpg_learn_the_same_in_both_forms() {
    let (plain, unit) = (Space::unbounded(&[3]), Space::box_f32(-1.0, 1.0, &[2]).unwrap());
    let own = context(plain.clone(), unit.clone(), 1);
    for (critics, target_noise) in [(2, 0.2), (1, 0.0)] {
        let config = Td3Config {
            learning_rate: Schedule::constant(0.05),
            batch_size: 16,
            critics,
            target_noise,
            exploration: NoiseConfig::Normal { deviation: 0.1 },
            replay: ReplayConfig { priority_exponent: Some(0.6), ..ReplayConfig::default() },
            net: NetConfig { hidden_sizes: vec![8], ..NetConfig::relu(8) },
            optimizer: descent(),
            ..Td3Config::default()
        };
        compare_off_policy("td3", (&plain, &unit), |form| {
            let bounds = UnitBox::new("td3", &unit).unwrap();
            Box::new(Td3Learner::new(config.clone(), bounds, &own, form).unwrap())
        });
    }
}
