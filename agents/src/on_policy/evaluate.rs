//! The log-probabilities, entropies and values of a minibatch to the present networks, and the way back from
//! a loss over them to the weights.
//!
//! Such a loss is a few numbers a row. By rows it is computed in ordinary memory, with its gradient by the
//! networks' outputs derived by hand, and autograd begins behind them. On tensors all of it is recorded by
//! autograd.

use pavlov_nn::{HostBuffer, Parameters, Pass, read_numbers};
use tch::Tensor;

use super::exploration::{add_gradient, log_deviations_on_tensors};
use super::minibatch::MinibatchTensors;
use super::sampler::{DistributionRows, mask_row};
use super::{Minibatch, Outputs, PolicyOutputs, PolicySampler};
use crate::core::AgentError;
use crate::core::host::{on_device, sent};

/// The evaluation of a minibatch, in the form in which its loss is to be computed.
#[derive(Debug)]
pub enum ActionEvaluation {
    /// Numbers in ordinary memory.
    Rows(RowEvaluation),
    /// Tensors that autograd recorded.
    Tensors(TensorEvaluation),
}

/// A minibatch's log-probabilities, entropies and values to the present networks, as plain numbers.
#[derive(Debug)]
pub struct RowEvaluation {
    /// The logarithm of each action's probability, `[batch]`.
    pub log_probs: Vec<f32>,
    /// The entropy of each distribution, `[batch]`.
    pub entropies: Vec<f32>,
    /// The value of each observation, `[batch]`.
    pub values: Vec<f32>,
    outputs: Outputs,
    answer: DistributionRows,
}

/// The same as tensors, recorded by autograd, beside the minibatch's own numbers. Each is f32 `[batch]`.
#[derive(Debug)]
pub struct TensorEvaluation {
    /// The logarithm of each action's probability.
    pub log_probs: Tensor,
    /// The entropy of each distribution.
    pub entropies: Tensor,
    /// The value of each observation.
    pub values: Tensor,
    /// The minibatch, on the device.
    pub minibatch: MinibatchTensors,
    outputs: Outputs,
}

impl TensorEvaluation {
    /// Accumulates the gradient of a loss over these tensors, f32 `[]`, into the parameters' gradients.
    ///
    /// # Errors
    /// [`AgentError`] when libtorch fails.
    pub fn backward(&self, loss: &Tensor) -> Result<(), AgentError> {
        self.outputs.backward_loss(loss)
    }
}

/// The derivatives of a loss by the numbers of a [`RowEvaluation`].
#[derive(Clone, Debug, Default)]
pub struct RowGradients {
    /// By each log-probability, `[batch]`.
    pub by_log_prob: Vec<f32>,
    /// By each entropy: the same for all rows.
    pub by_entropy: f32,
    /// By each value, `[batch]`.
    pub by_value: Vec<f32>,
}

/// Room for the gradients of minibatches of one size.
#[derive(Debug, Default)]
pub struct Evaluator {
    gradients: Option<(HostBuffer<f32>, HostBuffer<f32>)>,
}

impl Evaluator {
    /// Runs the networks on a minibatch, in the mode of training.
    fn outputs(
        sampler: &PolicySampler,
        pass: &mut Pass<'_>,
        minibatch: &Minibatch,
    ) -> Result<Outputs, AgentError> {
        let device = pass.device();
        let inputs = minibatch.observations(device)?;
        let memory = minibatch.memory.as_ref().map(|memory| memory.on(device)).transpose()?;
        let sequences =
            memory.as_ref().map(|(policy, value)| (policy.sequences(), value.sequences())).unzip();
        sampler.net.both(pass, &inputs, sequences)
    }

    /// Evaluates a minibatch row by row.
    ///
    /// # Errors
    /// [`AgentError`] when the minibatch does not fit the networks.
    pub fn evaluate(
        &self,
        sampler: &PolicySampler,
        pass: &mut Pass<'_>,
        minibatch: &Minibatch,
    ) -> Result<RowEvaluation, AgentError> {
        let parameters = pass.parameters();
        let outputs = Self::outputs(sampler, pass, minibatch)?;
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
        read_numbers(&outputs.values, &mut values)?;
        Ok(RowEvaluation { log_probs, entropies, values, outputs, answer })
    }

    /// Evaluates a minibatch in operations that autograd records; nothing is read back from the device.
    ///
    /// # Errors
    /// [`AgentError`] when the minibatch does not fit the networks.
    pub fn evaluate_on_tensors(
        &self,
        sampler: &PolicySampler,
        pass: &mut Pass<'_>,
        minibatch: &Minibatch,
    ) -> Result<TensorEvaluation, AgentError> {
        let parameters = pass.parameters();
        let (device, rows) = (parameters.device(), minibatch.len() as i64);
        let outputs = Self::outputs(sampler, pass, minibatch)?;
        let distribution = sampler.head.distribution();
        let shape = |width: usize| [rows, width as i64];
        let draws = sent(&minibatch.draws, &shape(distribution.width()), device)?;
        let masks = (!minibatch.masks.is_empty())
            .then(|| sent(&minibatch.masks, &shape(distribution.parameters()), device))
            .transpose()?;
        let parametrised = distribution_parameters(sampler, parameters, &outputs.policy)?;
        Ok(TensorEvaluation {
            log_probs: distribution.log_prob(&parametrised, masks.as_ref(), &draws)?,
            entropies: distribution.entropy(&parametrised, masks.as_ref())?,
            values: outputs.values.f_squeeze_dim(1)?,
            minibatch: minibatch.tensors(device)?,
            outputs,
        })
    }

    /// Accumulates the gradient of a loss into the parameters' gradients.
    ///
    /// # Errors
    /// [`AgentError`] when libtorch fails.
    pub fn backward(
        &mut self,
        sampler: &PolicySampler,
        parameters: &Parameters,
        (minibatch, evaluation): (&Minibatch, &RowEvaluation),
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

/// The numbers that parametrise each row's distribution, f32 `[batch, parameters]`, recorded by autograd.
fn distribution_parameters(
    sampler: &PolicySampler,
    parameters: &Parameters,
    given: &PolicyOutputs,
) -> Result<Tensor, AgentError> {
    let Some(id) = sampler.net.log_deviation() else { return Ok(given.outputs.shallow_clone()) };
    let own = parameters.get(id);
    let log_deviations = match &given.features {
        Some(features) => log_deviations_on_tensors(features, own)?,
        None => own.f_unsqueeze(0)?.f_expand_as(&given.outputs)?,
    };
    Ok(Tensor::f_cat(&[&given.outputs, &log_deviations], 1)?)
}
