//! The reads of each agent's update from its device, for each of which the host would wait. The CPU plays the
//! device: losses are on tensors, and [`device_reads`] counts.

use pavlov_common::SeededRng;
use pavlov_envs::{ActionBatch, BoxSpace, Dtype, End, ObsBatch, Space, StepBatch};
use pavlov_nn::{OptimizerConfig, Schedule, device_reads};
use tch::Device;

use crate::a2c::{A2c, A2cConfig};
use crate::acting::Inference;
use crate::agent::Agent;
use crate::core::{Experience, LossForm};
use crate::dqn::{DqnConfig, DqnLearner};
use crate::impala::{Impala, ImpalaConfig};
use crate::loss_form_tests::{Case, cases, masked, transitions_of};
use crate::networks::NetConfig;
use crate::off_policy::{NoiseConfig, OffPolicyLearner, UnitBox};
use crate::on_policy::RolloutAlgorithm;
use crate::on_policy::tests::{context, play_with_resets, small_net};
use crate::ppo::{Ppo, PpoConfig, ValueClipRule};
use crate::reinforce::{Reinforce, ReinforceConfig};
use crate::replay::ReplayConfig;
use crate::sac::{Sac, SacConfig};
use crate::td3::{Td3Config, Td3Learner};

/// The copy of many numbers to ordinary memory.
const NUMBERS: &str = "to";
/// The read of one number.
const ONE_NUMBER: &str = "_local_scalar_dense";

/// The reads of an update phase that comes after another one.
struct Phase {
    reads: Vec<String>,
    updates: u64,
    /// The reads with which the values of a rollout are known: of all its observations, of the final ones of
    /// truncated episodes where there are any, and of the states of a memory of the value's network.
    of_values: usize,
}

impl Phase {
    fn of(case: &Case, form: LossForm, steps: usize, algorithm: &mut dyn RolloutAlgorithm) -> Self {
        let (mut sampler, mut trained) = case.made(form);
        let length = case.net.sequence_length;
        let mut rollout = sampler.rollout(steps, case.context.num_envs, length, Device::Cpu).unwrap();
        let (mut rng, mut reads, mut updates) = (SeededRng::seeded(4), Vec::new(), 0);
        for _ in 0..2 {
            rollout.clear();
            let (weights, times) = (Inference::Own(trained.parameters()), (steps, case.resets));
            play_with_resets(&mut rollout, &case.context, &mut sampler, weights, times);
            let learn = || algorithm.update(&mut trained, (&sampler, &mut rollout), &mut rng, 0.0);
            let (made, seen) = device_reads(learn).unwrap();
            (updates, reads) = (made.unwrap(), seen);
        }
        let has_memory = sampler.net.value_state_width() > 0;
        // The made-up experience truncates environment `env` where `time + env` is 4.
        let is_truncated = steps + case.context.num_envs > 5;
        let of_values = 1 + usize::from(is_truncated) + usize::from(has_memory);
        let metrics = device_reads(|| trained.take_metrics(&sampler, algorithm.tags()).unwrap()).unwrap().1;
        assert!(form == LossForm::Rows || metrics.contains(&ONE_NUMBER.into()), "metrics wait until now");
        Self { reads, updates, of_values }
    }
}

/// Every case of the losses, with one whose observations are bytes.
fn every_case() -> Vec<Case> {
    let pixels = BoxSpace::new(vec![0.0; 12], vec![255.0; 12], &[12], Dtype::U8).unwrap();
    let bytes = Case::new("bytes", Space::Box(pixels), Space::Discrete(3));
    cases().into_iter().chain([bytes]).collect()
}

fn ppo_config() -> PpoConfig {
    PpoConfig { minibatch_size: 7, epochs: 3, ..PpoConfig::default() }
}

#[test]
fn ppo_reads_the_values_of_a_rollout_and_nothing_for_a_minibatch() {
    for case in every_case() {
        for value_clip_range in [None, Some(0.2)] {
            let value_clip_rule = ValueClipRule::Larger;
            let config = PpoConfig { value_clip_range, value_clip_rule, ..ppo_config() };
            let phase = Phase::of(&case, LossForm::Tensors, 10, &mut Ppo::new(config));
            assert!(phase.updates >= 6, "{}: {}", case.what, phase.updates);
            assert_eq!(phase.reads, vec![NUMBERS; phase.of_values], "{}", case.what);
        }
    }
}

