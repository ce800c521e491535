//! Advantages and returns, as free functions of plain numbers and, for those that an update computes, of
//! tensors.
//!
//! All arrays are `[steps, envs]`, row-major: one row for each step of the vector environment.

use pavlov_envs::End;
use pavlov_group::Group;
use tch::{Kind, Tensor};

use crate::core::AgentError;

/// Generalised advantage estimation (Schulman et al. 2016):
/// `A_t = delta_t + discount lambda A_(t+1)`, `delta_t = r_t + discount V(s'_t) - V(s_t)`.
///
/// `next_values` are the values of what truly followed each step: 0 where the world terminated, of the final
/// observation where the episode was truncated. The sum stops where an episode ends, either way. `advantages`
/// is overwritten.
pub fn gae(steps: Steps<'_>, next_values: &[f32], (discount, lambda): (f32, f32), advantages: &mut [f32]) {
    let Steps { rewards, values, ends, num_envs } = steps;
    for index in (0..rewards.len()).rev() {
        let delta = rewards[index] + discount * next_values[index] - values[index];
        let later = match ends[index] {
            End::No => advantages.get(index + num_envs).copied().unwrap_or(0.0),
            End::Terminated | End::Truncated => 0.0,
        };
        advantages[index] = delta + discount * lambda * later;
    }
}

/// The largest importance ratios that V-trace uses.
#[derive(Clone, Copy, Debug)]
pub struct VtraceClips {
    /// The bound of a step's own ratio, `rho bar`.
    pub importance: f32,
    /// The bound of the ratio by which later steps are traced back, `c bar`.
    pub trace: f32,
}

/// V-trace (Espeholt et al. 2018): targets of values and policy-gradient advantages, from steps of another
/// policy. With `rho = min(importance, ratio)` and `c = lambda min(trace, ratio)`:
///
/// ```text
/// v_t = V(s_t) + delta_t + discount c_t (v_(t+1) - V(s_(t+1))),   delta_t = rho_t (r_t + discount V(s'_t) - V(s_t))
/// A_t = rho_t (r_t + discount v_(t+1) - V(s_t))
/// ```
///
/// `next_values` are as for [`gae`], `log_ratios` the logarithms of how much likelier each action has become.
/// Where all are 0 and lambda is 1 the targets are the n-step returns. `targets` and `advantages` are
/// overwritten.
pub fn vtrace(
    steps: Steps<'_>,
    next_values: &[f32],
    log_ratios: &[f32],
    (discount, lambda): (f32, f32),
    clips: VtraceClips,
    (targets, advantages): (&mut [f32], &mut [f32]),
) {
    let Steps { rewards, values, ends, num_envs } = steps;
    for index in (0..rewards.len()).rev() {
        let ratio = log_ratios[index].exp();
        let (importance, trace) = (ratio.min(clips.importance), lambda * ratio.min(clips.trace));
        // The distance of the next step's target from its value; an episode's end cuts it off.
        let later = match (ends[index], targets.get(index + num_envs)) {
            (End::No, Some(target)) => target - next_values[index],
            _ => 0.0,
        };
        let step = rewards[index] + discount * next_values[index] - values[index];
        targets[index] = values[index] + importance * step + discount * trace * later;
        advantages[index] = importance * (step + discount * later);
    }
}

/// [`vtrace`] on tensors, without gradient: targets and advantages, f32 `[steps, envs]` each. `log_ratios`
/// has that shape.
///
/// # Errors
/// [`AgentError::Nn`] when the shapes do not fit.
pub fn vtrace_on_tensors(
    steps: &StepTensors,
    log_ratios: &Tensor,
    (discount, lambda): (f64, f64),
    clips: VtraceClips,
) -> Result<(Tensor, Tensor), AgentError> {
    let _guard = tch::no_grad_guard();
    let StepTensors { rewards, values, next_values, goes_on } = steps;
    let ratios = log_ratios.f_exp()?;
    let importance = ratios.f_clamp_max(f64::from(clips.importance))?;
    let step = rewards.f_add(&next_values.f_mul_scalar(discount)?)?.f_sub(values)?;
    let deltas = importance.f_mul(&step)?;
    let traces =
        ratios.f_clamp_max(f64::from(clips.trace))?.f_mul_scalar(discount * lambda)?.f_mul(goes_on)?;
    // x_t = v_t - V(s_t), from the last step to the first: x_t = delta_t + discount c_t x_(t+1).
    let nothing = values.f_get(0)?.f_zeros_like()?;
    let mut gaps = vec![nothing];
    for index in (0..rewards.size()[0]).rev() {
        let later = &gaps[gaps.len() - 1];
        gaps.push(deltas.f_get(index)?.f_addcmul(&traces.f_get(index)?, later)?);
    }
    gaps.reverse();
    let gaps = Tensor::f_stack(&gaps, 0)?;
    let count = rewards.size()[0];
    let later = gaps.f_narrow(0, 1, count)?.f_mul(goes_on)?.f_mul_scalar(discount)?;
    Ok((values.f_add(&gaps.f_narrow(0, 0, count)?)?, importance.f_mul(&step.f_add(&later)?)?))
}

