//! Drawing actions from an actor-critic, and asking it for values.

use std::ops::Range;

use pavlov_common::SeededRng;
use pavlov_envs::{ActionBatch, ObsBatch};
use pavlov_nn::{HostBuffer, Parameters, Pass, StateDict, StateView, read_numbers};
use tch::Tensor;

use super::exploration::{ExplorationNoise, log_deviations};
use super::rows::{PolicyRows, RowWidths};
use super::{ActionHead, ActorCritic, PolicyOutputs, PolicyState};
use crate::acting::{BatchedInference, Inference, RowNetwork};
use crate::core::host::{on_device, read};
use crate::core::{ActMode, AgentError, Policy};
use crate::networks::{Encoder, Sequences};

/// An actor-critic's description, the encoder and the head between it and the environment, and room for its
/// answers. Each call says where the networks run ([`Inference`]).
#[derive(Clone, Debug)]
pub struct PolicySampler {
    /// The networks.
    pub net: ActorCritic,
    /// From observations to the networks' inputs.
    pub encoder: Encoder,
    /// From draws to actions.
    pub head: ActionHead,
    /// State-dependent noise, where the agent explores by it. Without it actions are drawn independently.
    pub noise: Option<ExplorationNoise>,
    /// The state of a recurrent policy's memory. Without it each observation stands alone.
    pub memory: Option<PolicyState>,
    answer: DistributionRows,
    /// The rows sent to the thread that runs the network for many actors, and its answer.
    asked: (Vec<f32>, Vec<f32>),
}

/// The parameters of each row's distribution, in ordinary memory.
#[derive(Clone, Debug, Default)]
pub(super) struct DistributionRows {
    /// `[rows, parameters]`
    pub rows: Vec<f32>,
    /// The logarithms of a continuous policy's deviations as they stand among the weights.
    pub log_deviation: Vec<f32>,
    /// The features that they are multiplied with where exploration depends on the observation: `[rows,
    /// features]`.
    pub features: Vec<f32>,
    /// The means that the network gave: `[rows, dimensions]`.
    means: Vec<f32>,
}

impl PolicySampler {
    /// Puts the parts together.
    pub fn new(net: ActorCritic, encoder: Encoder, head: ActionHead) -> Self {
        let width = net.policy_state_width();
        let memory = (width > 0).then(|| PolicyState::new(width));
        Self {
            net,
            encoder,
            head,
            noise: None,
            memory,
            answer: DistributionRows::default(),
            asked: Default::default(),
        }
    }

    /// The policy's network, to be run for many actors by one thread.
    pub fn network(&self) -> Box<dyn RowNetwork> {
        Box::new(PolicyRows::new(&self.net, self.encoder.width()))
    }

    /// A copy that has seen nothing: its memory and noise start anew.
    pub fn fresh(&self) -> Self {
        let mut fresh = self.clone();
        fresh.noise.iter_mut().for_each(ExplorationNoise::restart);
        fresh.memory = self.memory.as_ref().map(|_| PolicyState::new(self.net.policy_state_width()));
        fresh
    }

