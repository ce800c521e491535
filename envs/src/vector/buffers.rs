//! The check of the buffers that a caller hands in: they must have the vector environment's size.

use super::StepBatch;
use crate::{ActionBatch, EnvError, ObsBatch, ObsLayout, Space};

/// The size that buffers need.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buffers {
    pub rows: usize,
    floats: usize,
    bytes: usize,
}

impl Buffers {
    /// The size for `rows` environments with observations from `space`; 0 rows are an error.
    pub fn new(space: &Space, rows: usize) -> Self {
        let layout = ObsLayout::new(space);
        Self { rows, floats: layout.floats, bytes: layout.bytes }
    }

    pub fn check_observations(&self, observations: &ObsBatch) -> Result<(), EnvError> {
        let layout = observations.layout();
        let given = (observations.rows(), layout.floats, layout.bytes);
        let needed = (self.rows, self.floats, self.bytes);
        if given == needed {
            return Ok(());
        }
        Err(EnvError::Contract(format!(
            "the buffer has (rows, floats, bytes) {given:?}, the observations {needed:?}: make it with \
             ObsBatch::new for this vector environment"
        )))
    }

    pub fn check_step(&self, actions: &ActionBatch, out: &StepBatch) -> Result<(), EnvError> {
        let (given, rows) = (actions.rows(), self.rows);
        if given != rows {
            return Err(EnvError::Contract(format!("{given} actions were given for {rows} environments")));
        }
        self.check_out(out)
    }

    pub fn check_out(&self, out: &StepBatch) -> Result<(), EnvError> {
        self.check_observations(&out.observations)?;
        self.check_observations(&out.final_observations)?;
        let lengths =
            [out.rewards.len(), out.ends.len(), out.raw_rewards.len(), out.raw_ends.len(), out.resets.len()];
        if lengths == [self.rows; 5] {
            return Ok(());
        }
        let message = format!("a step batch with columns of {lengths:?} rows for {} environments", self.rows);
        Err(EnvError::Contract(message))
    }
}

/// The most environments of a vector environment: more is a slip.
const MOST: usize = 1 << 20;

/// Refuses a vector environment without environments, or of too many.
pub(crate) fn check_count(num_envs: usize) -> Result<(), EnvError> {
    if (1..=MOST).contains(&num_envs) {
        return Ok(());
    }
    Err(EnvError::Contract(format!(
        "a vector environment of {num_envs} environments: give at least 1 and at most {MOST}"
    )))
}