/// The steps that V-trace is computed from, on the device: each f32 `[steps, envs]`.
#[derive(Debug)]
pub struct StepTensors {
    /// The reward of each step.
    pub rewards: Tensor,
    /// The value of each step's observation.
    pub values: Tensor,
    /// The value of the observation that truly followed.
    pub next_values: Tensor,
    /// 1 where the episode goes on, 0 where it ended with the step.
    pub goes_on: Tensor,
}

/// The steps that advantages are computed from.
#[derive(Clone, Copy, Debug)]
pub struct Steps<'a> {
    /// The reward of each step.
    pub rewards: &'a [f32],
    /// The value of each step's observation.
    pub values: &'a [f32],
    /// The end of each step's episode, if it ended with the step.
    pub ends: &'a [End],
    /// The number of environments.
    pub num_envs: usize,
}

/// Brings the numbers to mean 0 and (unbiased) deviation 1, as PPO does within each minibatch. A single
/// number has no deviation and stays as it is.
pub fn normalize(numbers: &mut [f32]) {
    if numbers.len() < 2 {
        return;
    }
    let count = numbers.len() as f64;
    let mean = numbers.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
    let squares: f64 = numbers.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum();
    let deviation = (squares / (count - 1.0)).sqrt() + 1e-8;
    numbers.iter_mut().for_each(|x| *x = ((f64::from(*x) - mean) / deviation) as f32);
}

/// The mean and the deviation that [`normalize`] goes by, of each part of a rollout over all shards.
///
/// # Errors
/// When a shard is lost.
pub(super) fn moments_over_shards(
    group: &Group,
    parts: impl Iterator<Item = impl Iterator<Item = f32>>,
) -> Result<Vec<Moments>, AgentError> {
    let own: Vec<Spread> = parts.map(|part| part.fold(Spread::default(), Spread::with)).collect();
    let bytes = own.iter().flat_map(|spread| [spread.count, spread.mean, spread.squares]);
    let all = group.gather(bytes.flat_map(f64::to_le_bytes).collect())?;
    let mut together = vec![Spread::default(); own.len()];
    for shard in all {
        let (numbers, _) = shard.as_chunks();
        let numbers: Vec<f64> = numbers.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
        for (spread, numbers) in together.iter_mut().zip(numbers.chunks_exact(3)) {
            *spread = spread.and(Spread { count: numbers[0], mean: numbers[1], squares: numbers[2] });
        }
    }
    Ok(together.into_iter().map(Spread::moments).collect())
}

/// The count of some numbers, their mean, and the sum of their squared distances from it: what can be added up
/// without losing digits where the mean is far from 0.
#[derive(Clone, Copy, Debug, Default)]
struct Spread {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Spread {
    fn with(self, number: f32) -> Self {
        self.and(Self { count: 1.0, mean: f64::from(number), squares: 0.0 })
    }

    /// The same of two sets of numbers together (Chan et al. 1979).
    fn and(self, other: Self) -> Self {
        let count = self.count + other.count;
        if count == 0.0 {
            return self;
        }
        let (apart, share) = (other.mean - self.mean, other.count / count);
        Self {
            count,
            mean: self.mean + apart * share,
            squares: self.squares + other.squares + apart * apart * self.count * share,
        }
    }

    fn moments(self) -> Moments {
        // As for a single shard, one number is left as it is.
        match self.count < 2.0 {
            true => Moments { mean: 0.0, deviation: 1.0 },
            false => {
                Moments { mean: self.mean, deviation: (self.squares / (self.count - 1.0)).sqrt() + 1e-8 }
            }
        }
    }
}

/// A mean and a deviation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    pub(super) mean: f64,
    pub(super) deviation: f64,
}

