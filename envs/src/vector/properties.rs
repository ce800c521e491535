//! Properties of autoreset, for any number of threads: the course of the copies in a vector environment is
//! that of each copy alone, and every row of every step is either a transition or a reset.

use proptest::prelude::*;

use super::lockstep::Lockstep;
use super::walk::Walk;
use super::{Autoreset, StepBatch, VectorOptions};
use crate::{Action, ActionBatch, End, EnvError, ObsBatch, Step, derive_seed};

#[derive(Clone, Debug, PartialEq)]
struct Transition {
    observation: Vec<f32>,
    action: i64,
    step: Step,
    next: Vec<f32>,
}

/// The course of environment `row` alone.
fn alone(longest: u32, seed: u64, row: usize, actions: &[i64]) -> Vec<Transition> {
    let mut env = Walk::boxed(longest).unwrap();
    let mut buffer = ObsBatch::new(env.observation_space(), 1);
    env.reset(Some(derive_seed(seed, "env", row as u64)), buffer.row_mut(0)).unwrap();
    let mut transitions = Vec::new();
    for &action in actions {
        let observation = buffer.floats().to_vec();
        let step = env.step(Action::Discrete(action), buffer.row_mut(0)).unwrap();
        transitions.push(Transition { observation, action, step, next: buffer.floats().to_vec() });
        if step.end.is_over() {
            env.reset(None, buffer.row_mut(0)).unwrap();
        }
    }
    transitions
}

/// The course of the environments in a vector environment, without the calls that reset one; halfway, another
/// vector environment continues from the saved state. Returns the number of rows of such calls as well.
fn together(
    longest: u32,
    seed: u64,
    actions: &[Vec<i64>],
    options: VectorOptions,
) -> (Vec<Vec<Transition>>, usize) {
    let make = || options.of_single(|_| Walk::boxed(longest)).unwrap();
    let mut env = make();
    let mut out = StepBatch::new(env.observation_space(), actions.len());
    env.reset(Some(seed), &mut out.observations).unwrap();
    let (mut lives, mut resets) = (vec![Vec::new(); actions.len()], 0);
    for index in 0..actions[0].len() {
        if index == actions[0].len() / 2 {
            let states = env.save_state().unwrap();
            env = make();
            env.load_state(&states).unwrap();
        }
        let before = out.observations.clone();
        let batch = ActionBatch::Discrete(actions.iter().map(|row| row[index]).collect());
        env.step(&batch, &mut out).unwrap();
        for (row, life) in lives.iter_mut().enumerate() {
            if out.resets[row] {
                assert_eq!((out.rewards[row], out.ends[row]), (0.0, End::No));
                resets += 1;
                continue;
            }
            life.push(Transition {
                observation: before.row(row).floats.to_vec(),
                action: actions[row][index],
                step: Step::new(out.rewards[row], out.ends[row]),
                next: out.next_observation(row).floats.to_vec(),
            });
        }
    }
    (lives, resets)
}

/// The actions of up to five environments over up to 60 steps, and the options of the vector environment.
fn plans() -> impl Strategy<Value = (Vec<Vec<i64>>, VectorOptions)> {
    let sizes = (1_usize..6, 1_usize..60, 1_usize..5, any::<bool>());
    sizes.prop_flat_map(|(envs, steps, threads, next_step)| {
        let autoreset = if next_step { Autoreset::NextStep } else { Autoreset::SameStep };
        let options = VectorOptions::new(envs).threads(threads).autoreset(autoreset);
        (proptest::collection::vec(proptest::collection::vec(0_i64..3, steps), envs), Just(options))
    })
}

proptest! {
    #[test]
    fn copies_take_the_same_course_as_single_environments(
        (plan, options) in plans(), seed: u64, longest in 1_u32..20,
    ) {
        let (lives, _) = together(longest, seed, &plan, options);
        for (row, life) in lives.iter().enumerate() {
            // A call that resets ignores its action, which the environment alone never receives.
            let actions: Vec<_> = life.iter().map(|transition| transition.action).collect();
            prop_assert_eq!(life, &alone(longest, seed, row, &actions), "environment {}", row);
        }
    }

    #[test]
    fn every_row_is_a_transition_of_one_episode_or_a_reset_between_two(
        (plan, options) in plans(), seed: u64, longest in 1_u32..20,
    ) {
        let (lives, resets) = together(longest, seed, &plan, options);
        let transitions: usize = lives.iter().map(Vec::len).sum();
        prop_assert_eq!(transitions + resets, plan.len() * plan[0].len());
        let followed = |life: &Vec<Transition>| life.iter().filter(|t| t.step.end.is_over()).count();
        let ends: usize = lives.iter().map(followed).sum();
        match options.autoreset {
            Autoreset::SameStep => prop_assert_eq!(resets, 0),
            // An end with the very last step has no call after it.
            Autoreset::NextStep => prop_assert!((resets..=resets + plan.len()).contains(&ends)),
        }
        for life in lives {
            let episodes: Vec<_> = life.split_inclusive(|transition| transition.step.end.is_over()).collect();
            for (number, episode) in episodes.iter().enumerate() {
                let mut sum = 0.0;
                for (index, transition) in episode.iter().enumerate() {
                    let id = number as f32 + 1.0;
                    prop_assert_eq!(&transition.observation, &[id, index as f32, sum]);
                    sum += transition.action as f32;
                    // With the last step too, the final observation is the old episode's, never the new one's
                    // first.
                    prop_assert_eq!(&transition.next, &[id, index as f32 + 1.0, sum]);
                    prop_assert_eq!(transition.step.reward, f64::from(sum));
                }
            }
        }
    }

    /// Compares observations, rewards, ends and saved states, and the errors for wrong actions.
    #[test]
    fn threads_change_nothing(
        (plan, options) in plans(), seed: u64, longest in 1_u32..20, wrong: prop::sample::Index,
    ) {
        let make = |options: VectorOptions| options.of_single(|_| Walk::boxed(longest)).unwrap();
        let mut pair = Lockstep::new(make(options), make(options.threads(1)));
        prop_assert_eq!(pair.reset(Some(seed))?, Ok(()));
        for index in 0..plan[0].len() {
            let mut actions: Vec<_> = plan.iter().map(|row| row[index]).collect();
            if index == plan[0].len() / 2 {
                pair.exchange_states()?;
                actions[wrong.index(plan.len())] = 3;
            }
            if pair.step_with(&ActionBatch::Discrete(actions))?.is_err() {
                let actions = pair.draw();
                prop_assert_eq!(pair.step_with(&actions)?, Err(EnvError::NeedsReset));
                // The generators go on as they stand, so they must have stood at the same place.
                prop_assert_eq!(pair.reset(None)?, Ok(()));
            }
        }
    }
}
