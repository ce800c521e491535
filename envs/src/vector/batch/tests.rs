//! The vector form of a world gives the same results as single environments.

use proptest::prelude::*;

use super::LANES;
use crate::vector::lockstep::Lockstep;
use crate::vector::{Autoreset, VectorOptions};
use crate::{Action, ActionBatch, EnvError, EnvOptions, EnvSpec, EnvState, ObsBatch, Registry, StepBatch};

/// Every world that has a vector form, with an option of its own that changes its equations.
const WORLDS: [(&str, &str); 11] = [
    ("CartPole-v1", ""),
    ("CartPole-v0", ""),
    ("CartPole-v1", "sutton_barto_reward = true"),
    ("MountainCar-v0", ""),
    ("MountainCar-v0", "goal_velocity = 0.02"),
    ("MountainCarContinuous-v0", ""),
    ("MountainCarContinuous-v0", "goal_velocity = 0.02"),
    ("Pendulum-v1", ""),
    ("Pendulum-v1", "g = 9.81"),
    ("Acrobot-v1", ""),
    ("Acrobot-v1", "book_or_nips = 'nips'"),
];

fn spec(id: &str, limit: Option<u32>) -> EnvSpec {
    let mut spec = Registry::bundled().spec(id).unwrap();
    spec.max_episode_steps = limit;
    spec
}

/// The vector form beside single environments.
fn pair(spec: &EnvSpec, options: &str, vector: VectorOptions) -> Lockstep {
    let options = EnvOptions::new(options.parse().unwrap());
    let single = vector.of_single(|_| spec.make(&options)).unwrap();
    Lockstep::new(spec.make_vector(&options, &vector).unwrap(), single)
}

/// CartPole, 70 copies: a block and a part of one.
fn cartpoles(limit: Option<u32>) -> Lockstep {
    pair(&spec("CartPole-v1", limit), "", VectorOptions::new(70).autoreset(Autoreset::NextStep))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn the_vector_form_equals_single_environments(
        world in 0..WORLDS.len(),
        num_envs in prop_oneof![1..LANES, Just(LANES), LANES..3 * LANES],
        limit in prop_oneof![Just(None), (1_u32..60).prop_map(Some)],
        next_step: bool,
        seed: u64,
        pauses in proptest::collection::vec(0_usize..50, 1..4),
    ) {
        let (id, options) = WORLDS[world];
        let autoreset = if next_step { Autoreset::NextStep } else { Autoreset::SameStep };
        let mut pair = pair(&spec(id, limit), options, VectorOptions::new(num_envs).autoreset(autoreset));
        prop_assert_eq!(pair.reset(Some(seed))?, Ok(()));
        for pause in pauses {
            pair.play(pause)?;
            pair.exchange_states()?;
        }
        prop_assert_eq!(pair.reset(None)?, Ok(()));
        pair.play(5)?;
    }

    #[test]
    fn wrong_actions_are_refused_as_single_environments_refuse_them(
        wrong in prop_oneof![
            Just(ActionBatch::Box { points: vec![0.0; 70], width: 1 }),
            (0_usize..70, prop_oneof![Just(-1_i64), Just(2), Just(i64::MAX)]).prop_map(|(row, choice)| {
                let mut choices = vec![1; 70];
                choices[row] = choice;
                ActionBatch::Discrete(choices)
            }),
            (0_usize..140).prop_map(|rows| ActionBatch::Discrete(vec![0; rows])),
        ],
        steps in 0_usize..30,
    ) {
        let mut pair = cartpoles(Some(20));
        prop_assert_eq!(pair.reset(Some(4))?, Ok(()));
        pair.play(steps)?;
        if pair.step_with(&wrong)?.is_err() {
            let actions = pair.draw();
            let broken = pair.step_with(&actions)?;
            prop_assert!(wrong.rows() != 70 || broken == Err(EnvError::NeedsReset));
        }
        prop_assert_eq!(pair.reset(Some(5))?, Ok(()));
        pair.play(3)?;
    }

    /// One byte of a saved state replaced: both refuse it, or both take it and go on alike.
    #[test]
    fn a_damaged_state_has_the_same_effect_on_both(
        place: prop::sample::Index, byte: u8, limit in prop_oneof![Just(None), Just(Some(20))],
    ) {
        let mut pair = cartpoles(limit);
        prop_assert_eq!(pair.reset(Some(6))?, Ok(()));
        pair.play(12)?;
        let mut bytes = pair.envs[0].save_state().unwrap().as_bytes().to_vec();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        let state = EnvState::from_bytes(bytes);
        let [first, second] = &mut pair.envs;
        prop_assert_eq!(first.load_state(&state), second.load_state(&state));
        for _ in 0..5 {
            let actions = pair.draw();
            if pair.step_with(&actions)?.is_err() {
                break;
            }
        }
    }
}

