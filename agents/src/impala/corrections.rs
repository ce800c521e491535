//! The correction of a rollout for the lag of the policy that played it: V-trace, by rows and on tensors.

use super::ImpalaConfig;
use crate::core::host::sent;
use crate::core::{AgentError, Scalar};
use crate::on_policy::advantages::{self, VtraceClips};
use crate::on_policy::{Minibatch, Rollout, RowEvaluation, TensorEvaluation};

/// The numbers to log of a correction.
#[derive(Debug)]
pub struct Corrected {
    /// The mean ratio of the actions' probabilities, now over when they were drawn.
    pub importance: Scalar,
    /// The share of the targets' variance that the values explain.
    pub explained_variance: Scalar,
}

fn clips(config: &ImpalaConfig) -> VtraceClips {
    VtraceClips { importance: config.importance_clip as f32, trace: config.trace_clip as f32 }
}

/// Writes V-trace's targets and advantages into the minibatch, whose rows are these of the rollout.
/// `log_ratios` is room.
pub(super) fn by_rows(
    config: &ImpalaConfig,
    (rollout, rows): (&mut Rollout, &[usize]),
    minibatch: &mut Minibatch,
    now: &RowEvaluation,
    log_ratios: &mut Vec<f32>,
) -> Corrected {
    log_ratios.clear();
    log_ratios.resize(rollout.rows(), 0.0);
    for (index, &row) in rows.iter().enumerate() {
        log_ratios[row] = now.log_probs[index] - minibatch.log_probs[index];
    }
    rollout.vtrace(log_ratios, (config.discount, config.gae_lambda), clips(config));
    for (index, &row) in rows.iter().enumerate() {
        minibatch.advantages[index] = rollout.advantages()[row];
        minibatch.returns[index] = rollout.returns()[row];
    }
    if config.normalize_advantages {
        minibatch.normalize_advantages();
    }
    let importance = log_ratios.iter().map(|ratio| f64::from(ratio.exp())).sum::<f64>();
    Corrected {
        importance: (importance / log_ratios.len() as f64).into(),
        explained_variance: advantages::explained_variance(rollout.values(), rollout.returns()).into(),
    }
}

/// The same on the device: the targets and advantages are written into the evaluation's own minibatch.
/// `learned` is the number of rows to learn from.
pub(super) fn on_tensors(
    config: &ImpalaConfig,
    (rollout, rows): (&Rollout, &[usize]),
    learned: usize,
    now: &mut TensorEvaluation,
) -> Result<Corrected, AgentError> {
    let _guard = tch::no_grad_guard();
    let (then, device) = (&mut now.minibatch, now.log_probs.device());
    let steps = rollout.step_tensors(device)?;
    let numbers: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
    let places = sent(&numbers, &[rows.len() as i64], device)?;
    let moved = now.log_probs.f_detach()?.f_sub(&then.log_probs)?;
    let log_ratios = steps.rewards.f_zeros_like()?.f_view([-1])?.f_index_copy(0, &places, &moved)?;
    let log_ratios = log_ratios.f_view_as(&steps.rewards)?;
    let discounts = (config.discount, config.gae_lambda);
    let (targets, all) = advantages::vtrace_on_tensors(&steps, &log_ratios, discounts, clips(config))?;
    then.returns = targets.f_view([-1])?.f_index_select(0, &places)?;
    then.advantages = all.f_view([-1])?.f_index_select(0, &places)?;
    if config.normalize_advantages {
        then.advantages = advantages::normalize_on_tensors(&then.advantages, &then.shares, learned)?;
    }
    Ok(Corrected {
        importance: log_ratios.f_exp()?.f_mean(tch::Kind::Double)?.into(),
        explained_variance: advantages::explained_variance_on_tensors(&steps.values, &targets)?.into(),
    })
}