/// [`normalize`] on tensors, over the rows to learn from: `shares` (f32 `[batch]`) is 0 for the others, which
/// become 0, and `count` says how many there are.
///
/// # Errors
/// [`AgentError::Nn`] when the shapes do not fit.
pub fn normalize_on_tensors(numbers: &Tensor, shares: &Tensor, count: usize) -> Result<Tensor, AgentError> {
    let taken = shares.f_ne(0.0)?.f_to_kind(Kind::Double)?;
    let own = numbers.f_to_kind(Kind::Double)?.f_mul(&taken)?;
    if count < 2 {
        return Ok(own.f_to_kind(Kind::Float)?);
    }
    let mean = own.f_sum(Kind::Double)?.f_div_scalar(count as f64)?;
    let own = own.f_sub(&mean)?.f_mul(&taken)?;
    let variance = own.f_square()?.f_sum(Kind::Double)?.f_div_scalar(count as f64 - 1.0)?;
    Ok(own.f_div(&variance.f_sqrt()?.f_add_scalar(1e-8)?)?.f_to_kind(Kind::Float)?)
}

/// The share of the returns' variance that the values explain: 1 is all, 0 as much as their mean would, less
/// is worse. NaN where the returns do not vary.
pub fn explained_variance(values: &[f32], returns: &[f32]) -> f64 {
    let variance = |numbers: &mut dyn Iterator<Item = f64>| {
        let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
        for x in numbers {
            count += 1.0;
            let delta = x - mean;
            mean += delta / count;
            squares += delta * (x - mean);
        }
        squares / count
    };
    let total = variance(&mut returns.iter().map(|&x| f64::from(x)));
    let left = variance(&mut returns.iter().zip(values).map(|(r, v)| f64::from(r - v)));
    if total == 0.0 { f64::NAN } else { 1.0 - left / total }
}

