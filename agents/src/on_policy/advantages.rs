//! Advantages and returns, as free functions of plain numbers.
//!
//! All arrays are `[steps, envs]`, row-major: one row for each step of the vector environment.

use pavlov_envs::End;

/// Generalised advantage estimation (Schulman et al. 2016):
/// `A_t = delta_t + discount lambda A_(t+1)`, `delta_t = r_t + discount V(s'_t) - V(s_t)`.
///
/// `next_values` are the values of what truly followed each step: 0 where the world terminated, of the final observation
/// where the episode was truncated. The sum stops where an episode ends, either way. `advantages` is overwritten.
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

/// How far V-trace trusts what another policy did.
#[derive(Clone, Copy, Debug)]
pub struct VtraceClips {
    /// The most that a step's importance counts, `rho bar`.
    pub importance: f32,
    /// The most that it passes on of later ones, `c bar`.
    pub trace: f32,
}

/// V-trace (Espeholt et al. 2018): what values should be, and policy-gradient advantages, from steps of a policy that was
/// another one. With `rho = min(importance, ratio)` and `c = lambda min(trace, ratio)`:
///
/// ```text
/// v_t = V(s_t) + delta_t + discount c_t (v_(t+1) - V(s_(t+1))),   delta_t = rho_t (r_t + discount V(s'_t) - V(s_t))
/// A_t = rho_t (r_t + discount v_(t+1) - V(s_t))
/// ```
///
/// `next_values` are as for [`gae`], `log_ratios` the logarithms of how much likelier each action has become. Where all are 0
/// and lambda is 1 the targets are the n-step returns. `targets` and `advantages` are overwritten.
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
        // How far the target of what followed lies from its value: nothing is known of it after an episode's end.
        let later = match (ends[index], targets.get(index + num_envs)) {
            (End::No, Some(target)) => target - next_values[index],
            _ => 0.0,
        };
        let step = rewards[index] + discount * next_values[index] - values[index];
        targets[index] = values[index] + importance * step + discount * trace * later;
        advantages[index] = importance * (step + discount * later);
    }
}

/// What an advantage is computed from.
#[derive(Clone, Copy, Debug)]
pub struct Steps<'a> {
    /// The reward of each step.
    pub rewards: &'a [f32],
    /// The value of what each step acted on.
    pub values: &'a [f32],
    /// How each step's episode ended with it.
    pub ends: &'a [End],
    /// How many environments there are.
    pub num_envs: usize,
}

/// Brings the numbers to mean 0 and (unbiased) deviation 1, as PPO does within each minibatch. A single number has no
/// deviation and stays as it is.
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

/// How much of the returns' variance the values explain: 1 is all, 0 as much as their mean would, less is worse.
/// NaN where the returns do not vary.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn steps<'a>(rewards: &'a [f32], values: &'a [f32], ends: &'a [End], num_envs: usize) -> Steps<'a> {
        Steps { rewards, values, ends, num_envs }
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
}
