//! Rollouts of some environments, made by actors, and the rollout of all that they become.

use pavlov_envs::{End, ObsBatch};

use super::{Rollout, Widths};
use crate::core::AgentError;
use crate::on_policy::PolicySampler;

impl Rollout {
    /// An empty rollout of as many steps, of so many environments.
    ///
    /// # Errors
    /// [`AgentError`] when memory runs out.
    pub fn of_envs(&self, num_envs: usize, sampler: &PolicySampler) -> Result<Self, AgentError> {
        Self::new(self.steps, num_envs, self.sequence_length, sampler)
    }

    /// Takes over the full rollout of some of the environments, the first of which has number `first`; says whether
    /// those of all are there now.
    ///
    /// # Errors
    /// [`AgentError::State`] when it is not full or does not fit.
    pub fn join(&mut self, first: usize, part: &Self) -> Result<bool, AgentError> {
        if !part.is_full() || part.steps != self.steps || first + part.num_envs > self.num_envs {
            return Err(AgentError::State("a rollout that is not whole cannot be joined with others".into()));
        }
        let (to, from) = (self.num_envs, part.num_envs);
        let Widths { observation, mask, draw } = self.widths;
        // Row by row of steps: `width` numbers for each environment.
        fn place<T: Copy>(to: &mut [T], from: &[T], (all, some, first): (usize, usize, usize), width: usize) {
            for (to, from) in
                to.chunks_exact_mut((all * width).max(1)).zip(from.chunks_exact((some * width).max(1)))
            {
                to[first * width..(first + some) * width].copy_from_slice(from);
            }
        }
        let envs = (to, from, first);
        place(self.observations.as_mut_slice(), part.observations.as_slice(), envs, observation);
        place(&mut self.masks, &part.masks, envs, mask);
        place(&mut self.draws, &part.draws, envs, draw);
        place(&mut self.log_probs, &part.log_probs, envs, 1);
        place(&mut self.rewards, &part.rewards, envs, 1);
        place(&mut self.ends, &part.ends, envs, 1);
        place(&mut self.resets, &part.resets, envs, 1);
        self.finals.extend_from_slice(&part.finals);
        let moved = |row: &i64| {
            let (step, env) = (*row as usize / from, *row as usize % from);
            (step * to + first + env) as i64
        };
        self.final_rows.extend(part.final_rows.iter().map(moved));
        if let (Some(own), Some(memory)) = (&mut self.memory, &part.memory) {
            own.join(first, memory);
        }
        self.joined += part.num_envs;
        if self.joined == self.num_envs {
            (self.filled, self.joined) = (self.steps, 0);
        }
        Ok(self.is_full())
    }

    /// The episodes are broken off here, for no reason of their own: the last step counts as truncated, with what it led
    /// to as its final observation.
    pub fn cut(&mut self, sampler: &mut PolicySampler, led_to: &ObsBatch) {
        if self.filled > 0 {
            for (env, row) in self.row_range(self.filled - 1).enumerate() {
                if self.ends[row] == End::No {
                    self.ends[row] = End::Truncated;
                    let start = self.finals.len();
                    self.finals.resize(start + self.widths.observation, 0.0);
                    sampler.encoder.encode(led_to.row(env), &mut self.finals[start..]);
                    self.final_rows.push(row as i64);
                }
            }
        }
        (0..self.num_envs).for_each(|env| sampler.memory.iter_mut().for_each(|memory| memory.forget(env)));
    }
}
