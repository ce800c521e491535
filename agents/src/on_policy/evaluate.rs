//! How likely a minibatch's actions are now, and the way back from a loss to the weights.
//!
//! A loss over log-probabilities, entropies and values is a few numbers a row: it is computed on the host in plain
//! arithmetic, and so is its gradient with respect to the networks' outputs. Autograd begins behind them.

use pavlov_nn::{HostBuffer, Parameters, Pass};
use tch::Tensor;

use super::exploration::add_gradient;
use super::sampler::{DistributionRows, mask_row};
use super::{Minibatch, Outputs, PolicySampler};
use crate::core::AgentError;
use crate::core::host::on_device;

/// What a minibatch's actions and observations are worth to the present networks.
#[derive(Debug)]
pub struct ActionEvaluation {
    /// The logarithm of each action's probability, `[batch]`.
    pub log_probs: Vec<f32>,
    /// The entropy of each distribution, `[batch]`.
    pub entropies: Vec<f32>,
    /// The value of each observation, `[batch]`.
    pub values: Vec<f32>,
    outputs: Outputs,
    answer: DistributionRows,
}

/// What a loss changes by with each number of an [`ActionEvaluation`].
#[derive(Clone, Debug, Default)]
pub struct RowGradients {
    /// With each log-probability, `[batch]`.
    pub by_log_prob: Vec<f32>,
    /// With each entropy: the same for all rows.
    pub by_entropy: f32,
    /// With each value, `[batch]`.
    pub by_value: Vec<f32>,
}

/// Room for the gradients of minibatches of one size.
#[derive(Debug, Default)]
pub struct Evaluator {
    gradients: Option<(HostBuffer<f32>, HostBuffer<f32>)>,
}

impl Evaluator {
    /// Asks the networks about a minibatch, in the mode of training.
    ///
    /// # Errors
    /// [`AgentError`] when the minibatch does not fit the networks.
    pub fn evaluate(
        &self,
        sampler: &PolicySampler,
        pass: &mut Pass<'_>,
        minibatch: &Minibatch,
    ) -> Result<ActionEvaluation, AgentError> {
        let parameters = pass.parameters();
        let inputs = on_device(minibatch.observations(), parameters.device())?;
        let memory = minibatch.memory.as_ref().map(|memory| memory.on(parameters.device())).transpose()?;
        let sequences =
            memory.as_ref().map(|(policy, value)| (policy.sequences(), value.sequences())).unzip();
        let outputs = sampler.net.both(pass, &inputs, sequences)?;
        let distribution = sampler.head.distribution();
        let (count, width) = (distribution.parameters(), distribution.width());
        let mut answer = DistributionRows::default();
        answer.fill(&sampler.net, parameters, count, &outputs.policy)?;
        let batch = minibatch.len();
        let (mut log_probs, mut entropies) = (Vec::with_capacity(batch), Vec::with_capacity(batch));
        for (index, row) in answer.rows.chunks_exact(count).enumerate() {
            let draw = &minibatch.draws[index * width..(index + 1) * width];
            let mask = mask_row(&minibatch.masks, count, index);
            let (log_prob, entropy) = distribution.evaluate_row(row, mask, draw);
            log_probs.push(log_prob);
            entropies.push(entropy);
        }
        let mut values = vec![0.0; batch];
        outputs.values.f_copy_data(&mut values, batch)?;
        Ok(ActionEvaluation { log_probs, entropies, values, outputs, answer })
    }

    /// Accumulates the gradient of a loss into the parameters' gradients.
    ///
    /// # Errors
    /// [`AgentError`] when libtorch fails.
    pub fn backward(
        &mut self,
        sampler: &PolicySampler,
        parameters: &Parameters,
        (minibatch, evaluation): (&Minibatch, &ActionEvaluation),
        by: &RowGradients,
    ) -> Result<(), AgentError> {
        let distribution = sampler.head.distribution();
        let (count, width) = (distribution.parameters(), distribution.width());
        let shape = evaluation.outputs.policy.outputs.size();
        let (batch, outputs) = (shape[0], shape[1]);
        let fits = |(policy, _): &(HostBuffer<f32>, _)| policy.tensor().size() == [batch, outputs];
        if !self.gradients.as_ref().is_some_and(fits) {
            self.gradients = Some((HostBuffer::new(&[batch, outputs])?, HostBuffer::new(&[batch, 1])?));
        }
        let Some((policy, value)) = &mut self.gradients else { return Ok(()) };
        let outputs = outputs as usize;
        let DistributionRows { rows, log_deviation, features, .. } = &evaluation.answer;
        let size = features.len() / minibatch.len().max(1);
        let mut of_deviation = vec![0.0; log_deviation.len()];
        let mut row_gradient = vec![0.0; count];
        let policy_rows = policy.as_mut_slice().chunks_exact_mut(outputs);
        for (index, (row, out)) in rows.chunks_exact(count).zip(policy_rows).enumerate() {
            if minibatch.is_skipped(index) {
                out.fill(0.0);
                continue;
            }
            let draw = &minibatch.draws[index * width..(index + 1) * width];
            let mask = mask_row(&minibatch.masks, count, index);
            let changes = (by.by_log_prob[index], by.by_entropy);
            distribution.gradient_row((row, mask), draw, changes, &mut row_gradient);
            out.copy_from_slice(&row_gradient[..outputs]);
            let by = &row_gradient[outputs..];
            if size == 0 {
                of_deviation.iter_mut().zip(by).for_each(|(sum, one)| *sum += one);
            } else {
                let features = &features[index * size..(index + 1) * size];
                add_gradient(features, log_deviation, (&row[outputs..], by), &mut of_deviation);
            }
        }
        value.as_mut_slice().copy_from_slice(&by.by_value);
        let device = parameters.device();
        let (by_policy, by_value) = (on_device(policy.tensor(), device)?, on_device(value.tensor(), device)?);
        evaluation.outputs.backward(&by_policy, &by_value)?;
        if let Some(gradient) = sampler.net.log_deviation().and_then(|id| parameters.gradient(id)) {
            let sum = Tensor::f_from_slice(&of_deviation)?.f_view_as(gradient)?.f_to_device(device)?;
            let _guard = tch::no_grad_guard();
            let _ = gradient.shallow_clone().f_add_(&sum)?;
        }
        Ok(())
    }
}