#[test]
fn a_rollout_without_truncated_episodes_is_read_once() {
    let mut case = Case::new("short", Space::unbounded(&[3]), Space::Discrete(3));
    case.context.num_envs = 1;
    let phase = Phase::of(&case, LossForm::Tensors, 4, &mut Ppo::new(ppo_config()));
    assert_eq!((phase.reads, phase.of_values), (vec![NUMBERS.to_string()], 1));
}

#[test]
fn a_target_divergence_is_one_read_for_each_minibatch() {
    for case in every_case() {
        let config = PpoConfig { target_kl: Some(1e9), ..ppo_config() };
        let phase = Phase::of(&case, LossForm::Tensors, 10, &mut Ppo::new(config));
        let (values, divergences) = phase.reads.split_at(phase.of_values);
        assert_eq!(values, vec![NUMBERS; phase.of_values], "{}", case.what);
        assert_eq!(divergences, vec![ONE_NUMBER; phase.updates as usize], "{}", case.what);
    }
}

#[test]
fn losses_by_rows_do_read() {
    let case = Case::new("rows", Space::unbounded(&[3]), Space::Discrete(3));
    let phase = Phase::of(&case, LossForm::Rows, 10, &mut Ppo::new(ppo_config()));
    let outputs_and_values = 2 * phase.updates as usize;
    assert_eq!(phase.reads, vec![NUMBERS; phase.of_values + outputs_and_values]);
}

#[test]
fn a2c_and_impala_read_the_values_of_a_rollout_alone() {
    for case in every_case() {
        let config = A2cConfig { normalize_advantages: true, ..A2cConfig::default() };
        let phase = Phase::of(&case, LossForm::Tensors, 10, &mut A2c::new(config));
        assert_eq!(phase.reads, vec![NUMBERS; phase.of_values], "a2c, {}", case.what);
        for (epochs, normalize_advantages) in [(1, true), (1, false), (3, true)] {
            let config = ImpalaConfig { epochs, normalize_advantages, ..ImpalaConfig::default() };
            let phase = Phase::of(&case, LossForm::Tensors, 10, &mut Impala::new(config));
            // Each epoch corrects by the values as they then are.
            let of_values = phase.of_values * phase.updates as usize;
            assert_eq!(phase.reads, vec![NUMBERS; of_values], "impala, {}", case.what);
        }
    }
}

#[test]
fn reinforce_reads_the_values_of_its_baseline_alone() {
    // Episodes end together, in turn by themselves and truncated.
    for (baseline, expected) in [(true, [1, 2]), (false, [0, 0])] {
        let context = context(Space::unbounded(&[3]), Space::Discrete(3), 2);
        let config =
            ReinforceConfig { episodes_per_update: 1, baseline, net: small_net(), ..Default::default() };
        let agent = Reinforce::new(config, &context).unwrap();
        let mut agent = agent.with_loss_form(LossForm::Tensors);
        let mut observations = ObsBatch::new(&context.observation_space, 2);
        let mut actions = ActionBatch::new(&context.action_space, 2).unwrap();
        let mut step = StepBatch::new(&context.observation_space, 2);
        let (mut rng, mut of_updates) = (SeededRng::seeded(2), Vec::new());
        for time in 0..40 {
            agent.act(&observations, &mut actions).unwrap();
            step.observations.floats_mut().fill_with(|| rng.uniform(-1.0, 1.0) as f32);
            step.ends.fill([End::No, End::Terminated, End::No, End::Truncated][time % 4]);
            agent
                .observe(Experience { observations: &observations, actions: &actions, step: &step })
                .unwrap();
            let (updates, reads) = device_reads(|| agent.learn().unwrap()).unwrap();
            assert!(reads.iter().all(|read| read == NUMBERS), "{reads:?}");
            of_updates.extend((updates > 0).then_some(reads.len()));
            std::mem::swap(&mut observations, &mut step.observations);
        }
        assert_eq!(of_updates, expected.repeat(10), "baseline {baseline}");
    }
}

const REPLAYS: [ReplayConfig; 2] = [
    ReplayConfig { n_steps: 1, priority_exponent: None, importance_exponent: Schedule::constant(0.4) },
    ReplayConfig { n_steps: 3, priority_exponent: None, importance_exponent: Schedule::constant(0.4) },
];
const BY_PRIORITY: ReplayConfig = ReplayConfig { priority_exponent: Some(0.6), ..REPLAYS[0] };

