//! A vector environment that steps its environments one after the other in the caller's thread.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{StepBatch, VectorEnv};
use crate::{ActionBatch, Env, EnvError, EnvState, ObsBatch, ObsMut, Space, derive_seed};

/// Steps environments one after the other. Whatever an environment does wrong is caught here: a panic, NaN in an
/// observation, a reward that is not finite become an error that names the environment.
pub struct SyncVectorEnv {
    envs: Vec<Box<dyn Env>>,
    /// Set by an error: the environments no longer stand at the same step.
    broken: bool,
}

impl SyncVectorEnv {
    /// A vector environment of what `make` gives for the numbers from 0 to `num_envs - 1`.
    ///
    /// # Errors
    /// That of `make`; [`EnvError::Contract`] for no environments, or environments with different spaces.
    pub fn new(
        num_envs: usize,
        make: impl FnMut(usize) -> Result<Box<dyn Env>, EnvError>,
    ) -> Result<Self, EnvError> {
        let envs = (0..num_envs).map(make).collect::<Result<Vec<_>, _>>()?;
        let Some(first) = envs.first() else {
            return Err(EnvError::Contract("a vector environment of 0 environments: give at least 1".into()));
        };
        let (observations, actions) = (first.observation_space(), first.action_space());
        if envs.iter().any(|env| env.observation_space() != observations || env.action_space() != actions) {
            return Err(EnvError::Contract(
                "the environments of a vector environment need the same spaces".into(),
            ));
        }
        Ok(Self { envs, broken: false })
    }

    fn step_one(&mut self, row: usize, actions: &ActionBatch, out: &mut StepBatch) -> Result<(), EnvError> {
        let env = &mut self.envs[row];
        let step = guarded(|| env.step(actions.row(row), out.observations.row_mut(row)))?;
        check_numbers(out.observations.row_mut(row), "step")?;
        if !step.reward.is_finite() {
            return Err(EnvError::Contract(format!(
                "step gave the reward {}: rewards must be finite",
                step.reward
            )));
        }
        out.rewards[row] = step.reward;
        out.ends[row] = step.end;
        if step.end.is_over() {
            out.final_observations.copy_row(row, out.observations.row(row));
            guarded(|| env.reset(None, out.observations.row_mut(row)))?;
            check_numbers(out.observations.row_mut(row), "reset")?;
        }
        Ok(())
    }
}

impl VectorEnv for SyncVectorEnv {
    fn num_envs(&self) -> usize {
        self.envs.len()
    }

    fn observation_space(&self) -> &Space {
        self.envs[0].observation_space()
    }

    fn action_space(&self) -> &Space {
        self.envs[0].action_space()
    }

    fn reset(&mut self, seed: Option<u64>, observations: &mut ObsBatch) -> Result<(), EnvError> {
        self.broken = true;
        for (row, env) in self.envs.iter_mut().enumerate() {
            let seed = seed.map(|seed| derive_seed(seed, "env", row as u64));
            guarded(|| env.reset(seed, observations.row_mut(row)))
                .and_then(|()| check_numbers(observations.row_mut(row), "reset"))
                .map_err(|error| named(row, error))?;
        }
        self.broken = false;
        Ok(())
    }

    fn step(&mut self, actions: &ActionBatch, out: &mut StepBatch) -> Result<(), EnvError> {
        if self.broken {
            return Err(EnvError::NeedsReset);
        }
        if actions.rows() != self.envs.len() {
            let (given, count) = (actions.rows(), self.envs.len());
            return Err(EnvError::Contract(format!("{given} actions were given for {count} environments")));
        }
        for row in 0..self.envs.len() {
            if let Err(error) = self.step_one(row, actions, out) {
                self.broken = true;
                return Err(named(row, error));
            }
        }
        Ok(())
    }

    fn save_states(&self) -> Option<Vec<EnvState>> {
        self.envs.iter().map(|env| env.save_state()).collect()
    }

    fn load_states(&mut self, states: &[EnvState]) -> Result<(), EnvError> {
        if states.len() != self.envs.len() {
            let (saved, count) = (states.len(), self.envs.len());
            return Err(EnvError::State(format!("{saved} states were saved for {count} environments")));
        }
        self.broken = true;
        for (row, (env, state)) in self.envs.iter_mut().zip(states).enumerate() {
            env.load_state(state).map_err(|error| named(row, error))?;
        }
        self.broken = false;
        Ok(())
    }
}

/// Runs an environment's code; a panic becomes an error. After it the environment is used no more before a reset.
fn guarded<T>(call: impl FnOnce() -> Result<T, EnvError>) -> Result<T, EnvError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        Err(EnvError::World(format!("it panicked: {}", panic_message(panic.as_ref()))))
    })
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)")
}

fn check_numbers(observation: ObsMut<'_>, call: &str) -> Result<(), EnvError> {
    // One pass without a branch per number: NaN is the only number that differs from itself.
    if !observation.floats.iter().fold(false, |nan, x| nan | x.is_nan()) {
        return Ok(());
    }
    let index = observation.floats.iter().position(|x| x.is_nan()).unwrap_or_default();
    Err(EnvError::Contract(format!("{call} wrote NaN into number {index} of the observation")))
}

fn named(row: usize, error: EnvError) -> EnvError {
    match error {
        EnvError::World(message) => EnvError::World(format!("environment {row}: {message}")),
        EnvError::Contract(message) => EnvError::Contract(format!("environment {row}: {message}")),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Action, End, Step};

    /// Observes how many steps its episode has had; episode `k` lasts `lengths[k]` steps.
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
    fn a_broken_environment_is_named_and_stops_the_batch() {
        for (fault, word) in
            [("panic", "wheels came off"), ("shape", "panicked"), ("nan", "NaN"), ("reward", "inf")]
        {
            let (mut env, mut out, actions) = vector(&[3], fault);
            env.reset(Some(1), &mut out.observations).unwrap();
            let message = env.step(&actions, &mut out).unwrap_err().to_string();
            assert!(message.contains("environment 0") && message.contains(word), "{message}");
            assert_eq!(env.step(&actions, &mut out), Err(EnvError::NeedsReset));
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
