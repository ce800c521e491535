//! A vector environment that steps its environments one after the other in the caller's thread.

use super::buffers::Buffers;
use super::slots::{Slots, read_states, save_slots};
use super::{Autoreset, StepBatch, VectorEnv};
use crate::checks::Warnings;
use crate::{ActionBatch, Env, EnvError, EnvState, ObsBatch, Space};

/// Steps environments one after the other. Faults of an environment are caught: a panic, and numbers that
/// break its contract, become an error that names the environment.
pub struct SyncVectorEnv {
    slots: Slots,
    buffers: Buffers,
    /// Set by an error: the environments no longer stand at the same step.
    broken: bool,
}

impl SyncVectorEnv {
    /// A vector environment of the environments that `make` returns for the numbers from 0 to `num_envs - 1`,
    /// with same-step autoreset.
    ///
    /// # Errors
    /// That of `make`; [`EnvError::Contract`] for no environments, or environments with different spaces.
    pub fn new(
        num_envs: usize,
        make: impl FnMut(usize) -> Result<Box<dyn Env>, EnvError>,
    ) -> Result<Self, EnvError> {
        Self::with_autoreset(num_envs, Autoreset::SameStep, make)
    }

    /// The same with this kind of autoreset.
    ///
    /// # Errors
    /// As [`SyncVectorEnv::new`].
    pub fn with_autoreset(
        num_envs: usize,
        autoreset: Autoreset,
        make: impl FnMut(usize) -> Result<Box<dyn Env>, EnvError>,
    ) -> Result<Self, EnvError> {
        let slots = Slots::new(num_envs, autoreset, make)?;
        let buffers = Buffers::new(slots.observation_space(), num_envs);
        Ok(Self { slots, buffers, broken: false })
    }
}

impl VectorEnv for SyncVectorEnv {
    fn num_envs(&self) -> usize {
        self.buffers.rows
    }

    fn observation_space(&self) -> &Space {
        self.slots.observation_space()
    }

    fn action_space(&self) -> &Space {
        self.slots.action_space()
    }

    fn reset(&mut self, seed: Option<u64>, observations: &mut ObsBatch) -> Result<(), EnvError> {
        self.buffers.check_observations(observations)?;
        let outcome = self.slots.reset(seed, observations);
        self.broken = outcome.is_err();
        outcome
    }

    fn step(&mut self, actions: &ActionBatch, out: &mut StepBatch) -> Result<(), EnvError> {
        if self.broken {
            return Err(EnvError::NeedsReset);
        }
        self.buffers.check_step(actions, out)?;
        let outcome = self.slots.step(actions, out);
        self.broken = outcome.is_err();
        outcome
    }

    fn watch(&mut self, warnings: &Warnings) {
        self.slots.watch(warnings);
    }

    fn save_state(&self) -> Option<EnvState> {
        save_slots(&self.slots.save()?)
    }