/// Counts the reads of a learner's updates, which come after others: one for each where priorities are made
/// of errors, else none.
fn check_off_policy(
    what: &str,
    replay: ReplayConfig,
    spaces: (&Space, &Space),
    mut learner: impl OffPolicyLearner,
) {
    let batch = transitions_of(replay, spaces, &learner);
    let mut phase = |at: u64| {
        let before = learner.updates();
        let reads = device_reads(|| {
            (0..4).for_each(|_| learner.update(&batch, 0.0).unwrap());
            learner.advance(at, at + 10_000).unwrap();
        });
        (reads.unwrap().1, (learner.updates() - before) as usize)
    };
    phase(0);
    let (reads, updates) = phase(10_000);
    let of_errors = if replay.priority_exponent.is_some() { updates } else { 0 };
    assert!(updates >= 4);
    assert_eq!(reads, vec![NUMBERS; of_errors], "{what}, {replay:?}");
    let metrics = device_reads(|| learner.take_metrics(0.0).unwrap()).unwrap().1;
    assert!(metrics.contains(&ONE_NUMBER.into()), "{what}: the metrics wait until they are logged");
}

fn replays() -> impl Iterator<Item = ReplayConfig> {
    REPLAYS.into_iter().chain([BY_PRIORITY])
}

fn net() -> NetConfig {
    NetConfig { hidden_sizes: vec![8], ..NetConfig::relu(8) }
}

#[test]
fn dqn_reads_the_errors_that_priorities_are_made_of_alone() {
    for observations in [Space::unbounded(&[3]), masked()] {
        for replay in replays() {
            for (double, dueling, target_update_tau) in
                [(false, false, 1.0), (true, false, 0.1), (false, true, 1.0), (true, true, 1.0)]
            {
                let config = DqnConfig {
                    // The batch of a learner that draws uniformly holds several minibatches.
                    batch_size: if replay.priority_exponent.is_some() { 16 } else { 8 },
                    double,
                    dueling,
                    target_update_tau,
                    replay,
                    net: net(),
                    ..DqnConfig::default()
                };
                let own = context(observations.clone(), Space::Discrete(3), 1);
                let learner = DqnLearner::for_environments(config, &own).unwrap();
                let what = format!("double {double}, dueling {dueling}");
                check_off_policy(&what, replay, (&observations, &Space::Discrete(3)), learner);
            }
        }
    }
}

#[test]
fn sac_reads_the_errors_that_priorities_are_made_of_alone() {
    let (plain, unit) = (Space::unbounded(&[3]), Space::box_f32(-1.0, 1.0, &[2]).unwrap());
    for replay in replays() {
        for optimizer in [OptimizerConfig::default(), crate::loss_form_tests::descent()] {
            let config = SacConfig {
                batch_size: 16,
                gradient_clip_norm: Some(1.0),
                replay,
                net: net(),
                optimizer,
                ..SacConfig::default()
            };
            let own = context(plain.clone(), unit.clone(), 1);
            let bounds = UnitBox::new("sac", &unit).unwrap();
            let learner = Sac::continuous(config.clone(), bounds, &own, LossForm::Tensors).unwrap();
            check_off_policy("sac", replay, (&plain, &unit), learner);
            for observations in [plain.clone(), masked()] {
                let own = context(observations.clone(), Space::Discrete(3), 1);
                let learner = Sac::discrete(config.clone(), 3, &own, LossForm::Tensors).unwrap();
                check_off_policy("discrete sac", replay, (&observations, &Space::Discrete(3)), learner);
            }
        }
    }
}

#[test]
fn td3_and_ddpg_read_the_errors_that_priorities_are_made_of_alone() {
    let (plain, unit) = (Space::unbounded(&[3]), Space::box_f32(-1.0, 1.0, &[2]).unwrap());
    let own = context(plain.clone(), unit.clone(), 1);
    for replay in replays() {
        for (critics, policy_every_updates, target_noise) in [(2, 2, 0.2), (1, 1, 0.0)] {
            let config = Td3Config {
                batch_size: 16,
                critics,
                policy_every_updates,
                target_noise,
                exploration: NoiseConfig::Normal { deviation: 0.1 },
                gradient_clip_norm: Some(1.0),
                replay,
                net: net(),
                ..Td3Config::default()
            };
            let bounds = UnitBox::new("td3", &unit).unwrap();
            let learner = Td3Learner::new(config, bounds, &own, LossForm::Tensors).unwrap();
            check_off_policy(&format!("{critics} critics"), replay, (&plain, &unit), learner);
        }
    }
}