/// [`explained_variance`] on tensors of one shape: f64 `[]`.
///
/// # Errors
/// [`AgentError::Nn`] when the shapes do not fit.
pub fn explained_variance_on_tensors(values: &Tensor, returns: &Tensor) -> Result<Tensor, AgentError> {
    // By hand: libtorch's `var` of all numbers on a CPU reads the mean.
    let variance = |tensor: Tensor| -> Result<Tensor, AgentError> {
        let all = tensor.f_to_kind(Kind::Double)?;
        Ok(all.f_sub(&all.f_mean(Kind::Double)?)?.f_square()?.f_mean(Kind::Double)?)
    };
    let total = variance(returns.f_detach()?)?;
    let left = variance(returns.f_sub(values)?)?;
    let total = total.f_masked_fill(&total.f_eq(0.0)?, f64::NAN)?;
    Ok(left.f_div(&total)?.f_neg()?.f_add_scalar(1.0)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps<'a>(rewards: &'a [f32], values: &'a [f32], ends: &'a [End], num_envs: usize) -> Steps<'a> {
        Steps { rewards, values, ends, num_envs }
    }

    #[test]
    fn the_advantages_of_all_shards_are_normalised_as_those_of_one() {
        // Far from 0, so that a difference of large sums would show.
        let numbers: Vec<f32> = (0..12).map(|i| 1000.0 + ((i * 7) % 12) as f32 * 0.25).collect();
        let mut whole = numbers.clone();
        normalize(&mut whole);
        let shards = [&numbers[..7], &numbers[7..7], &numbers[7..]];
        let (groups, lone) = (Group::of_process(3, None), [5.0f32]);
        let run = |(group, own): (Group, &[f32])| {
            let parts = [own.iter().copied(), lone[..usize::from(group.shard() == 1)].iter().copied()];
            let moments = moments_over_shards(&group, parts.into_iter()).unwrap();
            assert_eq!(moments[1], Moments { mean: 0.0, deviation: 1.0 });
            own.iter().map(|&x| (f64::from(x) - moments[0].mean) / moments[0].deviation).collect::<Vec<_>>()
        };
        let together: Vec<f64> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                groups.into_iter().zip(shards).map(|shard| scope.spawn(move || run(shard))).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        for (one, together) in whole.iter().zip(together) {
            assert!((f64::from(*one) - together).abs() < 1e-6, "{one} {together}");
        }
    }

    #[test]
    fn an_episode_is_as_if_it_were_alone() {
        // Two episodes one after the other, and each by itself: the same bits.
        let (rewards, values) = ([1.0f32, -2.0, 0.5, 3.0, 1.5], [0.3f32, 0.7, -0.4, 1.1, 0.2]);
        let next = [0.7f32, 5.0, 1.1, 0.2, 0.0];
        let ends = [End::No, End::Truncated, End::No, End::No, End::Terminated];
        let mut whole = [0.0; 5];
        gae(steps(&rewards, &values, &ends, 1), &next, (0.9, 0.8), &mut whole);
        let (mut first, mut second) = ([0.0; 2], [0.0; 3]);
        gae(steps(&rewards[..2], &values[..2], &ends[..2], 1), &next[..2], (0.9, 0.8), &mut first);
        gae(steps(&rewards[2..], &values[2..], &ends[2..], 1), &next[2..], (0.9, 0.8), &mut second);
        assert_eq!(whole[..2], first);
        assert_eq!(whole[2..], second);
        // By hand: the truncated step bootstraps from its own final value, the terminated one from nothing.
        assert!((whole[1] - (-2.0 + 0.9 * 5.0 - 0.7)).abs() < 1e-6);
        assert!((whole[4] - (1.5 - 0.2)).abs() < 1e-6);
        assert!((whole[3] - (3.0 + 0.9 * 0.2 - 1.1 + 0.72 * whole[4])).abs() < 1e-6);
    }

    #[test]
    fn environments_do_not_mix() {
        let (rewards, values) = ([1.0f32, 10.0, 2.0, 20.0], [0.5f32, 5.0, 0.25, 2.5]);
        let (next, ends) = ([0.25f32, 2.5, 1.0, 0.0], [End::No, End::No, End::No, End::Terminated]);
        let mut both = [0.0; 4];
        gae(steps(&rewards, &values, &ends, 2), &next, (0.99, 0.95), &mut both);
        for env in 0..2 {
            let pick = |array: &[f32; 4]| [array[env], array[env + 2]];
            let mut alone = [0.0; 2];
            let (rewards, values, ends) = (pick(&rewards), pick(&values), [ends[env], ends[env + 2]]);
            gae(steps(&rewards, &values, &ends, 1), &pick(&next), (0.99, 0.95), &mut alone);
            assert_eq!(pick(&both), alone);
        }
    }

    #[test]
    fn vtrace_of_the_same_policy_is_the_n_step_return() {
        let rewards = [1.0f32, -2.0, 0.5, 3.0, 1.0, 2.0];
        let values = [0.3f32, 0.6, 0.9, -1.0, 2.0, 0.1];
        let ends = [End::No, End::No, End::Truncated, End::No, End::No, End::Terminated];
        // Two environments; what followed the truncation is worth 4.
        let next = [0.9f32, -1.0, 4.0, 0.1, 1.5, 0.0];
        let clips = VtraceClips { importance: 1.0, trace: 1.0 };
        let (mut targets, mut advantages, mut plain) = ([0.0; 6], [0.0; 6], [0.0; 6]);
        let of = (&mut targets[..], &mut advantages[..]);
        vtrace(steps(&rewards, &values, &ends, 2), &next, &[0.0; 6], (0.9, 1.0), clips, of);
        gae(steps(&rewards, &values, &ends, 2), &next, (0.9, 1.0), &mut plain);
        for index in 0..6 {
            assert!((advantages[index] - plain[index]).abs() < 1e-5, "{advantages:?} {plain:?}");
            assert!((targets[index] - values[index] - plain[index]).abs() < 1e-5);
        }
    }

    #[test]
    fn vtrace_by_hand() {
        // Ratios 2 (clipped to 1) and 1/2.
        let (rewards, values, next) = ([1.0f32, 2.0], [0.5f32, 1.0], [1.0f32, 3.0]);
        let log_ratios = [2f32.ln(), 0.5f32.ln()];
        let clips = VtraceClips { importance: 1.0, trace: 1.0 };
        let (mut targets, mut advantages) = ([0.0; 2], [0.0; 2]);
        let of = (&mut targets[..], &mut advantages[..]);
        vtrace(steps(&rewards, &values, &[End::No; 2], 1), &next, &log_ratios, (0.5, 1.0), clips, of);
        // delta_1 = 0.5 (2 + 1.5 - 1) = 1.25; delta_0 = 1 + 0.5 - 0.5 = 1
        assert!((targets[1] - 2.25).abs() < 1e-6 && (advantages[1] - 1.25).abs() < 1e-6);
        // v_0 = 0.5 + 1 + 0.5 (2.25 - 1); A_0 = 1 + 0.5 * 2.25 - 0.5
        assert!((targets[0] - 2.125).abs() < 1e-6 && (advantages[0] - 1.625).abs() < 1e-6);
    }

    #[test]
    fn lambda_one_gives_the_return_less_the_value() {
        let (rewards, values) = ([1.0f32, 1.0, 1.0], [0.3f32, 0.6, 0.9]);
        let mut advantages = [0.0; 3];
        let ends = [End::No, End::No, End::Terminated];
        gae(steps(&rewards, &values, &ends, 1), &[0.6, 0.9, 0.0], (0.5, 1.0), &mut advantages);
        let returns: Vec<f32> = advantages.iter().zip(values).map(|(a, v)| a + v).collect();
        assert!(
            returns.iter().zip([1.75, 1.5, 1.0]).all(|(have, want): (&f32, f32)| (have - want).abs() < 1e-6)
        );
    }

    #[test]
    fn normalizing_is_by_the_unbiased_deviation_and_leaves_one_number_alone() {
        let mut numbers = [1.0f32, 2.0, 3.0];
        normalize(&mut numbers);
        assert!(
            numbers.iter().zip([-1.0, 0.0, 1.0]).all(|(have, want): (&f32, f32)| (have - want).abs() < 1e-6)
        );
        let mut one = [5.0f32];
        normalize(&mut one);
        assert_eq!(one, [5.0]);
    }

    #[test]
    fn variance_is_explained_fully_by_the_returns_themselves() {
        let returns = [1.0f32, 2.0, 4.0];
        assert_eq!(explained_variance(&returns, &returns), 1.0);
        assert!(explained_variance(&[2.0; 3], &returns).abs() < 1e-9);
        assert!(explained_variance(&[1.0; 3], &[1.0; 3]).is_nan());
    }

    #[test]
    fn on_tensors_vtrace_normalizing_and_explained_variance_give_the_same_numbers() {
        let rewards = [1.0f32, -2.0, 0.5, 3.0, 1.0, 2.0];
        let values = [0.3f32, 0.6, 0.9, -1.0, 2.0, 0.1];
        let ends = [End::No, End::No, End::Truncated, End::No, End::No, End::Terminated];
        // Where an episode goes on, the next value is that of the next step.
        let next = [0.9f32, -1.0, 4.0, 0.1, 1.5, 0.0];
        let log_ratios = [0.4f32, -0.3, 1.0, -0.2, 0.1, 0.7];
        let clips = VtraceClips { importance: 1.2, trace: 1.0 };
        let (mut targets, mut advantages) = ([0.0; 6], [0.0; 6]);
        let of = (&mut targets[..], &mut advantages[..]);
        vtrace(steps(&rewards, &values, &ends, 2), &next, &log_ratios, (0.9, 0.8), clips, of);
        let table = |numbers: &[f32]| Tensor::from_slice(numbers).reshape([3, 2]);
        let goes_on = ends.map(|end| f32::from(u8::from(end == End::No)));
        let on_device = StepTensors {
            rewards: table(&rewards),
            values: table(&values),
            next_values: table(&next),
            goes_on: table(&goes_on),
        };
        let (own_targets, own_advantages) =
            vtrace_on_tensors(&on_device, &table(&log_ratios), (0.9, 0.8), clips).unwrap();
        let close = |have: &Tensor, want: &[f32]| {
            (have.reshape([-1]) - Tensor::from_slice(want)).abs().max().double_value(&[]) < 1e-5
        };
        assert!(close(&own_targets, &targets) && close(&own_advantages, &advantages));

        let shares = Tensor::from_slice(&[0.2f32, 0.2, 0.0, 0.2, 0.2, 0.2]);
        let own = normalize_on_tensors(&own_advantages.reshape([-1]), &shares, 5).unwrap();
        let mut taken: Vec<f32> =
            advantages.iter().enumerate().filter(|(row, _)| *row != 2).map(|(_, number)| *number).collect();
        normalize(&mut taken);
        taken.insert(2, 0.0);
        assert!(close(&own, &taken));

        let explained = explained_variance_on_tensors(&on_device.values, &own_targets).unwrap();
        assert!((explained.double_value(&[]) - explained_variance(&values, &targets)).abs() < 1e-5);
        let flat = Tensor::from_slice(&[1f32; 3]);
        assert!(explained_variance_on_tensors(&flat, &flat).unwrap().double_value(&[]).is_nan());
    }
}
