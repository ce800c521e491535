//! Two vector environments side by side, which must not differ in anything.

use proptest::prelude::*;

use super::{StepBatch, VectorEnv};
use crate::{ActionBatch, EnvError, SeededRng};

/// Two vector environments of the same kind and size with their buffers.
pub struct Lockstep {
    pub envs: [Box<dyn VectorEnv>; 2],
    pub outs: [StepBatch; 2],
    actions: ActionBatch,
    rng: SeededRng,
}

impl Lockstep {
    pub fn new(first: Box<dyn VectorEnv>, second: Box<dyn VectorEnv>) -> Self {
        let rows = first.num_envs();
        assert_eq!(rows, second.num_envs());
        assert_eq!(first.observation_space(), second.observation_space());
        assert_eq!(first.action_space(), second.action_space());
        let out = StepBatch::new(first.observation_space(), rows);
        Self {
            actions: ActionBatch::new(first.action_space(), rows).unwrap(),
            outs: [out.clone(), out],
            envs: [first, second],
            rng: SeededRng::seeded(3),
        }
    }

    /// The result of a call, which must be the same for both.
    fn both<T: PartialEq + std::fmt::Debug>(
        &mut self,
        mut call: impl FnMut(&mut dyn VectorEnv, &mut StepBatch) -> T,
    ) -> Result<T, TestCaseError> {
        let [first, second] = &mut self.envs;
        let [first_out, second_out] = &mut self.outs;
        let (a, b) = (call(first.as_mut(), first_out), call(second.as_mut(), second_out));
        prop_assert_eq!(&a, &b);
        Ok(a)
    }

    pub fn reset(&mut self, seed: Option<u64>) -> Result<Result<(), EnvError>, TestCaseError> {
        let outcome = self.both(|env, out| env.reset(seed, &mut out.observations))?;
        prop_assert_eq!(&self.outs[0], &self.outs[1]);
        Ok(outcome)
    }

    /// Steps both with these actions. The outcomes are equal, unless the step is an error: then they have no
    /// meaning.
    pub fn step_with(&mut self, actions: &ActionBatch) -> Result<Result<(), EnvError>, TestCaseError> {
        let outcome = self.both(|env, out| env.step(actions, out))?;
        match outcome {
            Ok(()) => prop_assert_eq!(&self.outs[0], &self.outs[1]),
            Err(_) => self.outs[1] = self.outs[0].clone(),
        }
        Ok(outcome)
    }

    /// Random actions for all rows.
    pub fn draw(&mut self) -> ActionBatch {
        let space = self.envs[0].action_space().clone();
        (0..self.actions.rows()).for_each(|row| self.actions.sample_row(row, &space, &mut self.rng));
        self.actions.clone()
    }

    /// Random play.
    pub fn play(&mut self, steps: usize) -> Result<(), TestCaseError> {
        for _ in 0..steps {
            let actions = self.draw();
            prop_assert_eq!(self.step_with(&actions)?, Ok(()));
        }
        Ok(())
    }

    /// The saved states are equal; each takes over the other's.
    pub fn exchange_states(&mut self) -> Result<(), TestCaseError> {
        let state = self.both(|env, _| env.save_state())?.expect("a state");
        let outcome = self.both(|env, _| env.load_state(&state))?;
        prop_assert_eq!(outcome, Ok(()));
        Ok(())
    }
}