    /// Everything to continue acting from: the memory's state and the noise.
    ///
    /// # Errors
    /// [`AgentError`] when a value cannot be expressed.
    pub fn state(&self) -> Result<StateDict<'_>, AgentError> {
        let mut state = StateDict::new();
        state.put_value("noise", &self.noise)?;
        if let Some(memory) = &self.memory {
            state.nest("memory", memory.state());
        }
        Ok(state)
    }

    /// Continues from a saved state.
    ///
    /// # Errors
    /// [`AgentError`] when it does not fit.
    pub fn load_state(&mut self, state: &StateView<'_>) -> Result<(), AgentError> {
        self.noise = state.value("noise")?;
        match &mut self.memory {
            Some(memory) => memory.load_state(&state.part("memory")),
            None => Ok(()),
        }
    }

    /// Writes the networks' inputs, `[rows, encoder.width()]`, and the masks, `[rows, encoder.mask_width()]`.
    pub fn encode(&self, observations: &ObsBatch, inputs: &mut [f32], masks: &mut [f32]) {
        let (width, bits) = (self.encoder.width(), self.encoder.mask_width());
        for row in 0..observations.rows() {
            let observation = observations.row(row);
            self.encoder.encode(observation, &mut inputs[row * width..(row + 1) * width]);
            let mask = &mut masks[row * bits..(row + 1) * bits];
            match self.encoder.mask(observation) {
                Some(known) => mask.copy_from_slice(known),
                None => mask.fill(1.0),
            }
        }
    }

    /// Draws an action for each row of `inputs` (f32 `[rows, width]`, on the CPU where another thread runs
    /// the network) into `draws`, or takes the likeliest one, and writes the logarithm of its probability.
    ///
    /// # Errors
    /// [`AgentError::Diverged`] when the network gives NaN.
    pub fn draw(
        &mut self,
        inference: Inference<'_>,
        (inputs, masks): (&Tensor, &[f32]),
        (mode, rng): (ActMode, &mut SeededRng),
        (draws, log_probs): (&mut [f32], &mut [f32]),
    ) -> Result<(), AgentError> {
        let _guard = tch::no_grad_guard();
        match inference {
            Inference::Own(weights) => self.run(weights, inputs)?,
            Inference::Batched(others) => self.ask(others, inputs)?,
        }
        let distribution = self.head.distribution();
        let (count, width) = (distribution.parameters(), distribution.width());
        let DistributionRows { rows, log_deviation, features, .. } = &self.answer;
        let noise = self.noise.as_mut().filter(|_| mode == ActMode::Explore && !features.is_empty());
        if let Some(noise) = noise {
            noise.advance(log_probs.len(), log_deviation, rng);
        }
        let each = rows.chunks_exact(count).zip(draws.chunks_exact_mut(width)).zip(log_probs.iter_mut());
        for (index, ((row, draw), log_prob)) in each.enumerate() {
            let mask = mask_row(masks, count, index);
            let drawn = match (mode, &self.noise) {
                (ActMode::Explore, Some(noise)) if !features.is_empty() => {
                    let known = distribution.mode_row(row, mask, draw);
                    let size = log_deviation.len() / width;
                    noise.add(index, &features[index * size..(index + 1) * size], draw);
                    known
                }
                (ActMode::Explore, _) => distribution.sample_row(row, mask, rng, draw),
                (ActMode::Exploit, _) => distribution.mode_row(row, mask, draw),
            };
            if !drawn {
                let place = place_of_nan(&self.net, inference, inputs);
                return Err(AgentError::Diverged(
                    place.unwrap_or(format!("the policy's outputs are {row:?}")),
                ));
            }
            *log_prob = distribution.evaluate_row(row, mask, draw).0;
        }
        Ok(())
    }

    /// Runs the policy's network for one step of all environments, and keeps its memory's state.
    fn run(&mut self, weights: &Parameters, inputs: &Tensor) -> Result<(), AgentError> {
        let inputs = on_device(inputs, weights.device())?;
        let outputs = match &mut self.memory {
            None => self.net.policy(&mut Pass::eval(weights), &inputs, None)?,
            Some(memory) => {
                memory.resize(inputs.size()[0] as usize);
                let step = memory.step(weights.device())?;
                let outputs = self.net.policy(&mut Pass::eval(weights), &inputs, Some(step.sequences()))?;
                outputs.states.as_ref().map_or(Ok(()), |states| memory.update(states))?;
                outputs
            }
        };
        self.answer.fill(&self.net, weights, self.head.distribution().parameters(), &outputs)
    }

    /// Has another thread run the network for one step of all environments.
    fn ask(&mut self, others: &dyn BatchedInference, inputs: &Tensor) -> Result<(), AgentError> {
        let (count, width) = (inputs.size()[0] as usize, self.encoder.width());
        let widths = RowWidths::new(&self.net, width);
        let (rows, outputs) = &mut self.asked;
        rows.resize(count * widths.row_in(), 0.0);
        read_numbers(inputs, &mut rows[..count * width])?;
        if let Some(memory) = &mut self.memory {
            memory.resize(count);
            // From the last one on each row moves to its place and makes room for what is remembered.
            for index in (0..count).rev() {
                let place = index * widths.row_in();
                rows.copy_within(index * width..(index + 1) * width, place);
                memory.write(index, &mut rows[place + width..place + widths.row_in()]);
            }
        }
        others.infer(rows, count, outputs)?;
        if let Some(memory) = &mut self.memory {
            let [.., state] = widths.places();
            for (index, row) in outputs.chunks_exact(widths.row_out()).enumerate() {
                memory.read(index, &row[state.clone()]);
            }
        }
        self.answer.unpack(outputs, widths, self.head.distribution().parameters());
        Ok(())
    }

    /// Writes the values of observations, f32 `[rows, width]`; gives the state of the value's
    /// memory after each, where it has one.
    ///
    /// # Errors
    /// [`AgentError::Diverged`] when one of them is NaN.
    pub fn values(
        &self,
        parameters: &Parameters,
        inputs: &Tensor,
        sequences: Option<Sequences<'_>>,
        values: &mut [f32],
    ) -> Result<Option<Tensor>, AgentError> {
        if values.is_empty() {
            return Ok(None);
        }
        let _guard = tch::no_grad_guard();
        let inputs = on_device(inputs, parameters.device())?;
        let outputs = self.net.value(&mut Pass::eval(parameters), &inputs, sequences)?;
        read_numbers(&outputs.values, values)?;
        match values.iter().all(|value| value.is_finite()) {
            true => Ok(outputs.states),
            false => Err(AgentError::Diverged("a value is not a finite number".into())),
        }
    }
}

/// The place in the network where the numbers of these rows stop being finite, if it can be found.
fn place_of_nan(net: &ActorCritic, inference: Inference<'_>, inputs: &Tensor) -> Option<String> {
    let Inference::Own(weights) = inference else { return None };
    let inputs = on_device(inputs, weights.device()).ok()?;
    net.find_non_finite(&mut Pass::eval(weights), &inputs).ok().flatten()
}

