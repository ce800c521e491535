//! The bookkeeping of the same-step autoreset: what the copies in a vector environment live through is what each lives
//! through alone, and every row of every step is a transition.

use proptest::prelude::*;
use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::{StepBatch, SyncVectorEnv, VectorEnv};
use crate::{
    Action, ActionBatch, End, Env, EnvError, EnvRng, EnvState, ObsBatch, ObsMut, Space, Step, derive_seed,
};

/// Observes the episode's number, its step and the sum of its actions; lengths and kinds of ends are drawn.
struct Walk {
    longest: u32,
    observations: Space,
    actions: Space,
    world: World,
}

#[derive(Clone, Serialize, Deserialize)]
struct World {
    /// What is observed: episode, step, sum of actions.
    seen: [u32; 3],
    length: u32,
    end: End,
    rng: EnvRng,
}

impl Walk {
    fn boxed(longest: u32) -> Result<Box<dyn Env>, EnvError> {
        let (observations, actions) = (Space::unbounded(&[3]), Space::Discrete(3));
        let world = World { seen: [0; 3], length: 0, end: End::No, rng: EnvRng::seeded(0) };
        Ok(Box::new(Self { longest, observations, actions, world }))
    }

    fn observe(&self, observation: ObsMut<'_>) {
        observation.floats.iter_mut().zip(self.world.seen).for_each(|(out, number)| *out = number as f32);
    }
}

impl Env for Walk {
    fn observation_space(&self) -> &Space {
        &self.observations
    }

    fn action_space(&self) -> &Space {
        &self.actions
    }

    fn reset(&mut self, seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
        let world = &mut self.world;
        world.rng.reseed(seed);
        world.seen = [world.seen[0] + 1, 0, 0];
        world.length = world.rng.random_range(1..=self.longest);
        world.end = if world.rng.random() { End::Terminated } else { End::Truncated };
        self.observe(observation);
        Ok(())
    }

    fn step(&mut self, action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
        let choice = action.discrete(3)? as u32;
        let world = &mut self.world;
        if world.seen[1] == world.length {
            return Err(EnvError::NeedsReset);
        }
        world.seen[1] += 1;
        world.seen[2] += choice;
        let end = if world.seen[1] == world.length { world.end } else { End::No };
        let reward = f64::from(world.seen[2]);
        self.observe(observation);
        Ok(Step::new(reward, end))
    }

    fn save_state(&self) -> Option<EnvState> {
        EnvState::pack(&self.world)
    }

    fn load_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        self.world = state.unpack()?;
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Transition {
    observation: Vec<f32>,
    action: i64,
    step: Step,
    next: Vec<f32>,
}

/// What environment `row` lives through alone.
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

/// What each environment lives through in a vector environment; halfway another one continues from the saved states.
fn together(longest: u32, seed: u64, actions: &[Vec<i64>]) -> Vec<Vec<Transition>> {
    let make = || SyncVectorEnv::new(actions.len(), |_| Walk::boxed(longest)).unwrap();
    let mut env = make();
    let mut out = StepBatch::new(env.observation_space(), actions.len());
    env.reset(Some(seed), &mut out.observations).unwrap();
    let mut lives = vec![Vec::new(); actions.len()];
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
            life.push(Transition {
                observation: before.row(row).floats.to_vec(),
                action: actions[row][index],
                step: Step::new(out.rewards[row], out.ends[row]),
                next: out.next_observation(row).floats.to_vec(),
            });
        }
    }
    lives
}

/// The actions of up to five environments over up to 60 steps.
fn plans() -> impl Strategy<Value = Vec<Vec<i64>>> {
    (1_usize..6, 1_usize..60).prop_flat_map(|(envs, steps)| {
        proptest::collection::vec(proptest::collection::vec(0_i64..3, steps), envs)
    })
}

proptest! {
    #[test]
    fn copies_live_through_what_single_environments_do(plan in plans(), seed: u64, longest in 1_u32..20) {
        let lives = together(longest, seed, &plan);
        for (row, life) in lives.iter().enumerate() {
            prop_assert_eq!(life, &alone(longest, seed, row, &plan[row]), "environment {}", row);
        }
    }

    #[test]
    fn every_row_is_a_transition_of_one_episode(plan in plans(), seed: u64, longest in 1_u32..20) {
        for life in together(longest, seed, &plan) {
            let episodes: Vec<_> = life.split_inclusive(|transition| transition.step.end.is_over()).collect();
            prop_assert_eq!(episodes.iter().map(|episode| episode.len()).sum::<usize>(), plan[0].len());
            for (number, episode) in episodes.iter().enumerate() {
                let mut sum = 0.0;
                for (index, transition) in episode.iter().enumerate() {
                    let id = number as f32 + 1.0;
                    prop_assert_eq!(&transition.observation, &[id, index as f32, sum]);
                    sum += transition.action as f32;
                    // With the last step too: the final observation is the old episode's, never the new one's first.
                    prop_assert_eq!(&transition.next, &[id, index as f32 + 1.0, sum]);
                    prop_assert_eq!(transition.step.reward, f64::from(sum));
                }
            }
        }
    }
}
