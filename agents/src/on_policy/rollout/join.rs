//! Rollouts of some environments, made by actors, and the rollout of all that they become.

use super::{Rollout, RolloutShape};
use crate::core::AgentError;

impl Rollout {
    /// An empty rollout of as many steps, of so many environments.
    ///
    /// # Errors
    /// [`AgentError`] when memory runs out.
    pub fn of_envs(&self, num_envs: usize) -> Result<Self, AgentError> {
        Self::new(RolloutShape { num_envs, ..self.shape }, &self.encoder)
    }

    /// Takes over the full rollout of some of the environments, the first of which has number `first`; says
    /// whether those of all are there now.
    ///
    /// # Errors
    /// [`AgentError::State`] when it is not full or does not fit.
    pub fn join(&mut self, first: usize, part: &Self) -> Result<bool, AgentError> {
        if !part.is_full()
            || part.shape.steps != self.shape.steps
            || first + part.num_envs() > self.num_envs()
        {
            return Err(AgentError::State("a rollout that is not whole cannot be joined with others".into()));
        }
        let (to, from) = (self.num_envs(), part.num_envs());
        // Step by step: `width` numbers for each environment.
        fn place<T: Copy>(to: &mut [T], from: &[T], (all, some, first): (usize, usize, usize), width: usize) {
            for (to, from) in
                to.chunks_exact_mut((all * width).max(1)).zip(from.chunks_exact((some * width).max(1)))
            {
                to[first * width..(first + some) * width].copy_from_slice(from);
            }
        }
        let (envs, steps) = ((to, from, first), self.shape.steps + 1);
        let (numbers, bytes) = self.observations.rows_mut(steps * to);
        let (part_numbers, part_bytes) = part.observations.rows(steps * from);
        place(numbers, part_numbers, envs, self.encoder.numbers_width());
        place(bytes, part_bytes, envs, self.encoder.bytes_width());
        place(&mut self.masks, &part.masks, envs, self.encoder.mask_width());
        place(&mut self.draws, &part.draws, envs, self.shape.draw_width);
        place(&mut self.log_probs, &part.log_probs, envs, 1);
        place(&mut self.rewards, &part.rewards, envs, 1);
        place(&mut self.ends, &part.ends, envs, 1);
        place(&mut self.resets, &part.resets, envs, 1);
        self.finals.append(&part.finals);
        let moved = |row: &i64| {
            let (step, env) = (*row as usize / from, *row as usize % from);
            (step * to + first + env) as i64
        };
        self.final_rows.extend(part.final_rows.iter().map(moved));
        if let (Some(own), Some(memory)) = (&mut self.memory, &part.memory) {
            own.join(first, memory);
        }
        self.joined += from;
        if self.joined == to {
            (self.filled, self.joined) = (self.shape.steps, 0);
        }
        Ok(self.is_full())
    }
}
