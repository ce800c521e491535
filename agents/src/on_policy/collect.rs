//! Filling a rollout with what a policy does, and asking the networks for the values of its observations.

use pavlov_common::SeededRng;
use pavlov_envs::{ActionBatch, ObsBatch};
use pavlov_nn::Parameters;
use tch::Device;

use super::rollout::RolloutShape;
use super::states::{MemoryWidths, OwnSequences, read_states};
use super::{PolicySampler, Rollout};
use crate::acting::Inference;
use crate::core::{ActMode, AgentError, Experience};

impl PolicySampler {
    /// An empty rollout of `steps` steps of `num_envs` environments, to be learned from on `device`. A policy
    /// with a memory learns from sequences of `sequence_length` steps, or of all with 0.
    ///
    /// # Errors
    /// [`AgentError::Config`] when the steps cannot be cut into sequences, another when memory runs out.
    pub fn rollout(
        &self,
        steps: usize,
        num_envs: usize,
        sequence_length: usize,
        device: Device,
    ) -> Result<Rollout, AgentError> {
        let memory = self.memory.as_ref().map(|_| MemoryWidths {
            policy: self.net.policy_state_width(),
            value: self.net.value_state_width(),
        });
        let draw_width = self.head.distribution().width();
        let shape = RolloutShape { steps, num_envs, sequence_length, draw_width, memory, device };
        Rollout::new(shape, &self.encoder)
    }

    /// Draws the actions of a rollout's next step, writes them for the environments and keeps the draws.
    ///
    /// # Errors
    /// [`AgentError`] when the rollout is full or the network gives NaN.
    pub fn act(
        &mut self,
        rollout: &mut Rollout,
        inference: Inference<'_>,
        observations: &ObsBatch,
        rng: &mut SeededRng,
        actions: &mut ActionBatch,
    ) -> Result<(), AgentError> {
        rollout.begin_step(observations, self.memory.as_mut())?;
        let device = match inference {
            Inference::Own(weights) => weights.device(),
            Inference::Batched(_) => Device::Cpu,
        };
        let step = rollout.step_mut(device)?;
        let answers = (&mut *step.draws, step.log_probs);
        self.draw(inference, (&step.inputs, step.masks), (ActMode::Explore, rng), answers)?;
        let width = self.head.distribution().width();
        for (row, draw) in step.draws.chunks_exact(width).enumerate() {
            self.head.write(draw, row, actions);
        }
        Ok(())
    }

    /// Takes the outcome of the last actions into the rollout and the policy's memory.
    pub fn observe(&mut self, rollout: &mut Rollout, experience: Experience<'_>) {
        rollout.end_step(experience, self.memory.as_mut());
    }

    /// The episodes are broken off here, for no reason of their own: the last step counts as truncated, with
    /// the observation that it led to as its final one.
    pub fn cut(&mut self, rollout: &mut Rollout, led_to: &ObsBatch) {
        rollout.cut(led_to);
        let envs = 0..rollout.num_envs();
        self.memory.iter_mut().for_each(|memory| envs.clone().for_each(|env| memory.forget(env)));
    }

    /// Computes the values, advantages and returns of a full rollout. The values are read from the device,
    /// once a rollout.
    ///
    /// # Errors
    /// [`AgentError::Diverged`] when a value is NaN.
    pub fn finish(
        &self,
        rollout: &mut Rollout,
        parameters: &Parameters,
        (discount, lambda): (f64, f64),
    ) -> Result<(), AgentError> {
        self.value(rollout, parameters, false)?;
        rollout.estimate_advantages(discount, lambda);
        Ok(())
    }

    /// Computes the values of a finished rollout anew, by these weights.
    ///
    /// # Errors
    /// [`AgentError::Diverged`] when a value is NaN.
    pub fn value_again(&self, rollout: &mut Rollout, parameters: &Parameters) -> Result<(), AgentError> {
        self.value(rollout, parameters, true)
    }

    fn value(&self, rollout: &mut Rollout, parameters: &Parameters, again: bool) -> Result<(), AgentError> {
        let device = parameters.device();
        let (inputs, whole) = (rollout.observations(device)?, rollout.sequences(again, device)?);
        let sequences = whole.as_ref().map(OwnSequences::sequences);
        let states = self.values(parameters, &inputs, sequences, rollout.values_mut())?;
        let states = read_states(states.as_ref())?;
        let mut finals = vec![0.0; rollout.num_finals()];
        if !finals.is_empty() {
            let (inputs, after) = (rollout.finals(device)?, rollout.sequences_of_finals(&states, device)?);
            let sequences = after.as_ref().map(OwnSequences::sequences);
            self.values(parameters, &inputs, sequences, &mut finals)?;
        }
        rollout.set_next_values(&finals);
        if !again {
            rollout.remember(&states);
        }
        Ok(())
    }
}