    fn load_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let states = read_states(state, self.buffers.rows)?;
        let outcome = self.slots.load(&states);
        self.broken = outcome.is_err();
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Action, End, ObsMut, Step, VectorOptions};

    /// Observes the number of steps of its episode so far; episode `k` lasts `lengths[k]` steps.
    struct Scripted {
        lengths: Vec<u32>,
        episode: usize,
        step: u32,
        fault: &'static str,
        observations: Space,
        actions: Space,
    }

    impl Scripted {
        fn new(lengths: &[u32], fault: &'static str) -> Self {
            let (observations, actions) = (Space::unbounded(&[1]), Space::Discrete(2));
            Self { lengths: lengths.to_vec(), episode: usize::MAX, step: 0, fault, observations, actions }
        }
    }

    impl Env for Scripted {
        fn observation_space(&self) -> &Space {
            &self.observations
        }

        fn action_space(&self) -> &Space {
            &self.actions
        }

        fn reset(&mut self, _seed: Option<u64>, observation: ObsMut<'_>) -> Result<(), EnvError> {
            self.episode = self.episode.wrapping_add(1);
            self.step = 0;
            observation.floats[0] = 0.0;
            Ok(())
        }

        fn step(&mut self, _action: Action<'_>, observation: ObsMut<'_>) -> Result<Step, EnvError> {
            self.step += 1;
            match self.fault {
                "panic" => panic!("the wheels came off"),
                "shape" => observation.floats.copy_from_slice(&[1.0, 2.0]),
                "nan" => observation.floats[0] = f32::NAN,
                _ => observation.floats[0] = self.step as f32,
            }
            let over = self.step == self.lengths[self.episode % self.lengths.len()];
            let end = if over { [End::Terminated, End::Truncated][self.episode % 2] } else { End::No };
            Ok(Step::new(if self.fault == "reward" { f64::INFINITY } else { 1.0 }, end))
        }
    }

    fn vector(lengths: &'static [u32], fault: &'static str) -> (SyncVectorEnv, StepBatch, ActionBatch) {
        let env =
            SyncVectorEnv::new(2, |_| Ok(Box::new(Scripted::new(lengths, fault)) as Box<dyn Env>)).unwrap();
        let step = StepBatch::new(env.observation_space(), 2);
        let actions = ActionBatch::new(env.action_space(), 2).unwrap();
        (env, step, actions)
    }

    #[test]
    fn every_row_is_a_transition_and_the_final_observation_is_the_true_one() {
        let (mut env, mut out, actions) = vector(&[3, 1, 4], "");
        env.reset(Some(1), &mut out.observations).unwrap();
        let mut before = 0.0;
        let mut lengths = Vec::new();
        let mut length = 0;
        for _ in 0..16 {
            env.step(&actions, &mut out).unwrap();
            length += 1;
            let next = out.next_observation(1).floats[0];
            assert_eq!(next, before + 1.0, "the next observation follows the one acted on");
            if out.ends[1].is_over() {
                assert_eq!(next, length as f32, "the final observation is the T-th");
                assert_eq!(out.observations.row(1).floats[0], 0.0, "and the next episode starts at once");
                lengths.push(length);
                length = 0;
            }
            before = out.observations.row(1).floats[0];
        }
        assert_eq!(lengths, [3, 1, 4, 3, 1, 4]);
    }

    #[test]
    fn under_next_step_autoreset_the_call_after_the_end_is_a_reset_and_no_transition() {
        let (_, mut out, actions) = vector(&[3, 1, 4], "");
        let make = |_| Ok(Box::new(Scripted::new(&[3, 1, 4], "")) as Box<dyn Env>);
        let mut env = SyncVectorEnv::with_autoreset(2, Autoreset::NextStep, make).unwrap();
        env.reset(Some(1), &mut out.observations).unwrap();
        let (mut lengths, mut length) = (Vec::new(), 0);
        for _ in 0..11 {
            let before = out.observations.row(0).floats[0];
            env.step(&actions, &mut out).unwrap();
            let now = out.observations.row(0).floats[0];
            if out.resets[0] {
                assert_eq!((out.rewards[0], out.ends[0], now), (0.0, End::No, 0.0));
                continue;
            }
            length += 1;
            assert_eq!((now, out.next_observation(0).floats[0]), (before + 1.0, before + 1.0));
            if out.ends[0].is_over() {
                lengths.push(std::mem::take(&mut length));
            }
        }
        assert_eq!(lengths, [3, 1, 4]);
    }

    #[test]
    fn a_broken_environment_is_named_and_stops_the_batch() {
        for (fault, word) in
            [("panic", "wheels came off"), ("shape", "panicked"), ("nan", "NaN"), ("reward", "inf")]
        {
            for (broken, threads) in [(0, 1), (2, 1), (0, 3), (1, 3), (4, 3)] {
                let fault = |row| if row >= broken { fault } else { "" };
                let make = |row| Ok(Box::new(Scripted::new(&[3], fault(row))) as Box<dyn Env>);
                let mut env = VectorOptions::new(5).threads(threads).of_single(make).unwrap();
                let actions = ActionBatch::new(env.action_space(), 5).unwrap();
                let mut out = StepBatch::new(env.observation_space(), 5);
                env.reset(Some(1), &mut out.observations).unwrap();
                let message = env.step(&actions, &mut out).unwrap_err().to_string();
                assert!(message.contains(&format!("environment {broken}")), "{message}");
                assert!(message.contains(word), "{message}");
                assert_eq!(env.step(&actions, &mut out), Err(EnvError::NeedsReset));
                assert_eq!(env.reset(Some(1), &mut out.observations), Ok(()));
            }
        }
    }

    #[test]
    fn nothing_to_step_is_an_error() {
        assert!(SyncVectorEnv::new(0, |_| Ok(Box::new(Scripted::new(&[1], "")) as Box<dyn Env>)).is_err());
        let (mut env, mut out, _) = vector(&[3], "");
        env.reset(None, &mut out.observations).unwrap();
        let one = ActionBatch::new(env.action_space(), 1).unwrap();
        assert!(env.step(&one, &mut out).unwrap_err().to_string().contains("1 actions"));
    }
}