/// The mask of row `index`, if there are masks.
pub(super) fn mask_row(masks: &[f32], width: usize, index: usize) -> Option<&[f32]> {
    (!masks.is_empty()).then(|| &masks[index * width..(index + 1) * width])
}

impl DistributionRows {
    /// Copies what the network gave, of which `count` numbers parametrise a row's distribution.
    pub fn fill(
        &mut self,
        net: &ActorCritic,
        parameters: &Parameters,
        count: usize,
        given: &PolicyOutputs,
    ) -> Result<(), AgentError> {
        let batch = given.outputs.size()[0] as usize;
        let Some(id) = net.log_deviation() else {
            return read(&given.outputs, &mut self.rows);
        };
        read(&given.outputs, &mut self.means)?;
        read(parameters.get(id), &mut self.log_deviation)?;
        self.features.clear();
        given.features.as_ref().map_or(Ok(()), |features| read(features, &mut self.features))?;
        self.add_deviations(batch, count);
        Ok(())
    }

    /// Takes over rows that [`PolicyRows`] gave.
    fn unpack(&mut self, rows: &[f32], widths: RowWidths, count: usize) {
        let ([outputs, log_deviation, features, _], width) = (widths.places(), widths.row_out());
        let of = |place: Range<usize>, out: &mut Vec<f32>| {
            out.clear();
            rows.chunks_exact(width).for_each(|row| out.extend_from_slice(&row[place.clone()]));
        };
        if log_deviation.is_empty() {
            return of(outputs, &mut self.rows);
        }
        of(outputs, &mut self.means);
        of(features, &mut self.features);
        self.log_deviation.clear();
        self.log_deviation.extend_from_slice(rows.get(log_deviation).unwrap_or_default());
        self.add_deviations(rows.len() / width, count);
    }

    /// Makes the rows of means and deviations.
    fn add_deviations(&mut self, batch: usize, count: usize) {
        self.rows.resize(batch * count, 0.0);
        let width = self.means.len() / batch.max(1);
        let size = self.features.len() / batch.max(1);
        for (index, row) in self.rows.chunks_exact_mut(count).enumerate() {
            let (own, log_deviation) = row.split_at_mut(width);
            own.copy_from_slice(&self.means[index * width..(index + 1) * width]);
            if size == 0 {
                log_deviation.copy_from_slice(&self.log_deviation);
            } else {
                let features = &self.features[index * size..(index + 1) * size];
                log_deviations(features, &self.log_deviation, log_deviation);
            }
        }
    }
}

/// A stochastic policy with weights of its own.
#[derive(Debug)]
pub struct StochasticPolicy {
    sampler: PolicySampler,
    parameters: Parameters,
    inputs: HostBuffer<f32>,
    masks: Vec<f32>,
    draws: Vec<f32>,
    log_probs: Vec<f32>,
}

impl StochasticPolicy {
    /// A policy with these weights, which are its own.
    ///
    /// # Errors
    /// [`AgentError`] when memory runs out.
    pub fn new(sampler: PolicySampler, parameters: Parameters) -> Result<Self, AgentError> {
        let memory = sampler.memory.as_ref().map(|_| PolicyState::new(sampler.net.policy_state_width()));
        let sampler = PolicySampler { noise: None, memory, ..sampler };
        let inputs = HostBuffer::new(&[0, sampler.encoder.width() as i64])?;
        Ok(Self { sampler, parameters, inputs, masks: Vec::new(), draws: Vec::new(), log_probs: Vec::new() })
    }
}

impl Policy for StochasticPolicy {
    fn act(
        &mut self,
        observations: &ObsBatch,
        mode: ActMode,
        rng: &mut SeededRng,
        actions: &mut ActionBatch,
    ) -> Result<(), AgentError> {
        let rows = observations.rows();
        let width = self.sampler.head.distribution().width();
        if self.log_probs.len() != rows {
            self.inputs = HostBuffer::new(&[rows as i64, self.sampler.encoder.width() as i64])?;
            self.masks.resize(rows * self.sampler.encoder.mask_width(), 1.0);
            self.draws.resize(rows * width, 0.0);
            self.log_probs.resize(rows, 0.0);
        }
        self.sampler.encode(observations, self.inputs.as_mut_slice(), &mut self.masks);
        let asked = (self.inputs.tensor(), self.masks.as_slice());
        let answers = (self.draws.as_mut_slice(), self.log_probs.as_mut_slice());
        self.sampler.draw(Inference::Own(&self.parameters), asked, (mode, rng), answers)?;
        for (row, draw) in self.draws.chunks_exact(width).enumerate() {
            self.sampler.head.write(draw, row, actions);
        }
        Ok(())
    }

    fn forget(&mut self, row: usize) {
        self.sampler.memory.iter_mut().for_each(|memory| memory.forget(row));
    }
}