#[test]
fn a_step_needs_a_reset() {
    for limit in [None, Some(9)] {
        let mut pair = cartpoles(limit);
        let actions = pair.draw();
        assert_eq!(pair.step_with(&actions).unwrap(), Err(EnvError::NeedsReset));
    }
}

#[test]
fn a_state_without_numbers_is_named() {
    let mut pair = pair(&spec("CartPole-v1", None), "", VectorOptions::new(70));
    assert_eq!(pair.reset(Some(1)).unwrap(), Ok(()));
    let bytes = pair.envs[0].save_state().unwrap().as_bytes().to_vec();
    let observed = f64::from(pair.outs[0].observations.row(66).floats[0]);
    // The position of the last environments, the only numbers of eight bytes that begin like this.
    let place = (0..bytes.len() - 8).find(|&place| {
        let number = f64::from_le_bytes(bytes[place..place + 8].try_into().unwrap());
        (number - observed).abs() < 1e-9
    });
    let mut damaged = bytes.clone();
    damaged[place.unwrap()..][..8].copy_from_slice(&f64::NAN.to_le_bytes());
    for env in &mut pair.envs {
        env.load_state(&EnvState::from_bytes(damaged.clone())).unwrap();
    }
    let actions = pair.draw();
    let error = pair.step_with(&actions).unwrap().unwrap_err().to_string();
    assert!(
        error.contains(
            "environment 66, step of an episode that was resumed: number 0 of the observation is NaN"
        ),
        "{error}"
    );
}

#[test]
fn buffers_of_another_size_are_refused() {
    let mut env =
        spec("CartPole-v1", None).make_vector(&EnvOptions::default(), &VectorOptions::new(3)).unwrap();
    let space = env.observation_space().clone();
    assert!(env.reset(Some(1), &mut ObsBatch::new(&space, 2)).is_err());
    assert_eq!(env.reset(Some(1), &mut ObsBatch::new(&space, 3)), Ok(()));
    let actions = ActionBatch::new(env.action_space(), 3).unwrap();
    assert_eq!(actions.row(0), Action::Discrete(0));
    let mut short = StepBatch::new(&space, 3);
    short.raw_ends.pop();
    for mut wrong in [StepBatch::new(&space, 4), short] {
        let message = env.step(&actions, &mut wrong).unwrap_err().to_string();
        assert!(message.contains("rows"), "{message}");
    }
    assert_eq!(env.step(&actions, &mut StepBatch::new(&space, 3)), Ok(()));
}

#[test]
fn nothing_to_step_and_no_time_to_step_in_are_errors() {
    let make = |limit, num_envs| {
        let spec = spec("CartPole-v1", limit);
        spec.make_vector(&EnvOptions::default(), &VectorOptions::new(num_envs)).err().map(|e| e.to_string())
    };
    assert!(make(None, 0).unwrap().contains("give at least 1"));
    assert!(make(Some(0), 2).unwrap().contains("max_episode_steps is 0"));
    assert_eq!(make(Some(1), 2), None);
}
