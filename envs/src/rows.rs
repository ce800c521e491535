//! Environments side by side, of which each begins and steps when it is asked to: those of an evaluation.

use crate::checks::{Warnings, guarded};
use crate::{ActionBatch, Env, EnvError, InfoBatch, ObsBatch, Space, Step};

/// The error of one of several environments.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{error}")]
pub struct RowError {
    /// The environment's number.
    pub row: usize,
    /// Its error.
    pub error: EnvError,
}

/// Environments of one kind, each of which begins an episode and makes a step when it is asked to; none is reset
/// of itself. They are used again: after a reset with a seed an environment goes as a new one with that seed.
///
/// Buffers may have fewer rows than there are environments; environments beyond them are left alone. After an
/// error the environments that were asked have to begin anew.
pub trait RowEnvs: Send {
    /// The number of environments.
    fn num_envs(&self) -> usize;

    /// The space of one environment's observations.
    fn observation_space(&self) -> &Space;

    /// The space of one environment's actions.
    fn action_space(&self) -> &Space;

    /// Adds warnings about what the environments give to these from now on.
    fn watch(&mut self, _warnings: &Warnings) {}

    /// Begins a new episode of each of these environments, with its seed, and writes the first observations.
    ///
    /// # Errors
    /// That of the first environment that fails.
    fn reset(&mut self, rows: &[(usize, Option<u64>)], observations: &mut ObsBatch) -> Result<(), RowError>;

    /// Steps each of these environments, which are given in their order, with its action. The outcomes stand in
    /// their rows of `steps`, `observations` and `infos`.
    ///
    /// # Errors
    /// That of the first environment that fails.
    fn step(
        &mut self,
        rows: &[usize],
        actions: &ActionBatch,
        steps: &mut [Step],
        observations: &mut ObsBatch,
        infos: &mut InfoBatch,
    ) -> Result<(), RowError>;
}

/// Single environments, one after the other.
pub struct SingleRows(Vec<Box<dyn Env>>);

impl SingleRows {
    /// As many environments as `make` is asked for.
    ///
    /// # Errors
    /// That of the first environment that cannot be made; [`EnvError::Contract`] for none, or for environments
    /// with different spaces.
    pub fn new(count: usize, make: impl Fn() -> Result<Box<dyn Env>, EnvError>) -> Result<Self, RowError> {
        let envs = (0..count).map(|row| make().map_err(|error| RowError { row, error }));
        let envs = envs.collect::<Result<Vec<_>, _>>()?;
        let spaces = |env: &dyn Env| (env.observation_space().clone(), env.action_space().clone());
        let other = envs.iter().position(|env| spaces(env.as_ref()) != spaces(envs[0].as_ref()));
        let refuse = |row, message: &str| Err(RowError { row, error: EnvError::Contract(message.into()) });
        match other {
            Some(row) => refuse(row, "environments side by side need the same spaces"),
            None if envs.is_empty() => refuse(0, "no environment was asked for: give at least 1"),
            None => Ok(Self(envs)),
        }
    }
}

impl RowEnvs for SingleRows {
    fn num_envs(&self) -> usize {
        self.0.len()
    }

    fn observation_space(&self) -> &Space {
        self.0[0].observation_space()
    }

    fn action_space(&self) -> &Space {
        self.0[0].action_space()
    }

    fn reset(&mut self, rows: &[(usize, Option<u64>)], observations: &mut ObsBatch) -> Result<(), RowError> {
        rows.iter().try_for_each(|&(row, seed)| {
            self.0[row].reset(seed, observations.row_mut(row)).map_err(|error| RowError { row, error })
        })
    }

    fn step(
        &mut self,
        rows: &[usize],
        actions: &ActionBatch,
        steps: &mut [Step],
        observations: &mut ObsBatch,
        infos: &mut InfoBatch,
    ) -> Result<(), RowError> {
        rows.iter().try_for_each(|&row| {
            let env = &mut self.0[row];
            let outcome = env.step(actions.row(row), observations.row_mut(row)).and_then(|step| {
                steps[row] = step;
                guarded(|| {
                    infos.record(row, |visit| env.visit_info(visit));
                    Ok(())
                })
            });
            outcome.map_err(|error| RowError { row, error })
        })
    }
}
