//! What is saved of a rollout.

use pavlov_envs::End;
use pavlov_nn::{StateDict, StateView};

use super::{Rollout, Widths};
use crate::core::AgentError;
use crate::core::host::fill;

impl Rollout {
    /// The steps so far; nothing is copied but the flags.
    ///
    /// # Errors
    /// [`AgentError`] when a value cannot be expressed.
    pub fn state(&self) -> Result<StateDict<'_>, AgentError> {
        let mut state = StateDict::new();
        let (rows, seen) = (self.filled * self.num_envs, self.seen(self.filled));
        let Widths { observation, mask, draw } = self.widths;
        let observations = &self.observations.as_slice()[..seen * self.num_envs * observation];
        state.put_slice("observations", &[seen * self.num_envs, observation], observations);
        state.put_slice("masks", &[rows, mask], &self.masks[..rows * mask]);
        state.put_slice("draws", &[rows, draw], &self.draws[..rows * draw]);
        state.put_slice("log_probs", &[rows], &self.log_probs[..rows]);
        state.put_slice("rewards", &[rows], &self.rewards[..rows]);
        state.put_slice("finals", &[self.final_rows.len(), observation], &self.finals);
        state.put_slice("final_rows", &[self.final_rows.len()], &self.final_rows);
        state.put_value("filled", &self.filled)?;
        state.put_value("ends", &&self.ends[..rows])?;
        state.put_value("resets", &&self.resets[..rows])?;
        if let Some(memory) = &self.memory {
            state.nest("memory", memory.state(self.filled, seen));
        }
        Ok(state)
    }

    /// Takes over saved steps.
    ///
    /// # Errors
    /// [`AgentError`] when they do not fit.
    pub fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        let filled: usize = state.value("filled")?;
        if filled > self.steps {
            let steps = self.steps;
            return Err(AgentError::State(format!(
                "a rollout of {filled} steps does not fit one of {steps}"
            )));
        }
        let Widths { observation, mask, draw } = self.widths;
        let (rows, seen) = (filled * self.num_envs, self.seen(filled));
        let observations = &mut self.observations.as_mut_slice()[..seen * self.num_envs * observation];
        fill(state, "observations", observations)?;
        fill(state, "masks", &mut self.masks[..rows * mask])?;
        fill(state, "draws", &mut self.draws[..rows * draw])?;
        fill(state, "log_probs", &mut self.log_probs[..rows])?;
        fill(state, "rewards", &mut self.rewards[..rows])?;
        self.final_rows = state.vec("final_rows")?;
        self.finals = vec![0.0; self.final_rows.len() * observation];
        fill(state, "finals", &mut self.finals)?;
        let (ends, resets): (Vec<End>, Vec<bool>) = (state.value("ends")?, state.value("resets")?);
        let fits = ends.len() == rows && resets.len() == rows;
        if !fits || self.final_rows.iter().any(|row| !(0..rows as i64).contains(row)) {
            return Err(AgentError::State("the rollout's flags do not fit its steps".into()));
        }
        self.ends[..rows].copy_from_slice(&ends);
        self.resets[..rows].copy_from_slice(&resets);
        if let Some(memory) = &mut self.memory {
            memory.load_state(&state.part("memory"), filled, seen)?;
        }
        self.filled = filled;
        Ok(())
    }
}
