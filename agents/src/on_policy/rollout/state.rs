//! The saved state of a rollout.

use pavlov_envs::End;
use pavlov_nn::{StateDict, StateView};

use super::Rollout;
use crate::core::AgentError;
use crate::core::host::fill;

impl Rollout {
    /// The steps so far; nothing is copied but the flags.
    ///
    /// # Errors
    /// [`AgentError`] when a value cannot be expressed.
    pub fn state(&self) -> Result<StateDict<'_>, AgentError> {
        let mut state = StateDict::new();
        let (rows, seen) = (self.filled * self.num_envs(), self.seen(self.filled));
        let (mask, draw) = (self.encoder.mask_width(), self.shape.draw_width);
        let (widths, observed) =
            ((self.encoder.numbers_width(), self.encoder.bytes_width()), seen * self.num_envs());
        let (numbers, bytes) = self.observations.rows(observed);
        state.put_slice("numbers", &[observed, widths.0], numbers);
        state.put_slice("bytes", &[observed, widths.1], bytes);
        state.put_slice("masks", &[rows, mask], &self.masks[..rows * mask]);
        state.put_slice("draws", &[rows, draw], &self.draws[..rows * draw]);
        state.put_slice("log_probs", &[rows], &self.log_probs[..rows]);
        state.put_slice("rewards", &[rows], &self.rewards[..rows]);
        state.put_slice("final_numbers", &[self.num_finals(), widths.0], &self.finals.numbers);
        state.put_slice("final_bytes", &[self.num_finals(), widths.1], &self.finals.bytes);
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
        if filled > self.shape.steps {
            let steps = self.shape.steps;
            return Err(AgentError::State(format!(
                "a rollout of {filled} steps does not fit one of {steps}"
            )));
        }
        let (mask, draw) = (self.encoder.mask_width(), self.shape.draw_width);
        let (rows, seen) = (filled * self.num_envs(), self.seen(filled));
        let (numbers, bytes) = self.observations.rows_mut(seen * self.shape.num_envs);
        fill(state, "numbers", numbers)?;
        fill(state, "bytes", bytes)?;
        fill(state, "masks", &mut self.masks[..rows * mask])?;
        fill(state, "draws", &mut self.draws[..rows * draw])?;
        fill(state, "log_probs", &mut self.log_probs[..rows])?;
        fill(state, "rewards", &mut self.rewards[..rows])?;
        self.final_rows = state.vec("final_rows")?;
        let finals = self.num_finals();
        self.finals.numbers = vec![0.0; finals * self.encoder.numbers_width()];
        fill(state, "final_numbers", &mut self.finals.numbers)?;
        self.finals.bytes = vec![0; finals * self.encoder.bytes_width()];
        fill(state, "final_bytes", &mut self.finals.bytes)?;
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
